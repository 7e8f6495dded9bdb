// Count windows: each key's records in lots of N, in order of arrival. Results come in the order of the records that
// completed their windows; the incomplete ones, when the input has ended, in the order of their first records.
//
// A key's row points at its unfinished window. One batch may complete several windows of a key: each record is given
// its own window's states first, and the aggregates see the whole batch at once.
//
// With a state backend windows of keys that no record has come of for longest go to a store when memory has no room for
// all, and come back with their key's next record. When the input has ended they come last, in the order of the store's
// keys.

#include <algorithm>
#include <array>

#include "libdataflow/windows/group_cache.hpp"
#include "libdataflow/windows/group_table.hpp"
#include "libdataflow/windows/held_groups.hpp"
#include "libdataflow/windows/state_pool.hpp"
#include "libdataflow/windows/untimed.hpp"

namespace dataflow::windows {

namespace {

/// In a block of a StatePool: the aggregates' states follow.
struct CountWindow {
  std::uint64_t count;
  std::uint64_t opened;  ///< number of its first record, from 1; 0: none
  std::int64_t newest;   ///< event time of its records
  std::byte* key_row;
  std::uint64_t changed;  ///< 1: since its last result

  [[nodiscard]] std::byte* states() { return reinterpret_cast<std::byte*>(this + 1); }
};

/// In a key's row; zeros for a new key.
struct CountKey {
  CountWindow* window;  ///< the unfinished one; null: none
  std::uint64_t age;    ///< see GroupCache
};

class CountWindows final : public WindowOperator {
 public:
  CountWindows(const WindowSpec& spec, SchemaPtr input)
      : WindowOperator{spec, std::move(input)},
        layout_{key_form(), std::vector<std::byte>(sizeof(CountKey))},
        keys_{layout_},
        pool_{sizeof(CountWindow), aggregation().initial_states()},
        cache_{keys_, layout_.payload_offset() + offsetof(CountKey, age), aggregation()},
        held_{aggregation()} {}
  ~CountWindows() override;

 protected:
  Status opened() override;
  Status absorb(const Records& records, std::vector<std::uint32_t>& late) override;
  Result<More> produce(ResultWriter& writer) override;
  void flushed() override;
  void start_early() override;
  [[nodiscard]] std::optional<std::int64_t> first_open_end() const override { return std::nullopt; }
  [[nodiscard]] std::vector<std::string> saved_numbers() const override {
    return {"count", "opened", "newest", "changed"};
  }
  [[nodiscard]] StoredGroups* stored_groups() override { return cache_.get(); }
  void freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) override;
  Status load_groups(const SavedGroups& saved) override;

 private:
  [[nodiscard]] CountKey& key_in(std::byte* row) const {
    return *reinterpret_cast<CountKey*>(row + layout_.payload_offset());
  }
  [[nodiscard]] CountWindow*& window_of(std::byte* row) const { return key_in(row).window; }
  CountWindow& open_window(std::byte* row, std::uint64_t record);
  void add(CountWindow& window, ResultWriter& writer);
  void complete_window(CountWindow& window);
  void release(CountWindow& window);
  /// The windows in keys' rows that `wanted` is true for, in the order in which they opened.
  template <class Wanted>
  void collect(std::vector<CountWindow*>& to, Wanted&& wanted) const;
  void forget_idle_keys();
  void move_window(std::byte* row);
  Status fetch(std::size_t count);
  Status make_room();
  Status put(std::byte* row);
  [[nodiscard]] std::uint64_t bytes_of_windows() const;
  Result<More> produce_stored(ResultWriter& writer);

  RowLayout layout_;
  GroupTable keys_;
  StatePool pool_;
  std::vector<std::byte*> states_;
  std::size_t unfinished_ = 0;          ///< keys with a window
  std::vector<CountWindow*> complete_;  ///< to give their results, from next_complete_ on
  std::size_t next_complete_ = 0;
  std::size_t emitted_ = 0;  ///< of those, the ones whose results are out
  std::vector<CountWindow*> early_;
  std::size_t next_early_ = 0;
  std::uint64_t batch_ = GroupCache::fetched_age;
  GroupCache cache_;
  bool walks_stored_ = false;                ///< over the windows in the store, for early or last results
  std::unique_ptr<StoredWalk> stored_walk_;  ///< where that is
  HeldGroups held_;                          ///< of those, on their way out
};

Status CountWindows::opened() {
  auto stored = open_stored_groups();
  if (!stored) return fail(stored.error());
  cache_.open(std::move(*stored));
  return {};
}

CountWindows::~CountWindows() {
  if (!aggregation().states_own_memory()) return;
  collect(complete_, [](const CountWindow&) { return true; });
  for (std::size_t i = emitted_; i < complete_.size(); ++i) release(*complete_[i]);
}

/// Its block is no window any more.
void CountWindows::release(CountWindow& window) {
  pool_.before_write(reinterpret_cast<std::byte*>(&window));
  window.opened = 0;
  aggregation().release(window.states());
}

CountWindow& CountWindows::open_window(std::byte* row, std::uint64_t record) {
  auto* window = reinterpret_cast<CountWindow*>(pool_.take());
  window->opened = record;
  window->newest = first_micros;
  window->key_row = row;
  window_of(row) = window;
  ++unfinished_;
  return *window;
}

void CountWindows::complete_window(CountWindow& window) {
  window_of(window.key_row) = nullptr;
  --unfinished_;
  complete_.push_back(&window);
}

Status CountWindows::absorb(const Records& records, std::vector<std::uint32_t>&) {
  const std::size_t count = records.times.size();
  states_.resize(std::max(states_.size(), count));
  if (cache_) {
    if (Status made = make_room(); !made) return made;
  }
  keys_.find_or_insert(records.keys(), nullptr, count, states_.data());
  if (cache_) {
    if (Status fetched = fetch(count); !fetched) return fetched;
  }
  for (std::size_t i = 0; i < count; ++i) {
    CountWindow* window = window_of(states_[i]);
    if (window == nullptr) window = &open_window(states_[i], records.first_sequence + i);
    pool_.before_write(reinterpret_cast<std::byte*>(window));
    window->newest = std::max(window->newest, records.times[i]);
    window->changed = 1;
    states_[i] = window->states();
    if (++window->count == spec().count) complete_window(*window);
  }
  return aggregation().update({states_.data(), nullptr, count, records.first_sequence});
}

/// Gives the batch's keys that are in the store their windows.
Status CountWindows::fetch(std::size_t count) {
  Status fetched = cache_.fetch(states_.data(), count, [this](std::byte* row, const StoredRow& stored) {
    CountWindow& window = open_window(row, static_cast<std::uint64_t>(stored.numbers[1]));
    window.count = static_cast<std::uint64_t>(stored.numbers[0]);
    window.newest = stored.numbers[2];
    window.changed = static_cast<std::uint64_t>(stored.numbers[3]);
    return cache_->load(stored, window.states());
  });
  ++batch_;
  for (std::size_t i = 0; i < count; ++i) key_in(states_[i]).age = batch_;
  return fetched;
}

Status CountWindows::put(std::byte* row) {
  CountWindow* window = window_of(row);
  if (window == nullptr) return {};
  cache_->begin(keys_.key_of(row));
  cache_->add(std::array{static_cast<std::int64_t>(window->count), static_cast<std::int64_t>(window->opened),
                         window->newest, static_cast<std::int64_t>(window->changed)},
              window->states());
  if (Status put = cache_->end(); !put) return put;
  release(*window);
  pool_.give_back(reinterpret_cast<std::byte*>(window));
  --unfinished_;
  return {};
}

/// With what their states own, by the example of some.
std::uint64_t CountWindows::bytes_of_windows() const {
  if (!aggregation().states_own_memory() || unfinished_ == 0) return pool_.used_bytes();
  constexpr std::size_t examples = 16;
  std::size_t seen = 0;
  std::string saved;
  GroupTable::Cursor cursor;
  for (std::byte* row = nullptr; seen < examples && keys_.next_rows(cursor, 1, &row) == 1;) {
    if (window_of(row) == nullptr) continue;
    aggregation().save(window_of(row)->states(), saved);
    ++seen;
  }
  return pool_.used_bytes() + (seen == 0 ? 0 : saved.size() * unfinished_ / seen);
}

Status CountWindows::make_room() {
  return cache_.make_room(
      bytes_of_windows(), std::nullopt, [this](std::byte* row) { return put(row); },
      [this](const std::byte*, std::byte* row) { move_window(row); });
}

void CountWindows::move_window(std::byte* row) {
  CountWindow* window = window_of(row);
  if (window == nullptr) return;
  pool_.before_write(reinterpret_cast<std::byte*>(window));
  window->key_row = row;
}

template <class Wanted>
void CountWindows::collect(std::vector<CountWindow*>& to, Wanted&& wanted) const {
  const std::size_t first = to.size();
  GroupTable::Cursor cursor;
  for (std::byte* row = nullptr; keys_.next_rows(cursor, 1, &row) == 1;) {
    CountWindow* window = window_of(row);
    if (window != nullptr && wanted(*window)) to.push_back(window);
  }
  std::sort(to.begin() + static_cast<std::ptrdiff_t>(first), to.end(),
            [](const CountWindow* a, const CountWindow* b) { return a->opened < b->opened; });
}

void CountWindows::add(CountWindow& window, ResultWriter& writer) {
  pool_.before_write(reinterpret_cast<std::byte*>(&window));
  window.changed = 0;
  writer.add(keys_.key_of(window.key_row), window.states(), 0, 0, window.newest);
}

Result<WindowOperator::More> CountWindows::produce(ResultWriter& writer) {
  if (drained() && unfinished_ > 0) {
    collect(complete_, [this](const CountWindow& window) {
      window_of(window.key_row) = nullptr;
      return true;
    });
    unfinished_ = 0;
  }
  if (drained() && cache_.any_stored()) walks_stored_ = true;
  while (writer.room() > 0) {
    if (next_early_ < early_.size()) {
      add(*early_[next_early_++], writer);
    } else if (next_complete_ < complete_.size()) {
      add(*complete_[next_complete_++], writer);
    } else if (walks_stored_) {
      return produce_stored(writer);
    } else {
      return More::no;
    }
  }
  return More::yes;
}

Result<WindowOperator::More> CountWindows::produce_stored(ResultWriter& writer) {
  if (stored_walk_ == nullptr) {
    auto begun = cache_->walk();
    if (!begun) return fail(begun.error());
    stored_walk_ = std::move(*begun);
  }
  while (writer.room() > 0) {
    const auto more = stored_walk_->next();
    if (!more) return fail(more.error());
    if (!*more) {
      stored_walk_.reset();
      walks_stored_ = false;
      if (drained()) cache_.close();
      return More::yes;
    }
    StoredRow row;
    if (!stored_walk_->next_row(row) || (!drained() && row.numbers[3] == 0)) continue;
    if (!drained()) stored_walk_->clear_mark();
    std::byte* states = held_.add();
    if (Status loaded = cache_->load(row, states); !loaded) return fail(loaded.error());
    writer.add(held_.keep(key_form(), stored_walk_->key()), states, 0, 0, row.numbers[2]);
  }
  return More::yes;
}

void CountWindows::flushed() {
  held_.clear();
  for (; emitted_ < next_complete_; ++emitted_) {
    release(*complete_[emitted_]);
    pool_.give_back(reinterpret_cast<std::byte*>(complete_[emitted_]));
  }
  if (next_early_ == early_.size()) {
    early_.clear();
    next_early_ = 0;
  }
  if (emitted_ < complete_.size()) return;
  complete_.clear();
  emitted_ = next_complete_ = 0;
  if (early_.empty()) forget_idle_keys();
}

void CountWindows::start_early() {
  collect(early_, [](const CountWindow& window) { return window.changed != 0; });
  if (cache_.any_stored()) walks_stored_ = true;
}

void CountWindows::freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) {
  auto save = [keys = keys_.freeze_keys(), bytes = pool_.block_bytes()](const FrozenRows::Rows& rows,
                                                                        GroupSaver& saver) -> Status {
    for (std::size_t i = 0; i < rows.count; ++i) {
      const std::byte* block = rows.first + i * bytes;
      const auto& window = *reinterpret_cast<const CountWindow*>(block);
      if (window.opened == 0) continue;
      const std::array numbers{static_cast<std::int64_t>(window.count), static_cast<std::int64_t>(window.opened),
                               window.newest, static_cast<std::int64_t>(window.changed)};
      const KeyRef key = keys.key_of(window.key_row);
      if (Status saved = saver.add(key, numbers, block + sizeof(CountWindow)); !saved) return saved;
    }
    return {};
  };
  groups.push_back(frozen_groups(pool_.freeze(ownership_of_states(form, sizeof(CountWindow))), std::move(save)));
}

Status CountWindows::load_groups(const SavedGroups& saved) {
  if (cache_) {
    if (Status made = make_room(); !made) return made;
  }
  for (std::uint32_t row = 0; row < saved.batch.rows(); ++row) {
    std::byte* key_row = nullptr;
    keys_.find_or_insert(saved.keys, &row, 1, &key_row);
    key_in(key_row).age = GroupCache::fetched_age;
    CountWindow& window = open_window(key_row, static_cast<std::uint64_t>(saved.number(row, 1)));
    window.count = static_cast<std::uint64_t>(saved.number(row, 0));
    window.newest = saved.number(row, 2);
    window.changed = saved.number(row, 3) != 0 ? 1 : 0;
    if (Status loaded = saved.load(row, window.states()); !loaded) return loaded;
  }
  return {};
}

/// Keys between two windows, once they are many.
void CountWindows::forget_idle_keys() {
  constexpr std::size_t worth_it = 1024;
  const std::size_t idle = keys_.size() - unfinished_;
  if (idle < worth_it || idle < unfinished_) return;
  keys_.retain([this](std::byte* row) { return window_of(row) != nullptr; },
               [this](const std::byte*, std::byte* row) { move_window(row); });
}

}  // namespace

std::unique_ptr<Operator> make_count_windows(const WindowSpec& spec, const SchemaPtr& input) {
  return std::make_unique<CountWindows>(spec, input);
}

}  // namespace dataflow::windows

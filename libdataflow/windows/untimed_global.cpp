// Global windows: everything of a key, in the key's row. They give results early, if asked to, and once the input has
// ended, in the order of the keys' first records.
//
// Where there is a place for it, in every batch say, what memory has no room for is written to disk (see
// spilled_groups.hpp). Results are put together from there then, in the order of the keys.

#include <algorithm>
#include <array>

#include "libdataflow/windows/group_table.hpp"
#include "libdataflow/windows/held_groups.hpp"
#include "libdataflow/windows/spilled_groups.hpp"
#include "libdataflow/windows/untimed.hpp"

namespace dataflow::windows {

namespace {

/// In a key's row, in front of the aggregates' states: a SpilledHeader.
struct GlobalWindow {
  std::int64_t newest;    ///< event time of its records
  std::uint64_t changed;  ///< 1: since its last result

  [[nodiscard]] std::byte* states() { return reinterpret_cast<std::byte*>(this + 1); }
};

/// All of time.
constexpr std::int64_t only_slice = 0;

std::vector<std::byte> initial_window(const std::vector<std::byte>& states) {
  constexpr GlobalWindow window{first_micros, 0};
  std::vector<std::byte> image(sizeof window);
  std::memcpy(image.data(), &window, sizeof window);
  image.insert(image.end(), states.begin(), states.end());
  return image;
}

class GlobalWindows final : public WindowOperator {
 public:
  GlobalWindows(const WindowSpec& spec, SchemaPtr input)
      : WindowOperator{spec, std::move(input)},
        layout_{key_form(), initial_window(aggregation().initial_states())},
        groups_{layout_},
        held_{aggregation()} {}
  ~GlobalWindows() override { release_all(); }

 protected:
  Status opened() override;
  Status absorb(const Records& records, std::vector<std::uint32_t>& late) override;
  Result<More> produce(ResultWriter& writer) override;
  void flushed() override;
  void start_early() override;
  [[nodiscard]] std::optional<std::int64_t> first_open_end() const override { return std::nullopt; }
  [[nodiscard]] std::vector<std::string> saved_numbers() const override { return {"newest", "changed"}; }
  void freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) override;
  Status load_groups(const SavedGroups& saved) override;

 private:
  /// Early results come from a walk over the rows like the last ones, but only of those that changed.
  enum class Walk : std::uint8_t { none, early, last, ended };

  [[nodiscard]] GlobalWindow& window_in(std::byte* row) const {
    return *reinterpret_cast<GlobalWindow*>(row + layout_.payload_offset());
  }
  [[nodiscard]] std::size_t states_offset() const { return layout_.payload_offset() + sizeof(GlobalWindow); }
  void release_all();
  Status make_room();
  Status spill();
  Result<More> produce_spilled(ResultWriter& writer);

  RowLayout layout_;
  GroupTable groups_;
  std::vector<std::byte*> states_;
  Walk walk_ = Walk::none;
  GroupTable::Cursor cursor_;
  std::unique_ptr<SpilledGroups> spilled_;  ///< null: everything stays in memory
  std::unique_ptr<SpilledReader> reader_;   ///< of results from disk
  HeldGroups held_;                         ///< of those, on their way out
};

Status GlobalWindows::opened() {
  const StateBackendPtr backend = context().spill_backend();
  if (!backend || spec().key_fields.empty()) return {};
  auto folder = backend->open_folder();
  if (!folder) return fail(folder.error());
  spilled_ = std::make_unique<SpilledGroups>(std::move(*folder),
                                             SpilledForm{key_form(), &aggregation(), SpilledHeader::time_and_mark},
                                             states_offset(), RunIndex::none);
  return {};
}

void GlobalWindows::release_all() {
  if (!aggregation().states_own_memory()) return;
  GroupTable::Cursor cursor;
  for (std::byte* row = nullptr; groups_.next_rows(cursor, 1, &row) == 1;) {
    groups_.before_write(row);
    aggregation().release(window_in(row).states());
  }
}

Status GlobalWindows::absorb(const Records& records, std::vector<std::uint32_t>&) {
  const std::size_t count = records.times.size();
  states_.resize(std::max(states_.size(), count));
  groups_.find_or_insert(records.keys(), nullptr, count, states_.data());
  for (std::size_t i = 0; i < count; ++i) {
    GlobalWindow& window = window_in(states_[i]);
    window.newest = std::max(window.newest, records.times[i]);
    window.changed = 1;
    states_[i] = window.states();
  }
  Status updated = aggregation().update({states_.data(), nullptr, count, records.first_sequence});
  return updated && spilled_ ? make_room() : updated;
}

Status GlobalWindows::make_room() {
  const std::uint64_t bytes = groups_.byte_size() + owned_bytes(aggregation(), groups_, states_offset());
  return bytes <= spilled_->budget_bytes() ? Status{} : spill();
}

Status GlobalWindows::spill() {
  if (Status written = spilled_->write(only_slice, groups_); !written) return written;
  release_all();
  groups_ = GroupTable{layout_};
  return {};
}

void GlobalWindows::start_early() {
  if (walk_ == Walk::none) walk_ = Walk::early;
}

Result<WindowOperator::More> GlobalWindows::produce(ResultWriter& writer) {
  if (walk_ == Walk::none && drained()) walk_ = Walk::last;
  if (walk_ == Walk::none || walk_ == Walk::ended) return More::no;
  if (spilled_ && !spilled_->empty()) return produce_spilled(writer);
  constexpr std::size_t step = 256;
  std::byte* rows[step];
  const std::size_t n = groups_.next_rows(cursor_, std::min(step, writer.room()), rows);
  for (std::size_t i = 0; i < n; ++i) {
    GlobalWindow& window = window_in(rows[i]);
    if (walk_ == Walk::early && window.changed == 0) continue;
    groups_.before_write(rows[i]);
    window.changed = 0;
    writer.add(groups_.key_of(rows[i]), window.states(), 0, 0, window.newest);
  }
  if (n > 0) return More::yes;
  cursor_ = {};
  walk_ = walk_ == Walk::last ? Walk::ended : Walk::none;
  return More::yes;
}

Result<WindowOperator::More> GlobalWindows::produce_spilled(ResultWriter& writer) {
  if (reader_ == nullptr) {
    // What a key has in memory is one more part of it.
    if (Status written = spill(); !written) return fail(written.error());
    auto reader = spilled_->read(only_slice, only_slice + 1);
    if (!reader) return fail(reader.error());
    reader_ = std::move(*reader);
  }
  while (writer.room() > 0) {
    std::byte* states = held_.add();
    const auto more = reader_->next(states);
    if (!more) return fail(more.error());
    if (!*more) {
      reader_.reset();
      spilled_->next_period();
      if (walk_ == Walk::last) spilled_->forget(only_slice);
      walk_ = walk_ == Walk::last ? Walk::ended : Walk::none;
      return More::yes;
    }
    if (walk_ == Walk::early && !reader_->changed()) {
      held_.drop_newest();
      continue;
    }
    writer.add(held_.keep(key_form(), reader_->key()), states, 0, 0, reader_->newest());
  }
  return More::yes;
}

void GlobalWindows::freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) {
  const std::size_t states = states_offset();
  auto save = [layout = layout_, states](const FrozenRows::Rows& rows, GroupSaver& saver) -> Status {
    for (std::size_t i = 0; i < rows.count; ++i) {
      const std::byte* row = rows.first + i * layout.stride();
      const auto& window = *reinterpret_cast<const GlobalWindow*>(row + layout.payload_offset());
      const std::array numbers{window.newest, static_cast<std::int64_t>(window.changed)};
      const KeyRef key = GroupTable::key_of_copy(layout, row, row == rows.null_key);
      if (Status saved = saver.add(key, numbers, row + states); !saved) return saved;
    }
    return {};
  };
  groups.push_back(frozen_groups(groups_.freeze(ownership_of_states(form, states)), std::move(save)));
  if (spilled_) spilled_->freeze(form, groups);
}

Status GlobalWindows::load_groups(const SavedGroups& saved) {
  for (std::uint32_t row = 0; row < saved.batch.rows(); ++row) {
    std::byte* group = nullptr;
    const std::size_t before = groups_.size();
    groups_.find_or_insert(saved.keys, &row, 1, &group);
    GlobalWindow& window = window_in(group);
    window.newest = std::max(window.newest, saved.number(row, 0));
    if (saved.number(row, 1) != 0) window.changed = 1;
    // A window that had not enough memory has written a group in parts.
    const bool is_new = groups_.size() != before;
    Status loaded = is_new ? saved.load(row, window.states()) : saved.merge(row, window.states());
    if (!loaded) return loaded;
  }
  return spilled_ ? make_room() : Status{};
}

void GlobalWindows::flushed() {
  held_.clear();
  if (walk_ != Walk::ended || groups_.empty()) return;
  release_all();
  groups_ = GroupTable{layout_};
}

}  // namespace

std::unique_ptr<Operator> make_global_windows(const WindowSpec& spec, const SchemaPtr& input) {
  return std::make_unique<GlobalWindows>(spec, input);
}

}  // namespace dataflow::windows

#include "libdataflow/windows/stored_groups.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>

#include "libdataflow/state/store_key.hpp"
#include "libdataflow/windows/key_bytes.hpp"

namespace dataflow::windows {

namespace {

/// The first byte of a key in the store says what it is of.
constexpr char group_prefix = '\0';
constexpr char deadline_prefix = '\1';
constexpr std::size_t changes_bytes = 1U << 20;

template <class V>
void append_number(V value, std::string& out) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// The groups in a store as rows of a snapshot.
class FrozenStoredGroups final : public FrozenGroups {
 public:
  FrozenStoredGroups(StoredWalk walk, GroupFormPtr form) : walk_{std::move(walk)}, form_{std::move(form)} {}

  Status save(GroupSaver& saver) override {
    const std::vector<std::byte>& initial = form_->aggregation.initial_states();
    const auto states = std::make_unique<std::byte[]>(initial.size());
    while (true) {
      const auto more = walk_.next();
      if (!more) return fail(more.error());
      if (!*more) return {};
      StoredRows rows = walk_.rows();
      for (StoredRow row; rows.next(row);) {
        std::memcpy(states.get(), initial.data(), initial.size());
        Status saved = form_->aggregation.load(row.states, states.get());
        if (saved) saved = saver.add(walk_.key(), std::span{row.numbers}.first(form_->schema.numbers()), states.get());
        form_->aggregation.release(states.get());
        if (!saved) return saved;
      }
    }
  }

 private:
  StoredWalk walk_;
  GroupFormPtr form_;
};

}  // namespace

bool StoredRows::next(StoredRow& row) {
  if (left_.empty()) return false;
  std::uint32_t states = 0;
  std::memcpy(&states, left_.data(), sizeof states);
  left_.remove_prefix(sizeof states);
  std::memcpy(row.numbers.data(), left_.data(), numbers_ * sizeof(std::int64_t));
  left_.remove_prefix(numbers_ * sizeof(std::int64_t));
  if (period_ != 0) row.numbers[numbers_ - 1] = row.numbers[numbers_ - 1] == period_ ? 1 : 0;
  row.states = left_.substr(0, states);
  left_.remove_prefix(states);
  return true;
}

StoredWalk::StoredWalk(OwnedStorePtr store, GroupFormPtr form, std::int64_t period)
    : store_{std::move(store)},
      form_{std::move(form)},
      period_{period},
      scan_{(*store_)->scan({}, std::string_view{&deadline_prefix, 1})} {}

Result<bool> StoredWalk::next() {
  if (std::exchange(begun_, true)) scan_->next();
  if (!scan_->valid()) {
    if (Status walked = scan_->status(); !walked) return fail(walked.error());
    return false;
  }
  key_ = read_key_bytes(form_->keys.form(), scan_->key().substr(1), text_);
  return true;
}

StoredRows StoredWalk::rows() const {
  return {scan_->value(), form_->schema.numbers(), period_};
}

Result<std::unique_ptr<StoredGroups>> StoredGroups::open(const StateBackendPtr& backend, GroupFormPtr form,
                                                         Marks marks) {
  assert(form->schema.numbers() <= StoredRow::most_numbers);
  auto store = backend->open(backend->new_folder());
  if (!store) return fail(store.error());
  return std::unique_ptr<StoredGroups>{new StoredGroups{std::move(*store), std::move(form), marks}};
}

void StoredGroups::begin(const KeyRef& key) {
  key_.assign(1, group_prefix);
  append_key_bytes(form_->keys.form(), key, key_);
  value_.clear();
}

void StoredGroups::add(std::span<const std::int64_t> numbers, const std::byte* states) {
  assert(numbers.size() == form_->schema.numbers());
  const std::size_t at = value_.size();
  append_number(std::uint32_t{0}, value_);
  for (const std::int64_t number : numbers) append_number(number, value_);
  if (period_ != 0 && numbers.back() != 0) {
    std::memcpy(value_.data() + value_.size() - sizeof period_, &period_, sizeof period_);
  }
  const std::size_t states_at = value_.size();
  form_->aggregation.save(states, value_);
  const auto length = static_cast<std::uint32_t>(value_.size() - states_at);
  std::memcpy(value_.data() + at, &length, sizeof length);
}

Status StoredGroups::end() {
  changes_.put(key_, value_);
  ++size_;
  return changes_.byte_size() < changes_bytes ? Status{} : flush();
}

Status StoredGroups::flush() {
  if (changes_.empty()) return {};
  Status written = (*store_)->write(changes_);
  changes_.clear();
  return written;
}

/// Keys are looked up in their order, which a store finds fastest.
Status StoredGroups::take(std::span<const KeyRef> keys) {
  values_.clear();
  position_.clear();
  if (empty() || keys.empty()) return {};
  if (Status flushed = flush(); !flushed) return flushed;
  key_bytes_.clear();
  ends_.assign(1, 0);
  for (const KeyRef& key : keys) {
    key_bytes_ += group_prefix;
    append_key_bytes(form_->keys.form(), key, key_bytes_);
    ends_.push_back(key_bytes_.size());
  }
  const auto bytes_of = [this](std::size_t i) {
    return std::string_view{key_bytes_}.substr(ends_[i], ends_[i + 1] - ends_[i]);
  };
  order_.resize(keys.size());
  std::iota(order_.begin(), order_.end(), 0U);
  std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) { return bytes_of(a) < bytes_of(b); });
  lookup_.clear();
  for (const std::uint32_t i : order_) lookup_.push_back(bytes_of(i));
  if (Status got = (*store_)->multi_get(lookup_, values_); !got) return got;
  position_.resize(keys.size());
  for (std::uint32_t at = 0; at < order_.size(); ++at) {
    position_[order_[at]] = at;
    if (!values_[at]) continue;
    changes_.erase(lookup_[at]);
    --size_;
  }
  return {};
}

StoredRows StoredGroups::taken(std::size_t i) const {
  if (position_.empty()) return {};
  const auto value = values_[position_[i]];
  return value ? StoredRows{*value, numbers(), period_} : StoredRows{};
}

void StoredGroups::put_deadline(std::int64_t time, const KeyRef& key) {
  std::string bytes(1, deadline_prefix);
  put_ordered_signed(bytes, time);
  append_key_bytes(form_->keys.form(), key, bytes);
  changes_.put(bytes, {});
  if (bytes < deadlines_from_) deadlines_from_ = bytes;
  first_deadline_ = std::min(first_deadline_.value_or(time), time);
}

void StoredGroups::erase_deadline(std::int64_t time, const KeyRef& key) {
  std::string bytes(1, deadline_prefix);
  put_ordered_signed(bytes, time);
  append_key_bytes(form_->keys.form(), key, bytes);
  changes_.erase(bytes);
}

Result<std::span<const KeyRef>> StoredGroups::take_deadlines(std::int64_t until, std::size_t most) {
  due_.clear();
  due_texts_.clear();
  if (Status flushed = flush(); !flushed) return fail(flushed.error());
  if (deadlines_from_.empty()) deadlines_from_.assign(1, deadline_prefix);
  const auto scan = (*store_)->scan(deadlines_from_, {});
  const auto time_of = [](std::string_view key) { return get_ordered_signed(key.substr(1)); };
  for (; scan->valid() && due_.size() < most && time_of(scan->key()) <= until; scan->next()) {
    due_texts_.push_back(std::make_unique<std::string>());
    due_.push_back(
        read_key_bytes(form_->keys.form(), scan->key().substr(1 + sizeof(std::int64_t)), *due_texts_.back()));
    changes_.erase(scan->key());
  }
  if (Status walked = scan->status(); !walked) return fail(walked.error());
  if (scan->valid()) {
    deadlines_from_ = scan->key();
    first_deadline_ = time_of(scan->key());
  } else {
    deadlines_from_.assign(sizeof(std::int64_t) + 2, '\xff');
    deadlines_from_[0] = deadline_prefix;
    first_deadline_.reset();
  }
  return std::span<const KeyRef>{due_};
}

Result<std::unique_ptr<StoredWalk>> StoredGroups::walk() {
  if (Status flushed = flush(); !flushed) return fail(flushed.error());
  return std::make_unique<StoredWalk>(store_, form_, period_);
}

void StoredGroups::freeze(std::vector<FrozenGroupsPtr>& groups) const {
  assert(changes_.empty());
  groups.push_back(std::make_unique<FrozenStoredGroups>(StoredWalk{store_, form_, period_}, form_));
}

std::uint64_t oldest_half(std::vector<std::uint64_t>& ages) {
  const auto middle = ages.begin() + static_cast<std::ptrdiff_t>((ages.size() - 1) / 2);
  std::nth_element(ages.begin(), middle, ages.end());
  return *middle;
}

std::uint64_t owned_bytes(const Aggregation& aggregation, const GroupTable& table, std::size_t offset) {
  if (!aggregation.states_own_memory()) return 0;
  constexpr std::size_t examples = 16;
  GroupTable::Cursor first;
  std::byte* rows[examples];
  const std::size_t count = table.next_rows(first, examples, rows);
  if (count == 0) return 0;
  std::string saved;
  for (std::size_t i = 0; i < count; ++i) aggregation.save(rows[i] + offset, saved);
  return saved.size() * table.size() / count;
}

}  // namespace dataflow::windows

// Running aggregates: the value that each key has so far, given as a changelog at the end of every batch that changed
// it. One batch gives a key at most one change, whatever number of its records are in it (Flink's mini-batch
// aggregation, https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/tuning/), and a key whose values
// came out the same gives none.
//
// With a state backend keys that no record has come of for longest go to a store when memory has no room for all, and
// come back with their next record.
//
// The input may be a changelog itself: rows that it takes back are taken out of the aggregates, which is why those
// that cannot do that (`max`) are refused for such an input. A key whose last row was taken back is removed.

#include <algorithm>
#include <array>
#include <deque>
#include <numeric>
#include <utility>

#include "libdataflow/windows/aggregates/cell_bits.hpp"
#include "libdataflow/windows/group_cache.hpp"
#include "libdataflow/windows/group_table.hpp"
#include "libdataflow/windows/key_groups.hpp"
#include "libdataflow/windows/window_operator.hpp"

namespace dataflow::windows {

namespace {

/// In a key's row, in front of the aggregates' states.
struct RunningGroup {
  std::int64_t newest;  ///< event time of its records
  std::int64_t seen;    ///< by the clock, when its last record came
  std::int64_t rows;    ///< that were not taken back
  std::uint64_t given;  ///< 1: a result of it stands. 0: nobody has heard of the key, or not any more
  std::uint64_t batch;  ///< number of the last batch that had records of it; 0: may be in the store

  [[nodiscard]] std::byte* states() { return reinterpret_cast<std::byte*>(this + 1); }
};

std::vector<std::byte> initial_group(const std::vector<std::byte>& states) {
  constexpr RunningGroup group{first_micros, first_micros, 0, 0, 0};
  std::vector<std::byte> image(sizeof group);
  std::memcpy(image.data(), &group, sizeof group);
  image.insert(image.end(), states.begin(), states.end());
  return image;
}

/// Of keys that no record comes of any more so many are looked at in one go, and all within this part of the TTL.
constexpr std::size_t groups_in_a_look = 4096;
constexpr std::int64_t walks_in_a_ttl = 4;
constexpr Duration least_pause = std::chrono::milliseconds{1};
/// Fewer keys without a result than this are not worth a new table.
constexpr std::size_t least_dead = 1024;

bool takes_back(RowKind kind) {
  return kind == RowKind::update_before || kind == RowKind::remove;
}

/// Clears `same[i]` where row i of `before` and row `after_rows[i]` of `after` differ.
void compare(const Column& before, const Column& after, const std::vector<std::uint32_t>& after_rows,
             std::vector<std::uint8_t>& same) {
  const auto check = [&](auto&& equal) {
    for (std::size_t i = 0; i < after_rows.size(); ++i) {
      if (same[i] == 0) continue;
      const std::uint32_t row = after_rows[i];
      const bool null = before.is_null(i);
      same[i] = null == after.is_null(row) && (null || equal(i, row)) ? 1 : 0;
    }
  };
  if (before.type.is_variable_width()) {
    check([&](std::size_t i, std::uint32_t row) { return before.text(i) == after.text(row); });
    return;
  }
  visit_fixed_width(before, [&](const auto* old) {
    const auto* now = after.values.as<std::remove_cvref_t<decltype(*old)>>();
    check([&](std::size_t i, std::uint32_t row) { return cell_bits(old[i]) == cell_bits(now[row]); });
  });
}

/// The rows of `batch` whose flag is 0, as changes of those kinds.
BatchPtr changes(const BatchPtr& batch, const std::vector<std::uint8_t>& left_out, const std::vector<RowKind>& kinds) {
  std::vector<std::uint32_t> rows;
  rows.reserve(kinds.size());
  GrowingBuffer bytes{kinds.size()};
  for (std::uint32_t row = 0; row < batch->rows(); ++row) {
    if (left_out[row] != 0) continue;
    rows.push_back(row);
    bytes.push(kinds[row]);
  }
  const BatchPtr chosen = rows.size() == batch->rows() ? batch : batch->select_rows(rows);
  return std::make_shared<const Batch>(chosen->schema(), chosen->rows(), chosen->columns(), chosen->timestamps(),
                                       bytes.freeze());
}

class Running final : public WindowOperator {
 public:
  Running(const WindowSpec& spec, SchemaPtr input)
      : WindowOperator{spec, std::move(input)},
        key_groups_{spec.key_fields},
        layout_{key_form(), initial_group(aggregation().initial_states())},
        groups_{layout_},
        cache_{groups_, layout_.payload_offset() + offsetof(RunningGroup, batch), aggregation()} {}
  ~Running() override;

 protected:
  Status opened() override;
  Status absorb(const Records& records, std::vector<std::uint32_t>& late) override;
  Result<More> produce(ResultWriter& writer) override;
  void start_early() override {}
  [[nodiscard]] std::optional<std::int64_t> first_open_end() const override { return std::nullopt; }
  [[nodiscard]] std::optional<Timestamp> next_clean_up() const override { return next_look_; }
  Status clean_up(Timestamp now) override;
  [[nodiscard]] std::vector<std::string> saved_numbers() const override { return {"newest", "seen", "rows"}; }
  [[nodiscard]] StoredGroups* stored_groups() override { return cache_.get(); }
  void freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) override;
  Status load_groups(const SavedGroups& saved) override;
  Status loaded() override;

 private:
  [[nodiscard]] RunningGroup& group_in(std::byte* row) const {
    return *reinterpret_cast<RunningGroup*>(row + layout_.payload_offset());
  }
  /// A key that has no rows left is removed; what has no keys stays, with a count of 0.
  [[nodiscard]] bool stands(const RunningGroup& group) const { return group.rows > 0 || key_form() == KeyForm::none; }
  [[nodiscard]] bool is_expired(const RunningGroup& group, Timestamp now) const {
    return spec().ttl && group.given != 0 && now.micros - group.seen >= spec().ttl->count();
  }
  void forget(RunningGroup& group);
  [[nodiscard]] Duration pause() const;
  void drop_dead();
  Status fetch(std::size_t count);
  Status make_room();
  Status put(std::byte* row);

  void find_touched(std::size_t count, Timestamp now);
  Status fold(const Records& records);
  Status fold_inserted(const Records& records);
  Status fold_groups(const Records& records);
  Result<BatchPtr> results_of(const std::vector<std::byte*>& rows, const Batch& batch);
  void give_changes(const BatchPtr& before, const BatchPtr& after);
  void add_pending(const BatchPtr& batch);

  KeyGroups key_groups_;
  RowLayout layout_;
  GroupTable groups_;
  std::size_t given_ = 0;                          ///< keys that a result stands of
  std::uint64_t batch_ = GroupCache::fetched_age;  ///< number of the one that is absorbed, from 2
  GroupCache cache_;
  std::deque<BatchPtr> pending_;
  Counter* forgotten_ = nullptr;
  Counter* unmatched_ = nullptr;
  // Of the batch that is absorbed:
  std::vector<std::byte*> found_;    ///< each record's row, or each key's where records are known by key,
  std::vector<std::byte*> touched_;  ///< each of them once, in the order of their first records,
  std::vector<std::byte*> known_;    ///< and those of them that had given a result
  struct Folded {
    std::vector<std::byte*> states;
    std::vector<std::uint32_t> records;
  };
  Folded added_;
  Folded taken_back_;
  // For keys that no record comes of any more:
  std::optional<Timestamp> next_look_;  ///< with a TTL, while there are keys
  GroupTable::Cursor look_;
};

Running::~Running() {
  if (!aggregation().states_own_memory()) return;
  GroupTable::Cursor cursor;
  for (std::byte* row = nullptr; groups_.next_rows(cursor, 1, &row) == 1;) {
    groups_.before_write(row);
    aggregation().release(group_in(row).states());
  }
}

Status Running::opened() {
  forgotten_ = &context().counter("forgotten");
  unmatched_ = &context().counter("unmatched");
  auto stored = open_stored_groups();
  if (!stored) return fail(stored.error());
  cache_.open(std::move(*stored));
  return {};
}

void Running::forget(RunningGroup& group) {
  aggregation().reset(group.states());
  group.newest = first_micros;
  group.rows = 0;
  if (group.given != 0) --given_;
  group.given = 0;
}

Status Running::absorb(const Records& records, std::vector<std::uint32_t>&) {
  const Timestamp now = context().now();
  const bool grouped = !records.combined && records.batch->kinds().empty() && key_groups_.read(*records.batch);
  const std::size_t count = grouped ? key_groups_.size() : records.times.size();
  const KeyBatch& keys = grouped ? records.key_reader->read(*records.batch, key_groups_.first_rows()) : records.keys();
  found_.resize(std::max(found_.size(), count));
  groups_.find_or_insert(keys, nullptr, count, found_.data());
  if (cache_.any_stored()) {
    if (Status fetched = fetch(count); !fetched) return fetched;
  }
  find_touched(count, now);
  auto before = results_of(known_, *records.batch);
  if (!before) return fail(before.error());
  if (Status folded = grouped ? fold_groups(records) : fold(records); !folded) return folded;

  std::vector<std::byte*> standing;
  standing.reserve(touched_.size());
  for (std::byte* row : touched_) {
    if (stands(group_in(row))) standing.push_back(row);
  }
  auto after = results_of(standing, *records.batch);
  if (!after) return fail(after.error());
  give_changes(*before, *after);
  if (spec().ttl && !next_look_) next_look_ = now + pause();
  drop_dead();
  return cache_ ? make_room() : Status{};
}

/// Gives the batch's keys that are in the store their rows.
Status Running::fetch(std::size_t count) {
  return cache_.fetch(found_.data(), count, [this](std::byte* row, const StoredRow& stored) {
    RunningGroup& group = group_in(row);
    group.newest = stored.numbers[0];
    group.seen = stored.numbers[1];
    group.rows = stored.numbers[2];
    group.given = 1;
    ++given_;
    return cache_->load(stored, group.states());
  });
}

Status Running::put(std::byte* row) {
  look_ = {};
  RunningGroup& group = group_in(row);
  if (group.given != 0) {
    cache_->begin(groups_.key_of(row));
    cache_->add(std::array{group.newest, group.seen, group.rows}, group.states());
    if (Status put = cache_->end(); !put) return put;
    --given_;
  }
  aggregation().release(group.states());
  return {};
}

Status Running::make_room() {
  return cache_.make_room(
      0, layout_.payload_offset() + sizeof(RunningGroup), [this](std::byte* row) { return put(row); },
      [](const std::byte*, std::byte*) {});
}

/// Fills `touched_` and `known_`; forgets what has outlived its time.
void Running::find_touched(std::size_t count, Timestamp now) {
  ++batch_;
  touched_.clear();
  known_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    RunningGroup& group = group_in(found_[i]);
    if (group.batch == batch_) continue;
    group.batch = batch_;
    if (is_expired(group, now)) {
      forget(group);
      forgotten_->add(1);
    }
    group.seen = now.micros;
    touched_.push_back(found_[i]);
    if (group.given != 0) known_.push_back(found_[i]);
  }
}

/// Null when there are none.
Result<BatchPtr> Running::results_of(const std::vector<std::byte*>& rows, const Batch& batch) {
  if (rows.empty()) return nullptr;
  for (std::byte* row : rows) {
    RunningGroup& group = group_in(row);
    writer().add(groups_.key_of(row), group.states(), 0, 0, group.newest);
  }
  return writer().take(context().now(), batch.has_event_time() ? ResultTime::present : ResultTime::none);
}

Status Running::fold(const Records& records) {
  const Batch& batch = *records.batch;
  if (batch.kinds().empty()) return fold_inserted(records);
  for (Folded* folded : {&added_, &taken_back_}) {
    folded->states.clear();
    folded->records.clear();
  }
  for (std::uint32_t i = 0; i < batch.rows(); ++i) {
    RunningGroup& group = group_in(found_[i]);
    const bool back = takes_back(batch.kind(i));
    if (back && group.rows == 0) {  // of a key that has been forgotten
      unmatched_->add(1);
      continue;
    }
    group.rows += back ? -1 : 1;
    if (!back) group.newest = std::max(group.newest, records.times[i]);
    Folded& folded = back ? taken_back_ : added_;
    folded.states.push_back(group.states());
    folded.records.push_back(i);
  }
  const auto rows_of = [&](const Folded& folded) {
    return StateRows{folded.states.data(), folded.records.data(), folded.records.size(), records.first_sequence};
  };
  // Taking back comes first, so that a sum near the end of its type does not pass it in between.
  if (!taken_back_.records.empty()) {
    if (Status done = aggregation().retract(rows_of(taken_back_)); !done) return done;
  }
  return aggregation().update(rows_of(added_));
}

/// Of a batch that takes nothing back.
Status Running::fold_inserted(const Records& records) {
  const std::size_t count = records.times.size();
  added_.states.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    RunningGroup& group = group_in(found_[i]);
    group.rows += records.records_in(i);
    group.newest = std::max(group.newest, records.times[i]);
    added_.states[i] = group.states();
  }
  return aggregation().update(StateRows{added_.states.data(), nullptr, count, records.first_sequence});
}

/// Of a batch that takes nothing back and whose records are known by key.
Status Running::fold_groups(const Records& records) {
  const std::span<const std::uint32_t> sizes = key_groups_.sizes();
  const std::span<const KeyGroups::Extent> extents = key_groups_.extents(records.times);
  added_.states.resize(sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    RunningGroup& group = group_in(found_[i]);
    group.rows += sizes[i];
    group.newest = std::max(group.newest, extents[i].last);
    added_.states[i] = group.states();
  }
  return aggregation().update(GroupRows{key_groups_.of_rows(), sizes, added_.states.data(), records.first_sequence});
}

/// `before` has the results of `known_`, `after` those of the keys in `touched_` that stand; null: of none.
void Running::give_changes(const BatchPtr& before, const BatchPtr& after) {
  std::vector<std::uint32_t> after_row;  // for each row of `before`
  std::vector<std::uint8_t> same;        // whether the two agree
  std::vector<RowKind> old_kinds;
  std::vector<RowKind> new_kinds;
  for (std::byte* row : touched_) {
    RunningGroup& group = group_in(row);
    const bool known = group.given != 0;
    const bool now = stands(group);
    if (known) {
      after_row.push_back(static_cast<std::uint32_t>(new_kinds.size()));
      same.push_back(now ? 1 : 0);
      old_kinds.push_back(now ? RowKind::update_before : RowKind::remove);
    }
    if (!now) {
      forget(group);
      continue;
    }
    new_kinds.push_back(known ? RowKind::update_after : RowKind::insert);
    if (!known) ++given_;
    group.given = 1;
  }
  if (before && after) {
    for (std::size_t i = spec().key_fields.size(); i < before->columns().size(); ++i) {
      compare(before->column(i), after->column(i), after_row, same);
    }
  }
  std::vector<std::uint8_t> unchanged(new_kinds.size());
  for (std::size_t i = 0; i < same.size(); ++i) {
    if (same[i] != 0) unchanged[after_row[i]] = 1;
  }
  if (before) add_pending(changes(before, same, old_kinds));
  if (after) add_pending(changes(after, unchanged, new_kinds));
}

/// In pieces where it is large: aggregates of long texts.
void Running::add_pending(const BatchPtr& batch) {
  if (batch->rows() == 0) return;
  const std::size_t pieces = std::min<std::size_t>(batch->rows(), 1 + batch->byte_size() / (2 * max_batch_bytes));
  if (pieces == 1) {
    pending_.push_back(batch);
    return;
  }
  std::vector<std::uint32_t> rows(batch->rows());
  std::iota(rows.begin(), rows.end(), 0U);
  for (std::size_t i = 0; i < pieces; ++i) {
    const std::size_t from = rows.size() * i / pieces;
    const std::size_t to = rows.size() * (i + 1) / pieces;
    pending_.push_back(batch->select_rows(std::span{rows}.subspan(from, to - from)));
  }
}

Result<WindowOperator::More> Running::produce(ResultWriter& writer) {
  if (pending_.empty()) return More::no;
  writer.put(std::move(pending_.front()));
  pending_.pop_front();
  return More::yes;
}

Duration Running::pause() const {
  const std::size_t keys = groups_.size() + cache_.stored_keys();
  const auto looks = static_cast<std::int64_t>(1 + keys / groups_in_a_look);
  return std::max(least_pause, *spec().ttl / walks_in_a_ttl / looks);
}

Status Running::clean_up(Timestamp now) {
  std::byte* rows[groups_in_a_look];
  const std::size_t count = groups_.next_rows(look_, groups_in_a_look, rows);
  for (std::size_t i = 0; i < count; ++i) {
    RunningGroup& group = group_in(rows[i]);
    if (!is_expired(group, now)) continue;
    groups_.before_write(rows[i]);
    forget(group);
    forgotten_->add(1);
  }
  if (count < groups_in_a_look) look_ = {};
  drop_dead();
  if (cache_.any_stored()) {
    const std::int64_t oldest = now.micros - spec().ttl->count();
    const auto erased =
        cache_->sweep(groups_in_a_look, [oldest](const StoredRow& row) { return row.numbers[1] <= oldest; });
    if (!erased) return fail(erased.error());
    forgotten_->add(*erased);
  }
  next_look_.reset();
  if (given_ != 0 || cache_.any_stored()) next_look_ = now + pause();
  return {};
}

/// Makes a new table when less than half of the keys have a result.
void Running::drop_dead() {
  const std::size_t dead = groups_.size() - given_;
  if (dead < least_dead || dead < given_) return;
  const bool owners = aggregation().states_own_memory();
  groups_.retain(
      [&](std::byte* row) {
        RunningGroup& group = group_in(row);
        if (owners) {
          groups_.before_write(row);
          if (group.given == 0) aggregation().release(group.states());
        }
        return group.given != 0;
      },
      [](const std::byte*, std::byte*) {});
  look_ = {};
}

void Running::freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) {
  const std::size_t states = layout_.payload_offset() + sizeof(RunningGroup);
  const std::int64_t oldest = spec().ttl ? context().now().micros - spec().ttl->count() : first_micros;
  auto save = [layout = layout_, states, oldest](const FrozenRows::Rows& rows, GroupSaver& saver) -> Status {
    for (std::size_t i = 0; i < rows.count; ++i) {
      const std::byte* row = rows.first + i * layout.stride();
      const auto& group = *reinterpret_cast<const RunningGroup*>(row + layout.payload_offset());
      if (group.given == 0 || group.seen <= oldest) continue;
      const std::array numbers{group.newest, group.seen, group.rows};
      const KeyRef key = GroupTable::key_of_copy(layout, row, row == rows.null_key);
      if (Status saved = saver.add(key, numbers, row + states); !saved) return saved;
    }
    return {};
  };
  groups.push_back(frozen_groups(groups_.freeze(ownership_of_states(form, states)), std::move(save)));
}

Status Running::load_groups(const SavedGroups& saved) {
  for (std::uint32_t row = 0; row < saved.batch.rows(); ++row) {
    std::byte* found = nullptr;
    groups_.find_or_insert(saved.keys, &row, 1, &found);
    RunningGroup& group = group_in(found);
    if (group.given == 0) ++given_;
    group.newest = saved.number(row, 0);
    group.seen = saved.number(row, 1);
    group.rows = saved.number(row, 2);
    group.given = 1;
    group.batch = GroupCache::fetched_age;
    if (Status loaded = saved.load(row, group.states()); !loaded) return loaded;
  }
  return cache_ ? make_room() : Status{};
}

Status Running::loaded() {
  if (spec().ttl && (given_ != 0 || cache_.any_stored())) next_look_ = context().now() + pause();
  return {};
}

}  // namespace

std::unique_ptr<Operator> make_running(const WindowSpec& spec, const SchemaPtr& input) {
  return std::make_unique<Running>(spec, input);
}

}  // namespace dataflow::windows

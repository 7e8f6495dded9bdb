// A pattern whose state lies in a store: the ways of rows and deadlines through pattern_operator.cpp, with a look
// ahead.

#include <algorithm>
#include <limits>

#include "libdataflow/patterns/pattern_operator.hpp"
#include "libdataflow/process/key_table.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "serialization/key_hash.hpp"

namespace dataflow::patterns {

namespace {

/// Keys of so many rows, and of as many deadlines, are brought at once.
constexpr std::size_t rows_ahead = 1024;
/// Of the write-back cache, what rows that wait may take.
constexpr std::uint64_t share_of_waiting = 4;
/// What a row that waits takes beside its batch: its conditions, its number, its place in an order.
constexpr std::size_t bytes_of_a_waiting_row = 24;
constexpr std::size_t least_waiting = 16;

std::size_t bytes_of(const WaitingRows& rows) {
  return rows.batch->byte_size() + rows.batch->rows() * bytes_of_a_waiting_row;
}

}  // namespace

Status PatternOperator::open_store(const StateBackendPtr& backend) {
  std::vector<DataType> types;
  for (const std::size_t field : spec_.key_fields) types.push_back((*input_)[field].type);
  stored_ = std::make_unique<StoredMatches>(buffer_, spec_.program.code.size(), std::move(types));
  later_rows_ = std::make_unique<LaterRows>(backend, input_);
  return stored_->open(backend, context_->max_parallelism());
}

// Rows that wait.

void PatternOperator::wait_in_memory(std::shared_ptr<WaitingRows> rows) {
  waiting_rows_ += rows->batch->rows() - rows->next;
  waiting_bytes_ += bytes_of(*rows);
  waiting_.push(std::move(rows));
}

/// In memory, or, those that come after what is there already, in the store.
Status PatternOperator::wait(std::shared_ptr<WaitingRows> rows) {
  if (later_rows_->any()) {
    std::vector<std::uint32_t> left;
    std::vector<std::uint64_t> sequences;
    for (std::uint32_t row = 0; row < rows->batch->rows(); ++row) {
      const Position position = rows->position_of(row);
      if (later_rows_->put(*rows->batch, row, position)) continue;
      left.push_back(row);
      sequences.push_back(position.sequence);
    }
    if (Status flushed = later_rows_->flush(); !flushed) return flushed;
    if (left.empty()) return {};
    if (left.size() != rows->batch->rows()) return add_waiting(rows->batch->select_rows(left), std::move(sequences));
  }
  wait_in_memory(std::move(rows));
  const std::uint64_t most = context_->state_backend()->cache_bytes() / share_of_waiting;
  return waiting_bytes_ <= most || waiting_rows_ <= least_waiting ? Status{} : spill_waiting();
}

/// The later half of the rows goes to the store.
Status PatternOperator::spill_waiting() {
  std::vector<Position> positions;
  for (const auto& rows : waiting_.all()) {
    for (std::uint32_t i = rows->next; i < rows->batch->rows(); ++i) {
      positions.push_back(rows->position_of(rows->order.empty() ? i : rows->order[i]));
    }
  }
  const auto middle = positions.begin() + static_cast<std::ptrdiff_t>(positions.size() / 2);
  std::nth_element(positions.begin(), middle, positions.end());
  if (Status set = later_rows_->set_horizon(*middle); !set) return set;
  const auto all = waiting_.take_all();
  waiting_rows_ = waiting_bytes_ = 0;
  for (const auto& rows : all) {
    std::vector<std::uint32_t> left;
    std::vector<std::uint64_t> sequences;
    for (std::uint32_t i = rows->next; i < rows->batch->rows(); ++i) {
      const std::uint32_t row = rows->order.empty() ? i : rows->order[i];
      const Position position = rows->position_of(row);
      if (later_rows_->put(*rows->batch, row, position)) continue;
      left.push_back(row);
      sequences.push_back(position.sequence);
    }
    if (Status flushed = later_rows_->flush(); !flushed) return flushed;
    if (left.empty()) continue;
    auto kept = again_waiting(rows->batch->select_rows(left), std::move(sequences));
    if (!kept) return fail(kept.error());
    wait_in_memory(std::move(*kept));
  }
  return {};
}

bool PatternOperator::rows_are_due() const {
  if (!waiting_.empty()) return waiting_.first().position().time <= passed_;
  return later_rows_->any() && later_rows_->first_time() <= passed_;
}

/// The next rows whose time has come, of those that wait.
Status PatternOperator::fill_due() {
  due_.erase(due_.begin(), due_.begin() + static_cast<std::ptrdiff_t>(next_due_));
  next_due_ = 0;
  while (due_.size() < rows_ahead && rows_are_due()) {
    if (waiting_.empty()) {
      auto taken = later_rows_->take();
      if (!taken) return fail(taken.error());
      if (!taken->batch) continue;
      auto rows = again_waiting(taken->batch, std::move(taken->sequences));
      if (!rows) return fail(rows.error());
      wait_in_memory(std::move(*rows));
      continue;
    }
    const std::shared_ptr<WaitingRows> rows = waiting_.first_rows();
    due_.push_back({rows, rows->row(), no_slot});
    waiting_.pop();
    --waiting_rows_;
    if (rows->at_end()) waiting_bytes_ -= bytes_of(*rows);
  }
  return {};
}

// Keys.

/// The key of a row, into key_.
void PatternOperator::read_key(const WaitingRows& rows, std::uint32_t row) {
  key_.clear();
  for (const std::size_t field : spec_.key_fields) append_key_field(rows.batch->column(field), row, key_);
}

void PatternOperator::find_key_groups(WaitingRows& rows) const {
  if (!rows.key_groups.empty()) return;
  std::vector<const Column*> columns;
  for (const std::size_t field : spec_.key_fields) columns.push_back(&rows.batch->column(field));
  std::vector<std::uint64_t> hashes;
  hash_rows(columns, rows.batch->rows(), hashes);
  for (const std::uint64_t hash : hashes) {
    rows.key_groups.push_back(static_cast<std::uint16_t>(key_group_of(hash, context_->max_parallelism())));
  }
}

/// Brings the keys of the next rows and deadlines into memory. Nothing may refer to a key's slot.
Status PatternOperator::look_ahead() {
  if (Status room = stored_->make_room(); !room) return room;
  if (Status filled = fill_due(); !filled) return filled;
  ahead_.clear();
  for (DueRow& due : due_) {
    find_key_groups(*due.rows);
    read_key(*due.rows, due.row);
    due.slot = stored_->slot_of(key_, due.rows->key_groups[due.row]);
    ahead_.push_back(due.slot);
  }
  const std::int64_t until = due_.empty() ? stored_until() : due_.back().rows->position_of(due_.back().row).time;
  std::size_t deadlines = 0;
  for (const StoredDeadline& deadline : stored_->deadlines().next()) {
    if (deadline.time > until || ++deadlines > rows_ahead) break;
    ahead_.push_back(stored_->slot_of(deadline.key, deadline.key_group));
  }
  return stored_->load(ahead_);
}

// What happens, in order.

/// Up to when deadlines fire before the next row, or before anything else comes.
std::int64_t PatternOperator::stored_until() const {
  if (next_due_ < due_.size()) return due_[next_due_].rows->position_of(due_[next_due_].row).time;
  return passed_ == std::numeric_limits<std::int64_t>::max() ? passed_ : passed_ + 1;
}

Result<Step> PatternOperator::resume_stored(OperatorOutput& out) {
  while (true) {
    if (found_.size() >= results_in_a_batch) {
      auto step = flush(out);
      if (!step || *step == Step::yield) return step;
    }
    bool looks_ahead = next_due_ == due_.size() && rows_are_due();
    const StoredDeadline* deadline = nullptr;
    std::optional<KeySlot> slot;
    if (!looks_ahead && passed_ != std::numeric_limits<std::int64_t>::min()) {
      const auto first = stored_->deadlines().first();
      if (!first) return fail(first.error());
      if (*first != nullptr && (*first)->time <= stored_until()) deadline = *first;
      if (deadline != nullptr) slot = stored_->find(deadline->key);
      looks_ahead = deadline != nullptr && !slot;
    }
    if (looks_ahead) {
      // Results refer to their keys' slots.
      auto step = flush(out);
      if (!step || *step == Step::yield) return step;
      if (Status looked = look_ahead(); !looked) return fail(looked.error());
      continue;
    }
    if (deadline != nullptr) {
      const StoredDeadline due = *deadline;
      stored_->deadlines().pop();
      fire_stored(due, *slot);
      continue;
    }
    if (next_due_ < due_.size()) {
      if (Status taken = take_stored(due_[next_due_++]); !taken) return fail(taken.error());
      continue;
    }
    const bool is_the_end = passed_ == std::numeric_limits<std::int64_t>::max();
    if (!is_the_end || spec_.within || finishing_) break;
    if (Status begun = begin_finish(); !begun) return fail(begun.error());
  }
  due_.clear();
  next_due_ = 0;
  if (const std::uint64_t failed = matcher_.take_not_computed(); failed != 0) errors_counter_->add(failed);
  auto step = flush(out);
  if (!step || *step == Step::yield) return step;
  if (Status room = stored_->make_room(); !room) return fail(room.error());
  return step;
}

Status PatternOperator::take_stored(const DueRow& due) {
  const Position position = due.rows->position_of(due.row);
  newest_ = position.time;
  KeyMatches& matches = stored_->matches(due.slot);
  if (matches.empty() && !matcher_.concerns_new_key(due.rows->loaded.conditions[due.row])) return {};
  const auto began = advance(matches, *due.rows, due.row);
  if (!began) return fail(began.error());
  StoredDeadline deadline;
  const bool of_row_before = spec_.within && logic_->rows_before() != 0;
  if ((spec_.within && *began) || of_row_before) {
    deadline.time = deadline_of(position.time);
    deadline.sequence = position.sequence;
    deadline.key = stored_->key(due.slot);
    deadline.key_group = stored_->key_group(due.slot);
  }
  if (spec_.within && *began) {
    if (Status added = stored_->deadlines().add(deadline); !added) return added;
  }
  if (of_row_before) {
    deadline.kind = StoredDeadline::Kind::row_before;
    if (Status added = stored_->deadlines().add(std::move(deadline)); !added) return added;
  }
  keep_found(due.slot);
  return {};
}

void PatternOperator::fire_stored(const StoredDeadline& deadline, KeySlot slot) {
  KeyMatches& matches = stored_->matches(slot);
  switch (deadline.kind) {
    case StoredDeadline::Kind::attempt:
      matcher_.expire(matches, deadline.sequence, deadline.time - 1, found_now_);
      break;
    case StoredDeadline::Kind::row_before: matcher_.forget_before(matches, deadline.sequence); break;
    case StoredDeadline::Kind::finish: matcher_.finish(matches, newest_, found_now_); break;
  }
  keep_found(slot);
}

/// At the end of all time, where none runs out before: what is left of each key is decided, in the order in which they
/// began.
Status PatternOperator::begin_finish() {
  finishing_ = true;
  if (Status many = stored_->deadlines().expect_many(); !many) return many;
  return stored_->for_each([this](std::string_view key, std::uint16_t group, const KeyMatches& matches) -> Status {
    if (matches.attempts.empty()) return {};
    const Position start = matches.attempts.front().start;
    return stored_->deadlines().add(
        {start.time, start.sequence, StoredDeadline::Kind::finish, std::string{key}, group});
  });
}

/// Of the keys of a checkpoint.
Status PatternOperator::restore_stored_deadlines() {
  if (!spec_.within) return {};
  if (Status many = stored_->deadlines().expect_many(); !many) return many;
  return stored_->for_each([this](std::string_view key, std::uint16_t group, const KeyMatches& matches) -> Status {
    for (const Attempt& attempt : matches.attempts) {
      Status added = stored_->deadlines().add({deadline_of(attempt.start.time), attempt.start.sequence,
                                               StoredDeadline::Kind::attempt, std::string{key}, group});
      if (!added) return added;
    }
    if (matches.before.empty()) return {};
    const Position& last = buffer_.rows().position(matches.before.back());
    return stored_->deadlines().add(
        {deadline_of(last.time), last.sequence, StoredDeadline::Kind::row_before, std::string{key}, group});
  });
}

}  // namespace dataflow::patterns

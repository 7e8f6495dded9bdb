#include "libdataflow/patterns/pattern_operator.hpp"

#include <algorithm>
#include <limits>

namespace dataflow::patterns {

namespace {

constexpr std::int64_t first_time = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t last_time = std::numeric_limits<std::int64_t>::max();

/// The rows at or before the watermark are late.
void split_late(const Batch& batch, std::int64_t passed, std::vector<std::uint32_t>& late,
                std::vector<std::uint32_t>& good) {
  const auto* times = batch.timestamps()->values.as<std::int64_t>();
  for (std::uint32_t row = 0; row < batch.rows(); ++row) (times[row] <= passed ? late : good).push_back(row);
}

bool any_late(const Batch& batch, std::int64_t passed) {
  const auto times = batch.timestamps()->as<std::int64_t>();
  return std::any_of(times.begin(), times.end(), [passed](std::int64_t time) { return time <= passed; });
}

}  // namespace

PatternOperator::PatternOperator(const PatternSpec& spec, SchemaPtr input)
    : spec_{spec},
      input_{std::move(input)},
      logic_{spec_.make_logic()},
      buffer_{logic_->kept_types()},
      matcher_{spec_, *logic_, buffer_},
      key_reader_{*input_, spec_.key_fields},
      keys_{key_reader_.form()},
      errors_{spec_.on_error, pattern_errors_output},
      passed_{first_time},
      newest_{first_time} {}

Status PatternOperator::open(OperatorContext& context) {
  context_ = &context;
  late_counter_ = &context.counter("late");
  errors_counter_ = &context.counter("errors");
  errors_.open(context);
  const StateBackendPtr backend = context.state_backend();
  return backend ? open_store(backend) : Status{};
}

/// The rows that the watermark has not passed; null when there are none.
Result<BatchPtr> PatternOperator::on_time(const BatchPtr& batch, OperatorOutput& out) {
  if (!batch->has_event_time()) return fail(ErrorCode::internal, "a pattern was given rows without event time");
  if (passed_ == first_time || !any_late(*batch, passed_)) return batch;
  std::vector<std::uint32_t> late;
  std::vector<std::uint32_t> good;
  split_late(*batch, passed_, late, good);
  late_counter_->add(late.size());
  out.emit(good.empty() ? batch : batch->select_rows(late), pattern_late_output);
  return good.empty() ? nullptr : batch->select_rows(good);
}

Result<Step> PatternOperator::process(std::size_t, const BatchPtr& batch, OperatorOutput& out) {
  const auto rows = on_time(batch, out);
  if (!rows) return fail(rows.error());
  if (*rows) {
    if (Status taken = take_in(*rows, out); !taken) return fail(taken.error());
  }
  return Step::done;
}

Status PatternOperator::take_in(const BatchPtr& batch, OperatorOutput& out) {
  auto rows = std::make_shared<WaitingRows>(batch, *input_, spec_.key_fields);
  row_errors_.clear();
  if (Status loaded = logic_->load(*batch, context_->now(), rows->loaded, row_errors_); !loaded) return loaded;
  if (!row_errors_.empty()) {
    if (Status handled = errors_.handle(*batch, row_errors_, out); !handled) return handled;
    if (row_errors_.size() == batch->rows()) return {};
    const BatchPtr rest = batch->select_rows(rows_without_errors(batch->rows(), row_errors_));
    rows = std::make_shared<WaitingRows>(rest, *input_, spec_.key_fields);
    row_errors_.clear();
    if (Status loaded = logic_->load(*rest, context_->now(), rows->loaded, row_errors_); !loaded) return loaded;
  }
  rows->first_sequence = sequence_;
  sequence_ += rows->batch->rows();
  if (stored_) return wait(std::move(rows));
  waiting_.push(std::move(rows));
  return {};
}

Result<Step> PatternOperator::on_watermark(Timestamp watermark, OperatorOutput& out) {
  if (passed_ != last_time) newest_ = std::max(newest_, passed_ + 1);
  passed_ = std::max(passed_, watermark.micros);
  return resume(out);
}

std::int64_t PatternOperator::deadline_of(std::int64_t time) const {
  std::int64_t deadline = 0;
  return __builtin_add_overflow(time, spec_.within->count(), &deadline) ? last_time : deadline;
}

/// Fires the first deadline at or before `until`, if there is one.
bool PatternOperator::fire_next(std::int64_t until) {
  if (deadlines_.empty() || deadlines_.front().time > until) return false;
  const Deadline deadline = deadlines_.front();
  deadlines_.pop_front();
  fire(deadline);
  return true;
}

void PatternOperator::fire(const Deadline& deadline) {
  if (deadline.generation != keys_.generation(deadline.slot)) return;
  KeyMatches& matches = keys_.matches(deadline.slot);
  if (deadline.of_row_before) {
    matcher_.forget_before(matches, deadline.sequence);
  } else {
    matcher_.expire(matches, deadline.sequence, deadline.time - 1, found_now_);
  }
  keep_found(deadline.slot);
}

void PatternOperator::keep_found(KeySlot slot) {
  for (const FoundMatch& match : found_now_) {
    if (!stored_) keys_.retain(slot);
    found_.push_back({match, slot});
  }
  found_now_.clear();
  if (stored_) {
    stored_->keep(slot);
  } else {
    keys_.forget_if_idle(slot);
  }
}

/// The key's next row; true when it began an attempt.
Result<bool> PatternOperator::advance(KeyMatches& matches, const WaitingRows& rows, std::uint32_t row) {
  const IncomingRow incoming{rows.position_of(row), rows.loaded.conditions[row], rows.loaded.kept, row};
  auto began = matcher_.advance(matches, incoming, context_->now(), found_now_);
  if (began) return began;
  std::string text;
  append_row_json(*rows.batch, row, text);
  return fail(Error{began.error().code(), began.error().message() + " in record " + text});
}

Status PatternOperator::take(WaitingRows& rows) {
  const std::uint32_t row = rows.row();
  const Variables conditions = rows.loaded.conditions[row];
  const Position position = rows.position_of(row);
  newest_ = position.time;
  KeySlot slot = keys_.find(*rows.keys, row);
  if (slot == no_slot) {
    if (!matcher_.concerns_new_key(conditions)) return {};
    slot = keys_.find_or_insert(*rows.keys, row);
  }
  const auto began = advance(keys_.matches(slot), rows, row);
  if (!began) return fail(began.error());
  if (spec_.within && *began)
    deadlines_.push_back({deadline_of(position.time), position.sequence, slot, keys_.generation(slot), false});
  if (spec_.within && logic_->rows_before() != 0) {
    deadlines_.push_back({deadline_of(position.time), position.sequence, slot, keys_.generation(slot), true});
  }
  keep_found(slot);
  return {};
}

/// At the end of all time, where none runs out before: decides what is left of the next key.
bool PatternOperator::finish_next() {
  if (!finishing_) {
    finishing_ = true;
    for (const KeySlot slot : keys_.slots()) {
      if (!keys_.matches(slot).attempts.empty()) to_finish_.push_back(slot);
    }
    std::sort(to_finish_.begin(), to_finish_.end(), [this](KeySlot a, KeySlot b) {
      return keys_.matches(b).attempts.front().start < keys_.matches(a).attempts.front().start;
    });
  }
  if (to_finish_.empty()) return false;
  const KeySlot slot = to_finish_.back();
  to_finish_.pop_back();
  matcher_.finish(keys_.matches(slot), newest_, found_now_);
  keep_found(slot);
  return true;
}

Result<Step> PatternOperator::resume(OperatorOutput& out) {
  if (stored_) return resume_stored(out);
  while (true) {
    if (found_.size() >= results_in_a_batch) {
      auto step = flush(out);
      if (!step || *step == Step::yield) return step;
    }
    const bool row_is_due = !waiting_.empty() && waiting_.first().position().time <= passed_;
    const std::int64_t until = row_is_due             ? waiting_.first().position().time
                               : passed_ == last_time ? last_time
                                                      : passed_ + 1;
    if (passed_ != first_time && fire_next(until)) continue;
    if (!row_is_due && passed_ == last_time && !spec_.within && finish_next()) continue;
    if (!row_is_due) break;
    WaitingRows& rows = waiting_.first();
    if (Status taken = take(rows); !taken) return fail(taken.error());
    waiting_.pop();
  }
  if (const std::uint64_t failed = matcher_.take_not_computed(); failed != 0) errors_counter_->add(failed);
  return flush(out);
}

/// The next row, or the end of an attempt, which may be a match of what did not come.
std::optional<Timestamp> PatternOperator::waits_for() const {
  std::optional<Timestamp> first;
  if (!waiting_.empty()) first = Timestamp{waiting_.first().position().time};
  const auto end =
      std::find_if(deadlines_.begin(), deadlines_.end(), [](const Deadline& d) { return !d.of_row_before; });
  if (end == deadlines_.end()) return first;
  const Timestamp passed{end->time - 1};
  return first ? std::min(*first, passed) : passed;
}

Result<Step> PatternOperator::flush(OperatorOutput& out) {
  std::size_t from = 0;
  bool is_full = false;
  while (from < found_.size()) {
    std::size_t end = from + 1;
    while (end < found_.size() && end - from < results_in_a_batch &&
           found_[end].match.timed_out == found_[from].match.timed_out) {
      ++end;
    }
    const auto some = std::span{found_}.subspan(from, end - from);
    if (Status written = write(some, some.front().match.timed_out, out); !written) return fail(written.error());
    for (const Found& found : some) {
      buffer_.release(found.match.entry);
      if (!stored_) keys_.release(found.slot);
    }
    from = end;
    is_full = out.full();
    if (is_full) break;
  }
  found_.erase(found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(from));
  return is_full ? Step::yield : Step::done;
}

Status PatternOperator::write(std::span<const Found> found, bool timed_out, OperatorOutput& out) {
  matches_.clear();
  matches_.rows = &buffer_.rows();
  for (const Found& one : found) {
    buffer_.collect(one.match.entry, matches_.matched);
    matches_.ends.push_back(matches_.matched.size());
  }
  auto results = logic_->results(matches_, context_->now(), timed_out);
  if (!results) return fail(results.error());
  if (!results->errors.empty()) {
    if (spec_.on_error == ErrorPolicy::fail) {
      return fail(ErrorCode::arithmetic, results->errors.front().message + " in a match");
    }
    errors_counter_->add(results->errors.size());
  }
  std::vector<std::uint32_t> failed;
  for (const RowError& error : results->errors) failed.push_back(error.row);
  const SchemaPtr& schema = timed_out ? spec_.timeout_output : spec_.output;
  std::vector<std::uint32_t> good;
  for (std::uint32_t i = 0; i < results->matches.size(); ++i) {
    if (!std::binary_search(failed.begin(), failed.end(), results->matches[i])) good.push_back(i);
  }
  if (good.empty()) return {};
  const bool all = good.size() == results->matches.size();
  const BatchPtr batch = make_results(found, std::move(*results), schema);
  out.emit(all ? batch : batch->select_rows(good), timed_out ? pattern_timeout_output : pattern_main_output);
  return {};
}

void PatternOperator::write_keys(const std::vector<KeySlot>& slots, std::vector<ColumnBuilder>& columns) const {
  if (stored_) return stored_->write_keys(slots, columns);
  std::vector<windows::KeyRef> keys;
  for (const KeySlot slot : slots) keys.push_back(keys_.key(slot));
  std::vector<ColumnBuilder*> pointers;
  for (ColumnBuilder& column : columns) pointers.push_back(&column);
  key_reader_.write(keys.data(), keys.size(), pointers.data());
}

BatchPtr PatternOperator::make_results(std::span<const Found> found, MatchResults results,
                                       const SchemaPtr& schema) const {
  const auto rows = static_cast<std::uint32_t>(results.matches.size());
  std::vector<KeySlot> slots;
  ColumnBuilder times{TypeKind::timestamp, rows};
  for (const std::uint32_t match : results.matches) {
    slots.push_back(found[match].slot);
    times.append_int64(found[match].match.time);
  }
  std::vector<ColumnPtr> columns;
  if (spec_.keys_in_output) {
    std::vector<ColumnBuilder> builders;
    builders.reserve(spec_.key_fields.size());
    for (const std::size_t field : spec_.key_fields) builders.emplace_back((*input_)[field].type, rows);
    write_keys(slots, builders);
    for (ColumnBuilder& builder : builders) columns.push_back(builder.finish());
  }
  for (ColumnPtr& column : results.columns) columns.push_back(std::move(column));
  return std::make_shared<const Batch>(schema, rows, std::move(columns), times.finish());
}

namespace {

class PatternFactory final : public OperatorFactory {
 public:
  PatternFactory(PatternSpec spec, SchemaPtr input) : spec_{std::move(spec)}, input_{std::move(input)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<PatternOperator>(spec_, input_);
  }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    if (spec_.on_error == ErrorPolicy::side_output) return std::nullopt;  // hands on whole records
    FieldUse use{.reads = spec_.key_fields, .passing_outputs = {pattern_late_output}};
    use.reads.insert(use.reads.end(), spec_.reads.begin(), spec_.reads.end());
    return use;
  }

 private:
  PatternSpec spec_;
  SchemaPtr input_;
};

}  // namespace

OperatorFactoryPtr make_pattern_operator(PatternSpec spec, SchemaPtr input) {
  return std::make_shared<const PatternFactory>(std::move(spec), std::move(input));
}

}  // namespace dataflow::patterns

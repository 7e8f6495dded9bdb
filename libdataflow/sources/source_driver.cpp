#include "libdataflow/sources/source_driver.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace dataflow {

namespace {

/// How much of an unused rate limit may be caught up at once, in seconds of it.
constexpr double burst_seconds = 0.02;

constexpr const char* splits_table = "$splits";
constexpr const char* time_table = "$source";

const SchemaPtr& splits_schema() {
  static const SchemaPtr schema = make_schema({{"id", TypeKind::string},
                                               {"description", TypeKind::string},
                                               {"position", TypeKind::bytes},  // NULL: not begun
                                               {"newest", TypeKind::timestamp},
                                               {"watermark", TypeKind::timestamp}});
  return schema;
}
const SchemaPtr& time_schema() {
  static const SchemaPtr schema = make_schema({{"watermark", TypeKind::timestamp}});
  return schema;
}

}  // namespace

SourceDriver::SourceDriver(const SourceSpec& spec, SchemaPtr schema)
    : spec_{spec},
      schema_{std::move(schema)},
      side_by_side_{spec.factory->side_by_side()},
      error_rows_{source_error_schema()} {
  if (side_by_side_) return;
  add_reading(Timestamp{});
  last_polled_ = 0;
}

Status SourceDriver::open(OperatorContext& context) {
  context_ = &context;
  errors_ = &context.counter("errors");
  if (spec_.rate_limit_per_second) tokens_per_second_ = *spec_.rate_limit_per_second / context.parallelism();
  return side_by_side_ ? Status{} : readings_.front()->reader->open(context);
}

SplitReading& SourceDriver::add_reading(Timestamp now) {
  const Duration out_of_orderness = spec_.event_time ? spec_.event_time->out_of_orderness : Duration{0};
  readings_.push_back(std::make_unique<SplitReading>(spec_.factory->create_reader(), out_of_orderness));
  readings_.back()->last_record = now;
  return *readings_.back();
}

void SourceDriver::assign_split(Split split) {
  planned_.push_back({.split = std::move(split), .position = std::nullopt});
}

bool SourceDriver::any_reading() const {
  return std::any_of(readings_.begin(), readings_.end(), [](const auto& r) { return r->reading; });
}

bool SourceDriver::settled() const {
  return std::all_of(readings_.begin(), readings_.end(), [](const auto& r) { return r->pieces.empty(); });
}

std::string SourceDriver::position() const {
  return last_polled_ < readings_.size() ? readings_[last_polled_]->reader->position() : "before the first split";
}

/// The reading whose event time is the earliest of those that are not silent; null when nothing is read.
const SplitReading* SourceDriver::holds_back() const {
  const SplitReading* least = nullptr;
  for (const auto& reading : readings_) {
    const bool holds_more =
        least != nullptr && (least->idle == reading->idle ? reading->watermark < least->watermark : least->idle);
    if (least == nullptr || holds_more) least = reading.get();
  }
  return least;
}

Timestamp SourceDriver::newest() const {
  const SplitReading* reading = holds_back();
  return reading != nullptr ? reading->pieces.newest() : Timestamp::min();
}

std::string SourceDriver::split() const {
  const SplitReading* reading = holds_back();
  return reading != nullptr && reading->reading ? reading->split.id : std::string{};
}

Status SourceDriver::start_next_split(SplitReading& reading) {
  PlannedSplit next = std::move(planned_.front());
  planned_.pop_front();
  reading.split = std::move(next.split);
  const Status started = next.position ? reading.reader->resume_split(reading.split, *next.position)
                                       : reading.reader->start_split(reading.split);
  if (!started) return fail(started.error().within(reading.split.id));
  reading.reading = true;
  reading.wait_until = Timestamp::min();
  reading.pieces.restart(next.newest);
  reading.watermark = reading.pieces.watermark();
  return {};
}

Status SourceDriver::start_planned(Timestamp now, Progress& progress) {
  if (!side_by_side_) {
    SplitReading& only = *readings_.front();
    return only.reading || planned_.empty() ? Status{} : start_next_split(only);
  }
  if (auto status = drop_ended(progress); !status) return status;
  while (!planned_.empty()) {
    SplitReading& reading = add_reading(now);
    if (auto status = reading.reader->open(*context_); !status) return status;
    if (auto status = start_next_split(reading); !status) return status;
    silence_changed(progress);
  }
  return {};
}

/// What has ended holds nobody back.
Status SourceDriver::drop_ended(Progress& progress) {
  const auto ended = [](const std::unique_ptr<SplitReading>& reading) { return !reading->reading; };
  for (const auto& reading : readings_) {
    if (!ended(reading)) continue;
    if (auto status = reading->reader->close(); !status) return status;
  }
  if (std::erase_if(readings_, ended) != 0) silence_changed(progress);
  return {};
}

void SourceDriver::append_split(BatchBuilder& rows, const PlannedSplit& planned) const {
  rows.column(0).append_text(planned.split.id);
  rows.column(1).append_text(planned.split.description);
  if (planned.position) {
    rows.column(2).append_text(*planned.position);
  } else {
    rows.column(2).append_null();
  }
  rows.column(3).append_int64(planned.newest.micros);
  rows.column(4).append_int64(planned.watermark.micros);
  rows.end_row();
}

Result<CapturedStatePtr> SourceDriver::snapshot() const {
  auto state = std::make_unique<CopiedState>();
  BatchBuilder splits{splits_schema()};
  for (const auto& reading : readings_) {
    if (!reading->reading) continue;
    auto position = reading->reader->split_position();
    if (!position) return fail(position.error());
    append_split(splits, {reading->split, std::move(*position), reading->pieces.newest(), watermark_});
  }
  for (PlannedSplit planned : planned_) {
    planned.watermark = std::min(planned.watermark, watermark_);  // what this subtask has promised holds for it, too
    append_split(splits, planned);
  }
  state->begin({splits_table, StateKind::list, 1, splits_schema()});
  if (!splits.empty()) state->add(splits.finish());
  BatchBuilder time{time_schema()};
  time.column(0).append_int64(watermark_.micros);
  time.end_row();
  state->begin({time_table, StateKind::list, 1, time_schema()});
  state->add(time.finish());
  return state;
}

/// One subtask may get several splits that were being read side by side. Until it has come to the last of them, it must
/// not say that time has passed where that one was: `watermark` of the planned splits holds it back.
Status SourceDriver::restore(StateReader& state) {
  Status read = state.read(splits_table, splits_schema(), [&](std::uint32_t, const BatchPtr& rows) -> Status {
    for (std::uint32_t row = 0; row < rows->rows(); ++row) {
      PlannedSplit planned{.split = {std::string{rows->column(0).text(row)}, std::string{rows->column(1).text(row)}},
                           .position = std::nullopt,
                           .newest = Timestamp{rows->column(3).as<std::int64_t>()[row]},
                           .watermark = Timestamp{rows->column(4).as<std::int64_t>()[row]}};
      if (!rows->column(2).is_null(row)) planned.position = rows->column(2).text(row);
      planned_.push_back(std::move(planned));
    }
    return {};
  });
  if (!read) return read;
  if (state.same_parallelism()) {
    return state.read(time_table, time_schema(), [&](std::uint32_t, const BatchPtr& rows) -> Status {
      watermark_ = Timestamp{rows->column(0).as<std::int64_t>()[0]};
      return {};
    });
  }
  Timestamp least = Timestamp::max();
  for (const PlannedSplit& planned : planned_) least = std::min(least, planned.watermark);
  if (least != Timestamp::max()) watermark_ = least;
  return {};
}

Result<SourceDriver::Progress> SourceDriver::poll(Timestamp now, OperatorOutput& out, std::uint32_t most_rows) {
  Progress progress;
  most_rows_ = most_rows;
  if (!started_) {
    started_ = true;
    for (const auto& reading : readings_) reading->last_record = now;
  }
  for (const auto& reading : readings_) {
    if (reading->pieces.empty()) continue;
    reading->last_record = now;
    emit_next_piece(*reading, progress, out);
    return progress;
  }
  if (auto status = start_planned(now, progress); !status) return fail(status.error());
  const bool reading = any_reading();
  if (no_more_splits_ && !reading) {
    progress.kind = Progress::Kind::finished;
    return progress;
  }
  if (!no_more_splits_ && (side_by_side_ || !reading)) {
    progress.kind = Progress::Kind::needs_split;
    // A source that still waits for its first split is not silent: its records are yet to come.
    if (!side_by_side_ && watermark_ != Timestamp::min()) note_silence(*readings_.front(), now, progress);
    return progress;
  }
  refill(now);
  if (tokens_per_second_ > 0 && tokens_ < 1) {
    progress.kind = Progress::Kind::wait;
    progress.until = now + Duration{1 + static_cast<std::int64_t>((1 - tokens_) / tokens_per_second_ * 1e6)};
    return progress;
  }
  SplitReading* next = next_to_poll(now, progress);
  if (next != nullptr) return poll_reader(*next, now, out, progress);
  progress.kind = Progress::Kind::wait;
  return progress;
}

/// In turns those that do not wait; else null, and when there is something to do again.
SplitReading* SourceDriver::next_to_poll(Timestamp now, Progress& progress) {
  progress.until = Timestamp::max();
  for (std::size_t i = 1; i <= readings_.size(); ++i) {
    const std::size_t at = (last_polled_ + i) % readings_.size();
    SplitReading& reading = *readings_[at];
    if (reading.wait_until <= now) {
      last_polled_ = at;
      return &reading;
    }
    progress.until = std::min(progress.until, reading.wait_until);
    note_silence(reading, now, progress);
  }
  return nullptr;
}

Result<SourceDriver::Progress> SourceDriver::poll_reader(SplitReading& reading, Timestamp now, OperatorOutput& out,
                                                         Progress progress) {
  polled_ = &reading;
  out_ = &out;
  eval_.processing_time = now;
  rows_emitted_ = 0;
  auto step = reading.reader->poll(*this);
  if (!error_rows_.empty() && !failure_) out.emit(error_rows_.finish(), 1);
  out_ = nullptr;
  if (!step) return fail(step.error());
  if (failure_) return fail(*failure_);
  tokens_ -= rows_emitted_;
  if (rows_emitted_ != 0) {
    reading.last_record = now;
    reading.idle = false;
    if (idle_) progress.idle = idle_ = false;
    if (!reading.pieces.empty()) emit_next_piece(reading, progress, out);
  }
  switch (step->kind) {
    case SourceStep::Kind::more: break;
    case SourceStep::Kind::wait:
      if (reading.pieces.empty()) reading.wait_until = step->until;  // the next poll finds whether all do
      break;
    case SourceStep::Kind::split_end: reading.reading = false; break;
  }
  return progress;
}

/// A split that has nothing, and has been silent for idle_after, stops holding the others back, and a source whose
/// splits are all silent, the other inputs of who reads it. Before, `progress` says when that may be.
void SourceDriver::note_silence(SplitReading& reading, Timestamp now, Progress& progress) {
  if (!spec_.event_time || !spec_.event_time->idle_after || reading.idle) return;
  const Timestamp idle_at = reading.last_record + *spec_.event_time->idle_after;
  if (now < idle_at) {
    progress.until = std::min(progress.until, idle_at);
    return;
  }
  reading.idle = true;
  silence_changed(progress);
}

void SourceDriver::silence_changed(Progress& progress) {
  if (readings_.empty()) return;
  const bool all_idle = std::all_of(readings_.begin(), readings_.end(), [](const auto& r) { return r->idle; });
  if (all_idle != idle_) progress.idle = idle_ = all_idle;
  if (!all_idle) advance(progress);
}

void SourceDriver::refill(Timestamp now) {
  if (tokens_per_second_ <= 0) return;
  if (refilled_at_ == Timestamp::min()) {
    refilled_at_ = now;
    tokens_ = 1;
    return;
  }
  const double seconds = static_cast<double>((now - refilled_at_).count()) / 1e6;
  refilled_at_ = now;
  tokens_ = std::min(tokens_ + seconds * tokens_per_second_, std::max(1.0, tokens_per_second_ * burst_seconds));
}

void SourceDriver::emit(BatchPtr batch, std::string_view) {
  if (batch->rows() == 0) return;
  rows_emitted_ += batch->rows();
  if (!spec_.event_time) {
    out_->emit(std::move(batch));
    return;
  }
  batch = with_event_time(batch);
  if (batch->rows() != 0) polled_->pieces.add(std::move(batch));
}

/// Emits the next piece; the watermark that follows it goes into `progress`.
void SourceDriver::emit_next_piece(SplitReading& reading, Progress& progress, OperatorOutput& out) {
  EventTimePieces::Piece piece = reading.pieces.take();
  out.emit(std::move(piece.batch));
  reading.watermark = piece.watermark;
  advance(progress);
}

/// Time has come as far as in the split that is the farthest behind, but for silent ones.
void SourceDriver::advance(Progress& progress) {
  Timestamp reached = Timestamp::max();
  for (const auto& reading : readings_) {
    if (!reading->idle) reached = std::min(reached, reading->watermark);
  }
  for (const PlannedSplit& planned : planned_) reached = std::min(reached, planned.watermark);
  if (reached > watermark_ && reached != Timestamp::max()) progress.watermark = watermark_ = reached;
}

BatchPtr SourceDriver::with_event_time(const BatchPtr& batch) {
  if (spec_.event_time->expression) {
    EvalResult times = spec_.event_time->expression->evaluate(*batch, eval_);
    if (times.column->has_nulls()) return without_missing_event_time(batch, *times.column, times.errors);
    return with_times(*batch, std::move(times.column));
  }
  ColumnPtr times = batch->columns()[spec_.event_time->field];
  if (times->has_nulls()) return without_missing_event_time(batch, *times, {});
  return with_times(*batch, std::move(times));
}

BatchPtr SourceDriver::with_times(const Batch& batch, ColumnPtr times) {
  return std::make_shared<const Batch>(batch.schema(), batch.rows(), batch.columns(), std::move(times), batch.kinds());
}

/// Records without event time cannot be placed in the stream: they are errors like those that do not decode.
BatchPtr SourceDriver::without_missing_event_time(const BatchPtr& batch, Column times,
                                                  std::span<const RowError> errors) {
  const std::string what = spec_.event_time->expression
                               ? "the event time " + spec_.event_time->expression->text()
                               : "the event time field \"" + (*schema_)[spec_.event_time->field].name + "\"";
  std::vector<std::uint32_t> good;
  for (std::uint32_t row = 0; row < batch->rows(); ++row) {
    if (!times.is_null(row)) {
      good.push_back(row);
      continue;
    }
    while (!errors.empty() && errors.front().row < row) errors = errors.subspan(1);
    const bool failed = !errors.empty() && errors.front().row == row;
    report_missing_time(*batch, row, failed ? what + ": " + errors.front().message : what + " is NULL");
  }
  ColumnPtr kept = std::make_shared<const Column>(std::move(times));
  BatchPtr rest = batch;
  if (good.size() != batch->rows()) {
    rest = batch->select_rows(good);
    kept = gather(*kept, good);
  }
  Column without_nulls = *kept;
  without_nulls.validity = {};
  return std::make_shared<const Batch>(rest->schema(), rest->rows(), rest->columns(),
                                       std::make_shared<const Column>(std::move(without_nulls)), rest->kinds());
}

void SourceDriver::report_missing_time(const Batch& batch, std::uint32_t row, const std::string& why) {
  // To find the place takes its time; nobody sees that of a record that is skipped, nor of a second one that fails.
  if (spec_.on_error == ErrorPolicy::skip || failure_) return malformed({}, why, {});
  RecordPlace place = polled_->reader->place_of(row);
  if (!place.raw) append_row_json(batch, row, place.raw.emplace());
  malformed(*place.raw, why, place.position);
}

void SourceDriver::malformed(std::string_view raw, std::string_view error, std::string_view position) {
  errors_->add(1);
  switch (spec_.on_error) {
    case ErrorPolicy::skip: return;
    case ErrorPolicy::fail:
      if (!failure_) {
        std::string message{position};
        message += ": ";
        message += error;
        message += "; on_error = \"skip\" or \"side_output\" goes on after such records";
        failure_.emplace(ErrorCode::malformed_data, std::move(message));
      }
      return;
    case ErrorPolicy::side_output:
      error_rows_.column(0).append_text(raw);
      error_rows_.column(1).append_text(error);
      error_rows_.column(2).append_text(position);
      error_rows_.end_row();
  }
}

bool SourceDriver::full() const {
  return out_->full() || failure_.has_value() || !polled_->pieces.empty();
}

std::uint32_t SourceDriver::batch_rows() const {
  if (tokens_per_second_ <= 0) return most_rows_;
  const double left = std::max(1.0, std::floor(tokens_) - rows_emitted_);
  return static_cast<std::uint32_t>(std::min(left, static_cast<double>(most_rows_)));
}

Status SourceDriver::close() {
  Status closed;
  for (const auto& reading : readings_) {
    if (auto status = reading->reader->close(); !status && closed) closed = status;
  }
  return closed;
}

}  // namespace dataflow

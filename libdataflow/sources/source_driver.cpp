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
      reader_{spec.factory->create_reader()},
      pieces_{spec.event_time ? spec.event_time->out_of_orderness : Duration{0}},
      error_rows_{source_error_schema()} {}

Status SourceDriver::open(OperatorContext& context) {
  errors_ = &context.counter("errors");
  if (spec_.rate_limit_per_second) tokens_per_second_ = *spec_.rate_limit_per_second / context.parallelism();
  return reader_->open(context);
}

void SourceDriver::assign_split(Split split) {
  planned_.push_back({.split = std::move(split), .position = std::nullopt});
}

Status SourceDriver::start_next_split() {
  PlannedSplit next = std::move(planned_.front());
  planned_.pop_front();
  current_ = std::move(next.split);
  const Status started =
      next.position ? reader_->resume_split(current_, *next.position) : reader_->start_split(current_);
  if (!started) return fail(started.error().within(current_.id));
  reading_ = true;
  pieces_.restart(next.newest);
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
  if (reading_) {
    auto position = reader_->split_position();
    if (!position) return fail(position.error());
    append_split(splits, {current_, std::move(*position), pieces_.newest(), watermark_});
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
    last_record_ = now;
  }
  if (!pieces_.empty()) {
    last_record_ = now;
    emit_next_piece(progress, out);
    return progress;
  }
  if (!reading_ && !planned_.empty()) {
    if (auto status = start_next_split(); !status) return fail(status.error());
  }
  if (!reading_) {
    if (no_more_splits_) {
      progress.kind = Progress::Kind::finished;
      return progress;
    }
    progress.kind = Progress::Kind::needs_split;
    note_silence(now, progress);
    return progress;
  }
  refill(now);
  if (tokens_per_second_ > 0 && tokens_ < 1) {
    progress.kind = Progress::Kind::wait;
    progress.until = now + Duration{1 + static_cast<std::int64_t>((1 - tokens_) / tokens_per_second_ * 1e6)};
    return progress;
  }
  out_ = &out;
  eval_.processing_time = now;
  rows_emitted_ = 0;
  auto step = reader_->poll(*this);
  if (!error_rows_.empty() && !failure_) out.emit(error_rows_.finish(), 1);
  out_ = nullptr;
  if (!step) return fail(step.error());
  if (failure_) return fail(*failure_);
  tokens_ -= rows_emitted_;
  if (rows_emitted_ != 0) {
    last_record_ = now;
    if (idle_) progress.idle = idle_ = false;
    if (!pieces_.empty()) emit_next_piece(progress, out);
  }
  switch (step->kind) {
    case SourceStep::Kind::more: progress.kind = Progress::Kind::more; break;
    case SourceStep::Kind::wait:
      if (!pieces_.empty()) break;
      progress.kind = Progress::Kind::wait;
      progress.until = step->until;
      note_silence(now, progress);
      break;
    case SourceStep::Kind::split_end: reading_ = false; break;
  }
  return progress;
}

/// A source that has been silent for idle_after stops holding the watermarks of others back. One that still waits for
/// its first split is not silent: its records are yet to come.
void SourceDriver::note_silence(Timestamp now, Progress& progress) {
  if (!spec_.event_time || !spec_.event_time->idle_after || idle_) return;
  if (watermark_ == Timestamp::min() && progress.kind == Progress::Kind::needs_split) return;
  const Timestamp idle_at = last_record_ + *spec_.event_time->idle_after;
  if (now >= idle_at) {
    progress.idle = idle_ = true;
  } else if (progress.kind == Progress::Kind::wait) {
    progress.until = std::min(progress.until, idle_at);
  }
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
  if (batch->rows() != 0) pieces_.add(std::move(batch));
}

/// Emits the next piece; the watermark that follows it goes into `progress`.
void SourceDriver::emit_next_piece(Progress& progress, OperatorOutput& out) {
  EventTimePieces::Piece piece = pieces_.take();
  out.emit(std::move(piece.batch));
  Timestamp reached = piece.watermark;
  for (const PlannedSplit& planned : planned_) reached = std::min(reached, planned.watermark);
  if (reached > watermark_) progress.watermark = watermark_ = reached;
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
  RecordPlace place = reader_->place_of(row);
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
  return out_->full() || failure_.has_value() || !pieces_.empty();
}

std::uint32_t SourceDriver::batch_rows() const {
  if (tokens_per_second_ <= 0) return most_rows_;
  const double left = std::max(1.0, std::floor(tokens_) - rows_emitted_);
  return static_cast<std::uint32_t>(std::min(left, static_cast<double>(most_rows_)));
}

Status SourceDriver::close() {
  return reader_->close();
}

}  // namespace dataflow

#include "libdataflow/windows/window_operator.hpp"

#include <algorithm>
#include <cassert>

namespace dataflow::windows {

namespace {

SchemaPtr checked_output_schema(const WindowSpec& spec, const Schema& input) {
  auto schema = window_output_schema(spec, input);
  assert(schema.has_value());
  return *schema;
}

}  // namespace

WindowOperator::WindowOperator(const WindowSpec& spec, SchemaPtr input)
    : spec_{spec},
      input_{std::move(input)},
      key_reader_{*input_, spec.key_fields},
      aggregation_{spec.aggregates},
      writer_{spec, checked_output_schema(spec, *input_), key_reader_, aggregation_},
      errors_{spec.on_error, window_errors_output(spec.kind)},
      result_time_{spec.time == TimeDomain::event && has_window_bounds(spec.kind) ? ResultTime::present
                                                                                  : ResultTime::none} {}

Status WindowOperator::open(OperatorContext& context) {
  context_ = &context;
  late_counter_ = &context.counter("late");
  errors_.open(context);
  writer_.open(context);
  return opened();
}

std::span<const std::int64_t> WindowOperator::record_times(const Batch& batch) {
  const bool timeless = !has_window_bounds(spec_.kind);
  if (batch.has_event_time() && (timeless || spec_.time == TimeDomain::event)) {
    return {batch.timestamps()->values.as<std::int64_t>(), batch.rows()};
  }
  // A clock that has been set back stands still until it has caught up, else its records would be late.
  const std::int64_t now = drained() ? last_micros : std::max(context_->now().micros, progress_ + 1);
  times_.assign(batch.rows(), timeless ? first_micros : now);
  return times_;
}

Result<BatchPtr> WindowOperator::load(const BatchPtr& batch, OperatorOutput& out) {
  aggregation_.load(*batch, context_->now());
  const std::vector<RowError> failed = aggregation_.failed_records();
  if (failed.empty()) return batch;
  if (auto status = errors_.handle(*batch, failed, out); !status) return fail(status.error());
  if (failed.size() == batch->rows()) return nullptr;
  BatchPtr rest = batch->select_rows(rows_without_errors(batch->rows(), failed));
  aggregation_.load(*rest, context_->now());
  return rest;
}

Result<Step> WindowOperator::process(std::size_t, const BatchPtr& received, OperatorOutput& out) {
  const auto of_combined = CombinedRows::of(*received, *input_, aggregation_.initial_states().size());
  if (!of_combined) return fail(of_combined.error());
  const std::optional<CombinedRows>& combined = *of_combined;
  if (spec_.time == TimeDomain::event && has_window_bounds(spec_.kind) && !received->has_event_time()) {
    return fail(ErrorCode::internal, "a window in event time was given records without one");
  }
  BatchPtr batch = received;
  if (combined) {
    aggregation_.load_states(combined->states(), combined->width());
  } else {
    auto loaded = load(without_combined_field(received, input_), out);
    if (!loaded) return fail(loaded.error());
    if (!*loaded) return drain(out);
    batch = *std::move(loaded);
  }
  const bool by_clock = spec_.time == TimeDomain::processing && has_window_bounds(spec_.kind);
  if (by_clock && !drained()) progress_ = std::max(progress_, saturating_sub(context_->now().micros, 1));
  if (!has_window_bounds(spec_.kind)) {
    result_time_ = batch->has_event_time() ? ResultTime::present : ResultTime::none;
  }
  Records records{batch.get(), &key_reader_, record_times(*batch), sequence_, combined};
  sequence_ += batch->rows();
  late_.clear();
  if (auto status = absorb(records, late_); !status) return fail(status.error());
  if (spec_.early && !early_at_) early_at_ = context_->now() + *spec_.early;
  if (!late_.empty()) {
    for (const std::uint32_t row : late_) late_counter_->add(static_cast<std::uint64_t>(records.records_in(row)));
    // Nobody reads this output where rows are combined.
    if (!combined) out.emit(late_.size() == batch->rows() ? batch : batch->select_rows(late_), window_late_output);
  }
  return drain(out);
}

Result<Step> WindowOperator::on_watermark(Timestamp watermark, OperatorOutput& out) {
  // A window by the clock is not moved by event time, except by its end: a bounded input that is over fires
  // everything.
  const bool moves = spec_.time == TimeDomain::event || watermark == Timestamp::max();
  if (moves) progress_ = std::max(progress_, watermark.micros);
  return drain(out);
}

Result<Step> WindowOperator::on_processing_time(Timestamp now, OperatorOutput& out) {
  if (spec_.time == TimeDomain::processing) progress_ = std::max(progress_, saturating_sub(now.micros, 1));
  if (early_at_ && *early_at_ <= now) {
    early_at_.reset();
    start_early();
  }
  if (const auto due = next_clean_up(); due && *due <= now) {
    if (Status cleaned = clean_up(now); !cleaned) return fail(cleaned.error());
  }
  return drain(out);
}

std::optional<Timestamp> WindowOperator::next_processing_timer() const {
  std::optional<Timestamp> timer = early_at_;
  if (spec_.time == TimeDomain::processing) {
    const auto end = first_open_end();
    if (end && (!timer || *end < timer->micros)) timer = Timestamp{*end};
  }
  const auto clean = next_clean_up();
  if (clean && (!timer || *clean < *timer)) timer = clean;
  return timer;
}

std::optional<Timestamp> WindowOperator::waits_for() const {
  if (spec_.time != TimeDomain::event || !has_window_bounds(spec_.kind)) return std::nullopt;
  const auto end = first_open_end();
  return end ? std::optional{Timestamp{saturating_sub(*end, 1)}} : std::nullopt;
}

Result<Step> WindowOperator::resume(OperatorOutput& out) {
  return drain(out);
}

Result<Step> WindowOperator::drain(OperatorOutput& out) {
  while (true) {
    More more = More::yes;
    while (more == More::yes && writer_.room() > 0) {
      auto produced = produce(writer_);
      if (!produced) return fail(produced.error());
      more = *produced;
    }
    const bool emitted = !writer_.empty();
    if (auto status = writer_.flush(context_->now(), out, result_time_, errors_); !status) return fail(status.error());
    flushed();
    if (more == More::no) return Step::done;
    if (emitted && out.full()) return Step::yield;
  }
}

}  // namespace dataflow::windows

// Asynchronous calls: what does not depend on the records.

#include "dataflow/async_operator.hpp"
#include "dataflow/plan.hpp"
#include "libdataflow/state/snapshot.hpp"

namespace dataflow {

namespace {

constexpr const char* in_flight_table = "in_flight";
constexpr Duration look_every = std::chrono::milliseconds{1};

SchemaPtr with_time(const Schema& record) {
  std::vector<Field> fields = record.fields();
  fields.push_back({"$time", TypeKind::timestamp});
  return make_schema(std::move(fields));
}

}  // namespace

AsyncOperator::AsyncOperator(AsyncPlan plan)
    : plan_{std::move(plan)},
      outputs_{plan_.output, std::make_shared<SideOutputs>(), plan_.event_time},
      state_schema_{with_time(*plan_.record)} {}

Status AsyncOperator::open(OperatorContext& context) {
  context_ = &context;
  retries_ = &context.counter("retries");
  timeouts_ = &context.counter("timeouts");
  return {};
}

Result<Step> AsyncOperator::process(std::size_t, const BatchPtr& batch, OperatorOutput& out) {
  if (auto bound = bind(*batch); !bound) return fail(bound.error());
  std::uint32_t row = 0;
  try {
    for (; row < batch->rows(); ++row) add(row, batch->timestamp(row));
  } catch (...) {
    return fail(error_of_current_exception(*batch, row));
  }
  return look(out);
}

Result<Step> AsyncOperator::on_watermark(Timestamp watermark, OperatorOutput& out) {
  add_watermark(watermark);
  return look(out);
}

bool AsyncOperator::can_take(Event event) const {
  switch (event) {
    case Event::batch: return !any_waiting();
    case Event::watermark: return true;
    case Event::end: return empty();
  }
  return true;
}

Result<Step> AsyncOperator::on_processing_time(Timestamp, OperatorOutput& out) {
  return look(out);
}

std::optional<Timestamp> AsyncOperator::next_processing_timer() const {
  return empty() ? std::nullopt : std::optional{next_look_};
}

Result<Step> AsyncOperator::look(OperatorOutput& out) {
  const Timestamp now = context_->now();
  next_look_ = now + look_every;
  if (auto advanced = advance(now, out); !advanced) return fail(advanced.error());
  return Step::done;
}

Result<CapturedStatePtr> AsyncOperator::snapshot() {
  auto captured = std::make_unique<CopiedState>();
  captured->begin({in_flight_table, StateKind::list, 1, state_schema_});
  for (BatchPtr& batch : rows()) captured->add(std::move(batch));
  return captured;
}

Status AsyncOperator::restore(StateReader& state) {
  next_look_ = Timestamp::min();  // at once
  return state.read(in_flight_table, state_schema_,
                    [this](std::uint32_t, const BatchPtr& rows) { return add_rows(*rows); });
}

void check_async(Plan& plan, const StreamInfo& stream, const AsyncOptions& options, const Plan::Place& where) {
  if (options.capacity == 0) plan.mistake(where, "capacity is at least 1: so many calls are under way at once");
  if (options.timeout.count() <= 0) plan.mistake(where, "timeout is a time longer than nothing");
  if (options.attempts == 0) plan.mistake(where, "attempts counts the first one: it is at least 1");
  if (options.retry_delay.count() < 0) plan.mistake(where, "retry_delay is not less than nothing");
  if (stream.changelog != ChangelogMode::append_only) {
    plan.mistake(where, "async_map takes only records that are never taken back");
  }
}

}  // namespace dataflow

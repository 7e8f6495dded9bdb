#include "dataflow/process_operator.hpp"

#include <cassert>
#include <numeric>
#include <string>

#include "libdataflow/state/state_backend.hpp"

namespace dataflow {

namespace {

/// The key's columns alone, in their order.
SchemaPtr schema_of_keys(const std::vector<DataType>& types) {
  std::vector<Field> fields;
  for (std::size_t i = 0; i < types.size(); ++i) fields.push_back({"key" + std::to_string(i + 1), types[i]});
  return make_schema(std::move(fields));
}

}  // namespace

ProcessOperator::ProcessOperator(std::shared_ptr<const ProcessPlan> plan)
    : plan_{std::move(plan)}, outputs_{plan_->output, plan_->sides, plan_->event_time} {
  if (plan_->second && !plan_->key_types.empty()) key_schema_ = schema_of_keys(plan_->key_types);
}

Status ProcessOperator::open(OperatorContext& context) {
  operator_context_ = &context;
  std::string_view where = "in its constructor";
  try {
    StateOwner& function = construct(outputs_);
    where = "in open()";
    std::vector<std::size_t> key_fields = plan_->key_fields;
    if (key_schema_) std::iota(key_fields.begin(), key_fields.end(), std::size_t{0});
    runtime_ = std::make_unique<KeyedRuntime>(function, std::move(key_fields), plan_->key_types, plan_->optional_key);
    if (auto status = runtime_->check(); !status) return status;
    if (BroadcastOwner* owner = broadcast_owner()) {
      if (auto status = broadcast_.emplace(*owner).check(); !status) return status;
    }
    if (const StateBackendPtr backend = context.state_backend()) {
      if (auto status = runtime_->use_backend(backend, context.max_parallelism()); !status) return status;
    }
    context_ = &make_context(*runtime_, outputs_);
    context_->operator_ = &context;
    runtime_->set_now(context.now());
    where = "in receives()";
    call_receives(receiver_);
    where = "in open()";
    call_open(context);
  } catch (...) {
    return fail(error_of_current_exception(where));
  }
  return {};
}

BatchPtr ProcessOperator::keys_of(std::size_t input, const BatchPtr& batch) const {
  if (!key_schema_) return batch;
  std::vector<ColumnPtr> columns;
  for (const std::size_t field : input == 1 ? plan_->second->key_fields : plan_->key_fields) {
    columns.push_back(batch->columns()[field]);
  }
  return batch->with_columns(key_schema_, std::move(columns));
}

/// The event time of what is caused by something that has none: as new as can be without being late downstream.
Timestamp ProcessOperator::newest_in_time() const {
  const Timestamp watermark = operator_context_->watermark();
  return watermark == Timestamp::max() ? watermark : watermark + Duration{1};
}

Result<Step> ProcessOperator::process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) {
  assert(!batch_);
  if (auto status = bind(input, *batch); !status) return fail(status.error());
  batch_ = batch;
  row_ = 0;
  if (broadcast_) broadcast_->allow_changes(input == 1);
  slots_ = nullptr;
  if (input == 1 && plan_->second->key_fields.empty() && !plan_->key_types.empty()) {
    runtime_->set_now(operator_context_->now());
    return go_on(out);
  }
  const auto slots = runtime_->begin_batch(*keys_of(input, batch), operator_context_->now());
  if (!slots) return fail(slots.error());
  slots_ = *slots;
  return go_on(out);
}

Result<Step> ProcessOperator::on_watermark(Timestamp watermark, OperatorOutput& out) {
  event_due_ = watermark;
  return go_on(out);
}

Result<Step> ProcessOperator::on_processing_time(Timestamp now, OperatorOutput& out) {
  processing_due_ = now;
  return go_on(out);
}

std::optional<Timestamp> ProcessOperator::next_processing_timer() const {
  return runtime_ ? runtime_->next_timer(TimerDomain::processing_time) : std::nullopt;
}

std::optional<Timestamp> ProcessOperator::waits_for() const {
  return runtime_ ? runtime_->next_result() : std::nullopt;
}

Result<Step> ProcessOperator::resume(OperatorOutput& out) {
  return go_on(out);
}

Result<Step> ProcessOperator::go_on(OperatorOutput& out) {
  outputs_.attach(out);
  if (batch_) {
    try {
      run_rows(*batch_);
    } catch (...) {
      return fail(error_of_current_exception(*batch_, row_));
    }
    if (slots_ == nullptr) runtime_->select(0);  // state that is loaded from now on is some key's
    outputs_.flush();
    if (row_ < batch_->rows()) return Step::yield;
    batch_.reset();
    if (broadcast_) broadcast_->allow_changes(false);
    if (slots_ != nullptr) {
      if (auto ended = runtime_->end_batch(); !ended) return fail(ended.error());
    }
  }
  for (const TimerDomain domain : {TimerDomain::event_time, TimerDomain::processing_time}) {
    std::optional<Timestamp>& due = domain == TimerDomain::event_time ? event_due_ : processing_due_;
    if (!due) continue;
    runtime_->set_now(operator_context_->now());
    auto finished = fire_due(domain, *due);
    if (!finished) return fail(finished.error());
    outputs_.flush();
    if (!*finished) return Step::yield;
    due.reset();
  }
  return Step::done;
}

Result<bool> ProcessOperator::fire_due(TimerDomain domain, Timestamp until) {
  while (!outputs_.full()) {
    const auto popped = runtime_->pop_due(domain, until);
    if (!popped) return fail(popped.error());
    const std::optional<DueTimer>& timer = *popped;
    if (!timer) return true;
    context_->timer_ = *timer;
    context_->key_known_ = false;
    context_->timestamp_ = timer->time;
    outputs_.set_time(domain == TimerDomain::event_time ? timer->time : newest_in_time());
    try {
      call_timer(timer->time);
    } catch (...) {
      return fail(error_of_current_exception("in on_timer() at " + to_iso8601(timer->time)));
    }
    runtime_->end_timer(timer->slot);
  }
  return false;
}

Result<CapturedStatePtr> ProcessOperator::snapshot() {
  assert(!batch_);
  runtime_->set_now(operator_context_->now());  // what has expired by now is left out
  auto captured = runtime_->snapshot(operator_context_->max_parallelism());
  if (!captured || !broadcast_) return captured;
  return broadcast_->snapshot(std::move(*captured));
}

Status ProcessOperator::restore(StateReader& state) {
  if (broadcast_) {
    if (auto status = broadcast_->restore(state); !status) return status;
  }
  return runtime_->restore(state);
}

Status ProcessOperator::close() {
  if (context_ == nullptr) return {};
  try {
    call_close();
  } catch (...) {
    return fail(error_of_current_exception("in close()"));
  }
  return {};
}

Result<std::string> ProcessOperator::receive(std::string_view message, std::string_view json) {
  return receiver_.deliver(message, json);
}

Result<std::string> ProcessOperator::query(std::string_view state, std::string_view key_json) {
  if (broadcast_) {
    if (auto answer = broadcast_->query(state)) return std::move(*answer);
  }
  return runtime_->query(state, key_json);
}

Result<std::string> Receiver::deliver(std::string_view message, std::string_view json) const {
  const auto at = handlers_.find(message);
  if (at == handlers_.end()) {
    std::string known;
    for (const auto& [name, handler] : handlers_) (known += known.empty() ? "" : ", ") += "\"" + name + "\"";
    return fail(ErrorCode::not_found, "the operator takes no message \"" + std::string{message} + "\"" +
                                          (known.empty() ? "" : ", but " + known));
  }
  try {
    return at->second(json);
  } catch (...) {
    return fail(error_of_current_exception("on message \"" + std::string{message} + "\""));
  }
}

}  // namespace dataflow

#include "libdataflow/runtime/stage.hpp"

#include <algorithm>
#include <exception>

namespace dataflow {

namespace {

/// Exceptions stop here, at the boundary to user code.
template <class Call>
auto guarded(Call&& call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::exception& e) {
    return fail(ErrorCode::user_code, std::string{"an exception was thrown: "} + e.what());
  } catch (...) {
    return fail(ErrorCode::user_code, "something that is no std::exception was thrown");
  }
}

}  // namespace

void NodeMetrics::add(const NodeMetrics& other) {
  watermark = std::min(watermark, other.watermark);
  records_in += other.records_in;
  records_out += other.records_out;
  for (const auto& [name, value] : other.counters) counters[name] += value;
}

Stage::Stage(const StreamNode& node, const TaskScope& scope)
    : node_{node}, scope_{scope}, links_(std::max<std::size_t>(node.outputs.size(), 1)) {}

std::uint32_t Stage::parallelism() const {
  return scope_.graph->vertices[scope_.vertex].parallelism;
}

Status Stage::open() {
  if (node_.is_source()) return {};
  return guarded([&]() -> Status {
    operator_ = node_.factory->create();
    return operator_->open(*this);
  });
}

Counter& Stage::counter(std::string_view name) {
  const auto at = counters_.find(name);
  return at != counters_.end() ? at->second : counters_.emplace(std::string{name}, Counter{}).first->second;
}

void Stage::emit(BatchPtr batch, std::size_t output) {
  if (batch->rows() == 0) return;
  records_out_ += batch->rows();
  if (output >= links_.size()) return;  // a sink's operator that emits: nobody can read it
  for (OutputEdge* edge : links_[output].edges) edge->emit(batch, scope_.now, *scope_.host);
  for (Stage* stage : links_[output].stages) stage->push({batch, 0});
}

bool Stage::full() const {
  return std::any_of(links_.begin(), links_.end(), [](const Links& l) {
    return std::any_of(l.edges.begin(), l.edges.end(), [](const OutputEdge* e) { return e->blocked(); }) ||
           std::any_of(l.stages.begin(), l.stages.end(), [](const Stage* s) { return s->crowded(); });
  });
}

void Stage::forward(const std::variant<BatchPtr, Watermark, StreamStatus, EndOfData>& event) {
  const Envelope envelope = std::visit([](const auto& e) -> Envelope { return e; }, event);
  for (Links& links : links_) {
    for (OutputEdge* edge : links.edges) edge->emit_to_all(envelope, scope_.now, *scope_.host);
    for (Stage* stage : links.stages) stage->push({event, 0});
  }
}

void Stage::advance_watermark(Timestamp watermark) {
  watermark_ = watermark;
  forward(Watermark{watermark});
}

void Stage::end(EndOfData how) {
  ended_ = true;
  forward(how);
}

Result<Step> Stage::begin(StageInput& input) {
  if (auto* batch = std::get_if<BatchPtr>(&input.event)) {
    records_in_ += (*batch)->rows();
    return operator_->process(input.input, *batch, *this);
  }
  if (const auto* watermark = std::get_if<Watermark>(&input.event)) {
    watermark_ = watermark->time;
    to_forward_ = *watermark;
    return operator_->on_watermark(watermark->time, *this);
  }
  if (const auto* status = std::get_if<StreamStatus>(&input.event)) {
    to_forward_ = *status;
    return Step::done;
  }
  to_forward_ = std::get<EndOfData>(input.event);
  return operator_->end_of_data(*this);
}

Status Stage::step() {
  auto result = guarded([&]() -> Result<Step> {
    if (yielded_) return operator_->resume(*this);
    StageInput input = std::move(inbox_.front());
    inbox_.pop_front();
    return begin(input);
  });
  if (!result) return fail(result.error());
  yielded_ = *result == Step::yield;
  if (!yielded_) complete();
  return {};
}

void Stage::complete() {
  if (!to_forward_) return;
  if (std::holds_alternative<EndOfData>(*to_forward_)) ended_ = true;
  forward(*to_forward_);
  to_forward_.reset();
}

std::optional<Timestamp> Stage::next_processing_timer() const {
  if (!operator_ || yielded_ || ended_) return std::nullopt;
  return operator_->next_processing_timer();
}

Status Stage::fire_processing_timers() {
  const auto due = next_processing_timer();
  if (!due || *due > scope_.now || full()) return {};
  auto result = guarded([&] { return operator_->on_processing_time(scope_.now, *this); });
  if (!result) return fail(result.error());
  yielded_ = *result == Step::yield;
  return {};
}

NodeMetrics Stage::metrics() const {
  NodeMetrics m{.node = node_.id,
                .records_in = records_in_,
                .records_out = records_out_,
                .watermark = watermark_,
                .counters = {}};
  for (const auto& [name, counter] : counters_) m.counters.emplace(name, counter.value());
  return m;
}

}  // namespace dataflow

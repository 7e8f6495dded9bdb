#include "libdataflow/runtime/stage.hpp"

#include <algorithm>
#include <exception>

#include "libdataflow/batch/rows_aside.hpp"
#include "libdataflow/state/state_backend.hpp"

namespace dataflow {

namespace {

/// Exceptions stop here, at the boundary to user code, and crashes find out where they are.
template <class Call>
auto guarded(const CrashSite& site, Call&& call) -> decltype(call()) {
  const InUserCode here{site};
  try {
    return call();
  } catch (const std::exception& e) {
    return fail(ErrorCode::user_code, std::string{"an exception was thrown: "} + e.what());
  } catch (...) {
    return fail(ErrorCode::user_code, "something that is no std::exception was thrown");
  }
}

constexpr const char* stage_table = "$stage";

const SchemaPtr& stage_schema() {
  static const SchemaPtr schema = make_schema({{"watermark", TypeKind::timestamp}});
  return schema;
}

/// The engine's part of a node's state, and the operator's.
class StageState final : public CapturedState {
 public:
  StageState(Timestamp watermark, CapturedStatePtr of_operator)
      : watermark_{watermark}, of_operator_{std::move(of_operator)} {}
  Status write(StateWriter& writer) override {
    if (Status begun = writer.begin({stage_table, StateKind::union_all, 1, stage_schema()}); !begun) return begun;
    BatchBuilder row{stage_schema()};
    row.column(0).append_int64(watermark_.micros);
    row.end_row();
    if (Status added = writer.add(0, row.finish()); !added) return added;
    return of_operator_ ? of_operator_->write(writer) : Status{};
  }

 private:
  Timestamp watermark_;
  CapturedStatePtr of_operator_;
};

}  // namespace

void NodeMetrics::add(const NodeMetrics& other) {
  watermark = std::min(watermark, other.watermark);
  records_in += other.records_in;
  records_out += other.records_out;
  for (const auto& [name, value] : other.counters) counters[name] += value;
  waits_for = Timestamp::max();
  newest = Timestamp::min();
  split.clear();
  idle = false;
}

Stage::Stage(const StreamNode& node, const TaskScope& scope)
    : node_{node}, scope_{scope}, links_(std::max<std::size_t>(node.outputs.size(), 1)) {}

CrashSite Stage::crash_site_here() const {
  return {node_.name.c_str(), scope_.subtask, parallelism(), scope_.attempt,
          node_.is_source() ? records_out_ : records_in_};
}

std::uint32_t Stage::parallelism() const {
  return scope_.graph->vertices[scope_.vertex].parallelism;
}

Status Stage::open() {
  if (node_.is_source()) return {};
  return guarded(crash_site_here(), [&]() -> Status {
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
  const bool batch = scope_.graph->stream->settings.mode == ExecutionMode::batch;
  if (batch && watermark != Timestamp::max()) return;
  watermark_ = watermark;
  forward(Watermark{watermark});
}

void Stage::end(EndOfData how) {
  ended_ = true;
  forward(how);
}

bool Stage::can_take_next() const {
  if (inbox_.empty()) return false;
  const auto& event = inbox_.front().event;
  if (std::holds_alternative<BatchPtr>(event)) return operator_->can_take(Operator::Event::batch);
  if (std::holds_alternative<Watermark>(event)) return operator_->can_take(Operator::Event::watermark);
  if (std::holds_alternative<EndOfData>(event)) return operator_->can_take(Operator::Event::end);
  return true;
}

Result<Step> Stage::begin(StageInput& input) {
  if (auto* batch = std::get_if<BatchPtr>(&input.event)) {
    records_in_ += (*batch)->rows();
    return operator_->process(input.input, *batch, *this);
  }
  if (const auto* watermark = std::get_if<Watermark>(&input.event)) {
    if (operator_->makes_watermarks() && watermark->time != Timestamp::max()) return Step::done;
    if (operator_->delays_watermarks()) return operator_->on_watermark(watermark->time, *this);
    watermark_ = watermark->time;
    to_forward_ = *watermark;
    return operator_->on_watermark(watermark->time, *this);
  }
  if (const auto* status = std::get_if<StreamStatus>(&input.event)) {
    if (!operator_->makes_watermarks()) to_forward_ = *status;
    return operator_->give_kept(*this);
  }
  if (input.of_one_input) return operator_->end_of_input(input.input, *this);
  to_forward_ = std::get<EndOfData>(input.event);
  return operator_->end_of_data(*this);
}

Status Stage::step() {
  auto result = guarded(crash_site_here(), [&]() -> Result<Step> {
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
  auto result = guarded(crash_site_here(), [&] { return operator_->on_processing_time(scope_.now, *this); });
  if (!result) return fail(result.error());
  yielded_ = *result == Step::yield;
  return {};
}

Status Stage::give_kept() {
  if (!operator_) return {};
  auto result = guarded(crash_site_here(), [&] { return operator_->give_kept(*this); });
  if (!result) return fail(result.error());
  yielded_ = *result == Step::yield;
  return {};
}

Status Stage::pre_commit(std::uint64_t epoch) {
  return operator_ ? guarded(crash_site_here(), [&] { return operator_->pre_commit(epoch); }) : Status{};
}
Status Stage::commit(std::uint64_t epoch) {
  return operator_ ? guarded(crash_site_here(), [&] { return operator_->commit(epoch); }) : Status{};
}
Status Stage::close() {
  return operator_ ? guarded(crash_site_here(), [&] { return operator_->close(); }) : Status{};
}

Result<CapturedStatePtr> Stage::snapshot(CapturedStatePtr of_source) {
  if (operator_) {
    auto captured = guarded(crash_site_here(), [&] { return operator_->snapshot(); });
    if (!captured) return captured;
    of_source = std::move(*captured);
  }
  return std::make_unique<StageState>(watermark_, std::move(of_source));
}

Status Stage::restore(StateReader& state) {
  // The least of all subtasks, also when there are as many as before: the node before may have another number, so that
  // this subtask's inputs are others. One whose input had ended would be at the end of time while records still come.
  std::optional<Timestamp> least;
  Status read = state.read(stage_table, stage_schema(), [&](std::uint32_t, const BatchPtr& rows) -> Status {
    for (const std::int64_t micros : rows->column(0).as<std::int64_t>()) {
      least = std::min(least.value_or(Timestamp::max()), Timestamp{micros});
    }
    return {};
  });
  if (!read) return read;
  if (least) watermark_ = *least;
  if (scope_.graph->stream->settings.mode != ExecutionMode::batch && state.find(rows_aside_table) != nullptr) {
    return fail(ErrorCode::invalid_argument,
                "the state has rows that wait for the end of a batch: go on with mode = \"batch\"");
  }
  return operator_ ? guarded(crash_site_here(), [&] { return operator_->restore(state); }) : Status{};
}

std::shared_ptr<StateBackend> Stage::state_backend() const {
  auto backend = scope_.host->state_backend();
  if (backend && !backend->has_stores()) backend.reset();
  return backend;
}

std::shared_ptr<StateBackend> Stage::spill_backend() const {
  return scope_.host->state_backend();
}

void Stage::resend_watermark() {
  if (watermark_ == Timestamp::min()) return;
  for (Links& links : links_) {
    for (OutputEdge* edge : links.edges) edge->emit_to_all(Watermark{watermark_}, scope_.now, *scope_.host);
  }
}

NodeMetrics Stage::metrics() const {
  NodeMetrics m{.node = node_.id,
                .records_in = records_in_,
                .records_out = records_out_,
                .watermark = watermark_,
                .counters = {},
                .waits_for = Timestamp::max(),
                .newest = Timestamp::min(),
                .split = {},
                .idle = false};
  if (operator_) m.waits_for = operator_->waits_for().value_or(Timestamp::max());
  for (const auto& [name, counter] : counters_) m.counters.emplace(name, counter.value());
  return m;
}

}  // namespace dataflow

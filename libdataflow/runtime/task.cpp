#include "libdataflow/runtime/task.hpp"
#include "libdataflow/runtime/buggify.hpp"

#include <algorithm>
#include <cassert>
#include <exception>
#include <iterator>
#include <utility>

#include "libdataflow/checkpoint/restored_checkpoint.hpp"

namespace dataflow {

namespace {

/// Steps of a run: enough for a batch to pass a long chain, few enough to let others have the thread.
constexpr int steps_per_run = 32;

}  // namespace

Task::Task(JobGraphPtr graph, Identity identity, TaskHost& host)
    : scope_{std::move(graph),
             std::move(identity.job_id),
             identity.vertex,
             identity.subtask,
             identity.attempt,
             {},
             &host},
      merger_{input_channels(*scope_.graph, identity.vertex, identity.subtask).size()} {
  build_inputs();
  build_stages();
}

Task::~Task() = default;

void Task::build_inputs() {
  for (const ChannelId& id : input_channels(*scope_.graph, scope_.vertex, scope_.subtask)) {
    channels_.push_back({.input = scope_.graph->edges[id.edge].input});
    inputs_ = std::max(inputs_, channels_.back().input + 1);
  }
  open_channels_ = channels_.size();
  input_stopped_.resize(inputs_);
}

void Task::build_stages() {
  const JobGraph& graph = *scope_.graph;
  const JobVertex& vertex = graph.vertices[scope_.vertex];
  const auto stage_of = [&](NodeId id) {
    return std::find_if(stages_.begin(), stages_.end(), [&](const auto& s) { return s->node().id == id; });
  };
  for (const NodeId id : vertex.chain) {
    const StreamNode& node = graph.node(id);
    stages_.push_back(std::make_unique<Stage>(node, scope_));
    if (stages_.size() == 1) continue;
    const StreamEdge& from = node.inputs.front();
    (*stage_of(from.from))->connect(from.output, *stages_.back());
  }
  const auto channels = output_channels(graph, scope_.vertex, scope_.subtask);
  output_channel_count_ = channels.size();
  std::size_t first = 0;
  for (const std::uint32_t id : vertex.outputs) {
    const JobEdge& edge = graph.edges[id];
    const auto count = static_cast<std::size_t>(
        std::count_if(channels.begin(), channels.end(), [&](const ChannelId& c) { return c.edge == id; }));
    edges_.push_back(std::make_unique<OutputEdge>(edge, graph.max_parallelism, first, count, scope_.subtask,
                                                  graph.stream->settings.buffer_timeout,
                                                  scope_.host->channel_window()));
    (*stage_of(edge.from_node))->connect(edge.output, *edges_.back());
    first += count;
  }
  const StreamNode& head = stages_.front()->node();
  if (head.is_source()) source_ = std::make_unique<SourceDriver>(*head.source, head.outputs[0].schema);
}

tl::expected<void, TaskFailure> Task::open(Timestamp now, const RestoredCheckpoint* restored) {
  scope_.now = now;
  for (const auto& stage : stages_) {
    if (auto status = stage->open(); !status) return tl::unexpected(failure(*stage, status.error()));
  }
  if (source_) {
    if (auto status = source_->open(*stages_.front()); !status) {
      return tl::unexpected(failure(*stages_.front(), status.error()));
    }
  }
  return restored != nullptr ? restore(*restored) : tl::expected<void, TaskFailure>{};
}

tl::expected<void, TaskFailure> Task::restore(const RestoredCheckpoint& restored) {
  const std::uint32_t parallelism = scope_.graph->vertices[scope_.vertex].parallelism;
  last_checkpoint_ = restored.metadata().id;
  last_message_ = restored.last_message(stages_.front()->uid(), scope_.subtask, parallelism);
  for (const auto& stage : stages_) {
    const auto state = restored.reader(stage->uid(), scope_.subtask, parallelism);
    Status status = stage->restore(*state);
    if (status && source_ && stage == stages_.front()) status = source_->restore(*state);
    if (!status) return tl::unexpected(failure(*stage, status.error().within("going on from a checkpoint")));
  }
  merger_.start_at(stages_.front()->watermark());
  return {};
}

void Task::receive(std::size_t input_channel, EncodedEnvelopePtr envelope) {
  assert(input_channel < channels_.size());
  received_.push_back({input_channel, std::move(envelope)});
}

void Task::credit(std::size_t output_channel, std::size_t bytes) {
  for (const auto& edge : edges_) {
    if (output_channel < edge->first_channel() + edge->size()) {
      edge->sender(output_channel - edge->first_channel()).credit(bytes);
      return;
    }
  }
}

void Task::assign_split(Split split) {
  if (barrier_) {
    later_splits_.push_back(std::move(split));
    return;
  }
  split_requested_ = false;
  source_wake_.reset();
  source_->assign_split(std::move(split));
}

void Task::no_more_splits() {
  if (barrier_) {
    no_more_later_ = true;
    return;
  }
  split_requested_ = false;
  source_wake_.reset();
  source_->no_more_splits();
}

void Task::stop(EndOfData how) {
  if (source_ && !stop_) stop_ = how;
}

void Task::trigger(const Barrier& barrier) {
  if (source_ && barrier.checkpoint_id > last_checkpoint_) barrier_ = barrier;
}

void Task::abort_checkpoint(std::uint64_t checkpoint_id) {
  if (aligning_ && aligning_->checkpoint_id == checkpoint_id) end_alignment();
  if (barrier_ && barrier_->checkpoint_id == checkpoint_id) end_alignment();
  // Those of its barriers that are still under way must not begin an alignment that would never end.
  last_checkpoint_ = std::max(last_checkpoint_, checkpoint_id);
}

tl::expected<Task::Progress, TaskFailure> Task::run(Timestamp now) {
  time_use_.change(TimeUse::Doing::work, now);
  auto progress = run_steps(now);
  if (progress && progress->kind != Progress::Kind::more) {
    const bool no_credit = std::any_of(edges_.begin(), edges_.end(), [](const auto& e) { return e->blocked(); });
    time_use_.change(no_credit ? TimeUse::Doing::waiting_for_credit : TimeUse::Doing::nothing,
                     scope_.host->clock_now().value_or(now));
  }
  return progress;
}

tl::expected<Task::Progress, TaskFailure> Task::run_steps(Timestamp now) {
  scope_.now = now;
  if (!started_) {
    started_ = true;
    for (const auto& stage : stages_) stage->resend_watermark();
  }
  for (const auto& edge : edges_) edge->pump(now, *scope_.host);
  for (const auto& stage : stages_) {
    if (auto status = stage->fire_processing_timers(); !status) return tl::unexpected(failure(*stage, status.error()));
  }
  const int steps = buggified(Buggify::one_step) ? 1 : steps_per_run;
  for (int i = 0; i < steps; ++i) {
    auto stepped = step();
    if (!stepped) return tl::unexpected(stepped.error());
    if (!*stepped) return rest();
  }
  return Progress{.kind = Progress::Kind::more, .wake_at = {}};
}

Stage* Task::deepest_runnable() {
  for (auto stage = stages_.rbegin(); stage != stages_.rend(); ++stage) {
    if ((*stage)->runnable()) return stage->get();
  }
  return nullptr;
}

tl::expected<bool, TaskFailure> Task::step() {
  if (any_withheld_) release_waiting();
  if (Stage* stage = deepest_runnable()) {
    if (auto status = stage->step(); !status) return tl::unexpected(failure(*stage, status.error()));
    return true;
  }
  Stage& head = *stages_.front();
  if (barrier_ && (!source_ || source_->settled())) {
    if (!settled()) return false;
    if (gave_kept_ < stages_.size()) {
      Stage& stage = *stages_[gave_kept_++];
      if (auto status = stage.give_kept(); !status) return tl::unexpected(failure(stage, status.error()));
      return true;
    }
    if (auto taken = take_snapshot(); !taken) return tl::unexpected(taken.error());
    return true;
  }
  if (source_) {
    if (head.ended() || head.full()) return false;
    if (source_wake_ && *source_wake_ > scope_.now && !stop_ && source_->settled()) return false;
    if (auto status = poll_source(); !status) return tl::unexpected(failure(head, status.error()));
    return true;
  }
  if (received_.empty() || head.crowded()) return false;
  take_received();
  return true;
}

Status Task::poll_source() {
  Stage& head = *stages_.front();
  // What has been read is part of what the source has given: only then its position is after it.
  if (stop_ && source_->settled()) {
    if (stop_->drain) head.advance_watermark(Timestamp::max());
    head.end(*stop_);
    // The last checkpoint asks the reader where it stands.
    return scope_.graph->stream->settings.checkpoint ? Status{} : source_->close();
  }
  source_wake_.reset();
  Result<SourceDriver::Progress> polled = [&]() -> Result<SourceDriver::Progress> {
    const InUserCode here{head.crash_site_here()};
    try {
      return source_->poll(scope_.now, head, scope_.host->batch_rows());
    } catch (const std::exception& e) {
      return fail(ErrorCode::user_code, std::string{"an exception was thrown: "} + e.what());
    }
  }();
  if (!polled) return fail(polled.error());
  if (polled->idle) head.forward(StreamStatus{*polled->idle});
  if (polled->watermark) head.advance_watermark(*polled->watermark);
  using Kind = SourceDriver::Progress::Kind;
  switch (polled->kind) {
    case Kind::more: break;
    case Kind::wait: source_wake_ = polled->until; break;
    case Kind::needs_split:
      // The answer wakes the source; until then there is nothing to poll for.
      source_wake_ = Timestamp::max();
      if (!split_requested_) {
        split_requested_ = true;
        scope_.host->request_split();
      }
      break;
    case Kind::finished:
      head.advance_watermark(Timestamp::max());
      head.end(EndOfData{.drain = true});
      return source_->close();
  }
  return {};
}

void Task::take_received() {
  Received next = std::move(received_.front());
  received_.pop_front();
  if (channels_[next.channel].blocked) {
    held_back_.push_back(std::move(next));
    return;
  }
  const Envelope& envelope = next.envelope->envelope();
  if (std::holds_alternative<BatchPtr>(envelope)) {
    InputChannel& channel = channels_[next.channel];
    channel.to_grant += next.envelope->wire_size();
    // What is before a barrier that others wait for must come through.
    if (aligning_ || takes_input(channel)) {
      grant_what_is_due(next.channel);
    } else {
      any_withheld_ = true;
    }
  }
  take_envelope(next.channel, envelope);
}

bool Task::takes_input(const InputChannel& channel) const {
  return inputs_ < 2 || stages_.front()->op()->takes(channel.input);
}

void Task::grant_what_is_due(std::size_t channel) {
  std::size_t& bytes = channels_[channel].to_grant;
  if (bytes < scope_.host->channel_window() / 2 && !(bytes > 0 && buggified(Buggify::grants_at_once))) return;
  scope_.host->grant(channel, bytes);
  bytes = 0;
}

void Task::grant_for_alignment() {
  for (std::size_t i = 0; i < channels_.size(); ++i) grant_what_is_due(i);
}

void Task::take_envelope(std::size_t channel, const Envelope& envelope) {
  if (const auto* batch = std::get_if<BatchPtr>(&envelope)) {
    stages_.front()->push({*batch, channels_[channel].input});
  } else if (const auto* barrier = std::get_if<Barrier>(&envelope)) {
    take_barrier(channel, *barrier);
  } else if (takes_input(channels_[channel])) {
    take_control(channel, envelope);
  } else {
    let_wait(channels_[channel], envelope);
  }
}

void Task::take_control(std::size_t channel, const Envelope& envelope) {
  if (const auto* watermark = std::get_if<Watermark>(&envelope)) {
    take_merged(merger_.advance(channel, watermark->time));
  } else if (const auto* status = std::get_if<StreamStatus>(&envelope)) {
    take_merged(merger_.set_idle(channel, status->idle));
  } else if (const auto* end = std::get_if<EndOfData>(&envelope)) {
    take_end(channel, *end);
  }
  // Latency markers are not sent by this version.
}

void Task::let_wait(InputChannel& channel, const Envelope& envelope) {
  if (const auto* watermark = std::get_if<Watermark>(&envelope)) {
    channel.waiting_watermark = watermark->time;
    channel.waiting_idle.reset();  // a watermark makes a channel active
  } else if (const auto* status = std::get_if<StreamStatus>(&envelope)) {
    channel.waiting_idle = status->idle;
  } else if (const auto* end = std::get_if<EndOfData>(&envelope)) {
    channel.waiting_end = *end;
  }
  any_withheld_ = true;
}

/// Inputs that the operator takes again get their credit, and what waited behind their rows. When sources have been
/// stopped before it did, their end is all that is left to be told: the rows stay in its state, and time before them.
void Task::release_waiting() {
  const auto is_over = [](const InputChannel& c) { return c.ended || c.waiting_end.has_value(); };
  const auto was_stopped = [&](const InputChannel& c) {
    return input_stopped_[c.input] || (c.waiting_end && !c.waiting_end->drain);
  };
  const bool stopped = std::all_of(channels_.begin(), channels_.end(), is_over) &&
                       std::any_of(channels_.begin(), channels_.end(), was_stopped);
  bool any = false;
  for (std::size_t i = 0; i < channels_.size(); ++i) {
    InputChannel& channel = channels_[i];
    const bool takes = takes_input(channel);
    if (!takes && !stopped) {
      any = true;
      continue;
    }
    grant_what_is_due(i);
    const auto watermark = std::exchange(channel.waiting_watermark, {});
    const auto idle = std::exchange(channel.waiting_idle, {});
    const auto end = std::exchange(channel.waiting_end, {});
    if (watermark && takes) take_control(i, Watermark{*watermark});
    if (idle && takes) take_control(i, StreamStatus{*idle});
    if (end) take_control(i, *end);
  }
  any_withheld_ = any;
}

void Task::take_end(std::size_t channel, const EndOfData& end) {
  if (channels_[channel].ended) return;
  channels_[channel].ended = true;
  drained_ = drained_ && end.drain;
  const std::size_t input = channels_[channel].input;
  if (!end.drain) input_stopped_[input] = true;
  // A source that was stopped goes on from there in a later run: until then its time stands still.
  if (end.drain) take_merged(merger_.finish(channel));
  Stage& head = *stages_.front();
  const bool input_ended = std::all_of(channels_.begin(), channels_.end(),
                                       [&](const InputChannel& c) { return c.ended || c.input != input; });
  if (inputs_ > 1 && input_ended && !input_stopped_[input]) {
    head.push({.event = end, .input = input, .of_one_input = true});
  }
  if (--open_channels_ == 0) head.push({EndOfData{.drain = drained_}, 0});
}

/// Channels whose data has ended still carry barriers.
void Task::take_barrier(std::size_t channel, const Barrier& barrier) {
  if (barrier.checkpoint_id <= last_checkpoint_) return;                      // given up before it came
  if (aligning_ && barrier.checkpoint_id < aligning_->checkpoint_id) return;  // likewise
  if (aligning_ && barrier.checkpoint_id > aligning_->checkpoint_id) end_alignment();
  if (!aligning_) {
    aligning_ = barrier;
    barriers_missing_ = channels_.size();
    alignment_began_ = scope_.now;
    if (any_withheld_) grant_for_alignment();
  }
  if (channels_[channel].blocked) return;
  channels_[channel].blocked = true;
  if (--barriers_missing_ == 0) barrier_ = barrier;
}

bool Task::settled() const {
  return std::all_of(stages_.begin(), stages_.end(), [](const auto& s) { return s->settled(); });
}

/// Between two events of the whole chain: everything before the barrier is in its state, or on its way before the
/// barrier in the channels behind it.
tl::expected<void, TaskFailure> Task::take_snapshot() {
  TaskSnapshot snapshot{
      *barrier_, {}, aligning_ ? scope_.now - alignment_began_ : Duration{0}, Duration{0}, last_message_};
  const auto began = scope_.host->clock_now();
  std::optional<Error> declined;
  for (const auto& stage : stages_) {
    if (stage->op() != nullptr) {
      if (auto status = stage->pre_commit(snapshot.barrier.checkpoint_id); !status) {
        return tl::unexpected(failure(*stage, status.error()));
      }
    }
    Result<CapturedStatePtr> of_source{nullptr};
    if (source_ && stage == stages_.front()) of_source = source_->snapshot();
    auto captured = of_source ? stage->snapshot(std::move(*of_source)) : std::move(of_source);
    if (!captured && !declined) declined = captured.error().within("\"" + stage->node().name + "\"");
    if (captured) snapshot.states.emplace_back(stage->uid(), std::move(*captured));
  }
  for (const auto& edge : edges_) edge->emit_to_all(snapshot.barrier, scope_.now, *scope_.host);
  last_checkpoint_ = snapshot.barrier.checkpoint_id;
  if (began) snapshot.synchronous = scope_.host->clock_now().value_or(*began) - *began;
  end_alignment();
  if (declined) {
    scope_.host->decline(last_checkpoint_, *declined);
  } else {
    scope_.host->snapshot(std::move(snapshot));
  }
  return {};
}

/// What waited behind barriers came before what is in received_ now.
void Task::end_alignment() {
  aligning_.reset();
  barrier_.reset();
  gave_kept_ = 0;
  for (InputChannel& channel : channels_) channel.blocked = false;
  received_.insert(received_.begin(), std::make_move_iterator(held_back_.begin()),
                   std::make_move_iterator(held_back_.end()));
  held_back_.clear();
  for (Split& split : std::exchange(later_splits_, {})) assign_split(std::move(split));
  if (std::exchange(no_more_later_, false)) no_more_splits();
}

void Task::take_merged(const WatermarkMerger::Change& change) {
  Stage& head = *stages_.front();
  if (change.idle) head.push({StreamStatus{*change.idle}, 0});
  if (change.watermark) head.push({Watermark{*change.watermark}, 0});
}

/// Nothing can be done now: either everything has been, or something has to come from outside.
tl::expected<Task::Progress, TaskFailure> Task::rest() {
  const bool ended = std::all_of(stages_.begin(), stages_.end(), [](const auto& s) { return s->ended(); });
  const bool sent = std::all_of(edges_.begin(), edges_.end(), [](const auto& e) { return e->empty(); });
  if (!ended || !sent) return Progress{.kind = Progress::Kind::blocked, .wake_at = wake_time()};
  if (!prepared_ && !scope_.graph->stream->settings.checkpoint) {
    for (const auto& stage : stages_) {
      if (stage->op() == nullptr) continue;
      if (auto status = stage->pre_commit(final_epoch); !status) {
        return tl::unexpected(failure(*stage, status.error()));
      }
    }
  }
  prepared_ = true;
  return Progress{.kind = Progress::Kind::prepared, .wake_at = {}};
}

std::optional<Timestamp> Task::wake_time() const {
  std::optional<Timestamp> earliest;
  const auto consider = [&](std::optional<Timestamp> at) {
    if (at && (!earliest || *at < *earliest)) earliest = at;
  };
  for (const auto& edge : edges_) consider(edge->deadline());
  for (const auto& stage : stages_) {
    if (!stage->full()) consider(stage->next_processing_timer());
  }
  if (source_ && !stages_.front()->ended() && !stages_.front()->full() && source_wake_ != Timestamp::max()) {
    consider(source_wake_);
  }
  return earliest;
}

tl::expected<void, TaskFailure> Task::complete_checkpoint(std::uint64_t checkpoint_id) {
  for (const auto& stage : stages_) {
    if (auto status = stage->commit(checkpoint_id); !status) return tl::unexpected(failure(*stage, status.error()));
  }
  return {};
}

tl::expected<void, TaskFailure> Task::commit(std::uint64_t epoch) {
  if (stop_ && source_ && scope_.graph->stream->settings.checkpoint) {
    if (auto status = source_->close(); !status) return tl::unexpected(failure(*stages_.front(), status.error()));
  }
  for (const auto& stage : stages_) {
    if (auto status = stage->commit(epoch); !status) return tl::unexpected(failure(*stage, status.error()));
    if (auto status = stage->close(); !status) return tl::unexpected(failure(*stage, status.error()));
  }
  return {};
}

void Task::abort() {
  for (const auto& stage : stages_) {
    if (stage->op() == nullptr) continue;
    try {
      stage->op()->abort();
    } catch (const std::exception&) {
      // The attempt has failed already, for a reason that is reported; an abort that throws adds nothing to it.
    }
  }
}

Stage* Task::find_stage(NodeId node) {
  const auto at = std::find_if(stages_.begin(), stages_.end(), [&](const auto& s) { return s->node().id == node; });
  return at == stages_.end() ? nullptr : at->get();
}

Result<std::string> Task::send(NodeId node, std::string_view message, std::string_view json, std::uint64_t number) {
  if (number != 0 && number <= last_message_) return std::string{"null"};  // it has come before
  last_message_ = std::max(last_message_, number);
  Stage* stage = find_stage(node);
  if (stage == nullptr || stage->op() == nullptr) return fail(ErrorCode::not_found, "no such operator in this task");
  const InUserCode here{stage->crash_site_here()};
  try {
    return stage->op()->receive(message, json);
  } catch (const std::exception& e) {
    return fail(ErrorCode::user_code, std::string{"an exception was thrown: "} + e.what());
  }
}

Result<std::string> Task::ask(NodeId node, std::string_view state, std::string_view key_json) {
  Stage* stage = find_stage(node);
  if (stage == nullptr || stage->op() == nullptr) return fail(ErrorCode::not_found, "no such operator in this task");
  return stage->op()->query(state, key_json);
}

std::vector<NodeMetrics> Task::metrics() const {
  std::vector<NodeMetrics> all;
  all.reserve(stages_.size());
  for (const auto& stage : stages_) all.push_back(stage->metrics());
  if (source_) {
    all.front().newest = source_->newest();
    all.front().split = source_->split();
    all.front().idle = source_->idle();
  }
  return all;
}

TaskFailure Task::failure(const Stage& stage, Error error) const {
  std::string position;
  const bool of_reader = source_ && &stage == stages_.front().get() && error.code() != ErrorCode::user_code;
  if (of_reader) {
    // Says where itself, and more exactly: the reader may have read on since.
  } else if (source_) {
    position = source_->position();
    const bool is_between = position.starts_with("before ") || position.starts_with("between ");
    if (!is_between) position = "before " + position;
  } else if (const auto records = stage.metrics().records_in; records != 0) {
    position = "after " + std::to_string(records) + " records";
  }
  return {stage.node().name, std::move(position), std::move(error)};
}

}  // namespace dataflow

#include "actors/job_supervisor.hpp"

#include <algorithm>
#include <map>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>

#include "actors/blocking_worker.hpp"
#include "actors/clock.hpp"
#include "libdataflow/process/key_owner.hpp"

namespace dataflow {

namespace {

constexpr auto report_interval = std::chrono::milliseconds{200};
constexpr auto answer_deadline = std::chrono::seconds{5};
/// The name of the only node there is.
constexpr const char* this_process = "local";

}  // namespace

JobSupervisor::JobSupervisor(caf::actor_config& config, caf::actor job_manager, std::string job_id, JobGraphPtr graph,
                             StartFrom start_from)
    : caf::event_based_actor{config},
      job_manager_{std::move(job_manager)},
      job_id_{std::move(job_id)},
      graph_{std::move(graph)},
      start_from_{start_from},
      execution_{graph_},
      subtask_ids_{execution_.subtasks()},
      subtasks_(subtask_ids_.size()),
      slots_(execution_.region_count()),
      reports_(subtask_ids_.size()),
      recent_(subtask_ids_.size()) {
  for (std::size_t i = 0; i < reports_.size(); ++i) reports_[i].id = subtask_ids_[i];
}

caf::behavior JobSupervisor::make_behavior() {
  start();
  return {
      [this](const msg::SlotsGranted& m) { take_slots(m); },
      [this](const msg::SlotsRefused& m) { take_refusal(m); },
      [this](const msg::SlotDeployed& m) { take_deployed(m); },
      [this](const msg::Opened& m) { apply(execution_.on_opened(m.attempt, m.id, wall_clock_now())); },
      [this](const msg::Prepared& m) {
        take_report(m.report);
        apply(execution_.on_prepared(m.report.attempt, m.report.id, wall_clock_now()));
      },
      [this](const msg::Finished& m) { apply(execution_.on_finished(m.attempt, m.id, wall_clock_now())); },
      [this](const msg::SubtaskFailed& m) { apply(execution_.on_failed(m.attempt, m.id, m.error, wall_clock_now())); },
      [this](const msg::SubtaskGone& m) {
        if (execution_.is_current(m.attempt, m.id)) subtasks_[index(m.id)] = nullptr;
        apply(execution_.on_gone(m.attempt, m.id, wall_clock_now()));
      },
      [this](const msg::SlotLost& m) { take_slot_lost(m); },
      [this](const msg::RequestSplit& m) { answer_split_request(m); },
      [this](const msg::Acknowledge& m) { take_acknowledgement(m); },
      [this](const msg::Decline& m) {
        if (!checkpoints_ || !execution_.is_current(m.attempt, m.id)) return;
        apply_checkpoint(checkpoints_->coordinator().on_declined(m.checkpoint, m.error, wall_clock_now()));
      },
      [this](const msg::MetadataWritten& m) {
        apply_checkpoint(checkpoints_->coordinator().on_metadata_written(m.id, m.status, wall_clock_now()));
      },
      [this](const msg::LatestAdvanced& m) { take_advanced(m); },
      [this](msg::CheckpointTime) {
        checkpoint_wake_.reset();
        apply_checkpoint(checkpoints_->coordinator().on_time(wall_clock_now()));
      },
      [this](const msg::SubtaskReport& m) { take_report(m); },
      [this](const msg::RestartDue& m) { apply(execution_.on_restart_due(m.of, wall_clock_now())); },
      [this](msg::RetrySplits) { retry_split_requests(); },
      [this](msg::CollectReports) {
        for (const caf::actor& subtask : subtasks_) {
          if (subtask) send(subtask, msg::GetReport{});
        }
        fire_deadlines();
        if (checkpoints_) schedule_checkpoint_time();
        if (!is_terminal(execution_.state())) delayed_send(this, report_interval, msg::CollectReports{});
      },
      [this](const msg::StopJob& m) { apply(execution_.stop(m.how, wall_clock_now())); },
      [this](msg::CancelJob) { apply(execution_.cancel(wall_clock_now())); },
      [this](msg::GetJob) { return view(); },
      [this](msg::AwaitEnd) -> caf::result<msg::Ended> {
        if (is_terminal(execution_.state())) return msg::Ended{};
        auto promise = make_response_promise<msg::Ended>();
        waiting_for_end_.push_back(promise);
        return promise;
      },
      [this](const msg::AskOperator& m) { return ask_operator(m); },
      [](const msg::Answer&) {},  // too late to be of interest: its request has timed out
  };
}

void JobSupervisor::on_exit() {
  job_manager_ = nullptr;
  subtasks_.clear();
  slots_.clear();
  task_managers_.clear();
  if (worker_) anon_send_exit(worker_, caf::exit_reason::user_shutdown);
  worker_ = nullptr;
  guards_.clear();
}

std::size_t JobSupervisor::index(SubtaskId id) const {
  return static_cast<std::size_t>(std::lower_bound(subtask_ids_.begin(), subtask_ids_.end(), id) -
                                  subtask_ids_.begin());
}

void JobSupervisor::apply(const Effects& effects) {
  for (const Effect& effect : effects) {
    std::visit([this](const auto& e) { carry_out(e); }, effect);
  }
}

void JobSupervisor::start() {
  delayed_send(this, report_interval, msg::CollectReports{});
  const Effects effects = execution_.start(wall_clock_now());
  if (graph_->stream->settings.checkpoint) {
    auto opened = JobCheckpoints::open(graph_, job_id_, start_from_);
    if (!opened) {
      return apply(
          execution_.on_region_failed(execution_.current(0), opened.error().within("checkpoints"), wall_clock_now()));
    }
    checkpoints_ = std::move(*opened);
    worker_ = spawn<BlockingWorker, caf::detached>();
  }
  // What a job that goes on from a checkpoint finds in the outside world is its own.
  const bool goes_on = checkpoints_ && checkpoints_->resumed_from() != 0;
  for (const StreamNode& node : graph_->stream->nodes) {
    if (node.is_source()) continue;
    auto guard =
        node.factory->before_job({.id = sink_job_id(), .resumable = checkpoints_ != nullptr, .goes_on = goes_on});
    if (!guard) {
      const RegionAttempt of = execution_.current(execution_.region_of(graph_->vertex_of_node[node.id]));
      return apply(execution_.on_region_failed(of, guard.error().within("\"" + node.name + "\""), wall_clock_now()));
    }
    if (*guard) guards_.push_back(std::move(*guard));
  }
  apply(effects);
}

const std::string& JobSupervisor::sink_job_id() const {
  return checkpoints_ ? checkpoints_->job_id() : job_id_;
}

Status JobSupervisor::prepare_attempt(RegionAttempt of) {
  RestoredCheckpointPtr restored;
  if (checkpoints_) {
    auto point = checkpoints_->restore_point();
    if (!point) return fail(point.error());
    restored = std::move(*point);
    restore_folders_[of.region] = restored ? checkpoints_->coordinator().latest()->folder : std::string{};
  }
  for (const JobVertex& vertex : graph_->vertices) {
    if (execution_.region_of(vertex.id) != of.region) continue;
    for (const NodeId id : vertex.chain) {
      const StreamNode& node = graph_->node(id);
      if (node.is_source()) continue;
      const auto state = restored ? restored->reader_of_all(node.state_id()) : nullptr;
      if (auto status = node.factory->before_attempt(sink_job_id(), of.attempt, state.get()); !status) {
        return fail(status.error().within("\"" + node.name + "\""));
      }
    }
    const StreamNode& head = graph_->node(vertex.chain.front());
    if (!head.is_source()) continue;
    auto enumerator = head.source->factory->create_enumerator();
    if (auto status = enumerator->open(vertex.parallelism); !status) {
      return fail(status.error().within("\"" + head.name + "\""));
    }
    if (const auto saved = restored ? restored->enumerator(head.state_id()) : std::nullopt) {
      if (auto status = enumerator->restore(*saved); !status) {
        return fail(status.error().within("going on from a checkpoint").within("\"" + head.name + "\""));
      }
    }
    enumerators_.insert_or_assign(vertex.id, std::move(enumerator));
  }
  return {};
}

void JobSupervisor::carry_out(const AcquireSlots& effect) {
  if (checkpoints_ && checkpoints_->coordinator().in_doubt()) {
    postponed_.push_back(effect);
    return;
  }
  for (const SubtaskId id : execution_.subtasks(effect.of.region)) subtasks_[index(id)] = nullptr;
  slots_[effect.of.region].clear();
  if (auto status = prepare_attempt(effect.of); !status) {
    return apply(execution_.on_region_failed(effect.of, status.error(), wall_clock_now()));
  }
  waiting_for_slots_.push_back(effect.of);
  if (!task_managers_.empty()) return take_slots({task_managers_});
  if (waiting_for_slots_.size() == 1) send(job_manager_, msg::RequestSlots{job_id_, graph_->slots_needed()});
}

void JobSupervisor::take_slots(const msg::SlotsGranted& granted) {
  task_managers_ = granted.task_managers;
  const std::vector<NodeInstance> nodes(task_managers_.size(), NodeInstance{this_process, 1});
  for (const RegionAttempt of : std::exchange(waiting_for_slots_, {})) {
    apply(execution_.on_slots(of, nodes, wall_clock_now()));
  }
}

void JobSupervisor::take_refusal(const msg::SlotsRefused& refused) {
  for (const RegionAttempt of : std::exchange(waiting_for_slots_, {})) {
    apply(execution_.on_region_failed(of, Error{ErrorCode::invalid_argument, refused.reason}, wall_clock_now()));
  }
}

void JobSupervisor::carry_out(const DeployTasks& effect) {
  std::map<std::uint32_t, std::vector<SubtaskId>> by_slot;
  for (const SubtaskId id : execution_.subtasks(effect.of.region)) by_slot[id.subtask].push_back(id);
  for (auto& [slot, subtasks] : by_slot) {
    send(task_managers_[slot],
         msg::DeploySlot{caf::actor_cast<caf::actor>(this), graph_, sink_job_id(),
                         checkpoints_ ? checkpoints_->attempt_base() : 0, effect.of, slot, std::move(subtasks)});
  }
}

void JobSupervisor::take_deployed(const msg::SlotDeployed& deployed) {
  if (deployed.of != execution_.current(deployed.of.region)) {
    send(deployed.slot, msg::CancelSlot{});
    return;
  }
  slots_[deployed.of.region].push_back(deployed.slot);
  for (const msg::DeployedSubtask& subtask : deployed.subtasks) subtasks_[index(subtask.id)] = subtask.actor;
  for (const msg::DeployedSubtask& subtask : deployed.subtasks) {
    apply(execution_.on_deployed(deployed.of.attempt, subtask.id, wall_clock_now()));
  }
}

/// Its subtasks were linked to it and are gone too.
void JobSupervisor::take_slot_lost(const msg::SlotLost& lost) {
  const Error error{ErrorCode::internal, "slot " + std::to_string(lost.slot) + " was lost: " + lost.reason};
  apply(execution_.on_slot_lost(lost.of, lost.slot, error, wall_clock_now()));
}

void JobSupervisor::carry_out(const OpenTasks& effect) {
  const std::vector<SubtaskId> ids = execution_.subtasks(effect.of.region);
  std::map<ChannelId, msg::Peer> receiving;
  std::map<ChannelId, msg::Peer> sending;
  for (const SubtaskId id : ids) {
    const caf::actor& subtask = subtasks_[index(id)];
    const auto inputs = input_channels(*graph_, id.vertex, id.subtask);
    for (std::size_t c = 0; c < inputs.size(); ++c) receiving[inputs[c]] = {subtask, c};
    const auto outputs = output_channels(*graph_, id.vertex, id.subtask);
    for (std::size_t c = 0; c < outputs.size(); ++c) sending[outputs[c]] = {subtask, c};
  }
  for (const SubtaskId id : ids) {
    msg::Open open;
    if (checkpoints_) {
      open.checkpoints = msg::CheckpointPlace{graph_->stream->settings.checkpoint->storage, checkpoints_->lineage(),
                                              checkpoints_->coordinator().epoch(), restore_folders_[effect.of.region]};
    }
    for (const ChannelId& c : output_channels(*graph_, id.vertex, id.subtask))
      open.receivers.push_back(receiving.at(c));
    for (const ChannelId& c : input_channels(*graph_, id.vertex, id.subtask)) open.senders.push_back(sending.at(c));
    send(subtasks_[index(id)], std::move(open));
  }
}

template <class Message>
void JobSupervisor::send_to_region(RegionAttempt of, const Message& message) {
  for (const SubtaskId id : execution_.subtasks(of.region)) {
    if (const caf::actor& subtask = subtasks_[index(id)]) send(subtask, message);
  }
}

void JobSupervisor::carry_out(const StartTasks& effect) {
  send_to_region(effect.of, msg::Start{});
  if (checkpoints_ && execution_.all_running()) {
    apply_checkpoint(checkpoints_->coordinator().on_running(wall_clock_now()));
  }
}

void JobSupervisor::carry_out(const TakeLastCheckpoint&) {
  apply_checkpoint(checkpoints_->coordinator().on_all_drained(wall_clock_now()));
}

void JobSupervisor::carry_out(const CommitTasks& effect) {
  for (std::uint32_t region = 0; region < execution_.region_count(); ++region) {
    send_to_region(execution_.current(region), msg::Commit{effect.epoch});
  }
}

void JobSupervisor::carry_out(const CancelTasks& effect) {
  if (checkpoints_) apply_checkpoint(checkpoints_->coordinator().on_attempt_over(wall_clock_now()));
  for (const caf::actor& slot : slots_[effect.of.region]) send(slot, msg::CancelSlot{});
}

/// Threads cannot be ended from outside: what does not answer in this process stays until the process ends.
void JobSupervisor::carry_out(const AbandonTasks& effect) {
  for (const SubtaskId id : effect.subtasks) subtasks_[index(id)] = nullptr;
}

void JobSupervisor::carry_out(const StopSources& effect) {
  send_to_region(effect.of, msg::Stop{effect.how});
}

void JobSupervisor::carry_out(const ScheduleRestart& effect) {
  delayed_send(this, effect.delay, msg::RestartDue{effect.of});
}

/// Not by a delayed message, which would keep an actor that has ended in memory until it is due.
void JobSupervisor::carry_out(const ScheduleDeadline& effect) {
  deadlines_.push_back({std::chrono::steady_clock::now() + effect.after, effect.deadline});
}

void JobSupervisor::fire_deadlines() {
  const auto now = std::chrono::steady_clock::now();
  const auto first_due =
      std::partition(deadlines_.begin(), deadlines_.end(), [&](const Pending& p) { return p.due > now; });
  const std::vector<Pending> due(first_due, deadlines_.end());
  deadlines_.erase(first_due, deadlines_.end());
  for (const Pending& p : due) apply(execution_.on_deadline(p.deadline, wall_clock_now()));
}

void JobSupervisor::carry_out(const EndJob& effect) {
  for (const auto& guard : guards_) guard->job_ended();
  guards_.clear();
  send(job_manager_, msg::JobEnded{job_id_, effect.state});
  for (caf::response_promise& promise : waiting_for_end_) promise.deliver(msg::Ended{});
  waiting_for_end_.clear();
}

void JobSupervisor::take_report(const msg::SubtaskReport& report) {
  if (!execution_.is_current(report.attempt, report.id)) return;
  msg::SubtaskReport& last = reports_[index(report.id)];
  const bool same_attempt = last.attempt == report.attempt;
  recent_[index(report.id)] = report.time_use.since(same_attempt ? last.time_use : TimeTotals{});
  last = report;
}

void JobSupervisor::answer_split_request(const msg::RequestSplit& request) {
  if (!execution_.is_current(request.attempt, request.id) || !subtasks_[index(request.id)]) return;
  const Timestamp now = wall_clock_now();
  auto next = enumerators_.at(request.id.vertex)->next(request.id.subtask, now);
  if (!next) {
    const StreamNode& source = graph_->node(graph_->vertices[request.id.vertex].chain.front());
    const RegionAttempt of = execution_.current(execution_.region_of(request.id.vertex));
    return apply(execution_.on_region_failed(of, next.error().within("\"" + source.name + "\""), now));
  }
  const caf::actor& subtask = subtasks_[index(request.id)];
  switch (next->kind) {
    case SplitEnumerator::Next::Kind::split: send(subtask, msg::AssignSplit{std::move(next->split)}); return;
    case SplitEnumerator::Next::Kind::done: send(subtask, msg::NoMoreSplits{}); return;
    case SplitEnumerator::Next::Kind::wait:
      if (waiting_for_splits_.empty()) delayed_send(this, std::max(Duration{0}, next->until - now), msg::RetrySplits{});
      waiting_for_splits_.push_back(request);
  }
}

void JobSupervisor::retry_split_requests() {
  const auto waiting = std::exchange(waiting_for_splits_, {});
  for (const msg::RequestSplit& request : waiting) answer_split_request(request);
}

msg::JobViewPtr JobSupervisor::view() const {
  auto view = std::make_shared<msg::JobView>();
  view->state = execution_.state();
  view->restarts = execution_.restarts();
  view->error = execution_.error();
  view->failures = execution_.failures();
  for (const SubtaskId id : subtask_ids_) view->executions.push_back(execution_.execution(id));
  view->reports = reports_;
  view->recent = recent_;
  if (checkpoints_) {
    const CheckpointCoordinator& coordinator = checkpoints_->coordinator();
    view->checkpoints = {coordinator.completed_count(),
                         coordinator.failed_count(),
                         checkpoints_->resumed_from(),
                         {coordinator.history().begin(), coordinator.history().end()}};
  }
  return view;
}

// ---- Checkpoints ----------------------------------------------------------------------------------------------------

void JobSupervisor::apply_checkpoint(const std::vector<CheckpointEffect>& effects) {
  for (const CheckpointEffect& effect : effects) {
    std::visit([this](const auto& e) { carry_out(e); }, effect);
  }
  schedule_checkpoint_time();
}

void JobSupervisor::schedule_checkpoint_time() {
  const auto next = checkpoints_->coordinator().next_time();
  if (!next || is_terminal(execution_.state()) || (checkpoint_wake_ && *checkpoint_wake_ <= *next)) return;
  // What is far off is looked at again by CollectReports: a delayed message keeps its actor in memory until it is due.
  if (*next - wall_clock_now() > report_interval) return;
  checkpoint_wake_ = *next;
  delayed_send(this, std::max(Duration{0}, *next - wall_clock_now()), msg::CheckpointTime{});
}

/// Enumerators and triggers in one go: what an enumerator hands out afterwards reaches a reader after its trigger.
void JobSupervisor::carry_out(const BeginCheckpoint& effect) {
  std::map<std::string, std::string> snapshots;
  std::optional<Error> failed;
  for (const auto& [vertex, enumerator] : enumerators_) {
    const StreamNode& source = graph_->node(graph_->vertices[vertex].chain.front());
    auto snapshot = enumerator->snapshot();
    if (!snapshot) {
      failed = snapshot.error().within("\"" + source.name + "\"");
    } else {
      snapshots.emplace(source.state_id(), std::move(*snapshot));
    }
  }
  for (std::size_t i = 0; i < subtask_ids_.size(); ++i) {
    if (subtasks_[i] && enumerators_.contains(subtask_ids_[i].vertex)) {
      send(subtasks_[i], msg::TriggerCheckpoint{effect.barrier});
    }
  }
  Result<std::map<std::string, std::string>> all = std::move(snapshots);
  if (failed) all = fail(*failed);
  apply_checkpoint(
      checkpoints_->coordinator().on_enumerators(effect.barrier.checkpoint_id, std::move(all), wall_clock_now()));
}

void JobSupervisor::take_acknowledgement(const msg::Acknowledge& m) {
  if (!checkpoints_ || !execution_.is_current(m.attempt, m.id)) return;
  CheckpointCoordinator& coordinator = checkpoints_->coordinator();
  auto state = decode_task_state(m.state);
  apply_checkpoint(state ? coordinator.on_acknowledged(m.checkpoint, m.id.vertex, m.id.subtask, std::move(*state),
                                                       m.alignment, wall_clock_now())
                         : coordinator.on_declined(m.checkpoint, state.error(), wall_clock_now()));
}

void JobSupervisor::carry_out(const WriteMetadata& effect) {
  auto write = [self = caf::actor_cast<caf::actor>(this), storage = checkpoints_->storage(), effect] {
    const auto put = storage->put(effect.key, effect.bytes);
    caf::anon_send(self, msg::MetadataWritten{effect.id, put ? Status{} : fail(put.error())});
  };
  anon_send(worker_, msg::BlockingWork{std::move(write)});
}

void JobSupervisor::carry_out(const AdvanceLatest& effect) {
  auto advance = [self = caf::actor_cast<caf::actor>(this), storage = checkpoints_->storage(),
                  lineage = checkpoints_->lineage(), effect] {
    CompletedCheckpoint checkpoint = effect.checkpoint;
    auto advanced = advance_latest(*storage, lineage, checkpoint);
    caf::anon_send(self, msg::LatestAdvanced{std::move(checkpoint), std::move(advanced)});
  };
  anon_send(worker_, msg::BlockingWork{std::move(advance)});
}

void JobSupervisor::take_advanced(const msg::LatestAdvanced& m) {
  apply_checkpoint(checkpoints_->coordinator().on_advanced(m.checkpoint, m.advanced, wall_clock_now()));
  for (const AcquireSlots& effect : std::exchange(postponed_, {})) {
    if (execution_.current(effect.of.region) == effect.of) carry_out(effect);
  }
}

void JobSupervisor::carry_out(const CompleteCheckpoint& effect) {
  if (effect.last) return apply(execution_.on_last_checkpoint(effect.id));
  for (const caf::actor& subtask : subtasks_) {
    if (subtask) send(subtask, msg::CheckpointCompleted{effect.id});
  }
}

void JobSupervisor::carry_out(const AbortCheckpoint& effect) {
  for (const caf::actor& subtask : subtasks_) {
    if (subtask) send(subtask, msg::CheckpointAborted{effect.id});
  }
}

void JobSupervisor::carry_out(const RemoveCheckpoint& effect) {
  auto remove = [storage = checkpoints_->storage(), lineage = checkpoints_->lineage(), effect] {
    // What cannot be removed takes room and does no other harm: it is completed, or no entry names it.
    static_cast<void>(remove_checkpoint(*storage, effect.checkpoint, lineage));
  };
  anon_send(worker_, msg::BlockingWork{std::move(remove)});
}

void JobSupervisor::carry_out(const FailForCheckpoints& effect) {
  apply(execution_.on_region_failed(execution_.current(0), effect.error, wall_clock_now()));
}

/// Asks every subtask of the node, or the one that owns the key. The answer to a message is a JSON array of what they
/// say, to a question about a key what its owner says; the first error is the answer.
caf::result<msg::Answer> JobSupervisor::ask_operator(const msg::AskOperator& question) {
  const StreamNode* node = graph_->stream->find(question.node);
  if (node == nullptr) {
    return msg::Answer{fail(ErrorCode::not_found, "the job has no operator \"" + question.node + "\"")};
  }
  struct Gathering {
    std::vector<std::string> answers;
    std::size_t missing = 0;
    bool done = false;
  };
  std::optional<std::uint32_t> only;
  if (!question.key_json.empty()) {
    const auto owner = subtask_of_key(*graph_, node->id, question.key_json);
    if (!owner) return msg::Answer{fail(owner.error())};
    only = *owner;
  }
  msg::OperatorMessage message = question.message;
  message.node = node->id;
  std::vector<caf::actor> asked;
  for (std::size_t i = 0; i < subtask_ids_.size(); ++i) {
    const bool meant =
        subtask_ids_[i].vertex == graph_->vertex_of_node[node->id] && (!only || subtask_ids_[i].subtask == *only);
    if (meant && subtasks_[i]) asked.push_back(subtasks_[i]);
  }
  if (asked.empty())
    return msg::Answer{fail(ErrorCode::not_found, "\"" + node->name + "\" is not running at the moment")};
  auto gathering = std::make_shared<Gathering>();
  gathering->missing = asked.size();
  gathering->answers.resize(asked.size());
  auto promise = make_response_promise<msg::Answer>();
  const std::string name = node->name;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    request(asked[i], answer_deadline, message)
        .then(
            [gathering, promise, i, bare = only && message.is_query](const msg::Answer& answer) mutable {
              if (gathering->done) return;
              if (!answer.json) {
                gathering->done = true;
                promise.deliver(answer);
                return;
              }
              gathering->answers[i] = *answer.json;
              if (--gathering->missing != 0) return;
              gathering->done = true;
              if (bare) {
                promise.deliver(answer);
                return;
              }
              std::string all = "[";
              for (const std::string& one : gathering->answers) all += (all.size() > 1 ? "," : "") + one;
              promise.deliver(msg::Answer{all + "]"});
            },
            [gathering, promise, name](const caf::error&) mutable {
              if (gathering->done) return;
              gathering->done = true;
              promise.deliver(msg::Answer{fail(ErrorCode::io, "\"" + name + "\" did not answer in time")});
            });
  }
  return promise;
}

}  // namespace dataflow

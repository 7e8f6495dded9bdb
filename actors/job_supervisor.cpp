#include "actors/job_supervisor.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>

#include "actors/blocking_worker.hpp"
#include "actors/clock.hpp"

namespace dataflow {

namespace {

/// When a connection is lost, the process's TaskManager is given so long to say what became of it. It says so within
/// milliseconds, on a busy machine within a few hundred; when it is dead too, its own connection says so.
constexpr auto obituary_wait = std::chrono::milliseconds{400};
/// How long a job that has ended waits for what is still to be removed from its storage.
constexpr std::chrono::seconds storage_wait{5};
/// A job that has ended waits for its savepoints, but not for ever.
constexpr std::chrono::milliseconds export_look_interval{20};
constexpr std::uint32_t export_looks = 30'000;

}  // namespace

JobSupervisor::JobSupervisor(caf::actor_config& config, caf::actor home, std::string job_id, JobGraphPtr graph,
                             SupervisionSettings settings)
    : caf::event_based_actor{config},
      home_{std::move(home)},
      job_id_{std::move(job_id)},
      graph_{std::move(graph)},
      settings_{std::move(settings)},
      messages_{[this](const std::string& uid, const std::string& key, std::uint32_t parallelism) {
        return owner_of_key(uid, key, parallelism);
      }},
      execution_{graph_, settings_.deadlines},
      sources_{graph_},
      subtask_ids_{execution_.subtasks()},
      reports_(subtask_ids_.size()),
      recent_(subtask_ids_.size()),
      reported_(subtask_ids_.size()),
      worker_of_slot_(graph_->slots_needed()) {
  for (std::size_t i = 0; i < reports_.size(); ++i) reports_[i].id = subtask_ids_[i];
}

caf::behavior JobSupervisor::make_behavior() {
  set_down_handler([this](const caf::down_msg& down) {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (workers_[i].actor.address() != down.source || workers_[i].lost) continue;
      delayed_send(this, obituary_wait, msg::WorkerDownDue{i, to_string(down.reason)});
    }
  });
  start();
  return worker_messages().or_else(home_messages()).or_else(checkpoint_messages()).or_else(own_messages());
}

caf::message_handler JobSupervisor::worker_messages() {
  return {
      [this](const msg::OfferSlots& m) { take_offer(m); },
      [this](const msg::SlotDeployed& m) { take_deployed(m); },
      [this](const msg::Opened& m) { apply(execution_.on_opened(m.attempt, m.id, wall_clock_now())); },
      [this](const msg::Prepared& m) {
        take_report(m.report);
        apply(execution_.on_prepared(m.report.attempt, m.report.id, wall_clock_now()));
      },
      [this](const msg::Finished& m) { apply(execution_.on_finished(m.attempt, m.id, wall_clock_now())); },
      [this](const msg::SubtaskFailed& m) {
        apply(execution_.on_failed(m.attempt, m.id, m.failure.error(), wall_clock_now()));
      },
      [this](const msg::SubtaskGone& m) { apply(execution_.on_gone(m.attempt, m.id, wall_clock_now())); },
      [this](const msg::SlotLost& m) {
        const Error error{ErrorCode::internal, "slot " + std::to_string(m.slot) + " was lost: " + m.reason};
        apply(execution_.on_slot_lost(m.of, m.slot, error, wall_clock_now()));
      },
      [this](const msg::RequestSplit& m) { answer_split_request(m); },
      [this](const msg::Reports& m) {
        heard_from_sender();
        for (const msg::SubtaskReport& report : m.subtasks) take_report(report);
      },
      [this](const msg::PeerUnreachable& m) {
        // Its worker is dead, most likely, and somebody is about to say why.
        delayed_send(this, 2 * obituary_wait, msg::PeerDownDue{m.of, m.reason});
      },
      [this](const msg::PrintOutput& m) { return delegate(home_, m); },
      [this](const msg::OperatorAnswered& m) { take_answer(m); },
  };
}

caf::message_handler JobSupervisor::home_messages() {
  return {
      [this](const msg::SlotsGranted& m) {
        if (m.round != round_) return;
        waits_for_.clear();
        if (settings_.worker_timeout) delayed_send(this, settings_.offer_deadline, msg::OffersDue{m.round});
      },
      [this](const msg::SlotsAwaited& m) {
        if (m.round != round_ || m.reason == waits_for_) return;
        waits_for_ = m.reason;
        if (settings_.worker_timeout && !m.reason.empty())
          spdlog::warn("job {} waits for slots: {}", job_id_, m.reason);
      },
      [this](const msg::SlotsRefused& m) {
        if (m.round != round_) return;
        const Error error{ErrorCode::unavailable, m.reason};
        for (const RegionAttempt of : std::exchange(waiting_for_slots_, {})) {
          apply(execution_.on_slots_refused(of, error, wall_clock_now()));
        }
      },
      [this](const msg::WorkerLost& m) { take_worker_lost(m); },
      [this](const msg::StopJob& m) { apply(execution_.stop(m.how, wall_clock_now())); },
      [this](msg::CancelJob) { apply(execution_.cancel(wall_clock_now())); },
      [this](const msg::TakeSavepoint& m) { return take_savepoint(m); },
      [this](msg::GetJob) { return view(); },
      [this](msg::AwaitEnd) -> caf::result<msg::Ended> {
        if (end_told_) return msg::Ended{};
        auto promise = make_response_promise<msg::Ended>();
        waiting_for_end_.push_back(promise);
        return promise;
      },
      [this](const msg::AskOperator& m) { return ask_operator(m); },
  };
}

caf::message_handler JobSupervisor::checkpoint_messages() {
  return {
      [this](const msg::Acknowledge& m) { take_acknowledgement(m); },
      [this](const msg::Decline& m) {
        if (!checkpoints_ || !execution_.is_current(m.attempt, m.id)) return;
        apply_checkpoint(checkpoints_->coordinator().on_declined(m.checkpoint, m.failure.error(), wall_clock_now()));
      },
      [this](const msg::MetadataWritten& m) {
        apply_checkpoint(checkpoints_->coordinator().on_metadata_written(m.id, m.status, wall_clock_now()));
      },
      [this](const msg::LatestAdvanced& m) { take_advanced(m); },
      [this](const msg::MessageStored& m) { take_stored(m); },
      [this](const msg::SavepointPrepared& m) { take_prepared(m); },
      [this](const msg::SavepointExported& m) {
        apply_checkpoint(checkpoints_->coordinator().on_exported(m.request, m.location));
      },
      [this](const msg::LookAtExports& m) {
        if (!checkpoints_->coordinator().exporting() || m.looks_left == 0) return settle_storage(m.state);
        delayed_send(this, export_look_interval, msg::LookAtExports{m.state, m.looks_left - 1});
      },
      [this](const msg::StorageSettled& m) { tell_end(m.state); },
      [this](msg::CheckpointTime) {
        checkpoint_wake_.reset();
        apply_checkpoint(checkpoints_->coordinator().on_time(wall_clock_now()));
      },
  };
}

caf::message_handler JobSupervisor::own_messages() {
  return {
      [this](const msg::RestartDue& m) { apply(execution_.on_restart_due(m.of, wall_clock_now())); },
      [this](msg::RetrySplits) { retry_split_requests(); },
      [this](msg::CollectReports) { collect_reports(); },
      [this](const msg::OffersDue& m) {
        if (m.round != round_ || waiting_for_slots_.empty()) return;
        fail_waiting(Error{ErrorCode::unavailable, "not all workers came up in time"});
      },
      [this](const msg::CommitDue& m) { ask_to_commit(m); },
      [this](const msg::WorkerDownDue& m) {
        lose_worker(m.worker, Error{ErrorCode::unavailable, "the connection to it was lost: " + m.reason});
      },
      [this](const msg::PeerDownDue& m) {
        apply(execution_.on_region_failed(m.of, Error{ErrorCode::unavailable, m.reason}, wall_clock_now()));
      },
  };
}

void JobSupervisor::on_exit() {
  home_ = nullptr;
  workers_.clear();
  slots_.clear();
  calls_.clear();
  for (caf::actor* const blocking : {&worker_, &exporter_}) {
    if (*blocking) anon_send_exit(*blocking, caf::exit_reason::user_shutdown);
    *blocking = nullptr;
  }
  wanted_savepoints_.clear();
  unsent_.clear();
  guards_.clear();
}

std::size_t JobSupervisor::index(SubtaskId id) const {
  return static_cast<std::size_t>(std::lower_bound(subtask_ids_.begin(), subtask_ids_.end(), id) -
                                  subtask_ids_.begin());
}

JobSupervisor::WorkerState* JobSupervisor::worker_of(SubtaskId id) {
  const auto& worker = worker_of_slot_[id.subtask];
  return worker ? &workers_[*worker] : nullptr;
}

std::uint32_t JobSupervisor::width(std::uint32_t region) const {
  std::uint32_t widest = 0;
  for (const JobVertex& vertex : graph_->vertices) {
    if (execution_.region_of(vertex.id) == region) widest = std::max(widest, vertex.parallelism);
  }
  return widest;
}

NodeInstance JobSupervisor::instance(std::size_t worker) const {
  return {workers_[worker].offer.node, worker + 1};
}

void JobSupervisor::apply(const Effects& effects) {
  for (const Effect& effect : effects) {
    std::visit([this](const auto& e) { carry_out(e); }, effect);
  }
  log_news(execution_.state());
  if (execution_.state() == told_state_ || is_terminal(execution_.state())) return;
  told_state_ = execution_.state();
  send(home_, msg::JobStateChanged{told_state_});
}

void JobSupervisor::log_news(JobState state) {
  if (!settings_.worker_timeout) return;
  for (const FailureRecord& failure : execution_.failures()) {
    if (failure.at <= logged_failure_) continue;
    const std::string reason = settings_.secrets.redact(failure.message);
    spdlog::warn("job {} attempt {} failed: {}", job_id_, failure.of.attempt, reason.substr(0, reason.find('\n')));
  }
  if (!execution_.failures().empty()) logged_failure_ = execution_.failures().back().at;
  if (std::exchange(logged_state_, state) != state) spdlog::info("job {} is {}", job_id_, to_string(state));
}

void JobSupervisor::start() {
  delayed_send(this, report_interval, msg::CollectReports{});
  const Effects effects = execution_.start(wall_clock_now());
  if (graph_->stream->settings.checkpoint) {
    auto opened = JobCheckpoints::open(graph_, job_id_, settings_.start_from);
    if (!opened) {
      return apply(
          execution_.on_region_failed(execution_.current(0), opened.error().within("checkpoints"), wall_clock_now()));
    }
    checkpoints_ = std::move(*opened);
    worker_ = spawn<BlockingWorker, caf::detached>();
    if (const Status loaded = load_messages(); !loaded) {
      return apply(
          execution_.on_region_failed(execution_.current(0), loaded.error().within("checkpoints"), wall_clock_now()));
    }
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

void JobSupervisor::carry_out(const CancelTasks& effect) {
  end_checkpoints_of_attempt();
  for (const auto& [place, slot] : slots_) {
    if (slot.of == effect.of) send(slot.group, msg::CancelSubtask{});
  }
  // Also for those who have not said yet that they exist, or under which name.
  tell_region(effect.of, msg::CancelAttempt{effect.of});
}

void JobSupervisor::carry_out(const StopSources& effect) {
  tell_region(effect.of, msg::StopSubtasks{effect.of, effect.how.drain});
}

void JobSupervisor::carry_out(const ScheduleRestart& effect) {
  // When all subtasks of a region were lost at once there was nothing to cancel.
  end_checkpoints_of_attempt();
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
  if (!worker_) return tell_end(effect.state);
  end_checkpoints_of_attempt();
  checkpoints_->coordinator().on_job_over();
  send(this, msg::LookAtExports{effect.state, export_looks});
}

void JobSupervisor::settle_storage(JobState state) {
  // Who hears of the end may look into the storage: what is to be removed has been, or does not let itself be removed.
  auto settled = [self = caf::actor_cast<caf::actor>(this), state] {
    caf::anon_send(self, msg::StorageSettled{state});
  };
  anon_send(worker_, msg::BlockingWork{std::move(settled)});
  delayed_send(this, storage_wait, msg::StorageSettled{state});
}

void JobSupervisor::tell_end(JobState state) {
  if (std::exchange(end_told_, true)) return;
  give_up_calls(Error{ErrorCode::unavailable, "the job has ended"});
  send(home_, msg::JobEnded{state, execution_.error()});
  for (caf::response_promise& promise : waiting_for_end_) promise.deliver(msg::Ended{});
  waiting_for_end_.clear();
}

}  // namespace dataflow

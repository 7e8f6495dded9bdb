// What the JobSupervisor hears of its running subtasks, and what they regularly need: reports, signs of life, splits.

#include "actors/job_supervisor.hpp"

#include <algorithm>
#include <string>

#include <caf/all.hpp>

#include "actors/clock.hpp"

namespace dataflow {

void JobSupervisor::take_report(const msg::SubtaskReport& report) {
  if (!execution_.is_current(report.attempt, report.id)) return;
  msg::SubtaskReport& last = reports_[index(report.id)];
  const bool same_attempt = last.attempt == report.attempt;
  if (same_attempt && report.number <= last.number) return;
  recent_[index(report.id)] = report.time_use.since(same_attempt ? last.time_use : TimeTotals{});
  reported_[index(report.id)] = wall_clock_now();
  last = report;
}

/// A subtask reports between two steps: one that has long been asked in vain is busy with a step that does not end.
TimeTotals JobSupervisor::recent(std::size_t subtask) const {
  const Execution& execution = execution_.execution(subtask_ids_[subtask]);
  const auto running = execution.since[static_cast<std::size_t>(ExecutionState::running)];
  const bool is_in_it = execution.state == ExecutionState::running || execution.state == ExecutionState::canceling;
  if (!is_in_it || !running) return recent_[subtask];
  const Duration unheard = wall_clock_now() - std::max(reported_[subtask], *running);
  return unheard < 5 * report_interval ? recent_[subtask] : TimeTotals{.busy = unheard};
}

void JobSupervisor::heard_from_sender() {
  const auto from = caf::actor_cast<caf::actor_addr>(current_sender());
  for (WorkerState& worker : workers_) {
    if (worker.actor.address() == from) worker.heard = std::chrono::steady_clock::now();
  }
}

void JobSupervisor::collect_reports() {
  fire_deadlines();
  give_up_calls({});
  if (checkpoints_) schedule_checkpoint_time();
  if (is_terminal(execution_.state())) return;
  delayed_send(this, report_interval, msg::CollectReports{});
  const auto now = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].lost) continue;
    send(workers_[i].actor, msg::RequestReports{});
    if (!settings_.worker_timeout || now - workers_[i].heard < *settings_.worker_timeout) continue;
    lose_worker(i, Error{ErrorCode::unavailable,
                         "it was silent for " +
                             std::to_string(*settings_.worker_timeout / std::chrono::milliseconds{1}) + " ms"});
  }
}

void JobSupervisor::answer_split_request(const msg::RequestSplit& request) {
  WorkerState* const worker = worker_of(request.id);
  if (!execution_.is_current(request.attempt, request.id) || worker == nullptr) return;
  const Timestamp now = wall_clock_now();
  auto next = sources_.next(request.id, now);
  if (!next) {
    const RegionAttempt of = execution_.current(execution_.region_of(request.id.vertex));
    return apply(execution_.on_region_failed(of, next.error(), now));
  }
  switch (next->kind) {
    case SplitEnumerator::Next::Kind::split:
      return send(worker->actor, msg::AssignSplit{request.attempt, request.id, std::move(next->split)});
    case SplitEnumerator::Next::Kind::done: return send(worker->actor, msg::NoMoreSplits{request.attempt, request.id});
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
  view->started = execution_.started_at();
  view->ended = execution_.ended_at();
  view->waits_for = waits_for_;
  view->error = execution_.error();
  view->failures = execution_.failures();
  for (std::size_t i = 0; i < subtask_ids_.size(); ++i) {
    view->subtasks.push_back({subtask_ids_[i], execution_.execution(subtask_ids_[i]), reports_[i], recent(i)});
  }
  if (checkpoints_) {
    const CheckpointCoordinator& coordinator = checkpoints_->coordinator();
    view->checkpoints = {coordinator.completed_count(),
                         coordinator.failed_count(),
                         checkpoints_->resumed_from(),
                         {coordinator.history().begin(), coordinator.history().end()},
                         {coordinator.savepoints().begin(), coordinator.savepoints().end()}};
  }
  return view;
}

}  // namespace dataflow

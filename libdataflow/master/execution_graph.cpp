#include "libdataflow/master/execution_graph.hpp"

#include <algorithm>
#include <cassert>

#include "libdataflow/master/failover_region.hpp"

namespace dataflow {

namespace {

/// Behind the reason, and not behind the backtrace that may follow it.
std::string with_note(std::string message, const std::string& note) {
  message.insert(std::min(message.find("\n  #0 "), message.size()), " (" + note + ")");
  return message;
}

}  // namespace

ExecutionGraph::ExecutionGraph(JobGraphPtr graph, ExecutionDeadlines deadlines)
    : graph_{std::move(graph)},
      deadlines_{deadlines},
      region_of_vertex_{failover_regions(*graph_)},
      strategy_{graph_->stream->settings.restart},
      history_{graph_->stream->bounded()} {
  for (const JobVertex& vertex : graph_->vertices) {
    first_of_vertex_.push_back(ids_.size());
    const std::uint32_t region = region_of_vertex_[vertex.id];
    if (region == regions_.size()) regions_.emplace_back();
    for (std::uint32_t subtask = 0; subtask < vertex.parallelism; ++subtask) {
      regions_[region].executions.push_back(ids_.size());
      ids_.push_back({vertex.id, subtask});
    }
  }
  executions_.resize(ids_.size());
  for (std::size_t i = 0; i < ids_.size(); ++i) executions_[i].of = {region_of(ids_[i]), 0};
}

// ---- What there is --------------------------------------------------------------------------------------------------

JobState ExecutionGraph::state() const {
  const bool between = std::any_of(regions_.begin(), regions_.end(), [](const Region& r) {
    return r.phase == Phase::clearing || r.phase == Phase::waiting;
  });
  return state_ == JobState::running && between ? JobState::restarting : state_;
}

std::vector<SubtaskId> ExecutionGraph::subtasks() const {
  return ids_;
}

std::vector<SubtaskId> ExecutionGraph::subtasks(std::uint32_t region) const {
  std::vector<SubtaskId> ids;
  for (const std::size_t i : regions_[region].executions) ids.push_back(ids_[i]);
  return ids;
}

bool ExecutionGraph::is_current(RegionAttempt of) const {
  return of.region < regions_.size() && regions_[of.region].attempt == of.attempt;
}

bool ExecutionGraph::is_current(std::uint32_t attempt, SubtaskId id) const {
  return id.vertex < graph_->vertices.size() && id.subtask < graph_->vertices[id.vertex].parallelism &&
         regions_[region_of(id)].attempt == attempt;
}

bool ExecutionGraph::all(const Region& region, ExecutionState state) const {
  return std::all_of(region.executions.begin(), region.executions.end(),
                     [&](std::size_t i) { return executions_[i].state == state; });
}

bool ExecutionGraph::everywhere(ExecutionState state) const {
  return std::all_of(executions_.begin(), executions_.end(), [&](const Execution& e) { return e.state == state; });
}

bool ExecutionGraph::alive(const Region& region) {
  return region.phase == Phase::acquiring || region.phase == Phase::deploying || region.phase == Phase::opening ||
         region.phase == Phase::running;
}

bool ExecutionGraph::advance(SubtaskId id, ExecutionState from, ExecutionState to, Timestamp now) {
  Execution& execution = executions_[index(id)];
  if (execution.state != from) return false;
  execution.enter(to, now);
  return true;
}

// ---- From start to end ----------------------------------------------------------------------------------------------

Effects ExecutionGraph::start(Timestamp now) {
  if (state_ != JobState::created) return {};
  state_ = JobState::running;
  started_at_ = now;
  for (Execution& execution : executions_) execution.enter(ExecutionState::created, now);
  Effects effects;
  for (std::uint32_t region = 0; region < regions_.size(); ++region) begin_attempt(region, now, effects);
  return effects;
}

void ExecutionGraph::begin_attempt(std::uint32_t region, Timestamp now, Effects& effects) {
  regions_[region].phase = Phase::acquiring;
  for (const std::size_t i : regions_[region].executions) executions_[i].enter(ExecutionState::scheduled, now);
  effects.emplace_back(AcquireSlots{current(region)});
}

Effects ExecutionGraph::on_slots(RegionAttempt of, const std::vector<NodeInstance>& nodes, Timestamp now) {
  if (!is_current(of) || regions_[of.region].phase != Phase::acquiring) return {};
  Region& region = regions_[of.region];
  region.phase = Phase::deploying;
  for (const std::size_t i : region.executions) {
    assert(ids_[i].subtask < nodes.size());
    executions_[i].node = nodes[ids_[i].subtask];
    executions_[i].exists = true;
    executions_[i].enter(ExecutionState::deploying, now);
  }
  return {DeployTasks{of}, ScheduleDeadline{{of, Deadline::Phase::deploy}, deadlines_.deploy}};
}

Effects ExecutionGraph::on_deployed(std::uint32_t attempt, SubtaskId id, Timestamp now) {
  if (!is_current(attempt, id)) return {};
  Region& region = regions_[region_of(id)];
  const RegionAttempt of = current(region_of(id));
  // One that was on its way when the attempt was given up: it has not heard of that yet.
  if (!alive(region)) return {CancelTasks{of}};
  if (!advance(id, ExecutionState::deploying, ExecutionState::initializing, now)) return {};
  if (!all(region, ExecutionState::initializing)) return {};
  region.phase = Phase::opening;
  return {OpenTasks{of}, ScheduleDeadline{{of, Deadline::Phase::open}, deadlines_.open}};
}

Effects ExecutionGraph::on_opened(std::uint32_t attempt, SubtaskId id, Timestamp now) {
  if (!is_current(attempt, id) || !advance(id, ExecutionState::initializing, ExecutionState::running, now)) return {};
  Region& region = regions_[region_of(id)];
  if (!all(region, ExecutionState::running)) return {};
  region.phase = Phase::running;
  region.has_run = true;
  const RegionAttempt of = current(region_of(id));
  Effects effects{StartTasks{of}};
  if (stop_) effects.emplace_back(StopSources{of, *stop_});
  return effects;
}

Effects ExecutionGraph::on_prepared(std::uint32_t attempt, SubtaskId id, Timestamp now) {
  if (!is_current(attempt, id) || !advance(id, ExecutionState::running, ExecutionState::prepared, now)) return {};
  if (!everywhere(ExecutionState::prepared)) return {};
  if (graph_->stream->settings.checkpoint) return {TakeLastCheckpoint{}};
  committing_ = true;
  return {CommitTasks{final_epoch}, ScheduleDeadline{{current(0), Deadline::Phase::commit}, deadlines_.commit}};
}

Effects ExecutionGraph::on_last_checkpoint(std::uint64_t epoch) {
  if (state_ != JobState::running || committing_ || !everywhere(ExecutionState::prepared)) return {};
  committing_ = true;
  return {CommitTasks{epoch}, ScheduleDeadline{{current(0), Deadline::Phase::commit}, deadlines_.commit}};
}

bool ExecutionGraph::all_running() const {
  return std::all_of(executions_.begin(), executions_.end(), [](const Execution& e) {
    return e.state == ExecutionState::running || e.state == ExecutionState::prepared;
  });
}

Effects ExecutionGraph::on_finished(std::uint32_t attempt, SubtaskId id, Timestamp now) {
  if (!committing_ || !is_current(attempt, id) || !advance(id, ExecutionState::prepared, ExecutionState::finished, now))
    return {};
  executions_[index(id)].exists = false;  // it ends by itself
  Effects effects;
  if (everywhere(ExecutionState::finished)) {
    end(JobState::finished, now, effects);
  } else {
    after_gone(region_of(id), now, effects);
  }
  return effects;
}

void ExecutionGraph::end(JobState state, Timestamp now, Effects& effects) {
  state_ = state;
  ended_at_ = now;
  for (Region& region : regions_) region.phase = Phase::cleared;
  effects.emplace_back(EndJob{state});
}

// ---- Failures -------------------------------------------------------------------------------------------------------

Effects ExecutionGraph::on_failed(std::uint32_t attempt, SubtaskId id, const Error& error, Timestamp now) {
  if (!is_current(attempt, id) || is_terminal(state_)) return {};
  Execution& execution = executions_[index(id)];
  if (!execution.exists) return {};
  execution.enter(ExecutionState::failed, now);
  return fail_regions({region_of(id)}, id, error, now);
}

Effects ExecutionGraph::on_region_failed(RegionAttempt of, const Error& error, Timestamp now) {
  if (!is_current(of) || is_terminal(state_)) return {};
  return fail_regions({of.region}, std::nullopt, error, now);
}

Effects ExecutionGraph::on_slots_refused(RegionAttempt of, const Error& error, Timestamp now) {
  if (!is_current(of) || state_ != JobState::running) return on_region_failed(of, error, now);
  history_.add({now, of, std::nullopt, NodeInstance{}, error.message()});
  return fail_job(error, now);
}

template <class Lost>
Effects ExecutionGraph::lose(Lost lost, const Error& error, Timestamp now) {
  if (is_terminal(state_)) return {};
  std::vector<std::uint32_t> hit;
  std::optional<SubtaskId> first;
  for (std::size_t i = 0; i < executions_.size(); ++i) {
    Execution& execution = executions_[i];
    if (!execution.exists || !lost(ids_[i], execution)) continue;
    execution.exists = false;
    execution.enter(ExecutionState::failed, now);
    if (!first) first = ids_[i];
    if (std::find(hit.begin(), hit.end(), execution.of.region) == hit.end()) hit.push_back(execution.of.region);
  }
  return hit.empty() ? Effects{} : fail_regions(hit, first, error, now);
}

Effects ExecutionGraph::on_slot_lost(RegionAttempt of, std::uint32_t slot, const Error& error, Timestamp now) {
  if (!is_current(of)) return {};
  return lose([&](SubtaskId id, const Execution& e) { return e.of == of && id.subtask == slot; }, error, now);
}

Effects ExecutionGraph::on_node_lost(const NodeInstance& node, const Error& error, Timestamp now) {
  return lose([&](SubtaskId, const Execution& e) { return e.node == node; }, error, now);
}

Effects ExecutionGraph::fail_regions(const std::vector<std::uint32_t>& hit, std::optional<SubtaskId> id,
                                     const Error& error, Timestamp now) {
  Effects effects;
  std::vector<std::uint32_t> restarting;
  for (const std::uint32_t region : hit) {
    // The first failure of an attempt decides; the others follow from it.
    if (alive(regions_[region])) {
      restarting.push_back(region);
    } else {
      after_gone(region, now, effects);
    }
  }
  if (restarting.empty() || state_ != JobState::running) return effects;
  const bool has_run =
      std::all_of(restarting.begin(), restarting.end(), [&](std::uint32_t r) { return regions_[r].has_run; });
  const bool forgets_stop = stop_ && stop_meets_ == StopMeets::failure_by_going_on && has_run && !committing_;
  history_.add({now, current(restarting.front()), id, id ? execution(*id).node : NodeInstance{},
                forgets_stop ? with_note(error.message(),
                                         "while the job was being stopped; it goes on and has to be stopped again")
                             : error.message()});
  if (forgets_stop) stop_.reset();
  if (committing_) {
    // Part of the output may be visible: beginning again would write it twice.
    std::string_view advice = graph_->stream->settings.checkpoint
                                  ? "; everything is in the last checkpoint: started again with --resume, the job "
                                    "finishes the commit"
                                  : "";
    const Error known{error.code(), error.message() + std::string{advice}};
    return fail_job(known.within("while committing the job's output, of which a part may be visible already"), now);
  }
  std::string reason = history_.hopeless(error, restarting.front(), has_run);
  const std::optional<Duration> delay = reason.empty() ? strategy_.on_failure(now) : std::nullopt;
  if (!delay) {
    if (reason.empty()) reason = strategy_.exhausted_reason();
    return fail_job(restarts_ == 0 ? error : Error{error.code(), with_note(error.message(), reason)}, now);
  }
  for (const std::uint32_t region : restarting) {
    regions_[region].restart_delay = *delay;
    clear(region, now, effects);
  }
  return effects;
}

Effects ExecutionGraph::fail_job(Error error, Timestamp now) {
  error_ = std::move(error);
  return clear_all(JobState::failing, now);
}

Effects ExecutionGraph::on_restart_due(RegionAttempt of, Timestamp now) {
  if (!is_current(of) || regions_[of.region].phase != Phase::waiting) return {};
  Region& region = regions_[of.region];
  ++region.attempt;
  ++restarts_;
  for (const std::size_t i : region.executions) {
    executions_[i] = Execution{};
    executions_[i].of = current(of.region);
    executions_[i].enter(ExecutionState::created, now);
  }
  Effects effects;
  begin_attempt(of.region, now, effects);
  return effects;
}

// ---- Clearing away --------------------------------------------------------------------------------------------------

Effects ExecutionGraph::clear_all(JobState next, Timestamp now) {
  state_ = next;
  Effects effects;
  for (std::uint32_t region = 0; region < regions_.size(); ++region) {
    if (regions_[region].phase == Phase::clearing) {
      after_gone(region, now, effects);
    } else {
      clear(region, now, effects);
    }
  }
  return effects;
}

void ExecutionGraph::clear(std::uint32_t region, Timestamp now, Effects& effects) {
  bool any_exists = false;
  for (const std::size_t i : regions_[region].executions) {
    Execution& execution = executions_[i];
    any_exists |= execution.exists;
    if (execution.state == ExecutionState::finished || execution.state == ExecutionState::failed ||
        execution.state == ExecutionState::canceled)
      continue;
    execution.enter(execution.exists ? ExecutionState::canceling : ExecutionState::canceled, now);
  }
  regions_[region].phase = Phase::clearing;
  if (any_exists) {
    const RegionAttempt of = current(region);
    effects.emplace_back(CancelTasks{of});
    effects.emplace_back(ScheduleDeadline{{of, Deadline::Phase::cancel}, deadlines_.cancel});
  }
  after_gone(region, now, effects);
}

Effects ExecutionGraph::on_gone(std::uint32_t attempt, SubtaskId id, Timestamp now) {
  if (!is_current(attempt, id) || is_terminal(state_)) return {};
  Execution& execution = executions_[index(id)];
  if (!execution.exists) return {};
  execution.exists = false;
  const std::uint32_t region = region_of(id);
  if (alive(regions_[region]) && execution.state != ExecutionState::failed) {
    // Its "finished" comes by another way and may be behind; the deadline of the commit bounds that.
    if (committing_ && execution.state == ExecutionState::prepared) return {};
    execution.enter(ExecutionState::failed, now);
    return fail_regions({region}, id, Error{ErrorCode::internal, name_all({id}) + " ended without a reason"}, now);
  }
  if (execution.state == ExecutionState::canceling) execution.enter(ExecutionState::canceled, now);
  Effects effects;
  after_gone(region, now, effects);
  return effects;
}

void ExecutionGraph::after_gone(std::uint32_t region, Timestamp now, Effects& effects) {
  Region& r = regions_[region];
  if (r.phase != Phase::clearing) return;
  const bool any_exists =
      std::any_of(r.executions.begin(), r.executions.end(), [&](std::size_t i) { return executions_[i].exists; });
  if (any_exists) return;
  if (state_ == JobState::running) {
    r.phase = Phase::waiting;
    effects.emplace_back(ScheduleRestart{current(region), r.restart_delay});
    return;
  }
  r.phase = Phase::cleared;
  const bool none_left =
      std::all_of(regions_.begin(), regions_.end(), [](const Region& other) { return other.phase == Phase::cleared; });
  if (none_left) end(state_ == JobState::failing ? JobState::failed : JobState::canceled, now, effects);
}

Effects ExecutionGraph::stop(EndOfData how, Timestamp now, StopMeets stop_meets) {
  if (stop_ || is_terminal(state_) || committing_) return {};
  if (state() == JobState::restarting) return cancel(now);
  stop_ = how;
  stop_meets_ = stop_meets;
  Effects effects;
  for (std::uint32_t region = 0; region < regions_.size(); ++region) {
    if (state_ == JobState::running && regions_[region].phase == Phase::running)
      effects.emplace_back(StopSources{current(region), how});
  }
  return effects;
}

Effects ExecutionGraph::cancel(Timestamp now) {
  if (is_terminal(state_) || state_ == JobState::cancelling || state_ == JobState::failing || committing_) return {};
  return clear_all(JobState::cancelling, now);
}

// ---- Deadlines ------------------------------------------------------------------------------------------------------

Effects ExecutionGraph::on_deadline(const Deadline& deadline, Timestamp now) {
  if (is_terminal(state_)) return {};
  if (deadline.phase == Deadline::Phase::commit) {
    if (state_ != JobState::running) return {};
    std::vector<SubtaskId> late;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      if (executions_[i].state == ExecutionState::prepared) late.push_back(ids_[i]);
    }
    return fail_regions(
        {region_of(late.front())}, late.front(),
        Error{ErrorCode::unavailable, name_all(late) + " did not commit within " + to_string(deadlines_.commit)}, now);
  }
  const RegionAttempt of = deadline.of;
  if (!is_current(of)) return {};
  const Region& region = regions_[of.region];
  const auto fail_late = [&](ExecutionState reached, std::string_view what, Duration limit) {
    const std::vector<SubtaskId> late = not_yet(region, reached);
    return fail_regions(
        {of.region}, late.front(),
        Error{ErrorCode::unavailable, name_all(late) + std::string{what} + " within " + to_string(limit)}, now);
  };
  switch (deadline.phase) {
    case Deadline::Phase::deploy:
      if (region.phase != Phase::deploying) return {};
      return fail_late(ExecutionState::initializing, " could not be deployed", deadlines_.deploy);
    case Deadline::Phase::open:
      if (region.phase != Phase::opening) return {};
      return fail_late(ExecutionState::running, " did not open", deadlines_.open);
    case Deadline::Phase::cancel: return region.phase == Phase::clearing ? abandon(of, now) : Effects{};
    case Deadline::Phase::commit: break;
  }
  return {};
}

Effects ExecutionGraph::abandon(RegionAttempt of, Timestamp now) {
  AbandonTasks abandoned{of, {}};
  for (const std::size_t i : regions_[of.region].executions) {
    Execution& execution = executions_[i];
    if (!execution.exists) continue;
    execution.exists = false;
    if (execution.state == ExecutionState::canceling) execution.enter(ExecutionState::canceled, now);
    abandoned.subtasks.push_back(ids_[i]);
  }
  const SubtaskId first = abandoned.subtasks.front();
  history_.add({now, of, first, execution(first).node,
                name_all(abandoned.subtasks) + " did not end within " + to_string(deadlines_.cancel) +
                    " of being cancelled, and was given up"});
  Effects effects{std::move(abandoned)};
  after_gone(of.region, now, effects);
  return effects;
}

std::vector<SubtaskId> ExecutionGraph::not_yet(const Region& region, ExecutionState reached) const {
  std::vector<SubtaskId> late;
  for (const std::size_t i : region.executions) {
    if (executions_[i].state != reached) late.push_back(ids_[i]);
  }
  return late;
}

/// `"in -> out" (subtask 2 of 4) on node-1 and 3 more`.
std::string ExecutionGraph::name_all(const std::vector<SubtaskId>& subtasks) const {
  const SubtaskId first = subtasks.front();
  const JobVertex& vertex = graph_->vertices[first.vertex];
  std::string text = "\"" + vertex.name + "\"";
  if (vertex.parallelism > 1)
    text += " (subtask " + std::to_string(first.subtask + 1) + " of " + std::to_string(vertex.parallelism) + ")";
  if (const std::string& node = execution(first).node.name; !node.empty()) text += " on " + node;
  if (subtasks.size() > 1) text += " and " + std::to_string(subtasks.size() - 1) + " more";
  return text;
}

}  // namespace dataflow

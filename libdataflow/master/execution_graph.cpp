#include "libdataflow/master/execution_graph.hpp"

#include <algorithm>

namespace dataflow {

namespace {

/// The same failure names another subtask, record or part file in each attempt.
bool same_but_for_numbers(std::string_view a, std::string_view b) {
  const auto skip_digits = [](std::string_view text, std::size_t at) {
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at;
  };
  for (std::size_t i = 0, j = 0;; ++i, ++j) {
    i = skip_digits(a, i);
    j = skip_digits(b, j);
    if (i == a.size() || j == b.size()) return i == a.size() && j == b.size();
    if (a[i] != b[j]) return false;
  }
}

}  // namespace

std::string_view to_string(ExecutionState state) {
  switch (state) {
    case ExecutionState::created: return "CREATED";
    case ExecutionState::deploying: return "DEPLOYING";
    case ExecutionState::initializing: return "INITIALIZING";
    case ExecutionState::running: return "RUNNING";
    case ExecutionState::prepared: return "PREPARED";
    case ExecutionState::finished: return "FINISHED";
    case ExecutionState::canceling: return "CANCELING";
    case ExecutionState::canceled: return "CANCELED";
  }
  return "UNKNOWN";
}

std::string_view to_string(JobState state) {
  switch (state) {
    case JobState::created: return "CREATED";
    case JobState::running: return "RUNNING";
    case JobState::restarting: return "RESTARTING";
    case JobState::cancelling: return "CANCELLING";
    case JobState::canceled: return "CANCELED";
    case JobState::failing: return "FAILING";
    case JobState::failed: return "FAILED";
    case JobState::finished: return "FINISHED";
  }
  return "UNKNOWN";
}

bool is_terminal(JobState state) {
  return state == JobState::canceled || state == JobState::failed || state == JobState::finished;
}

ExecutionGraph::ExecutionGraph(JobGraphPtr graph)
    : graph_{std::move(graph)}, strategy_{graph_->stream->settings.restart} {
  std::size_t count = 0;
  for (const JobVertex& vertex : graph_->vertices) {
    first_of_vertex_.push_back(count);
    count += vertex.parallelism;
  }
  executions_.assign(count, ExecutionState::created);
}

std::vector<SubtaskId> ExecutionGraph::subtasks() const {
  std::vector<SubtaskId> ids;
  for (const JobVertex& vertex : graph_->vertices) {
    for (std::uint32_t subtask = 0; subtask < vertex.parallelism; ++subtask) ids.push_back({vertex.id, subtask});
  }
  return ids;
}

bool ExecutionGraph::all(ExecutionState state) const {
  return std::all_of(executions_.begin(), executions_.end(), [&](ExecutionState s) { return s == state; });
}

bool ExecutionGraph::advance(SubtaskId id, ExecutionState from, ExecutionState to) {
  ExecutionState& execution = executions_[index(id)];
  if (execution != from) return false;
  execution = to;
  return all(to);
}

std::vector<Effect> ExecutionGraph::start(Timestamp) {
  if (state_ != JobState::created) return {};
  state_ = JobState::running;
  std::fill(executions_.begin(), executions_.end(), ExecutionState::deploying);
  return {DeployTasks{attempt_}};
}

std::vector<Effect> ExecutionGraph::on_deployed(std::uint32_t attempt, SubtaskId id) {
  if (!current(attempt)) return {};
  // One that was on its way when the attempt was given up: it has not heard of that yet.
  if (state_ != JobState::running) return {CancelTasks{}};
  if (!advance(id, ExecutionState::deploying, ExecutionState::initializing)) return {};
  return {OpenTasks{}};
}

std::vector<Effect> ExecutionGraph::on_opened(std::uint32_t attempt, SubtaskId id) {
  if (!current(attempt) || !advance(id, ExecutionState::initializing, ExecutionState::running)) return {};
  has_run_ = true;
  std::vector<Effect> effects{StartTasks{}};
  if (stop_) effects.push_back(StopSources{*stop_});
  return effects;
}

std::vector<Effect> ExecutionGraph::on_prepared(std::uint32_t attempt, SubtaskId id) {
  if (!current(attempt) || !advance(id, ExecutionState::running, ExecutionState::prepared)) return {};
  committing_ = true;
  return {CommitTasks{final_epoch}};
}

std::vector<Effect> ExecutionGraph::on_finished(std::uint32_t attempt, SubtaskId id) {
  if (!current(attempt) || !advance(id, ExecutionState::prepared, ExecutionState::finished)) return {};
  return end(JobState::finished);
}

std::vector<Effect> ExecutionGraph::on_failed(std::uint32_t attempt, std::optional<SubtaskId> id, const Error& error,
                                              Timestamp now) {
  if (!current(attempt) || is_terminal(state_)) return {};
  if (id) executions_[index(*id)] = ExecutionState::canceling;
  if (state_ != JobState::running) return {};  // the first failure decides; the others follow from it
  failures_.push_back({now, attempt, error.message()});
  if (failures_.size() > max_failure_records) failures_.erase(failures_.begin());
  if (committing_) {
    // Part of the output may be visible: beginning again would write it twice.
    error_ = error.within("while committing the job's output, of which a part may be visible already");
    return cancel_all(JobState::failing);
  }
  std::string reason = hopeless(error);
  restart_delay_ = reason.empty() ? strategy_.on_failure(now) : std::nullopt;
  if (restart_delay_) return cancel_all(JobState::restarting);
  if (reason.empty()) reason = strategy_.exhausted_reason();
  error_ = restarts_ == 0 ? error : Error{error.code(), error.message() + " (" + reason + ")"};
  return cancel_all(JobState::failing);
}

std::string ExecutionGraph::hopeless(const Error& error) const {
  switch (error.code()) {
    case ErrorCode::invalid_argument:
    case ErrorCode::malformed_data:
    case ErrorCode::arithmetic:
    case ErrorCode::unsupported:
    case ErrorCode::cancelled: return "a restart cannot help: the next attempt would meet the same";
    default: break;
  }
  if (!has_run_) return "the job has never run";
  std::size_t same = 0;
  for (auto failure = failures_.rbegin();
       failure != failures_.rend() && same_but_for_numbers(failure->message, error.message()); ++failure)
    ++same;
  const bool patient = error.code() != ErrorCode::user_code && !graph_->stream->bounded();
  if (patient || same < max_same_failures) return "";
  return "failed " + std::to_string(same) + " times in a row in the same way";
}

std::vector<Effect> ExecutionGraph::cancel_all(JobState next) {
  state_ = next;
  for (ExecutionState& execution : executions_) {
    const bool exists = execution != ExecutionState::created && execution != ExecutionState::canceled &&
                        execution != ExecutionState::finished;
    if (exists) execution = ExecutionState::canceling;
  }
  std::vector<Effect> effects{CancelTasks{}};
  for (Effect& more : after_all_gone()) effects.push_back(more);
  return effects;
}

std::vector<Effect> ExecutionGraph::on_gone(std::uint32_t attempt, SubtaskId id) {
  if (!current(attempt) || is_terminal(state_)) return {};
  ExecutionState& execution = executions_[index(id)];
  if (execution != ExecutionState::finished) execution = ExecutionState::canceled;
  return state_ == JobState::running ? std::vector<Effect>{} : after_all_gone();
}

std::vector<Effect> ExecutionGraph::after_all_gone() {
  const bool none_left = std::all_of(executions_.begin(), executions_.end(), [](ExecutionState s) {
    return s == ExecutionState::canceled || s == ExecutionState::created || s == ExecutionState::finished;
  });
  if (!none_left) return {};
  switch (state_) {
    case JobState::cancelling: return end(JobState::canceled);
    case JobState::failing: return end(JobState::failed);
    case JobState::restarting: return {ScheduleRestart{*restart_delay_}};
    default: return {};
  }
}

std::vector<Effect> ExecutionGraph::on_restart_due() {
  if (state_ != JobState::restarting) return {};
  ++attempt_;
  ++restarts_;
  std::fill(executions_.begin(), executions_.end(), ExecutionState::deploying);
  state_ = JobState::running;
  return {DeployTasks{attempt_}};
}

std::vector<Effect> ExecutionGraph::stop(EndOfData how) {
  if (stop_ || is_terminal(state_)) return {};
  // Between two attempts nothing is in flight that could finish, and nothing is there to commit.
  if (state_ == JobState::restarting) return cancel();
  stop_ = how;
  const bool started = std::all_of(executions_.begin(), executions_.end(), [](ExecutionState s) {
    return s == ExecutionState::running || s == ExecutionState::prepared;
  });
  return state_ == JobState::running && started ? std::vector<Effect>{StopSources{how}} : std::vector<Effect>{};
}

std::vector<Effect> ExecutionGraph::cancel() {
  if (is_terminal(state_) || state_ == JobState::cancelling || state_ == JobState::failing) return {};
  if (state_ == JobState::created) return end(JobState::canceled);
  return cancel_all(JobState::cancelling);
}

std::vector<Effect> ExecutionGraph::end(JobState state) {
  state_ = state;
  return {EndJob{state}};
}

}  // namespace dataflow

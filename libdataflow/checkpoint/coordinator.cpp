#include "libdataflow/checkpoint/coordinator.hpp"

#include <algorithm>
#include <cassert>

#include "libdataflow/checkpoint/restored_checkpoint.hpp"

namespace dataflow {

namespace {

constexpr std::size_t most_records = 32;
/// After a failed last checkpoint: the job cannot end without one.
constexpr Duration last_retry_pause = std::chrono::milliseconds{100};

}  // namespace

std::string_view to_string(CheckpointRecord::State state) {
  switch (state) {
    case CheckpointRecord::State::in_progress: return "in_progress";
    case CheckpointRecord::State::completed: return "completed";
    case CheckpointRecord::State::failed: return "failed";
  }
  return "unknown";
}

CheckpointCoordinator::CheckpointCoordinator(JobGraphPtr graph, std::string job_id, const Leadership& leadership)
    : graph_{std::move(graph)},
      settings_{*graph_->stream->settings.checkpoint},
      job_id_{std::move(job_id)},
      lineage_{leadership.lineage},
      epoch_{leadership.epoch},
      next_id_{leadership.completed.empty() ? 1 : leadership.completed.back().id + 1},
      next_sequence_{leadership.completed.empty() ? 1 : leadership.completed.back().sequence + 1},
      completed_{leadership.completed} {
  for (const JobVertex& vertex : graph_->vertices) subtasks_ += vertex.parallelism;
}

void CheckpointCoordinator::reload(std::vector<CompletedCheckpoint> completed) {
  assert(!in_doubt());
  completed_ = std::move(completed);
  if (completed_.empty()) return;
  next_sequence_ = completed_.back().sequence + 1;
  next_id_ = std::max(next_id_, completed_.back().id + 1);
}

std::vector<CheckpointEffect> CheckpointCoordinator::on_running(Timestamp now) {
  assert(!in_doubt());
  drained_ = finished_ = false;
  next_begin_ = now + settings_.interval;
  return {};
}

std::vector<CheckpointEffect> CheckpointCoordinator::on_attempt_over(Timestamp now) {
  next_begin_.reset();
  drained_ = false;
  if (!current_) return {};
  if (current_->phase == Phase::advancing) {
    current_->abandoned = true;
    return {};
  }
  auto effects = give_up("the job failed while it was being taken", now);
  // What else went wrong is reported by the failure itself.
  std::erase_if(effects, [](const CheckpointEffect& e) { return std::holds_alternative<FailForCheckpoints>(e); });
  next_begin_.reset();
  return effects;
}

std::vector<CheckpointEffect> CheckpointCoordinator::on_all_drained(Timestamp now) {
  if (drained_ || finished_) return {};
  drained_ = true;
  // One that is under way began before the end of the data and may miss the tail.
  return current_ ? std::vector<CheckpointEffect>{} : begin(now);
}

std::optional<Timestamp> CheckpointCoordinator::next_time() const {
  if (finished_) return std::nullopt;
  if (!current_) return next_begin_;
  if (current_->phase != Phase::collecting) return std::nullopt;
  return history_.back().started + settings_.timeout;
}

std::vector<CheckpointEffect> CheckpointCoordinator::on_time(Timestamp now) {
  const auto due = next_time();
  if (!due || now < *due) return {};
  if (!current_) return begin(now);
  const std::size_t missing = subtasks_ - current_->tasks.size();
  return give_up("timed out after " + to_string(settings_.timeout) + " with " + std::to_string(missing) + " of " +
                     std::to_string(subtasks_) + " subtasks missing",
                 now);
}

std::vector<CheckpointEffect> CheckpointCoordinator::begin(Timestamp now) {
  const std::uint64_t id = next_id_++;
  current_ = Pending{.id = id,
                     .folder = checkpoint_folder(lineage_, id, epoch_),
                     .last = drained_,
                     .enumerators = std::nullopt,
                     .tasks = {}};
  next_begin_.reset();
  history_.push_back({.id = id, .started = now, .failure = {}, .slowest = {}});
  if (history_.size() > most_records) history_.pop_front();
  return {BeginCheckpoint{Barrier{id, now, false}, current_->folder}};
}

std::vector<CheckpointEffect> CheckpointCoordinator::give_up(const std::string& why, Timestamp now) {
  record().state = CheckpointRecord::State::failed;
  record().failure = why;
  record().duration = now - record().started;
  ++failed_count_;
  ++failed_in_a_row_;
  std::vector<CheckpointEffect> effects{AbortCheckpoint{current_->id}};
  // Of one whose metadata may be there nothing is deleted: it might be complete.
  if (current_->phase == Phase::collecting) {
    effects.push_back(RemoveCheckpoint{{0, current_->id, epoch_, current_->folder}});
  }
  current_.reset();
  next_begin_ = now + (drained_ ? last_retry_pause : std::max(settings_.interval, settings_.min_pause));
  if (settings_.tolerable_failures && failed_in_a_row_ > *settings_.tolerable_failures) {
    failed_in_a_row_ = 0;
    effects.push_back(FailForCheckpoints{
        Error{ErrorCode::io, std::to_string(*settings_.tolerable_failures + 1) +
                                 " checkpoints in a row have failed, more than tolerable_failures: " + why}});
  }
  return effects;
}

std::vector<CheckpointEffect> CheckpointCoordinator::on_enumerators(
    std::uint64_t id, Result<std::map<std::string, std::string>> snapshots, Timestamp now) {
  if (!is_current(id, Phase::collecting)) return {};
  if (!snapshots) return give_up(snapshots.error().message(), now);
  current_->enumerators = std::move(*snapshots);
  return maybe_write(now);
}

std::vector<CheckpointEffect> CheckpointCoordinator::on_acknowledged(std::uint64_t id, std::uint32_t vertex,
                                                                     std::uint32_t subtask, TaskState state,
                                                                     Duration alignment, Timestamp now) {
  if (!is_current(id, Phase::collecting)) return {};
  record().bytes += state.size();
  record().alignment = std::max(record().alignment, alignment);
  record().slowest = graph_->vertices[vertex].name + " (" + std::to_string(subtask + 1) + " of " +
                     std::to_string(graph_->vertices[vertex].parallelism) + ")";
  current_->tasks.insert_or_assign({vertex, subtask}, std::move(state));
  return maybe_write(now);
}

std::vector<CheckpointEffect> CheckpointCoordinator::on_declined(std::uint64_t id, const Error& error, Timestamp now) {
  if (!is_current(id, Phase::collecting)) return {};
  return give_up(error.message(), now);
}

std::vector<CheckpointEffect> CheckpointCoordinator::maybe_write(Timestamp now) {
  if (!current_->enumerators || current_->tasks.size() != subtasks_) return {};
  current_->phase = Phase::writing;
  return {
      WriteMetadata{current_->id, current_->folder + "/" + std::string{metadata_name}, encode_metadata(metadata(now))}};
}

CheckpointMetadata CheckpointCoordinator::metadata(Timestamp now) const {
  CheckpointMetadata all;
  all.id = current_->id;
  all.leader_epoch = epoch_;
  all.started = history_.back().started;
  all.completed = now;
  all.job_name = graph_->stream->name;
  all.job_id = job_id_;
  all.max_parallelism = graph_->max_parallelism;
  std::map<std::string, std::size_t> position;
  for (const auto& [at, state] : current_->tasks) {  // by vertex, then subtask
    const auto file = static_cast<std::uint32_t>(all.files.size());
    all.files.push_back(state.file);
    for (const TaskState::Operator& op : state.operators) {
      const auto [where, is_new] = position.emplace(op.uid, all.operators.size());
      if (is_new) all.operators.push_back({op.uid, {}, std::nullopt});
      all.operators[where->second].subtasks.push_back({op.tables, file});
    }
  }
  for (const auto& [uid, snapshot] : *current_->enumerators) all.operators[position.at(uid)].enumerator = snapshot;
  return all;
}

std::vector<CheckpointEffect> CheckpointCoordinator::on_metadata_written(std::uint64_t id, const Status& written,
                                                                         Timestamp now) {
  if (!is_current(id, Phase::writing)) return {};
  if (!written) return give_up(written.error().message(), now);
  current_->phase = Phase::advancing;
  return {AdvanceLatest{{next_sequence_, current_->id, epoch_, current_->folder}}};
}

std::vector<CheckpointEffect> CheckpointCoordinator::on_advanced(const CompletedCheckpoint& checkpoint,
                                                                 const Result<Advance>& advanced, Timestamp now) {
  if (!is_current(checkpoint.id, Phase::advancing)) return {};
  const bool abandoned = current_->abandoned;
  const auto next_begin = next_begin_;
  std::vector<CheckpointEffect> effects;
  if (advanced && *advanced == Advance::done) {
    effects = after_completion(checkpoint, now);
  } else if (advanced) {
    effects = give_up("another coordinator has taken over", now);
    effects.push_back(FailForCheckpoints{
        Error{ErrorCode::unsupported, "another process goes on with this job from its checkpoints"}});
  } else {
    effects = give_up(advanced.error().message(), now);
  }
  // The attempt that it was of is over: nobody is there to be told, and the next one sets its own time.
  if (abandoned) {
    next_begin_ = next_begin;
    std::erase_if(effects, [](const CheckpointEffect& e) {
      return std::holds_alternative<CompleteCheckpoint>(e) || std::holds_alternative<AbortCheckpoint>(e);
    });
  }
  return effects;
}

std::vector<CheckpointEffect> CheckpointCoordinator::after_completion(const CompletedCheckpoint& checkpoint,
                                                                      Timestamp now) {
  record().state = CheckpointRecord::State::completed;
  record().duration = now - record().started;
  ++completed_count_;
  failed_in_a_row_ = 0;
  next_sequence_ = checkpoint.sequence + 1;
  completed_.push_back(checkpoint);
  const bool last = current_->last && !current_->abandoned;
  current_.reset();
  std::vector<CheckpointEffect> effects{CompleteCheckpoint{checkpoint.id, last}};
  if (last) {
    finished_ = true;
    next_begin_.reset();
  } else {
    next_begin_ = drained_ ? now : std::max(now + settings_.min_pause, record().started + settings_.interval);
  }
  while (completed_.size() > std::max<std::size_t>(settings_.retain, 1)) {
    effects.push_back(RemoveCheckpoint{completed_.front()});
    completed_.erase(completed_.begin());
  }
  return effects;
}

}  // namespace dataflow

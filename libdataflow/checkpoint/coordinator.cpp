#include "libdataflow/checkpoint/coordinator.hpp"

#include <algorithm>
#include <cassert>

#include "libdataflow/checkpoint/restored_checkpoint.hpp"

namespace dataflow {

namespace {

constexpr std::size_t most_records = 32;
/// After a failed last checkpoint, without which the job cannot end; twice as long with each try, up to the second one.
constexpr Duration first_retry_pause = std::chrono::milliseconds{100};
constexpr Duration most_retry_pause = std::chrono::seconds{5};

}  // namespace

std::string_view to_string(CheckpointRecord::State state) {
  switch (state) {
    case CheckpointRecord::State::in_progress: return "in_progress";
    case CheckpointRecord::State::completed: return "completed";
    case CheckpointRecord::State::failed: return "failed";
  }
  return "unknown";
}

std::string_view to_string(SavepointRecord::State state) {
  switch (state) {
    case SavepointRecord::State::waiting: return "waiting";
    case SavepointRecord::State::in_progress: return "in_progress";
    case SavepointRecord::State::exporting: return "exporting";
    case SavepointRecord::State::completed: return "completed";
    case SavepointRecord::State::failed: return "failed";
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
  // Output of what is read again becomes visible with the first checkpoint: a job that has failed owes it.
  next_begin_ = has_run_ || !completed_.empty() ? now : now + settings_.interval;
  has_run_ = true;
  return {};
}

std::vector<CheckpointEffect> CheckpointCoordinator::on_attempt_over(Timestamp now) {
  next_begin_.reset();
  drained_ = false;
  for (SavepointRecord& wanted : savepoints_) {
    if (wanted.state == SavepointRecord::State::waiting && !wanted.at_end) {
      fail_savepoint(wanted, "the job failed before it was taken");
    }
  }
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
  retry_pause_ = first_retry_pause;
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
  if (missing > 0) record().slowest = first_missing();
  return give_up("timed out after " + to_string(settings_.timeout) + " with " + std::to_string(missing) + " of " +
                     std::to_string(subtasks_) + " subtasks missing",
                 now);
}

std::string CheckpointCoordinator::name_of(std::uint32_t vertex, std::uint32_t subtask) const {
  return graph_->vertices[vertex].name + " (" + std::to_string(subtask + 1) + " of " +
         std::to_string(graph_->vertices[vertex].parallelism) + ")";
}

std::string CheckpointCoordinator::first_missing() const {
  for (const JobVertex& vertex : graph_->vertices) {
    for (std::uint32_t subtask = 0; subtask < vertex.parallelism; ++subtask) {
      if (!current_->tasks.contains({vertex.id, subtask})) return name_of(vertex.id, subtask);
    }
  }
  return {};
}

std::vector<CheckpointEffect> CheckpointCoordinator::begin(Timestamp now) {
  const std::uint64_t id = next_id_++;
  current_ = Pending{.id = id,
                     .folder = checkpoint_folder(lineage_, id, epoch_),
                     .last = drained_,
                     .savepoints = {},
                     .enumerators = std::nullopt,
                     .tasks = {}};
  next_begin_.reset();
  for (SavepointRecord& wanted : savepoints_) {
    if (wanted.state != SavepointRecord::State::waiting || (wanted.at_end && !current_->last)) continue;
    wanted.state = SavepointRecord::State::in_progress;
    wanted.id = id;
    current_->savepoints.push_back(wanted.request);
  }
  const bool savepoint = !current_->savepoints.empty();
  history_.push_back({.id = id,
                      .savepoint = savepoint,
                      .started = now,
                      .longest = {},
                      .failure = {},
                      .slowest = {},
                      .missing = static_cast<std::uint32_t>(subtasks_)});
  if (history_.size() > most_records) history_.pop_front();
  return {BeginCheckpoint{Barrier{id, now, savepoint}, current_->folder}};
}

std::vector<CheckpointEffect> CheckpointCoordinator::give_up(const std::string& why, Timestamp now) {
  record().state = CheckpointRecord::State::failed;
  record().failure = why;
  record().duration = now - record().started;
  ++failed_count_;
  // A savepoint that cannot be taken is told to the one who wants it; the job does not depend on it.
  if (!record().savepoint) ++failed_in_a_row_;
  for (const std::uint64_t request : current_->savepoints) {
    SavepointRecord* const wanted = savepoint(request);
    if (wanted == nullptr) continue;
    if (wanted->at_end) {
      wanted->state = SavepointRecord::State::waiting;  // the last checkpoint is tried until it succeeds
    } else {
      fail_savepoint(*wanted, why);
    }
  }
  std::vector<CheckpointEffect> effects{AbortCheckpoint{current_->id}};
  // Of one whose metadata may be there nothing is deleted: it might be complete.
  if (current_->phase == Phase::collecting) {
    effects.push_back(RemoveCheckpoint{{0, current_->id, epoch_, current_->folder}});
  }
  current_.reset();
  next_begin_ = now + (drained_ ? retry_pause_ : std::max(settings_.interval, settings_.min_pause));
  if (drained_) retry_pause_ = std::min(2 * retry_pause_, most_retry_pause);
  if (!drained_ && savepoint_waits()) next_begin_ = now;
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
                                                                     const SnapshotTimes& times, Timestamp now) {
  if (!is_current(id, Phase::collecting) || current_->tasks.contains({vertex, subtask})) return {};
  record().bytes += state.size();
  record().written += state.new_bytes;
  SnapshotTimes& longest = record().longest;
  longest.alignment = std::max(longest.alignment, times.alignment);
  longest.synchronous = std::max(longest.synchronous, times.synchronous);
  longest.upload = std::max(longest.upload, times.upload);
  --record().missing;
  record().slowest = name_of(vertex, subtask);
  current_->tasks.insert_or_assign({vertex, subtask}, std::move(state));
  return maybe_write(now);
}

std::vector<CheckpointEffect> CheckpointCoordinator::on_declined(std::uint64_t id, const Error& error, Timestamp now) {
  if (!is_current(id, Phase::collecting)) return {};
  auto effects = give_up(error.message(), now);
  // Another one would fail the same way, and the last one is tried until it succeeds.
  if (error.code() == ErrorCode::unsupported) effects.push_back(FailForCheckpoints{error.within("a checkpoint")});
  return effects;
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
      all.operators[where->second].subtasks.push_back({op.tables, file, state.messages});
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
    effects.push_back(FailForCheckpoints{overtaken()});
  } else {
    effects = give_up(advanced.error().message(), now);
    // Nothing has been completed there, and what lies where a disk was mounted fills another one.
    if (advanced.error().code() == ErrorCode::unavailable) {
      effects.push_back(RemoveCheckpoint{{0, checkpoint.id, epoch_, checkpoint.folder}});
    }
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
  note_messages();
  std::vector<CheckpointEffect> effects{CompleteCheckpoint{checkpoint.id, last}};
  for (const std::uint64_t request : current_->savepoints) {
    SavepointRecord* const wanted = savepoint(request);
    if (wanted == nullptr) continue;
    // The attempt that begins again reads on a little before it stops: its last checkpoint is another one.
    if (wanted->at_end && !last) {
      wanted->state = SavepointRecord::State::waiting;
      continue;
    }
    wanted->state = SavepointRecord::State::exporting;
    exporting_.emplace(request, checkpoint);
    effects.push_back(ExportSavepoint{request, checkpoint, wanted->target});
  }
  current_.reset();
  if (last) {
    finished_ = true;
    next_begin_.reset();
  } else {
    next_begin_ = drained_ ? now : std::max(now + settings_.min_pause, record().started + settings_.interval);
  }
  if (!last && savepoint_waits()) next_begin_ = now;
  remove_subsumed(effects);
  return effects;
}

void CheckpointCoordinator::note_messages() {
  messages_taken_ = {};
  std::map<std::string, std::size_t> position;
  for (const auto& [at, state] : current_->tasks) {
    for (const TaskState::Operator& op : state.operators) {
      const auto [where, is_new] = position.emplace(op.uid, messages_taken_.operators.size());
      if (is_new) messages_taken_.operators.push_back({op.uid, {}, std::nullopt});
      messages_taken_.operators[where->second].subtasks.push_back({{}, 0, state.messages});
    }
  }
}

void CheckpointCoordinator::remove_subsumed(std::vector<CheckpointEffect>& effects) {
  const auto exported = [&](const CompletedCheckpoint& checkpoint) {
    return std::any_of(exporting_.begin(), exporting_.end(),
                       [&](const auto& one) { return one.second.id == checkpoint.id; });
  };
  while (completed_.size() > std::max<std::size_t>(settings_.retain, 1)) {
    removed_later_.push_back(completed_.front());
    completed_.erase(completed_.begin());
  }
  std::erase_if(removed_later_, [&](const CompletedCheckpoint& checkpoint) {
    if (exported(checkpoint)) return false;
    effects.push_back(RemoveCheckpoint{checkpoint});
    return true;
  });
}

// ---- Savepoints -----------------------------------------------------------------------------------------------------

std::pair<std::uint64_t, std::vector<CheckpointEffect>> CheckpointCoordinator::on_savepoint_wanted(std::string target,
                                                                                                   SavepointTime when,
                                                                                                   Timestamp now) {
  const std::uint64_t request = next_request_++;
  savepoints_.push_back({.request = request,
                         .target = std::move(target),
                         .at_end = when == SavepointTime::at_end,
                         .location = {},
                         .failure = {}});
  if (savepoints_.size() > most_records) savepoints_.pop_front();
  if (finished_) {
    fail_savepoint(savepoints_.back(), "the job has taken its last checkpoint");
    return {request, {}};
  }
  if (when == SavepointTime::at_end || current_) return {request, {}};
  if (!next_begin_) {
    fail_savepoint(savepoints_.back(), "the job is not running at the moment");
    return {request, {}};
  }
  return {request, begin(now)};
}

std::vector<CheckpointEffect> CheckpointCoordinator::on_exported(std::uint64_t request,
                                                                 const Result<std::string>& location) {
  exporting_.erase(request);
  if (SavepointRecord* const exported = savepoint(request)) {
    if (location) {
      exported->state = SavepointRecord::State::completed;
      exported->location = *location;
    } else {
      fail_savepoint(*exported, location.error().message());
    }
  }
  std::vector<CheckpointEffect> effects;
  remove_subsumed(effects);
  return effects;
}

void CheckpointCoordinator::on_job_over() {
  for (SavepointRecord& wanted : savepoints_) {
    if (wanted.state == SavepointRecord::State::waiting || wanted.state == SavepointRecord::State::in_progress) {
      fail_savepoint(wanted, "the job ended before it was taken");
    }
  }
}

SavepointRecord* CheckpointCoordinator::savepoint(std::uint64_t request) {
  const auto at = std::find_if(savepoints_.begin(), savepoints_.end(),
                               [&](const SavepointRecord& one) { return one.request == request; });
  return at == savepoints_.end() ? nullptr : &*at;
}

bool CheckpointCoordinator::savepoint_waits() const {
  return std::any_of(savepoints_.begin(), savepoints_.end(), [](const SavepointRecord& one) {
    return one.state == SavepointRecord::State::waiting && !one.at_end;
  });
}

void CheckpointCoordinator::fail_savepoint(SavepointRecord& savepoint, const std::string& why) {
  savepoint.state = SavepointRecord::State::failed;
  savepoint.failure = why;
}

}  // namespace dataflow

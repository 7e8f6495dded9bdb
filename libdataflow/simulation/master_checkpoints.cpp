// The simulated master drives checkpoints: carries events to the CheckpointCoordinator and its effects out, as
// actors/job_supervisor_checkpoints.cpp does.

#include <algorithm>
#include <utility>

#include "libdataflow/checkpoint/lineage.hpp"
#include "libdataflow/checkpoint/savepoint.hpp"
#include "libdataflow/simulation/master.hpp"
#include "libdataflow/simulation/subtask.hpp"

namespace dataflow::simulation {

void Master::apply_checkpoint(const std::vector<CheckpointEffect>& effects) {
  for (const CheckpointEffect& effect : effects) {
    std::visit([this](const auto& e) { carry_out(e); }, effect);
  }
  schedule_checkpoint_time();
}

void Master::schedule_checkpoint_time() {
  const auto next = checkpoints_->coordinator().next_time();
  if (!next || is_terminal(execution_.state()) || (checkpoint_wake_ && *checkpoint_wake_ <= *next)) return;
  checkpoint_wake_ = *next;
  after(std::max(Duration{0}, *next - wall_clock()), "checkpoint time", [this] {
    checkpoint_wake_.reset();
    apply_checkpoint(checkpoints_->coordinator().on_time(wall_clock()));
  });
}

/// Enumerators and triggers in one go: what an enumerator hands out afterwards reaches a reader after its trigger.
void Master::carry_out(const BeginCheckpoint& effect) {
  world_.phase = "collecting snapshots";
  world_.note([&] { return "checkpoint " + std::to_string(effect.barrier.checkpoint_id) + " begins"; });
  if (world_.defect == Defect::late_split) {
    // The enumerators are asked when the triggers are long on their way.
    tell_all("trigger", [barrier = effect.barrier](Worker& worker) { worker.trigger(barrier); });
    return after(world_.tuning.most_latency * 4, "late snapshot", [this, id = effect.barrier.checkpoint_id] {
      apply_checkpoint(checkpoints_->coordinator().on_enumerators(id, sources_.snapshot(), wall_clock()));
    });
  }
  auto snapshots = sources_.snapshot();
  tell_all("trigger", [barrier = effect.barrier](Worker& worker) { worker.trigger(barrier); });
  apply_checkpoint(
      checkpoints_->coordinator().on_enumerators(effect.barrier.checkpoint_id, std::move(snapshots), wall_clock()));
}

void Master::take_acknowledgement(std::uint32_t attempt, SubtaskId id, std::uint64_t checkpoint,
                                  const std::string& state, const SnapshotTimes& times) {
  if (!checkpoints_ || !execution_.is_current(attempt, id)) return;
  CheckpointCoordinator& coordinator = checkpoints_->coordinator();
  auto decoded = decode_task_state(state);
  apply_checkpoint(
      decoded ? coordinator.on_acknowledged(checkpoint, id.vertex, id.subtask, std::move(*decoded), times, wall_clock())
              : coordinator.on_declined(checkpoint, decoded.error(), wall_clock()));
}

void Master::take_decline(std::uint32_t attempt, SubtaskId id, std::uint64_t checkpoint, const Error& error) {
  if (!checkpoints_ || !execution_.is_current(attempt, id)) return;
  apply_checkpoint(checkpoints_->coordinator().on_declined(checkpoint, error, wall_clock()));
}

void Master::carry_out(const WriteMetadata& effect) {
  world_.phase = "writing metadata";
  blocking_->work("write metadata", [this, effect] {
    const bool lies = world_.defect == Defect::lying_storage && world_.random.chance(0.3);
    const auto put = lies ? Result<PutOutcome>{PutOutcome::stored} : settings_.storage->put(effect.key, effect.bytes);
    post("metadata written", [this, id = effect.id, status = put ? Status{} : Status{fail(put.error())}] {
      apply_checkpoint(checkpoints_->coordinator().on_metadata_written(id, status, wall_clock()));
    });
  });
}

void Master::carry_out(const AdvanceLatest& effect) {
  world_.phase = "advancing latest";
  blocking_->work("advance latest", [this, effect] {
    CompletedCheckpoint checkpoint = effect.checkpoint;
    const auto advanced = advance_latest(*settings_.storage, checkpoints_->lineage(), checkpoint);
    post("latest advanced", [this, checkpoint, advanced] {
      apply_checkpoint(checkpoints_->coordinator().on_advanced(checkpoint, advanced, wall_clock()));
      for (const AcquireSlots& postponed : std::exchange(postponed_, {})) {
        if (execution_.current(postponed.of.region) == postponed.of) carry_out(postponed);
      }
    });
  });
}

void Master::carry_out(const CompleteCheckpoint& effect) {
  world_.phase = "completing";
  ++world_.counts.checkpoints_completed;
  for (const CheckpointRecord& record : checkpoints_->coordinator().history()) {
    if (record.id == effect.id) world_.counts.last_state = record.bytes;
  }
  world_.note([&] { return "checkpoint " + std::to_string(effect.id) + " is complete"; });
  if (effect.last) return apply(execution_.on_last_checkpoint(effect.id));
  tell_all("checkpoint completed", [id = effect.id](Worker& worker) { worker.complete(id); });
}

void Master::carry_out(const AbortCheckpoint& effect) {
  world_.phase = "giving a checkpoint up";
  ++world_.counts.checkpoints_failed;
  world_.note([&] {
    return "checkpoint " + std::to_string(effect.id) +
           " is given up: " + checkpoints_->coordinator().history().back().failure;
  });
  tell_all("checkpoint aborted", [id = effect.id](Worker& worker) { worker.abort(id); });
}

void Master::carry_out(const RemoveCheckpoint& effect) {
  blocking_->work("remove a checkpoint", [this, effect] {
    // What cannot be removed takes room and does no other harm.
    static_cast<void>(remove_checkpoint(*settings_.storage, effect.checkpoint, checkpoints_->lineage()));
  });
}

void Master::carry_out(const FailForCheckpoints& effect) {
  apply(execution_.on_region_failed(execution_.current(0), effect.error, wall_clock()));
}

void Master::carry_out(const ExportSavepoint& effect) {
  blocking_->work("export a savepoint", [this, effect] {
    const auto exported = export_savepoint(*settings_.storage, effect.checkpoint.folder, *settings_.savepoints);
    post("savepoint exported", [this, effect, exported] {
      apply_checkpoint(checkpoints_->coordinator().on_exported(effect.request, exported));
      if (!exported) return;
      ++world_.counts.savepoints;
      world_.note([&] { return "the savepoint " + *exported + " is complete"; });
      settings_.on_savepoint(
          {*exported, exported->substr(exported->rfind('/') + 1), checkpoints_->lineage(), effect.checkpoint.id});
    });
  });
}

void Master::end_checkpoints_of_attempt() {
  if (checkpoints_) apply_checkpoint(checkpoints_->coordinator().on_attempt_over(wall_clock()));
}

void Master::take_savepoint() {
  if (!checkpoints_ || execution_.state() != JobState::running) return;
  apply_checkpoint(checkpoints_->coordinator().on_savepoint_wanted("kept", SavepointTime::now, wall_clock()).second);
}

void Master::stop_for_rescaling() {
  if (!checkpoints_ || execution_.state() != JobState::running) return;
  auto [request, effects] =
      checkpoints_->coordinator().on_savepoint_wanted("rescaling", SavepointTime::at_end, wall_clock());
  apply_checkpoint(effects);
  apply(execution_.stop(EndOfData{.drain = false}, wall_clock(), StopMeets::failure_by_stopping_again));
}

}  // namespace dataflow::simulation

// The JobSupervisor drives checkpoints: carries events to the CheckpointCoordinator and its effects out.

#include "actors/job_supervisor.hpp"

#include <algorithm>

#include <caf/all.hpp>

#include "actors/blocking_worker.hpp"
#include "actors/clock.hpp"

namespace dataflow {

void JobSupervisor::carry_out(const TakeLastCheckpoint&) {
  apply_checkpoint(checkpoints_->coordinator().on_all_drained(wall_clock_now()));
}

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
  tell_all(msg::TriggerCheckpoint{effect.barrier});
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
  tell_all(msg::CheckpointCompleted{effect.id});
}

void JobSupervisor::carry_out(const AbortCheckpoint& effect) {
  tell_all(msg::CheckpointAborted{effect.id});
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

}  // namespace dataflow

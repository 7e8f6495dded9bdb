// The JobSupervisor drives checkpoints: carries events to the CheckpointCoordinator and its effects out.

#include "actors/job_supervisor.hpp"

#include <algorithm>

#include <caf/all.hpp>

#include "actors/blocking_worker.hpp"
#include "actors/clock.hpp"
#include "libdataflow/checkpoint/savepoint.hpp"

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
  auto snapshots = sources_.snapshot();
  tell_all(msg::TriggerCheckpoint{effect.barrier});
  apply_checkpoint(
      checkpoints_->coordinator().on_enumerators(effect.barrier.checkpoint_id, std::move(snapshots), wall_clock_now()));
}

void JobSupervisor::take_acknowledgement(const msg::Acknowledge& m) {
  if (!checkpoints_ || !execution_.is_current(m.attempt, m.id)) return;
  CheckpointCoordinator& coordinator = checkpoints_->coordinator();
  auto state = decode_task_state(m.state);
  apply_checkpoint(state ? coordinator.on_acknowledged(m.checkpoint, m.id.vertex, m.id.subtask, std::move(*state),
                                                       m.times, wall_clock_now())
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
  remove_messages(messages_.on_completed(checkpoints_->coordinator().messages_taken()));
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

void JobSupervisor::end_checkpoints_of_attempt() {
  if (checkpoints_) apply_checkpoint(checkpoints_->coordinator().on_attempt_over(wall_clock_now()));
}

// ---- Savepoints -----------------------------------------------------------------------------------------------------

/// First whether it can be written at all: a job is not stopped for a savepoint that has no place.
caf::result<msg::Answer> JobSupervisor::take_savepoint(const msg::TakeSavepoint& wanted) {
  if (!checkpoints_) {
    return msg::Answer{fail(ErrorCode::unsupported,
                            "a job without checkpoints has no savepoints; give it [checkpoint] interval = \"10s\", "
                            "storage = \"file:///FOLDER\"")};
  }
  if (execution_.state() != JobState::running) {
    return msg::Answer{fail(ErrorCode::unavailable, "the job is " + std::string{to_string(execution_.state())} +
                                                        " at the moment; it has to be running for a savepoint")};
  }
  if (!exporter_) exporter_ = spawn<BlockingWorker, caf::detached>();
  const std::uint64_t number = next_savepoint_++;
  auto promise = make_response_promise<msg::Answer>();
  WantedSavepoint& kept = wanted_savepoints_[number];
  kept = {wanted, promise};
  if (kept.wanted.target.empty()) {
    kept.wanted.target = checkpoints_->storage()->describe(escape_key(graph_->stream->name) + "/savepoints");
  }
  auto prepare = [self = caf::actor_cast<caf::actor>(this), number, target = kept.wanted.target] {
    caf::anon_send(self, msg::SavepointPrepared{number, prepare_savepoint_folder(target)});
  };
  anon_send(exporter_, msg::BlockingWork{std::move(prepare)});
  return promise;
}

void JobSupervisor::take_prepared(const msg::SavepointPrepared& prepared) {
  auto node = wanted_savepoints_.extract(prepared.number);
  if (node.empty()) return;
  auto [wanted, answer] = std::move(node.mapped());
  if (!prepared.status) {
    answer.deliver(msg::Answer{fail(prepared.status.error().within("the savepoint"))});
    return;
  }
  if (wanted.stop && execution_.state() != JobState::running) {
    answer.deliver(msg::Answer{
        fail(ErrorCode::unavailable, "the job is " + std::string{to_string(execution_.state())} + " at the moment")});
    return;
  }
  auto [request, effects] = checkpoints_->coordinator().on_savepoint_wanted(
      wanted.target, wanted.stop ? SavepointTime::at_end : SavepointTime::now, wall_clock_now());
  answer.deliver(msg::Answer{Result<std::string>{"{\"request\":" + std::to_string(request) + "}"}});
  apply_checkpoint(effects);
  if (wanted.stop) apply(execution_.stop(wanted.how, wall_clock_now(), StopMeets::failure_by_stopping_again));
}

void JobSupervisor::carry_out(const ExportSavepoint& effect) {
  auto copy = [self = caf::actor_cast<caf::actor>(this), storage = checkpoints_->storage(), effect] {
    caf::anon_send(self, msg::SavepointExported{effect.request,
                                                export_savepoint(*storage, effect.checkpoint.folder, effect.target)});
  };
  if (!exporter_) exporter_ = spawn<BlockingWorker, caf::detached>();
  anon_send(exporter_, msg::BlockingWork{std::move(copy)});
}

}  // namespace dataflow

#include "actors/subtask.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include <caf/all.hpp>

#include "actors/clock.hpp"
#include "actors/exchange/exchange.hpp"
#include "libdataflow/checkpoint/copied_storage.hpp"
#include "libdataflow/checkpoint/lineage.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/runtime/local_executor.hpp"
#include "libdataflow/state/state_backend.hpp"

namespace dataflow {

/// A task on the BlockingWorker's thread, which reads its state there: downloads and disks take their time, and the
/// subtask is to be cancelled and asked meanwhile. When it ends first, the worker ends the task.
struct Subtask::Opening {
  std::mutex mutex;
  std::unique_ptr<Task> task;
  msg::SubtaskReport report;  ///< as it was before
  bool done = false;
  bool abandoned = false;
};

Subtask::Subtask(caf::actor_config& config, caf::actor supervisor, caf::actor slot, JobGraphPtr graph,
                 Task::Identity identity, std::uint32_t attempt, const caf::group& slot_group, caf::actor worker,
                 std::shared_ptr<StateBackend> state)
    : caf::event_based_actor{config},
      supervisor_{std::move(supervisor)},
      slot_{std::move(slot)},
      worker_{std::move(worker)},
      state_{std::move(state)},
      uploaded_{std::make_shared<UploadedFiles>()},
      graph_{std::move(graph)},
      id_{identity.vertex, identity.subtask},
      attempt_{attempt},
      task_{std::make_unique<Task>(graph_, std::move(identity), *this)} {
  join(slot_group);
}

caf::behavior Subtask::make_behavior() {
  // Handlers do not throw for what a user can cause; what gets here is a bug, and still must not be silent.
  set_exception_handler([this](std::exception_ptr& thrown) -> caf::error {
    std::string what = "unknown exception";
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      what = e.what();
    } catch (...) {
    }
    anon_send(slot_, msg::SubtaskFailed{attempt_, id_, Error{ErrorCode::internal, std::move(what)}});
    return caf::make_error(caf::sec::runtime_error);
  });
  return running();
}

/// What else comes waits until the task is back.
caf::behavior Subtask::opening() {
  return {
      [this](const msg::TaskOpened& m) { take_opened(m.opened); },
      [this](msg::CancelSubtask) { quit(caf::exit_reason::user_shutdown); },
      [this](msg::GetReport) { return report(); },
  };
}

caf::behavior Subtask::running() {
  return {
      [this](const msg::Deliver& m) {
        task_->receive(m.channel, m.envelope);
        if (!run_again_sent_) run();
      },
      [this](const msg::DeliverAll& m) {
        for (const msg::Deliver& each : m.deliveries) task_->receive(each.channel, each.envelope);
        if (!run_again_sent_) run();
      },
      [this](const msg::Credit& m) {
        task_->credit(m.channel, m.bytes);
        if (!run_again_sent_) run();
      },
      [this](msg::RunAgain) {
        run_again_sent_ = false;
        run();
      },
      [this](msg::WakeUp) {
        wake_at_.reset();
        if (!run_again_sent_) run();
      },
      [this](const msg::Open& peers) { open(peers); },
      [this](msg::Start) {
        started_ = true;
        run();
      },
      [this](const msg::AssignSplit& m) {
        task_->assign_split(m.split);
        run();
      },
      [this](const msg::NoMoreSplits&) {
        task_->no_more_splits();
        run();
      },
      [this](const msg::Stop& m) {
        task_->stop(m.how);
        run();
      },
      [this](const msg::TriggerCheckpoint& m) {
        task_->trigger(m.barrier);
        run();
      },
      [this](const msg::CheckpointCompleted& m) { complete_checkpoint(m.id); },
      [this](const msg::CheckpointAborted& m) {
        task_->abort_checkpoint(m.id);
        run();
      },
      [this](const msg::CheckpointLoaded& m) { open_task(m.checkpoint); },
      [this](const msg::Commit& m) { commit(m.epoch); },
      [this](msg::CancelSubtask) { quit(caf::exit_reason::user_shutdown); },
      [this](msg::GetReport) { return report(); },
      [this](const msg::CallOperator& m) { answer(m); },
  };
}

void Subtask::on_exit() {
  if (opening_) {
    const std::lock_guard lock{opening_->mutex};
    opening_->abandoned = true;
    if (opening_->done) opening_->task->abort();
  } else if (!finished_) {
    task_->abort();
  }
  opening_.reset();
  // Peers hold each other; let go, so that none keeps the others alive.
  task_.reset();
  receivers_.clear();
  senders_.clear();
  supervisor_ = nullptr;
  slot_ = nullptr;
  worker_ = nullptr;
}

void Subtask::open(const msg::Open& peers) {
  receivers_ = peers.receivers;
  senders_ = peers.senders;
  checkpoints_ = peers.checkpoints;
  if (checkpoints_.storage.empty()) return open_task(nullptr);
  auto storage = open_checkpoint_storage(checkpoints_.storage);
  if (!storage) return open_task(fail(storage.error()));
  storage_ = with_copies(std::move(*storage));
  if (checkpoints_.restore_from.empty()) return open_task(nullptr);
  CheckpointStoragePtr from = storage_;
  if (!checkpoints_.restore_storage.empty()) {
    auto other = open_checkpoint_storage(checkpoints_.restore_storage);
    if (!other) return open_task(fail(other.error()));
    from = with_copies(std::move(*other));
  }
  auto load = [self = caf::actor_cast<caf::actor>(this), from, folder = checkpoints_.restore_from] {
    caf::anon_send(self, msg::CheckpointLoaded{RestoredCheckpoint::load(from, folder)});
  };
  anon_send(worker_, msg::BlockingWork{std::move(load)});
}

CheckpointStoragePtr Subtask::with_copies(CheckpointStoragePtr storage) const {
  if (state_ == nullptr || state_->local_copies() == nullptr) return storage;
  return with_local_copies(std::move(storage), state_->local_copies());
}

void Subtask::open_task(const Result<RestoredCheckpointPtr>& restored) {
  if (!restored)
    return fail_with({graph_->node(graph_->vertices[id_.vertex].chain.front()).name, {}, restored.error()});
  if (*restored) {
    if (checkpoints_.restore_storage.empty()) (*restored)->name_files(*uploaded_);
    return restore_task(*restored);
  }
  take_opened(task_->open(wall_clock_now()));
}

void Subtask::restore_task(RestoredCheckpointPtr checkpoint) {
  opening_ = std::make_shared<Opening>();
  opening_->report = report();
  opening_->task = std::move(task_);
  set_default_handler(caf::skip);
  become(opening());
  auto open = [self = caf::actor_cast<caf::actor>(this), opening = opening_, checkpoint = std::move(checkpoint)] {
    auto opened = opening->task->open(wall_clock_now(), checkpoint.get());
    const std::lock_guard lock{opening->mutex};
    opening->done = true;
    if (opening->abandoned) return opening->task->abort();
    caf::anon_send(self, msg::TaskOpened{std::move(opened)});
  };
  anon_send(worker_, msg::BlockingWork{std::move(open)});
}

void Subtask::take_opened(const tl::expected<void, TaskFailure>& opened) {
  if (opening_) {
    task_ = std::move(opening_->task);
    opening_.reset();
    set_default_handler(caf::print_and_drop);
    become(running());
  }
  if (!opened) return fail_with(opened.error());
  anon_send(supervisor_, msg::Opened{attempt_, id_});
}

void Subtask::run() {
  // Before Start the receiver of a message might not be open yet. After the end of the data barriers still pass.
  if (!started_ || finished_) return;
  auto progress = task_->run(wall_clock_now());
  if (!progress) return fail_with(progress.error());
  using Kind = Task::Progress::Kind;
  switch (progress->kind) {
    case Kind::more:
      run_again_sent_ = true;
      anon_send(this, msg::RunAgain{});
      return;
    case Kind::blocked:
      if (progress->wake_at) schedule_wake(*progress->wake_at);
      return;
    case Kind::prepared:
      if (!std::exchange(prepared_sent_, true)) anon_send(supervisor_, msg::Prepared{report()});
  }
}

/// It came by the group of the slot, where others have heard it, too.
void Subtask::answer(const msg::CallOperator& call) {
  if (call.id != id_ || call.attempt != attempt_) return;
  auto said = call.is_query ? task_->ask(call.node, call.name, call.json)
                            : task_->send(call.node, call.name, call.json, call.number);
  if (call.call == 0) return;  // nobody waits for it
  caf::event_based_actor::send(caf::actor_cast<caf::actor>(current_sender()),
                               msg::OperatorAnswered{call.call, id_, msg::Answer{std::move(said)}});
}

void Subtask::schedule_wake(Timestamp at) {
  if (wake_at_ && *wake_at_ <= at) return;
  wake_at_ = at;
  const Duration delay = std::max(Duration{0}, at - wall_clock_now());
  delayed_anon_send(this, delay, msg::WakeUp{});
}

void Subtask::commit(std::uint64_t epoch) {
  if (auto committed = task_->commit(epoch); !committed) return fail_with(committed.error());
  finished_ = true;
  anon_send(supervisor_, msg::Finished{attempt_, id_});
  quit();
}

void Subtask::complete_checkpoint(std::uint64_t id) {
  if (!started_ || finished_) return;
  if (auto committed = task_->complete_checkpoint(id); !committed) return fail_with(committed.error());
}

/// The asynchronous part: by the worker's thread, while the task goes on.
void Subtask::snapshot(TaskSnapshot snapshot) {
  const std::uint64_t checkpoint = snapshot.barrier.checkpoint_id;
  auto states = std::make_shared<CapturedStates>(std::move(snapshot.states));
  // What is to outlive the job is rows, of no backend.
  const std::shared_ptr<UploadedFiles> uploaded = snapshot.barrier.savepoint ? nullptr : uploaded_;
  auto write = [supervisor = supervisor_, storage = storage_, uploaded, states, checkpoint, attempt = attempt_,
                id = id_, alignment = snapshot.alignment, synchronous = snapshot.synchronous,
                messages = snapshot.messages,
                folder = checkpoint_folder(checkpoints_.lineage, checkpoint, checkpoints_.epoch)] {
    const std::string name = task_state_name(id.vertex, id.subtask, attempt);
    const auto began = std::chrono::steady_clock::now();
    auto state = write_task_state(std::move(*states), *storage, folder, name, uploaded.get());
    if (state) {
      state->messages = messages;
      const auto upload = std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - began);
      caf::anon_send(
          supervisor,
          msg::Acknowledge{attempt, id, checkpoint, {alignment, synchronous, upload}, encode_task_state(*state)});
    } else {
      caf::anon_send(supervisor, msg::Decline{attempt, id, checkpoint, state.error()});
    }
  };
  anon_send(worker_, msg::BlockingWork{std::move(write)});
}

void Subtask::decline(std::uint64_t checkpoint_id, const Error& error) {
  anon_send(supervisor_, msg::Decline{attempt_, id_, checkpoint_id, error});
}

void Subtask::fail_with(const TaskFailure& failure) {
  started_ = false;
  anon_send(supervisor_, report());
  anon_send(slot_, msg::SubtaskFailed{attempt_, id_,
                                      to_error(failure, id_.subtask, graph_->vertices[id_.vertex].parallelism)});
  quit(caf::make_error(caf::sec::runtime_error));
}

msg::SubtaskReport Subtask::report() {
  msg::SubtaskReport made =
      opening_ ? opening_->report
               : msg::SubtaskReport{attempt_, id_, 0, task_->metrics(), task_->time_use(wall_clock_now())};
  made.number = ++reports_;
  return made;
}

std::optional<Timestamp> Subtask::clock_now() const {
  return wall_clock_now();
}

void Subtask::send(std::size_t channel, EncodedEnvelopePtr envelope) {
  const msg::Peer& peer = receivers_[channel];
  if (peer.outgoing) return peer.outgoing->send(std::move(envelope));
  anon_send(peer.actor, msg::Deliver{peer.channel, std::move(envelope)});
}

void Subtask::grant(std::size_t channel, std::size_t bytes) {
  const msg::Peer& peer = senders_[channel];
  if (peer.incoming) return peer.incoming->grant(bytes);
  anon_send(peer.actor, msg::Credit{peer.channel, bytes});
}

void Subtask::request_split() {
  anon_send(supervisor_, msg::RequestSplit{attempt_, id_});
}

}  // namespace dataflow

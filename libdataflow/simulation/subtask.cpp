#include "libdataflow/simulation/subtask.hpp"

#include <algorithm>
#include <utility>

#include "libdataflow/checkpoint/lineage.hpp"
#include "libdataflow/runtime/local_executor.hpp"
#include "libdataflow/simulation/defects.hpp"
#include "libdataflow/simulation/master.hpp"

namespace dataflow::simulation {

void BlockingQueue::work(const char* what, std::function<void()> piece) {
  post(what, [this, piece = std::move(piece)] {
    take(world_.random.between(Duration{world_.tuning.disk.count() / 4}, world_.tuning.disk * 2));
    piece();
  });
}

Subtask::Subtask(World& world, ProcessPtr process, Worker& worker, JobGraphPtr graph, Task::Identity identity,
                 RegionAttempt of, std::shared_ptr<BlockingQueue> blocking)
    : Actor{world, std::move(process),
            graph->vertices[identity.vertex].name + "[" + std::to_string(identity.subtask) + "].a" +
                std::to_string(identity.attempt)},
      worker_{worker},
      graph_{std::move(graph)},
      id_{identity.vertex, identity.subtask},
      of_{of},
      blocking_{std::move(blocking)},
      task_{std::make_unique<Task>(graph_, std::move(identity), *this)} {}

bool Subtask::later(std::function<void()> handle) {
  if (opening_) put_off_.push_back(std::move(handle));
  return opening_;
}

void Subtask::open(const CheckpointPlace& checkpoints) {
  checkpoints_ = checkpoints;
  if (checkpoints_.restore_from.empty()) return open_task(nullptr);
  blocking_->work("load a checkpoint", [this, self = shared_from_this()] {
    auto loaded = RestoredCheckpoint::load(checkpoints_.restore_storage, checkpoints_.restore_from);
    post("checkpoint loaded", [this, loaded = std::move(loaded)] {
      if (loaded) return open_task(*loaded);
      fail_with({graph_->node(graph_->vertices[id_.vertex].chain.front()).name, {}, loaded.error()});
    });
  });
}

/// A task that goes on from a checkpoint reads it on the slot's thread; it may be cancelled meanwhile.
void Subtask::open_task(const RestoredCheckpointPtr& restored) {
  if (restored == nullptr) return take_opened(task_->open(wall_clock()));
  opening_ = true;
  if (checkpoints_.restore_storage == checkpoints_.storage) restored->name_files(uploaded_);
  blocking_->work("restore", [this, self = shared_from_this(), restored] {
    auto opened = task_->open(wall_clock(), restored.get());
    if (cancelled_) return task_->abort();
    post("task opened", [this, opened = std::move(opened)] {
      if (!std::exchange(opening_, false)) return;
      take_opened(opened);
      for (const auto& handle : std::exchange(put_off_, {})) handle();
    });
  });
}

void Subtask::take_opened(const tl::expected<void, TaskFailure>& opened) {
  if (!opened) return fail_with(opened.error());
  worker_.tell("opened", [of = of_, id = id_](Master& master) { master.take_opened(of.attempt, id); });
}

void Subtask::start() {
  started_ = true;
  run();
}

void Subtask::deliver(std::size_t channel, EncodedEnvelopePtr envelope) {
  if (later([this, channel, envelope] { deliver(channel, envelope); })) return;
  task_->receive(channel, std::move(envelope));
  if (!run_again_) run();
}

void Subtask::take_credit(std::size_t channel, std::size_t bytes) {
  if (later([this, channel, bytes] { take_credit(channel, bytes); })) return;
  task_->credit(channel, bytes);
  if (!run_again_) run();
}

void Subtask::assign_split(const Split& split) {
  if (later([this, split] { assign_split(split); })) return;
  task_->assign_split(split);
  run();
}

void Subtask::no_more_splits() {
  if (later([this] { no_more_splits(); })) return;
  task_->no_more_splits();
  run();
}

void Subtask::stop_source(EndOfData how) {
  if (later([this, how] { stop_source(how); })) return;
  task_->stop(how);
  run();
}

void Subtask::trigger(const Barrier& barrier) {
  if (later([this, barrier] { trigger(barrier); })) return;
  task_->trigger(barrier);
  run();
}

void Subtask::abort_checkpoint(std::uint64_t checkpoint) {
  if (later([this, checkpoint] { abort_checkpoint(checkpoint); })) return;
  task_->abort_checkpoint(checkpoint);
  run();
}

void Subtask::complete(std::uint64_t checkpoint) {
  if (later([this, checkpoint] { complete(checkpoint); })) return;
  if (!started_ || finished_) return;
  if (auto committed = task_->complete_checkpoint(checkpoint); !committed) fail_with(committed.error());
}

void Subtask::commit(std::uint64_t epoch) {
  if (auto committed = task_->commit(epoch); !committed) return fail_with(committed.error());
  finished_ = true;
  worker_.tell("finished", [of = of_, id = id_](Master& master) { master.take_finished(of.attempt, id); });
  end();
}

void Subtask::cancel() {
  if (opening_) {
    cancelled_ = true;  // the slot's thread has the task: it ends it
  } else if (!finished_) {
    task_->abort();
  }
  end();
}

void Subtask::end() {
  opening_ = false;
  put_off_.clear();
  close_channels();
  quit();
  worker_.post("subtask gone", [worker = &worker_, of = of_, id = id_] { worker->subtask_gone(of, id); });
}

void Subtask::close_channels() {
  for (const Receiver& to : receivers) {
    if (!to.peer.empty()) worker_.data()->close_outgoing(to.wire, to.peer);
  }
  for (const Sender& from : senders) {
    if (!from.peer.empty()) worker_.data()->forget_incoming(from.wire, from.peer);
  }
}

void Subtask::run() {
  if (!started_ || finished_ || gone()) return;
  const Duration step{world_.tuning.step.count() / 2 + static_cast<std::int64_t>(world_.random.below(
                                                           static_cast<std::uint64_t>(world_.tuning.step.count())))};
  take(step);
  auto progress = task_->run(wall_clock());
  if (!progress) return fail_with(progress.error());
  using Kind = Task::Progress::Kind;
  switch (progress->kind) {
    case Kind::more:
      run_again_ = true;
      return post("run", [this] {
        run_again_ = false;
        run();
      });
    case Kind::blocked:
      if (progress->wake_at) wake_at(*progress->wake_at);
      return;
    case Kind::prepared:
      if (std::exchange(prepared_, true)) return;
      worker_.tell("prepared", [of = of_, id = id_](Master& master) { master.take_prepared(of.attempt, id); });
  }
}

void Subtask::wake_at(Timestamp at) {
  if (wake_at_ && *wake_at_ <= at) return;
  wake_at_ = at;
  after(std::max(Duration{0}, at - wall_clock()), "wake up", [this] {
    wake_at_.reset();
    if (!run_again_) run();
  });
}

/// The asynchronous part: by the slot's thread, while the task goes on.
void Subtask::snapshot(TaskSnapshot snapshot) {
  const std::uint64_t checkpoint = snapshot.barrier.checkpoint_id;
  if (world_.defect == Defect::commit_before_completion) static_cast<void>(task_->complete_checkpoint(checkpoint));
  plant_in_snapshot(world_, snapshot.states);
  auto states = std::make_shared<CapturedStates>(std::move(snapshot.states));
  blocking_->work(
      "write a snapshot", [this, self = shared_from_this(), states, checkpoint, savepoint = snapshot.barrier.savepoint,
                           messages = snapshot.messages, alignment = snapshot.alignment] {
        const std::string folder = checkpoint_folder(checkpoints_.lineage, checkpoint, checkpoints_.epoch);
        const std::string name = task_state_name(id_.vertex, id_.subtask, of_.attempt);
        auto state =
            write_task_state(std::move(*states), *checkpoints_.storage, folder, name, savepoint ? nullptr : &uploaded_);
        if (!state) {
          return worker_.tell("decline", [of = of_, id = id_, checkpoint, error = state.error()](Master& master) {
            master.take_decline(of.attempt, id, checkpoint, error);
          });
        }
        state->messages = messages;
        worker_.tell("acknowledge",
                     [of = of_, id = id_, checkpoint, alignment, bytes = encode_task_state(*state)](Master& master) {
                       master.take_acknowledgement(of.attempt, id, checkpoint, bytes, {alignment, {}, {}});
                     });
      });
}

void Subtask::decline(std::uint64_t checkpoint, const Error& error) {
  worker_.tell("decline", [of = of_, id = id_, checkpoint, error](Master& master) {
    master.take_decline(of.attempt, id, checkpoint, error);
  });
}

void Subtask::fail_with(const TaskFailure& failure) {
  started_ = false;
  const Error error = to_error(failure, id_.subtask, graph_->vertices[id_.vertex].parallelism);
  worker_.post("subtask failed",
               [worker = &worker_, of = of_, id = id_, error] { worker->subtask_failed(of.attempt, id, error); });
  task_->abort();
  end();
}

void Subtask::send(std::size_t channel, EncodedEnvelopePtr envelope) {
  const Receiver& to = receivers[channel];
  if (!to.peer.empty()) return worker_.data()->send(to.wire, to.peer, std::move(envelope));
  const auto receiver = to.subtask.lock();
  if (receiver == nullptr) return;
  receiver->post("deliver", [subtask = receiver.get(), at = to.channel, envelope = std::move(envelope)] {
    subtask->deliver(at, envelope);
  });
}

void Subtask::grant(std::size_t channel, std::size_t bytes) {
  if (world_.defect == Defect::lost_credit && world_.random.chance(0.2)) return;
  const Sender& from = senders[channel];
  if (!from.peer.empty()) return worker_.data()->grant(from.wire, from.peer, bytes);
  const auto sender = from.subtask.lock();
  if (sender == nullptr) return;
  sender->post("credit", [subtask = sender.get(), at = from.channel, bytes] { subtask->take_credit(at, bytes); });
}

void Subtask::request_split() {
  worker_.tell("request split", [of = of_, id = id_](Master& master) { master.take_split_request(of.attempt, id); });
}

std::uint32_t Subtask::batch_rows() {
  return static_cast<std::uint32_t>(world_.random.between(world_.tuning.least_rows, world_.tuning.most_rows));
}

}  // namespace dataflow::simulation

#pragma once
// A subtask of a simulated worker: hosts one Task. Each handler hands one event to the task and lets it run a bounded
// step, as actors/subtask.cpp does.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/simulation/worker.hpp"

namespace dataflow::simulation {

/// The thread of a slot for what blocks: pieces of work one after the other, each of which takes its time.
class BlockingQueue final : public Actor {
 public:
  using Actor::Actor;
  void work(const char* what, std::function<void()> piece);
  void end() { quit(); }
};

class Subtask final : public Actor, public TaskHost {
 public:
  /// Where an output channel leads: to a subtask of this worker, or over the data plane.
  struct Receiver {
    std::weak_ptr<Subtask> subtask;
    std::size_t channel = 0;
    std::string peer;  ///< empty: it is here
    WireChannel wire;
  };
  using Sender = Receiver;

  Subtask(World& world, ProcessPtr process, Worker& worker, JobGraphPtr graph, Task::Identity identity,
          RegionAttempt of, std::shared_ptr<BlockingQueue> blocking);

  /// The worker has put the channels' ends in.
  void open(const CheckpointPlace& checkpoints);
  void start();
  void deliver(std::size_t channel, EncodedEnvelopePtr envelope);
  void take_credit(std::size_t channel, std::size_t bytes);
  void assign_split(const Split& split);
  void no_more_splits();
  void stop_source(EndOfData how);
  void trigger(const Barrier& barrier);
  void complete(std::uint64_t checkpoint);
  void abort_checkpoint(std::uint64_t checkpoint);
  void commit(std::uint64_t epoch);
  void cancel();

  [[nodiscard]] SubtaskId id() const { return id_; }
  std::vector<Receiver> receivers;
  std::vector<Sender> senders;

 private:
  // TaskHost.
  void send(std::size_t channel, EncodedEnvelopePtr envelope) override;
  void grant(std::size_t channel, std::size_t bytes) override;
  void request_split() override;
  [[nodiscard]] std::optional<Timestamp> clock_now() const override { return wall_clock(); }
  [[nodiscard]] std::size_t channel_window() const override { return world_.tuning.window; }
  [[nodiscard]] std::uint32_t batch_rows() override;
  [[nodiscard]] std::shared_ptr<StateBackend> state_backend() const override { return world_.state; }
  void snapshot(TaskSnapshot snapshot) override;
  void decline(std::uint64_t checkpoint, const Error& error) override;

  /// Puts it off while the task is being opened elsewhere.
  bool later(std::function<void()> handle);
  void open_task(const RestoredCheckpointPtr& restored);
  void take_opened(const tl::expected<void, TaskFailure>& opened);
  void run();
  void wake_at(Timestamp at);
  void fail_with(const TaskFailure& failure);
  void end();
  void close_channels();
  void let_go() override { put_off_.clear(); }

  Worker& worker_;
  JobGraphPtr graph_;
  SubtaskId id_;
  RegionAttempt of_;
  std::shared_ptr<BlockingQueue> blocking_;
  std::unique_ptr<Task> task_;
  CheckpointPlace checkpoints_;
  UploadedFiles uploaded_;
  bool opening_ = false;
  std::vector<std::function<void()>> put_off_;
  bool cancelled_ = false;
  bool started_ = false;
  bool run_again_ = false;
  std::optional<Timestamp> wake_at_;
  bool prepared_ = false;
  bool finished_ = false;
};

}  // namespace dataflow::simulation

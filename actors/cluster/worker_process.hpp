#pragma once
// The WorkerProcess actor: a worker process's link to its TaskManager. It waits for a job, builds its graph, connects
// to the job's master and makes the Worker actor, which speaks to the master from then on. A process serves one job.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include <caf/event_based_actor.hpp>

#include "actors/cluster/processes.hpp"
#include "actors/exchange/exchange.hpp"
#include "actors/print_relay.hpp"
#include "actors/wire/cluster_messages.hpp"

namespace dataflow {

class ControlPlane;

class WorkerProcess final : public caf::event_based_actor {
 public:
  /// `control` outlives it. `ended` is called when the process has nothing left to do, with why.
  WorkerProcess(caf::actor_config& config, caf::actor task_manager, ControlPlane& control, ChildOptions options,
                std::function<void(const std::string&)> ended);

  caf::behavior make_behavior() override;
  void on_exit() override;
  [[nodiscard]] const char* name() const override { return "dataflow.worker_process"; }

 private:
  void work(const msg::WorkForJob& job);
  Status begin(const msg::WorkForJob& job);

  caf::actor task_manager_;
  ControlPlane& control_;
  ChildOptions options_;
  std::function<void(const std::string&)> ended_;
  Duration timeout_ = std::chrono::seconds{8};
  std::chrono::steady_clock::time_point heard_;
  caf::actor worker_;
  std::shared_ptr<Exchange> exchange_;
  std::shared_ptr<PrintRelay> print_;
};

}  // namespace dataflow

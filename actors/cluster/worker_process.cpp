#include "actors/cluster/worker_process.hpp"

#include <unistd.h>

#include <spdlog/spdlog.h>
#include <caf/all.hpp>

#include "actors/cluster/artifact_store.hpp"
#include "actors/cluster/cluster_system.hpp"
#include "actors/cluster/own_messages.hpp"
#include "actors/state_home.hpp"
#include "actors/worker.hpp"
#include "libdataflow/artifact/job_artifact.hpp"
#include "libdataflow/sinks/print_sink.hpp"

namespace dataflow {

WorkerProcess::WorkerProcess(caf::actor_config& config, caf::actor task_manager, ControlPlane& control,
                             ChildOptions options, std::function<void(const std::string&)> ended)
    : caf::event_based_actor{config},
      task_manager_{std::move(task_manager)},
      control_{control},
      options_{std::move(options)},
      ended_{std::move(ended)},
      heard_{std::chrono::steady_clock::now()} {}

caf::behavior WorkerProcess::make_behavior() {
  set_down_handler([this](const caf::down_msg& down) {
    const bool from_worker = worker_ && down.source == worker_.address();
    ended_((from_worker ? "the job's master is gone: " : "the TaskManager is gone: ") + to_string(down.reason));
  });
  monitor(task_manager_);
  send(task_manager_, msg::ChildHello{options_.token, getpid()});
  delayed_send(this, timeout_ / 8, msg::LookAround{});
  return {
      [this](const msg::NodeAnswer& m) {
        timeout_ = std::chrono::microseconds{m.timeout_us};
        heard_ = std::chrono::steady_clock::now();
      },
      [this](msg::StillHere) { heard_ = std::chrono::steady_clock::now(); },
      [this](msg::LookAround) {
        if (std::chrono::steady_clock::now() - heard_ > timeout_) return ended_("the TaskManager was silent");
        delayed_send(this, timeout_ / 8, msg::LookAround{});
      },
      [this](const msg::WorkForJob& m) { work(m); },
      [this](const msg::PeerDown& m) { anon_send(worker_, m); },
  };
}

void WorkerProcess::on_exit() {
  task_manager_ = nullptr;
  worker_ = nullptr;
}

void WorkerProcess::work(const msg::WorkForJob& job) {
  if (!worker_) {
    if (const Status begun = begin(job); !begun) {
      spdlog::error("{}", begun.error().message());
      return send(task_manager_, msg::WorkRefused{job.job.id, job.round, begun.error().message()});
    }
    // Building the graph may have taken long, and the TaskManager's words have waited meanwhile.
    heard_ = std::chrono::steady_clock::now();
  }
  send(worker_, msg::ProvideSlots{job.round, job.slots});
}

Status WorkerProcess::begin(const msg::WorkForJob& job) {
  print_ =
      std::make_shared<PrintRelay>([this](std::string text) { anon_send(worker_, msg::PrintOutput{std::move(text)}); });
  set_print_stream(print_->stream());
  // Where the file is, its libraries are.
  const ArtifactStore artifacts{std::filesystem::path{job.artifact_path}.parent_path()};
  auto built = build_artifact({.file_name = job.job.file_name,
                               .file = job.artifact_path,
                               .base_folder = job.job.base_folder,
                               .libraries = artifacts.libraries_of(job.job),
                               .overrides = job.job.overrides,
                               .environment = job.job.environment,
                               .arguments = job.job.arguments,
                               .parallelism = job.job.parallelism});
  if (!built) return fail(built.error());
  // Other workers see it; the token is between this process and its TaskManager.
  const std::string data_name = job.node + "/" + std::to_string(getpid()) + "-" + std::to_string(random_token());
  ExchangeSettings data;
  data.identity = {options_.control.cluster, data_name, job.master_epoch, job.data_token};
  data.listen_host = options_.data_host;
  data.insecure = options_.control.insecure;
  data.tls = options_.control.tls;
  data.silence_timeout = timeout_;
  data.on_peer_lost = [self = address()](const PeerLost& lost) {
    caf::anon_send(caf::actor_cast<caf::actor>(self),
                   msg::PeerDown{"the connection to worker " + lost.peer + " was lost: " + lost.reason.message()});
  };
  auto exchange = listen_exchange(std::move(data));
  if (!exchange) return fail(exchange.error());
  exchange_ = std::move(*exchange);
  auto supervisor = control_.connect({job.master_host, job.master_port});
  if (!supervisor) return fail(supervisor.error().within("the job's master"));
  WorkerJob work;
  work.supervisor = std::move(*supervisor);
  work.graph = built->graph;
  work.secrets = built->secrets;
  work.job_id = job.job.id;
  work.graph_hash = graph_hash(*built->graph);
  work.leader_epoch = job.master_epoch;
  work.node = job.node;
  work.host = job.host;
  work.name = data_name;
  work.exchange = exchange_;
  work.print = print_;
  auto state = open_state_backend(*built->graph->stream, job.job.id);
  if (!state) return fail(state.error());
  work.state = std::move(*state);
  spdlog::info("worker {} works for job {} ({})", getpid(), job.job.id, built->graph->stream->name);
  worker_ = spawn<Worker, caf::detached + caf::monitored>(std::move(work));
  return {};
}

}  // namespace dataflow

#include "actors/cluster/processes.hpp"

#include <unistd.h>

#include <algorithm>
#include <future>
#include <mutex>
#include <thread>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "actors/cluster/child_processes.hpp"
#include "actors/cluster/cluster_system.hpp"
#include "actors/cluster/crash_report.hpp"
#include "actors/cluster/job_manager.hpp"
#include "actors/cluster/job_master.hpp"
#include "actors/cluster/own_messages.hpp"
#include "actors/cluster/task_manager.hpp"
#include "actors/cluster/worker_process.hpp"

namespace dataflow {

namespace {

namespace fs = std::filesystem;

/// Control actors have threads of their own; the pool of a process that runs no subtasks has little to do.
constexpr std::size_t control_threads = 1;
constexpr std::chrono::seconds see_out_deadline{2};

void log_to_standard_error(const std::string& who) {
  auto logger = std::make_shared<spdlog::logger>(who, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l " + who + "[%P] %v");
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

Status make_folders(const fs::path& root) {
  std::error_code error;
  for (const char* folder : {"artifacts", "logs"}) {
    fs::create_directories(root / folder, error);
    if (error) return fail(ErrorCode::io, "cannot make " + (root / folder).string() + ": " + error.message());
  }
  return {};
}

/// Every thread of an actor system may run user code, and overflow its stack there.
class CrashStacks final : public caf::thread_hook {
 public:
  void init(caf::actor_system&) override {}
  void thread_started() override { prepare_thread_for_crashes(); }
  void thread_terminates() override {}
};

/// For a thread that has to wait until an actor says that it is over; says so only once.
class End {
 public:
  void tell(std::string reason) {
    const std::lock_guard lock{mutex_};
    if (!std::exchange(told_, true)) promise_.set_value(std::move(reason));
  }
  std::string wait() { return promise_.get_future().get(); }

 private:
  std::mutex mutex_;
  bool told_ = false;
  std::promise<std::string> promise_;
};

/// Nothing is left that would have to be put in order, and user code, or an attempt to connect, may keep threads from
/// ending.
[[noreturn]] void leave(int code) {
  spdlog::shutdown();
  std::fflush(nullptr);
  _exit(code);
}

/// Sees the process's actor out, and ends what its children would still have told it: a handle that somebody keeps
/// would keep the actor system, and with it the process, from ending.
void see_out(caf::actor_system& system, const caf::actor& actor, ChildProcesses& children) {
  caf::scoped_actor self{system};
  self->monitor(actor);
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  self->receive([](const caf::down_msg&) {}, caf::after(see_out_deadline) >> [] {});
  children.forget();
}

}  // namespace

Status run_job_manager(const JobManagerOptions& options, const OnReady& ready) {
  ChildProcesses::prepare_signals();
  log_to_standard_error("jobmanager");
  if (auto made = make_folders(options.storage); !made) return made;
  const auto files = system_files();
  auto store = JobStore::open(*files, {.folder = options.storage.string(), .cluster = options.control.cluster});
  if (!store) return fail(store.error());
  for (const Error& error : store->unreadable()) spdlog::error("{}; this job is left out", error.message());
  ChildProcesses children;
  ClusterConfig config{control_threads};
  caf::actor_system system{config};
  auto control = ControlPlane::open(system, options.control);
  if (!control) return fail(control.error());
  auto job_manager = system.spawn<JobManager, caf::detached>(options, children, std::move(*store));
  const auto listening = (*control)->publish(job_manager, options.listen);
  if (listening) {
    caf::anon_send(job_manager, msg::UseEndpoint{*listening});
    ready(*listening);
    children.run();
  }
  see_out(system, job_manager, children);
  if (!listening) return fail(listening.error());
  leave(0);
}

Status run_task_manager(const TaskManagerOptions& options, const OnReady& ready) {
  ChildProcesses::prepare_signals();
  log_to_standard_error("taskmanager");
  if (options.listen.host == "0.0.0.0" || options.listen.host == "::") {
    return fail(ErrorCode::invalid_argument, options.listen.text() +
                                                 " is no address under which others reach this node: name one of "
                                                 "this machine's own");
  }
  if (auto made = make_folders(options.work_dir); !made) return made;
  ChildProcesses children;
  ClusterConfig config{control_threads};
  caf::actor_system system{config};
  Status outcome;
  Endpoint at = options.listen;
  const auto registered = [&](const Status& status) {
    if (status) return ready(at);
    outcome = status;
    children.stop();
  };
  auto control = ControlPlane::open(system, options.control);
  if (!control) return fail(control.error());
  auto task_manager = system.spawn<TaskManager, caf::detached>(options, children, (*control)->middleman(), registered);
  const auto listening = (*control)->publish(task_manager, options.listen);
  if (listening) {
    at = *listening;
    caf::anon_send(task_manager, msg::UseEndpoint{*listening});
    children.run();
  } else {
    outcome = fail(listening.error());
  }
  see_out(system, task_manager, children);
  if (!outcome) return outcome;
  leave(0);
}

Status run_job_master(const ChildOptions& options) {
  log_to_standard_error("master");
  ClusterConfig config{control_threads};
  caf::actor_system system{config};
  auto control = ControlPlane::open(system, options.control);
  if (!control) return fail(control.error());
  auto job_manager = (*control)->connect(options.parent);
  if (!job_manager) return fail(job_manager.error());
  End end;
  system.spawn<JobMaster, caf::detached>(*job_manager, **control, options.token, [&end] { end.tell({}); });
  end.wait();
  leave(0);
}

Status run_worker(const ChildOptions& options) {
  log_to_standard_error("worker");
  report_crashes(options.memory_limit);
  ClusterConfig config{std::max(2U, std::thread::hardware_concurrency())};
  config.add_thread_hook<CrashStacks>();
  caf::actor_system system{config};
  auto control = ControlPlane::open(system, options.control);
  if (!control) return fail(control.error());
  auto task_manager = (*control)->connect(options.parent);
  if (!task_manager) return fail(task_manager.error());
  End end;
  system.spawn<WorkerProcess, caf::detached>(*task_manager, **control, options.control, options.token,
                                             [&end](const std::string& reason) { end.tell(reason); });
  spdlog::info("ends: {}", end.wait());
  leave(0);
}

}  // namespace dataflow

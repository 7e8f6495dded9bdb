#include "actors/cluster/processes.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "actors/cluster/child_processes.hpp"
#include "actors/cluster/client.hpp"
#include "actors/cluster/cluster_system.hpp"
#include "actors/cluster/crash_report.hpp"
#include "actors/cluster/crash_stacks.hpp"
#include "actors/cluster/job_manager.hpp"
#include "actors/cluster/job_master.hpp"
#include "actors/cluster/own_messages.hpp"
#include "actors/cluster/task_manager.hpp"
#include "actors/cluster/time_slice.hpp"
#include "actors/cluster/worker_process.hpp"
#include "actors/exchange/byte_stream.hpp"
#include "actors/exchange/socket.hpp"

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

/// Two TaskManagers in one folder would write into each other's files. Held by the process until its end, however that
/// comes. One that was just killed may have left it to a child that does not run its own program yet.
Result<Descriptor> lock_folder(const fs::path& folder) {
  constexpr std::chrono::seconds patience{2};
  constexpr std::chrono::milliseconds between_tries{20};
  const fs::path file = folder / "lock";
  Descriptor lock{open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (!lock.valid()) return fail(ErrorCode::io, "cannot open " + file.string() + ": " + std::strerror(errno));
  const auto end = std::chrono::steady_clock::now() + patience;
  while (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail(ErrorCode::io, "cannot lock " + file.string() + ": " + std::strerror(errno));
    if (std::chrono::steady_clock::now() > end) {
      return fail(ErrorCode::invalid_argument,
                  "another TaskManager works in " + folder.string() + ": each needs a --work-dir of its own");
    }
    std::this_thread::sleep_for(between_tries);
  }
  return lock;
}

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

/// What others are told to connect to has to be an address that means this node on their machines, too.
Status check_advertised(const TaskManagerOptions& options) {
  if (options.advertise && is_any_address(options.advertise->host)) {
    return fail(ErrorCode::invalid_argument,
                "--advertise: " + options.advertise->host + " is no address under which others reach this node");
  }
  if (options.advertise || !is_any_address(options.listen.host)) return {};
  return fail(ErrorCode::invalid_argument, "this node listens at " + options.listen.host +
                                               ", which is no address under which others reach it: say "
                                               "which one they shall use with --advertise HOST");
}

/// Those who connect want a certificate for the host that they connect to: better to say so now than to be refused by
/// every one of them.
Status check_certificate(const ControlSettings& settings, const std::set<std::string>& hosts) {
  if (!settings.tls) return {};
  const auto tls = TlsContext::load(*settings.tls);
  if (!tls) return fail(tls.error());
  for (const std::string& host : hosts) {
    if ((*tls)->is_for(host)) continue;
    return fail(ErrorCode::invalid_argument, "the certificate " + settings.tls->certificate.string() + " is not for " +
                                                 host + ", by which this process is reached: make one that is, " +
                                                 "`dfnode certs DIR NAME --host " + host + "`");
  }
  return {};
}

/// To take the leadership ends the one who has it, which has to be meant: so not from one that answers, and not for an
/// address where this process cannot listen.
Status check_no_other_leads(FileAccess& files, const JobManagerOptions& options) {
  constexpr std::chrono::seconds answer_deadline{2};
  if (const auto leader = parse_endpoint(JobStore::last_leader(files, options.storage.string())); leader) {
    const auto client = ClusterClient::connect(*leader, options.control, answer_deadline);
    if (client && (*client)->list_nodes()) {
      return fail(ErrorCode::invalid_argument, "the JobManager at " + leader->text() + " works with " +
                                                   options.storage.string() +
                                                   ": end it first, or give this one a --storage of its own");
    }
  }
  if (options.listen.port == 0) return {};
  const auto free = listen_tcp(options.listen.host, options.listen.port);
  return free ? Status{} : fail(free.error());
}

}  // namespace

Status run_job_manager(const JobManagerOptions& options, const OnReady& ready) {
  ChildProcesses::prepare_signals();
  ask_for_short_slices();
  log_to_standard_error("jobmanager");
  if (Status status = check_certificate(options.control, {host_for_children(options.listen)}); !status) return status;
  if (auto made = make_folders(options.storage); !made) return made;
  const auto files = system_files();
  if (Status alone = check_no_other_leads(*files, options); !alone) return alone;
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
  leave(children.exit_code());
}

Status run_task_manager(const TaskManagerOptions& options, const OnReady& ready) {
  ChildProcesses::prepare_signals();
  ask_for_short_slices();
  log_to_standard_error("taskmanager");
  if (Status status = check_advertised(options); !status) return status;
  const Endpoint& others_use = options.advertise ? *options.advertise : options.listen;
  if (Status status = check_certificate(options.control, {others_use.host, host_for_children(options.listen)}); !status)
    return status;
  if (auto made = make_folders(options.work_dir); !made) return made;
  const auto lock = lock_folder(options.work_dir);
  if (!lock) return fail(lock.error());
  ChildProcesses children;
  ClusterConfig config{control_threads};
  caf::actor_system system{config};
  Status outcome;
  Endpoint name = options.advertise.value_or(options.listen);
  const auto registered = [&](const Status& status) {
    if (status) return ready(name);
    outcome = status;
    children.stop();
  };
  auto control = ControlPlane::open(system, options.control);
  if (!control) return fail(control.error());
  auto task_manager = system.spawn<TaskManager, caf::detached>(options, children, (*control)->middleman(), registered);
  const auto listening = (*control)->publish(task_manager, options.listen);
  if (listening) {
    if (name.port == 0) name.port = listening->port;
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
  ask_for_short_slices();
  log_to_standard_error("master");
  report_crashes(0);
  ClusterConfig config{control_threads};
  config.add_thread_hook<CrashStacks>();
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
  ask_for_usual_slices();
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
  system.spawn<WorkerProcess, caf::detached>(*task_manager, **control, options,
                                             [&end](const std::string& reason) { end.tell(reason); });
  spdlog::info("ends: {}", end.wait());
  leave(0);
}

}  // namespace dataflow

#pragma once
// The processes of a cluster, as the commands of dfnode start them. Each function runs its process and returns when it
// is over; no CAF here.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "actors/cluster/control_settings.hpp"
#include "actors/cluster/endpoint.hpp"
#include "serialization/result.hpp"
#include "serialization/time.hpp"

namespace dataflow {

struct JobManagerOptions {
  ControlSettings control;
  Endpoint listen{"127.0.0.1", 6123};
  std::filesystem::path storage;  ///< artifacts, jobs, logs of the job masters; survives a restart
  /// Nodes and workers that are silent for so long are lost.
  Duration silence_timeout = std::chrono::seconds{8};
  /// A worker whose subtasks do not end within this when they are told to is killed.
  Duration cancel_timeout = std::chrono::seconds{30};
  /// Jobs wait for slots at most so long.
  Duration slot_timeout = std::chrono::minutes{5};
};

struct TaskManagerOptions {
  ControlSettings control;
  Endpoint join{"127.0.0.1", 6123};
  Endpoint listen{"127.0.0.1", 0};  ///< its workers listen at the same host
  /// Where other nodes reach this one, when that is not where it listens: behind another name, or at all of the
  /// machine's addresses. Port 0: that of `listen`. Its text is the node's name in the cluster.
  std::optional<Endpoint> advertise;
  std::uint32_t slots = 1;
  std::filesystem::path work_dir;  ///< artifacts and logs of the workers
  /// Bytes that artifacts may take: beyond, those that no job here needs go, the ones first that were of use the
  /// longest time ago.
  std::uint64_t artifact_cache = 1ULL << 30;
  /// Bytes that one worker process may have for data; 0: no limit. The operating system's limit, so that a job whose
  /// code takes more ends, and nothing else does.
  std::uint64_t worker_memory = 0;
};

/// What a child process needs to find its parent.
struct ChildOptions {
  ControlSettings control;
  Endpoint parent;
  std::uint64_t token = 0;
  std::string data_host{};         ///< where a worker listens for data
  std::uint64_t memory_limit = 0;  ///< bytes that it has been given, for what it says when they are used up
};

using OnReady = std::function<void(const Endpoint& listening)>;

/// SIGTERM or SIGINT ends the process, with 0. `ready` is called once it listens. Returns errors only: io when the
/// address is taken or the storage cannot be used; invalid_argument for a storage of another cluster, an address that
/// others reach without certificates, or TLS files that cannot be used, or not for this host.
Status run_job_manager(const JobManagerOptions& options, const OnReady& ready);
/// The same for a TaskManager; it is ready when the JobManager has accepted it, and told its name. Errors: also
/// invalid_argument with the JobManager's reason for refusing it, or when nobody could reach it at what it advertises.
Status run_task_manager(const TaskManagerOptions& options, const OnReady& ready);

/// Started by the JobManager, one for each job: builds the graph and hosts the JobSupervisor.
Status run_job_master(const ChildOptions& options);
/// Started by a TaskManager: runs the subtasks of one job.
Status run_worker(const ChildOptions& options);

}  // namespace dataflow

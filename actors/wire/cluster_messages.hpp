#pragma once
// What the processes of a cluster say to each other: JobManager, TaskManagers, workers, job masters and clients. One
// struct a message, with who sends it, when, and what comes back. What a JobSupervisor says to its Workers is in
// job_messages.hpp.
//
// The first message of each conversation has a Hello, and its receiver refuses a peer of another protocol or cluster.
// What is about a job or a node carries the leader epoch: a JobManager that was started later has a greater one, and
// who has heard of it listens to no earlier one any more.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "actors/wire/engine_types.hpp"

namespace dataflow::msg {

/// Version of all structs in this folder; grows with every change to one of them.
inline constexpr std::uint32_t protocol_version = 4;

struct Hello {
  std::uint32_t protocol = protocol_version;
  std::string cluster;
};

/// A job as it was submitted: all that is needed to build its graph anywhere, except the artifact itself.
struct JobSpec {
  std::string id;                                ///< given by the JobManager
  std::string file_name;                         ///< "job.toml" or "fraud.so": says what the artifact is
  std::string artifact;                          ///< SHA-256 of the file's content, in hex
  std::string base_folder;                       ///< where the client's relative paths start
  std::map<std::string, std::string> libraries;  ///< artifacts of the files that it names, by their absolute paths
  std::vector<std::string> overrides;
  std::map<std::string, std::string> environment;  ///< the client's, as far as the file uses it
  std::vector<std::string> arguments;
  std::uint32_t parallelism = 0;  ///< of nodes that say none; 0: the JobManager chooses
  bool followed = false;          ///< a client waits for the print sinks' output
  std::string from;               ///< the savepoint that it starts from; empty: none
  bool drop_unclaimed = false;    ///< state in it that no operator claims is left out
};

// ---- TaskManager and JobManager -------------------------------------------------------------------------------------

/// From a TaskManager that has connected; answered by NodeAnswer.
struct RegisterNode {
  Hello hello;
  std::string name;               ///< "HOST:PORT"
  std::uint64_t incarnation = 0;  ///< a greater one with each registration that is not a repetition
  std::uint32_t slots = 0;
};
struct NodeAnswer {
  bool accepted = false;
  std::string reason;
  std::uint64_t leader_epoch = 0;
  std::uint64_t timeout_us = 0;  ///< who is silent for so long is lost, on both sides
  /// Of a node that may try again with a greater incarnation than this one; 0: the refusal is for good.
  std::uint64_t taken_incarnation = 0;
};

/// From a registered TaskManager several times within the timeout; answered by HeartbeatAnswer.
struct NodeHeartbeat {
  std::uint64_t leader_epoch = 0;
  std::string name;
  std::uint64_t incarnation = 0;
};
/// `known` is false for a node that was declared lost: it ends its workers and registers again.
struct HeartbeatAnswer {
  std::uint64_t leader_epoch = 0;
  bool known = false;
};

/// To a TaskManager: let the job's worker on this node offer these slots to the job's master. The worker is made
/// when there is none.
struct AssignSlots {
  std::uint64_t leader_epoch = 0;
  JobSpec job;
  std::uint64_t master_epoch = 0;  ///< of the job's master: another one with each start of it
  std::uint64_t data_token = 0;    ///< known to the workers of the job only
  std::uint16_t master_port = 0;   ///< on the JobManager's host
  std::uint32_t round = 0;
  std::vector<std::uint32_t> slots;
};

/// To a TaskManager: the job needs its worker no more, or it does not do what it is told.
struct EndWorker {
  std::uint64_t leader_epoch = 0;
  std::string job_id;
  std::string reason;
  bool stuck = false;      ///< it does not come out of user code: where it is there is wanted
  bool job_ended = false;  ///< nothing of it is needed here any more
};

/// From a TaskManager: a job's worker has ended without having been told to, or was stuck.
struct WorkerDied {
  std::uint64_t leader_epoch = 0;
  std::string job_id;
  std::uint32_t round = 0;  ///< the last that it was given slots of
  std::string reason;
  bool crashed = false;  ///< by what it did, not by what was done to it
  bool stuck = false;    ///< it was told to end; `reason` says where it was instead
};

/// To a TaskManager: what the job's workers on this node have logged. Answered by Answer, whose text is plain lines.
struct ReadLogs {
  std::uint64_t leader_epoch = 0;
  std::string job_id;
};

/// Answered by ArtifactPiece, or an error.
struct ReadArtifact {
  std::string artifact;
  std::uint64_t offset = 0;
};
struct ArtifactPiece {
  std::uint64_t total_bytes = 0;
  std::string bytes;
};

// ---- Worker process and TaskManager; job master process and JobManager ----------------------------------------------

/// From a process that was started, to who started it, once it is connected.
struct ChildHello {
  std::uint64_t token = 0;  ///< which one it is; nobody else knows it
  std::int32_t pid = 0;
};

/// To a worker process: build this job and offer the slots to its master. Comes again, with the same job, for later
/// attempts.
struct WorkForJob {
  std::uint64_t master_epoch = 0;
  std::uint64_t data_token = 0;
  JobSpec job;
  std::string artifact_path;
  std::string master_host;
  std::uint16_t master_port = 0;
  std::string node;  ///< the TaskManager's name
  std::string host;  ///< where other workers reach it
  std::uint32_t round = 0;
  std::vector<std::uint32_t> slots;
};

/// The worker could not even begin with the job.
struct WorkRefused {
  std::string job_id;
  std::uint32_t round = 0;
  std::string reason;
};

/// Several times within the timeout, both ways between a worker process and its TaskManager: who misses it ends.
struct StillHere {};

/// To a job master process: the job that it is for.
struct MasterJob {
  std::uint64_t master_epoch = 0;
  JobSpec job;
  std::string artifact_path;
  std::string host;  ///< where it listens; workers reach it under the name by which their nodes have joined
  std::uint64_t worker_timeout_us = 0;
  std::uint64_t cancel_timeout_us = 0;
  bool again = false;  ///< the job had a master before: it goes on from its checkpoints
};

/// The master has built the graph, or could not.
struct MasterReady {
  bool ok = false;
  Failure failure;
  std::string name;
  std::uint32_t slots = 0;
  std::uint16_t port = 0;  ///< where workers reach the JobSupervisor
};

/// The job's state has changed, and is not final.
struct MasterState {
  JobState state = JobState::created;
};

/// The job's state is final. `json` is what `show` says from now on.
struct MasterEnded {
  JobState state = JobState::finished;
  Failure failure;
  std::string json;
};

// ---- Client and JobManager; of a job's calls, JobManager and job master ---------------------------------------------

/// A piece of an artifact from a client; answered by Answer: how many bytes the JobManager has of it, in JSON. With
/// `bytes` empty it only asks.
struct PutArtifact {
  Hello hello;
  std::string artifact;
  std::uint64_t offset = 0;
  std::uint64_t total_bytes = 0;
  std::string bytes;
};

/// Answered by Answer once the job's graph is built: {"id": ...}.
struct SubmitJob {
  Hello hello;
  JobSpec job;
};

struct ListNodes {
  Hello hello;
};
struct ListJobs {
  Hello hello;
};

enum class JobVerb : std::uint8_t { show, cancel, stop, drain, send, ask, logs, savepoint };

/// Answered by Answer.
struct CallJob {
  Hello hello;
  std::string job;  ///< its id, or its name when one job of that name is not at its end
  JobVerb verb = JobVerb::show;
  std::string node;  ///< for send and ask: the operator, the message or state, its JSON, and the key or nothing
  std::string name;
  std::string json;  ///< for savepoint: {"dir": PATH or "", "stop": bool, "drain": bool}
  std::string key_json;
};

/// From the client that submitted the job, again and again; answered by Followed when there is something to say, and
/// otherwise after a fraction of a second.
struct FollowJob {
  Hello hello;
  std::string job;
};
struct Followed {
  Failure failure;     ///< of the request itself; with an empty message there is none
  std::string output;  ///< what print sinks have written
  bool ended = false;  ///< the job's state is final and all output has been given
  std::string json;    ///< the job as `show` has it
};

// ---- How they are written -------------------------------------------------------------------------------------------

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Hello& x) {
  return f(caf::meta::type_name("Hello"), x.protocol, x.cluster);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, JobSpec& x) {
  return f(caf::meta::type_name("JobSpec"), x.id, x.file_name, x.artifact, x.base_folder, x.libraries, x.overrides,
           x.environment, x.arguments, x.parallelism, x.followed, x.from, x.drop_unclaimed);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, RegisterNode& x) {
  return f(caf::meta::type_name("RegisterNode"), x.hello, x.name, x.incarnation, x.slots);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, NodeAnswer& x) {
  return f(caf::meta::type_name("NodeAnswer"), x.accepted, x.reason, x.leader_epoch, x.timeout_us, x.taken_incarnation);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, NodeHeartbeat& x) {
  return f(caf::meta::type_name("NodeHeartbeat"), x.leader_epoch, x.name, x.incarnation);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, HeartbeatAnswer& x) {
  return f(caf::meta::type_name("HeartbeatAnswer"), x.leader_epoch, x.known);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, AssignSlots& x) {
  return f(caf::meta::type_name("AssignSlots"), x.leader_epoch, x.job, x.master_epoch, x.data_token, x.master_port,
           x.round, x.slots);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, EndWorker& x) {
  return f(caf::meta::type_name("EndWorker"), x.leader_epoch, x.job_id, x.reason, x.stuck, x.job_ended);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, WorkerDied& x) {
  return f(caf::meta::type_name("WorkerDied"), x.leader_epoch, x.job_id, x.round, x.reason, x.crashed, x.stuck);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, ReadLogs& x) {
  return f(caf::meta::type_name("ReadLogs"), x.leader_epoch, x.job_id);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, ReadArtifact& x) {
  return f(caf::meta::type_name("ReadArtifact"), x.artifact, x.offset);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, ArtifactPiece& x) {
  return f(caf::meta::type_name("ArtifactPiece"), x.total_bytes, x.bytes);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, ChildHello& x) {
  return f(caf::meta::type_name("ChildHello"), x.token, x.pid);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, WorkForJob& x) {
  return f(caf::meta::type_name("WorkForJob"), x.master_epoch, x.data_token, x.job, x.artifact_path, x.master_host,
           x.master_port, x.node, x.host, x.round, x.slots);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, WorkRefused& x) {
  return f(caf::meta::type_name("WorkRefused"), x.job_id, x.round, x.reason);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, StillHere&) {
  return f(caf::meta::type_name("StillHere"));
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, MasterJob& x) {
  return f(caf::meta::type_name("MasterJob"), x.master_epoch, x.job, x.artifact_path, x.host, x.worker_timeout_us,
           x.cancel_timeout_us, x.again);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, MasterReady& x) {
  return f(caf::meta::type_name("MasterReady"), x.ok, x.failure, x.name, x.slots, x.port);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, MasterState& x) {
  return f(caf::meta::type_name("MasterState"), x.state);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, MasterEnded& x) {
  return f(caf::meta::type_name("MasterEnded"), x.state, x.failure, x.json);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, PutArtifact& x) {
  return f(caf::meta::type_name("PutArtifact"), x.hello, x.artifact, x.offset, x.total_bytes, x.bytes);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SubmitJob& x) {
  return f(caf::meta::type_name("SubmitJob"), x.hello, x.job);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, ListNodes& x) {
  return f(caf::meta::type_name("ListNodes"), x.hello);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, ListJobs& x) {
  return f(caf::meta::type_name("ListJobs"), x.hello);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, CallJob& x) {
  return f(caf::meta::type_name("CallJob"), x.hello, x.job, x.verb, x.node, x.name, x.json, x.key_json);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, FollowJob& x) {
  return f(caf::meta::type_name("FollowJob"), x.hello, x.job);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Followed& x) {
  return f(caf::meta::type_name("Followed"), x.failure, x.output, x.ended, x.json);
}

}  // namespace dataflow::msg

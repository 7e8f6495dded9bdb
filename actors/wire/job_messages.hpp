#pragma once
// What a JobSupervisor and the Workers of its job say to each other; in a cluster it travels between processes. One
// struct a message, with who sends it, when, and what comes back. Each has the attempt that it is about: a message of
// another attempt than the current one is ignored by whoever gets it. The leader epoch is checked once, by OfferSlots:
// a JobSupervisor lives in one epoch, and nobody can have the address of one without having been given it.

#include <cstdint>
#include <string>
#include <vector>

#include <caf/group.hpp>

#include "actors/wire/engine_types.hpp"

namespace dataflow::msg {

// ---- Worker to JobSupervisor ----------------------------------------------------------------------------------------

/// "These slots of yours are mine to fill." Sent when a worker has built the graph; DeploySlots follow once a region
/// has all of its slots.
struct OfferSlots {
  std::uint64_t leader_epoch = 0;
  std::uint32_t round = 0;
  std::string node;    ///< the TaskManager's name
  std::string worker;  ///< its name, which no other process ever has
  std::string host;    ///< where it listens for data
  std::uint16_t data_port = 0;
  std::vector<std::uint32_t> slots;
  std::uint64_t graph_hash = 0;
};

/// The subtasks that a region has in a slot exist. All of them are in `group`, which can be sent to from everywhere.
struct SlotDeployed {
  RegionAttempt of;
  std::uint32_t slot = 0;
  caf::group group;
};

/// A subtask's channels are wired and its operators open.
struct Opened {
  std::uint32_t attempt = 0;
  SubtaskId id;
};

/// Answered by AssignSplit or NoMoreSplits, at once or later.
struct RequestSplit {
  std::uint32_t attempt = 0;
  SubtaskId id;
};

/// The numbers of all nodes of a subtask.
struct SubtaskReport {
  std::uint32_t attempt = 0;
  SubtaskId id;
  std::uint64_t number = 0;  ///< from 1 in each attempt: reports go different ways, and the last one may come first
  std::vector<NodeMetrics> nodes;
  TimeTotals time_use;  ///< since its first run
};

/// The answer to RequestReports: what the subtasks have said since the last one. Comes from the worker's own thread,
/// even when nothing is new: a worker that is not heard of has lost its job.
struct Reports {
  std::vector<SubtaskReport> subtasks;
};

/// All data is through, sinks have pre-committed.
struct Prepared {
  SubtaskReport report;
};

struct Finished {
  std::uint32_t attempt = 0;
  SubtaskId id;
};

/// The subtask's part of a checkpoint is written.
struct Acknowledge {
  std::uint32_t attempt = 0;
  SubtaskId id;
  std::uint64_t checkpoint = 0;
  SnapshotTimes times;
  std::string state;  ///< encode_task_state
};

/// There will be no part of the subtask.
struct Decline {
  std::uint32_t attempt = 0;
  SubtaskId id;
  std::uint64_t checkpoint = 0;
  Failure failure;
};

/// Said before a subtask ends with an error, so that the reason arrives with it.
struct SubtaskFailed {
  std::uint32_t attempt = 0;
  SubtaskId id;
  Failure failure;
};

/// The subtask exists no more, for whatever reason.
struct SubtaskGone {
  std::uint32_t attempt = 0;
  SubtaskId id;
};

/// A slot died without having seen its subtasks out.
struct SlotLost {
  RegionAttempt of;
  std::uint32_t slot = 0;
  std::string reason;
};

/// The data connection to another worker of the job is gone, and all channels over it.
struct PeerUnreachable {
  RegionAttempt of;
  std::string reason;
};

/// What a `print` sink has written. Comes before the Finished of its subtask; answered by OutputTaken.
struct PrintOutput {
  std::string text;
};

// ---- JobSupervisor to Worker ----------------------------------------------------------------------------------------

/// Make what the region has in these slots: one subtask of each of its vertices that is wide enough. A SlotDeployed
/// each.
struct DeploySlots {
  RegionAttempt of;
  std::string job_id;              ///< as sinks know the job: the id of the one that began the run
  std::uint32_t attempt_base = 0;  ///< what names of files add to the attempt's number
  std::vector<std::uint32_t> slots;
};

/// Where a worker listens for data.
struct WorkerEndpoint {
  std::string worker;
  std::string host;
  std::uint16_t port = 0;
};

/// Where the checkpoints of an attempt lie.
struct CheckpointPlace {
  std::string storage;  ///< URI; empty: the job takes none
  std::string lineage;
  std::uint64_t epoch = 0;
  std::string restore_from;     ///< a checkpoint's folder; empty: the attempt starts from nothing
  std::string restore_storage;  ///< URI of where that is; empty: in `storage`
};

/// All subtasks exist: wire their channels and open them; an Opened each.
struct OpenSubtasks {
  RegionAttempt of;
  std::vector<WorkerEndpoint> workers;
  std::vector<std::uint32_t> worker_of_slot;  ///< index into `workers`
  std::uint32_t self = 0;                     ///< the receiver's index there
  CheckpointPlace checkpoints;
};

/// All subtasks are open: run.
struct StartSubtasks {
  RegionAttempt of;
};

/// Sources end; what is in flight finishes.
struct StopSubtasks {
  RegionAttempt of;
  bool drain = false;
};

/// Every subtask of the job has pre-committed: make it visible, close; a Finished each.
struct CommitSubtasks {
  RegionAttempt of;
  std::uint64_t epoch = 0;
};

/// To all workers: sources begin a checkpoint. The barriers tell the others; each subtask answers Acknowledge or
/// Decline.
struct TriggerCheckpoint {
  Barrier barrier;
};
/// The checkpoint is complete: make visible what was pre-committed for it.
struct CheckpointCompleted {
  std::uint64_t id = 0;
};
/// The checkpoint has been given up.
struct CheckpointAborted {
  std::uint64_t id = 0;
};

/// End all subtasks; a SubtaskGone each.
struct CancelAttempt {
  RegionAttempt of;
};

struct AssignSplit {
  std::uint32_t attempt = 0;
  SubtaskId id;
  Split split;
};

struct NoMoreSplits {
  std::uint32_t attempt = 0;
  SubtaskId id;
};

/// Comes regularly; answered by Reports at once. A worker that misses it has lost its JobSupervisor.
struct RequestReports {};

/// So much of a worker's PrintOutput has left the JobSupervisor.
struct OutputTaken {
  std::uint64_t bytes = 0;
};

// ---- To the group of a slot, by its Slot or by whoever has the group
// --------------------------------------------------

/// Abort the task and end.
struct CancelSubtask {};

/// `dfnode send` and `ask`, to the group of the subtask's slot; the subtask answers its sender with OperatorAnswered,
/// and the others do not care. A message that is given again before an attempt begins goes by the worker, so that it
/// comes before the first record.
struct CallOperator {
  std::uint64_t call = 0;  ///< the sender's number for it; 0: no answer is wanted
  std::uint32_t attempt = 0;
  SubtaskId id;
  std::uint32_t node = 0;
  std::string name;  ///< of the message, or of the state
  std::string json;  ///< the message's body, or the key
  bool is_query = false;
  std::uint64_t number = 0;  ///< of a message; those of a subtask come in the order of their numbers
};

struct OperatorAnswered {
  std::uint64_t call = 0;
  SubtaskId id;
  Answer answer;
};

// ---- JobSupervisor and its home, which has the slots; in a cluster, on to the JobManager
// -----------------------------

/// A JobSupervisor has nobody for these of its slots; whoever had them before is dead. The others it keeps until the
/// job's end. Each request is a round of its own, and ends those before. Workers will offer the slots; SlotsGranted
/// when they have been chosen, SlotsRefused when there never will be enough.
struct RequestSlots {
  std::uint32_t round = 0;
  std::vector<std::uint32_t> slots;
};
struct SlotsGranted {
  std::uint32_t round = 0;
};
/// Nothing is decided yet, because of `reason`; shown to whoever asks how the job is.
struct SlotsAwaited {
  std::uint32_t round = 0;
  std::string reason;
};
struct SlotsRefused {
  std::uint32_t round = 0;
  std::string reason;
};

/// To the JobSupervisor: a process that had slots, or was to have them, is no more.
struct WorkerLost {
  std::uint32_t round = 0;  ///< the last that it was given slots of
  std::string node;
  std::string reason;
  bool crashed = false;  ///< by what it did, not by what was done to it
};

/// From the JobSupervisor of a job without checkpoints: all subtasks have pre-committed. Answered by CommitMayBegin
/// once it is kept that from now on the job must not begin again.
struct CommitBegins {};
struct CommitMayBegin {};

/// From the JobSupervisor: the worker on `node` is not needed any more; end the process.
struct KillWorker {
  std::string node;
  std::string reason;
  bool stuck = false;  ///< it does not end its subtasks
};

// ---- How they are written -------------------------------------------------------------------------------------------

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, OfferSlots& x) {
  return f(caf::meta::type_name("OfferSlots"), x.leader_epoch, x.round, x.node, x.worker, x.host, x.data_port, x.slots,
           x.graph_hash);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SlotDeployed& x) {
  return f(caf::meta::type_name("SlotDeployed"), x.of, x.slot, x.group);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Opened& x) {
  return f(caf::meta::type_name("Opened"), x.attempt, x.id);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, RequestSplit& x) {
  return f(caf::meta::type_name("RequestSplit"), x.attempt, x.id);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SubtaskReport& x) {
  return f(caf::meta::type_name("SubtaskReport"), x.attempt, x.id, x.number, x.nodes, x.time_use);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Reports& x) {
  return f(caf::meta::type_name("Reports"), x.subtasks);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Prepared& x) {
  return f(caf::meta::type_name("Prepared"), x.report);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Finished& x) {
  return f(caf::meta::type_name("Finished"), x.attempt, x.id);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SubtaskFailed& x) {
  return f(caf::meta::type_name("SubtaskFailed"), x.attempt, x.id, x.failure);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SubtaskGone& x) {
  return f(caf::meta::type_name("SubtaskGone"), x.attempt, x.id);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SlotLost& x) {
  return f(caf::meta::type_name("SlotLost"), x.of, x.slot, x.reason);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, PeerUnreachable& x) {
  return f(caf::meta::type_name("PeerUnreachable"), x.of, x.reason);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, PrintOutput& x) {
  return f(caf::meta::type_name("PrintOutput"), x.text);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, DeploySlots& x) {
  return f(caf::meta::type_name("DeploySlots"), x.of, x.job_id, x.attempt_base, x.slots);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, WorkerEndpoint& x) {
  return f(caf::meta::type_name("WorkerEndpoint"), x.worker, x.host, x.port);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Acknowledge& x) {
  return f(caf::meta::type_name("Acknowledge"), x.attempt, x.id, x.checkpoint, x.times, x.state);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Decline& x) {
  return f(caf::meta::type_name("Decline"), x.attempt, x.id, x.checkpoint, x.failure);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, CheckpointPlace& x) {
  return f(caf::meta::type_name("CheckpointPlace"), x.storage, x.lineage, x.epoch, x.restore_from, x.restore_storage);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, TriggerCheckpoint& x) {
  return f(caf::meta::type_name("TriggerCheckpoint"), x.barrier);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, CheckpointCompleted& x) {
  return f(caf::meta::type_name("CheckpointCompleted"), x.id);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, CheckpointAborted& x) {
  return f(caf::meta::type_name("CheckpointAborted"), x.id);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, OpenSubtasks& x) {
  return f(caf::meta::type_name("OpenSubtasks"), x.of, x.workers, x.worker_of_slot, x.self, x.checkpoints);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, StartSubtasks& x) {
  return f(caf::meta::type_name("StartSubtasks"), x.of);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, StopSubtasks& x) {
  return f(caf::meta::type_name("StopSubtasks"), x.of, x.drain);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, CommitSubtasks& x) {
  return f(caf::meta::type_name("CommitSubtasks"), x.of, x.epoch);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, CancelAttempt& x) {
  return f(caf::meta::type_name("CancelAttempt"), x.of);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, AssignSplit& x) {
  return f(caf::meta::type_name("AssignSplit"), x.attempt, x.id, x.split);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, NoMoreSplits& x) {
  return f(caf::meta::type_name("NoMoreSplits"), x.attempt, x.id);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, RequestReports&) {
  return f(caf::meta::type_name("RequestReports"));
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, CallOperator& x) {
  return f(caf::meta::type_name("CallOperator"), x.call, x.attempt, x.id, x.node, x.name, x.json, x.is_query, x.number);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, OperatorAnswered& x) {
  return f(caf::meta::type_name("OperatorAnswered"), x.call, x.id, x.answer);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, OutputTaken& x) {
  return f(caf::meta::type_name("OutputTaken"), x.bytes);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, CancelSubtask&) {
  return f(caf::meta::type_name("CancelSubtask"));
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, RequestSlots& x) {
  return f(caf::meta::type_name("RequestSlots"), x.round, x.slots);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SlotsGranted& x) {
  return f(caf::meta::type_name("SlotsGranted"), x.round);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SlotsAwaited& x) {
  return f(caf::meta::type_name("SlotsAwaited"), x.round, x.reason);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, SlotsRefused& x) {
  return f(caf::meta::type_name("SlotsRefused"), x.round, x.reason);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, WorkerLost& x) {
  return f(caf::meta::type_name("WorkerLost"), x.round, x.node, x.reason, x.crashed);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, CommitBegins&) {
  return f(caf::meta::type_name("CommitBegins"));
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, CommitMayBegin&) {
  return f(caf::meta::type_name("CommitMayBegin"));
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, KillWorker& x) {
  return f(caf::meta::type_name("KillWorker"), x.node, x.reason, x.stuck);
}

}  // namespace dataflow::msg

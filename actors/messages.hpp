#pragma once
// What the actors say to each other: one plain struct per message, with who sends it, when, and what comes back. They
// travel within one process; the structs between nodes are versioned and live with the transport.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include "actors/job_checkpoints.hpp"
#include "actors/local_run.hpp"
#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/master/execution_graph.hpp"
#include "libdataflow/runtime/task.hpp"
#include "serialization/envelope.hpp"

namespace dataflow::msg {

// ---- Subtask to Subtask ---------------------------------------------------------------------------------------------

/// An envelope on an input channel of the receiver.
struct Deliver {
  std::size_t channel = 0;
  EncodedEnvelopePtr envelope;
};

/// The receiver may send so much more on its output channel.
struct Credit {
  std::size_t channel = 0;
  std::size_t bytes = 0;
};

// ---- JobSupervisor to Subtask ---------------------------------------------------------------------------------------

/// The other end of a channel: the actor, and the channel's index there.
struct Peer {
  caf::actor actor;
  std::size_t channel = 0;
};

/// Where the checkpoints of an attempt lie.
struct CheckpointPlace {
  std::string storage;  ///< URI
  std::string lineage;
  std::uint64_t epoch = 0;
  std::string restore_from;  ///< a checkpoint's folder; empty: the attempt starts from nothing
};

/// Who is at the ends of the channels. The Subtask opens its task, from a checkpoint if there is one, and answers
/// Opened.
struct Open {
  std::optional<CheckpointPlace> checkpoints;
  std::vector<Peer> receivers;  ///< by output channel
  std::vector<Peer> senders;    ///< by input channel
};

/// All tasks are open: run.
struct Start {};

/// Sources end; what is in flight finishes.
struct Stop {
  EndOfData how;
};

/// Every subtask has pre-committed: make it visible, close, answer Finished.
struct Commit {
  std::uint64_t epoch = 0;
};

/// To the subtasks of sources: begin a checkpoint. The barriers tell the others; each answers Acknowledge or Decline.
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

/// The answer to RequestSplit.
struct AssignSplit {
  Split split;
};
struct NoMoreSplits {};

/// Asks for a SubtaskReport.
struct GetReport {};

/// `dfnode send` and `ask`; the answer is an Answer.
struct OperatorMessage {
  NodeId node = 0;
  std::string name;  ///< of the message, or of the state
  std::string json;  ///< the message's body, or the key
  bool is_query = false;
};
struct Answer {
  Result<std::string> json;
};

// ---- Subtask to JobSupervisor ---------------------------------------------------------------------------------------

struct Opened {
  std::uint32_t attempt = 0;
  SubtaskId id;
};

struct RequestSplit {
  std::uint32_t attempt = 0;
  SubtaskId id;
};

/// The numbers of all nodes of a subtask.
struct SubtaskReport {
  std::uint32_t attempt = 0;
  SubtaskId id;
  std::vector<NodeMetrics> nodes;
  TimeTotals time_use;  ///< since its first run
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
  Duration alignment{0};
  std::string state;  ///< encode_task_state
};
/// There will be no part of the subtask.
struct Decline {
  std::uint32_t attempt = 0;
  SubtaskId id;
  std::uint64_t checkpoint = 0;
  Error error;
};

// ---- Failure and end: Subtask to Slot to TaskManager to JobSupervisor -----------------------------------------------

/// Said by a Subtask before it ends with an error, so that the reason arrives with it.
struct SubtaskFailed {
  std::uint32_t attempt = 0;
  SubtaskId id;
  Error error;
};

/// A Subtask of the slot exists no more, for whatever reason.
struct SubtaskGone {
  std::uint32_t attempt = 0;
  SubtaskId id;
};

/// From a TaskManager to the JobSupervisor: a Slot actor died without having seen its subtasks out.
struct SlotLost {
  RegionAttempt of;
  std::uint32_t slot = 0;
  std::string reason;
};

// ---- JobSupervisor to TaskManager to Slot ---------------------------------------------------------------------------

/// Make what a region's attempt has in slot `slot`: one subtask of each of its vertices that is wide enough. The Slot
/// answers the JobSupervisor with SlotDeployed.
struct DeploySlot {
  caf::actor supervisor;
  JobGraphPtr graph;
  std::string job_id;
  std::uint32_t attempt_base = 0;  ///< what names of files add to the attempt's number
  RegionAttempt of;
  std::uint32_t slot = 0;
  std::vector<SubtaskId> subtasks;
};

struct DeployedSubtask {
  SubtaskId id;
  caf::actor actor;
};

struct SlotDeployed {
  RegionAttempt of;
  caf::actor slot;
  std::vector<DeployedSubtask> subtasks;
};

/// To a Slot: end all its subtasks. They are told through the slot's group; each one's end comes as SubtaskGone.
struct CancelSlot {};

/// To the group of a slot: abort the task and end.
struct CancelSubtask {};

// ---- Clients, JobManager, TaskManager, JobSupervisor ----------------------------------------------------------------

/// A TaskManager says who it is and what it has.
struct RegisterTaskManager {
  caf::actor task_manager;
  std::uint32_t slots = 0;
};

/// A client's job. The JobManager answers with JobAccepted.
struct SubmitJob {
  JobGraphPtr graph;
  StartFrom start = StartFrom::nothing;
};
struct JobAccepted {
  std::string job_id;
  caf::actor supervisor;
};

/// A JobSupervisor needs slots, which it keeps until the job's end; answered by SlotsGranted, or by SlotsRefused when
/// there never will be enough.
struct RequestSlots {
  std::string job_id;
  std::uint32_t count = 0;
};
struct SlotsGranted {
  std::vector<caf::actor> task_managers;  ///< one for each slot
};
struct SlotsRefused {
  std::string reason;
};

/// From a JobSupervisor to the JobManager: the slots are free again.
struct JobEnded {
  std::string job_id;
  JobState state = JobState::finished;
};

/// From a client to a JobSupervisor.
struct StopJob {
  EndOfData how;
};
struct CancelJob {};
struct GetJob {};    ///< answered by JobView
struct AwaitEnd {};  ///< answered by Ended once the job's state is final
struct Ended {};
/// Asked of a JobSupervisor; answered by Answer. Without key every subtask is asked and the answer is a JSON array.
struct AskOperator {
  OperatorMessage message;
  std::string node;
  std::string key_json;
};

/// A job as it stands.
struct JobView {
  JobState state = JobState::created;
  std::uint32_t restarts = 0;
  std::optional<Error> error;
  std::vector<FailureRecord> failures;
  std::vector<Execution> executions;  ///< in ExecutionGraph::subtasks' order
  CheckpointStatus checkpoints;
  std::vector<SubtaskReport> reports;  ///< the newest of each subtask, same order
  std::vector<TimeTotals> recent;      ///< what each subtask did between its last two reports, same order
};
using JobViewPtr = std::shared_ptr<const JobView>;

// ---- Messages of an actor to itself ---------------------------------------------------------------------------------

struct RunAgain {};
/// To a BlockingWorker.
struct BlockingWork {
  std::function<void()> work;
};
/// To a Subtask: what it opens with.
struct CheckpointLoaded {
  Result<RestoredCheckpointPtr> checkpoint;
};
/// To a JobSupervisor: what its BlockingWorker has done.
struct MetadataWritten {
  std::uint64_t id = 0;
  Status status;
};
struct LatestAdvanced {
  CompletedCheckpoint checkpoint;
  Result<Advance> advanced;
};
struct CheckpointTime {};
struct WakeUp {};
struct RestartDue {
  RegionAttempt of;
};
struct RetrySplits {};
struct CollectReports {};  ///< also looks at the deadlines

}  // namespace dataflow::msg

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Deliver)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Credit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Open)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Start)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Commit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::TriggerCheckpoint)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CheckpointCompleted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CheckpointAborted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::AssignSplit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::NoMoreSplits)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::GetReport)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::OperatorMessage)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Answer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Opened)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::RequestSplit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::SubtaskReport)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Prepared)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Finished)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Acknowledge)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Decline)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::SubtaskFailed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::SubtaskGone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::SlotLost)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::DeploySlot)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::SlotDeployed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CancelSlot)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CancelSubtask)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::RegisterTaskManager)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::SubmitJob)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::JobAccepted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::RequestSlots)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::SlotsGranted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::SlotsRefused)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::JobEnded)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::StopJob)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CancelJob)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::GetJob)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::AwaitEnd)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Ended)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::AskOperator)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::JobViewPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::RunAgain)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::BlockingWork)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CheckpointLoaded)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::MetadataWritten)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::LatestAdvanced)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CheckpointTime)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::WakeUp)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::RestartDue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::RetrySplits)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CollectReports)

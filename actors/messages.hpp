#pragma once
// What the actors of one process say to each other: one plain struct per message, with who sends it, when, and what
// comes back. What travels between processes is in actors/wire/.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include "actors/local_run.hpp"
#include "actors/wire/job_messages.hpp"
#include "libdataflow/checkpoint/job_checkpoints.hpp"
#include "libdataflow/graph/job_graph.hpp"
#include "libdataflow/master/execution_graph.hpp"
#include "libdataflow/runtime/task.hpp"
#include "serialization/envelope.hpp"

namespace dataflow {

class IncomingChannel;
class OutgoingChannel;

namespace msg {

// ---- Subtask to Subtask ---------------------------------------------------------------------------------------------

/// An envelope on an input channel of the receiver.
struct Deliver {
  std::size_t channel = 0;
  EncodedEnvelopePtr envelope;
};

/// What came from another process for a receiver at once, in order: several messages would wake it for each.
struct DeliverAll {
  std::vector<Deliver> deliveries;
};

/// The receiver may send so much more on its output channel.
struct Credit {
  std::size_t channel = 0;
  std::size_t bytes = 0;
};

// ---- Worker to Subtask ----------------------------------------------------------------------------------------------

/// The other end of a channel: in this process the actor and the channel's index there, otherwise this process's end of
/// the way to it, which is outgoing for a receiver and incoming for a sender.
struct Peer {
  caf::actor actor{};
  std::size_t channel = 0;
  std::shared_ptr<OutgoingChannel> outgoing{};
  std::shared_ptr<IncomingChannel> incoming{};
};

/// Who is at the ends of the channels. The Subtask opens its task, from a checkpoint if there is one, and answers
/// Opened.
struct Open {
  CheckpointPlace checkpoints;
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

/// Asks for a SubtaskReport.
struct GetReport {};

// ---- Slot and Worker ------------------------------------------------------------------------------------------------

struct DeployedSubtask {
  SubtaskId id;
  caf::actor actor;
};

/// From a Slot to its Worker, once: these are the subtasks.
struct SlotMade {
  RegionAttempt of;
  std::uint32_t slot = 0;
  caf::group group;
  std::vector<DeployedSubtask> subtasks;
};

/// To a Slot: end all its subtasks. They are told through the slot's group; each one's end comes as SubtaskGone.
struct CancelSlot {};

/// To LocalSlots: whose slots they are.
struct UseWorker {
  caf::actor worker;
};

/// From whoever gives a Worker its work: these slots are its own. It offers them to the JobSupervisor.
struct ProvideSlots {
  std::uint32_t round = 0;
  std::vector<std::uint32_t> slots;
};

// ---- JobSupervisor and its home ----------------------------------------------------------------

/// From the JobSupervisor: the job's state is another one, and not final.
struct JobStateChanged {
  JobState state = JobState::created;
};

/// From the JobSupervisor: the job's state is final.
struct JobEnded {
  JobState state = JobState::finished;
  std::optional<Error> error;
};

// ---- To the JobSupervisor, from whoever serves clients --------------------------------------------------------------

struct StopJob {
  EndOfData how;
};
struct CancelJob {};
/// Answered by Answer, {"request": N}, once it is clear that it can be tried; what becomes of it is in
/// JobView.checkpoints.savepoints. With `stop` the job ends with it, as with StopJob.
struct TakeSavepoint {
  std::string target;  ///< a folder's path or URI; empty: below the job's checkpoints
  bool stop = false;
  EndOfData how;
};
struct GetJob {};    ///< answered by JobView
struct AwaitEnd {};  ///< answered by Ended once the job's state is final
struct Ended {};
/// Answered by Answer. Without key every subtask is asked and the answer is a JSON array.
struct AskOperator {
  std::string node;
  std::string name;      ///< of the message, or of the state
  std::string json;      ///< the message's body; empty for a query
  std::string key_json;  ///< empty: every subtask
  bool is_query = false;
};

/// A subtask as it stands.
struct SubtaskView {
  SubtaskId id;
  Execution execution;
  SubtaskReport report;  ///< the newest
  TimeTotals recent;     ///< what it did between its last two reports
};

/// A job as it stands.
struct JobView {
  JobState state = JobState::created;
  std::uint32_t restarts = 0;
  std::optional<Timestamp> started;
  std::optional<Timestamp> ended;
  std::string waits_for;  ///< why there are no slots yet; empty when it has them
  std::optional<Error> error;
  std::vector<FailureRecord> failures;
  CheckpointStatus checkpoints;
  std::vector<SubtaskView> subtasks;  ///< in ExecutionGraph::subtasks' order
};
using JobViewPtr = std::shared_ptr<const JobView>;

// ---- Messages of an actor to itself ---------------------------------------------------------------------------------

struct RunAgain {};
/// From a Worker's data plane: the connection to a peer stands, or cannot be made because of `failure`.
struct PeerConnected {
  RegionAttempt of;
  std::string failure;
};
/// From a Worker's data plane: the connection to a peer is gone.
struct PeerDown {
  std::string reason;
};
/// To a BlockingWorker.
struct BlockingWork {
  std::function<void()> work;
};
/// To a Subtask: what it opens with.
struct CheckpointLoaded {
  Result<RestoredCheckpointPtr> checkpoint;
};
/// To a Subtask, from its BlockingWorker: its task is open, with the state of a checkpoint, or is not.
struct TaskOpened {
  tl::expected<void, TaskFailure> opened;
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
/// From the JobSupervisor's thread for savepoints: whether the target of the TakeSavepoint that came as the n-th can be
/// written to, and where a savepoint lies now.
struct SavepointPrepared {
  std::uint64_t number = 0;
  Status status;
};
struct SavepointExported {
  std::uint64_t request = 0;
  Result<std::string> location;
};
/// The message is written down, or cannot be.
struct MessageStored {
  std::uint64_t number = 0;
  Status status;
};
/// The job has ended; have its savepoints been exported?
struct LookAtExports {
  JobState state = JobState::finished;
  std::uint32_t looks_left = 0;
};
/// The job has ended, and what was asked of its BlockingWorker is done or takes too long.
struct StorageSettled {
  JobState state = JobState::finished;
};
struct WakeUp {};
struct RestartDue {
  RegionAttempt of;
};
struct RetrySplits {};
struct CollectReports {};  ///< also looks at the deadlines
/// Workers that were promised have had their time to come up.
struct OffersDue {
  std::uint32_t round = 0;
};
/// The JobManager could not keep that the job commits: it is asked again.
struct CommitDue {
  RegionAttempt of;  ///< the first region as it was
  std::uint64_t epoch = 0;
  std::uint32_t tries = 0;
};
/// The connection to a worker is gone, and who could have known why has had its time to say so.
struct WorkerDownDue {
  std::size_t worker = 0;
  std::string reason;
};
/// The same for a data connection between workers.
struct PeerDownDue {
  RegionAttempt of;
  std::string reason;
};

}  // namespace msg

}  // namespace dataflow

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Deliver)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::DeliverAll)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Credit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Open)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Start)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Commit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::GetReport)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::SlotMade)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CancelSlot)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::UseWorker)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::ProvideSlots)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::JobStateChanged)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::JobEnded)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::StopJob)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CancelJob)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::TakeSavepoint)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::SavepointPrepared)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::SavepointExported)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::MessageStored)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::LookAtExports)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::GetJob)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::AwaitEnd)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::Ended)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::AskOperator)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::RunAgain)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::BlockingWork)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CheckpointLoaded)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::TaskOpened)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::MetadataWritten)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::LatestAdvanced)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CheckpointTime)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::StorageSettled)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::PeerConnected)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::PeerDown)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::WakeUp)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::RestartDue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::RetrySplits)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CollectReports)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::OffersDue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::CommitDue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::WorkerDownDue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::PeerDownDue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::msg::JobViewPtr)

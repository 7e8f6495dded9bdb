#include "actors/wire/register_messages.hpp"

#include <caf/all.hpp>

#include "actors/wire/cluster_messages.hpp"
#include "actors/wire/job_messages.hpp"

namespace dataflow {

void register_messages(caf::actor_system_config& config) {
  config.add_message_type<msg::Hello>("dataflow.Hello");
  config.add_message_type<msg::JobSpec>("dataflow.JobSpec");
  config.add_message_type<msg::RegisterNode>("dataflow.RegisterNode");
  config.add_message_type<msg::NodeAnswer>("dataflow.NodeAnswer");
  config.add_message_type<msg::NodeHeartbeat>("dataflow.NodeHeartbeat");
  config.add_message_type<msg::HeartbeatAnswer>("dataflow.HeartbeatAnswer");
  config.add_message_type<msg::AssignSlots>("dataflow.AssignSlots");
  config.add_message_type<msg::EndWorker>("dataflow.EndWorker");
  config.add_message_type<msg::WorkerDied>("dataflow.WorkerDied");
  config.add_message_type<msg::ReadLogs>("dataflow.ReadLogs");
  config.add_message_type<msg::ReadArtifact>("dataflow.ReadArtifact");
  config.add_message_type<msg::ArtifactPiece>("dataflow.ArtifactPiece");
  config.add_message_type<msg::ChildHello>("dataflow.ChildHello");
  config.add_message_type<msg::WorkForJob>("dataflow.WorkForJob");
  config.add_message_type<msg::WorkRefused>("dataflow.WorkRefused");
  config.add_message_type<msg::StillHere>("dataflow.StillHere");
  config.add_message_type<msg::MasterJob>("dataflow.MasterJob");
  config.add_message_type<msg::MasterReady>("dataflow.MasterReady");
  config.add_message_type<msg::MasterState>("dataflow.MasterState");
  config.add_message_type<msg::MasterEnded>("dataflow.MasterEnded");
  config.add_message_type<msg::PutArtifact>("dataflow.PutArtifact");
  config.add_message_type<msg::SubmitJob>("dataflow.SubmitJob");
  config.add_message_type<msg::ListNodes>("dataflow.ListNodes");
  config.add_message_type<msg::ListJobs>("dataflow.ListJobs");
  config.add_message_type<msg::CallJob>("dataflow.CallJob");
  config.add_message_type<msg::FollowJob>("dataflow.FollowJob");
  config.add_message_type<msg::Followed>("dataflow.Followed");
  config.add_message_type<msg::OfferSlots>("dataflow.OfferSlots");
  config.add_message_type<msg::SlotDeployed>("dataflow.SlotDeployed");
  config.add_message_type<msg::Opened>("dataflow.Opened");
  config.add_message_type<msg::RequestSplit>("dataflow.RequestSplit");
  config.add_message_type<msg::SubtaskReport>("dataflow.SubtaskReport");
  config.add_message_type<msg::Reports>("dataflow.Reports");
  config.add_message_type<msg::Prepared>("dataflow.Prepared");
  config.add_message_type<msg::Finished>("dataflow.Finished");
  config.add_message_type<msg::Acknowledge>("dataflow.Acknowledge");
  config.add_message_type<msg::Decline>("dataflow.Decline");
  config.add_message_type<msg::CheckpointPlace>("dataflow.CheckpointPlace");
  config.add_message_type<msg::TriggerCheckpoint>("dataflow.TriggerCheckpoint");
  config.add_message_type<msg::CheckpointCompleted>("dataflow.CheckpointCompleted");
  config.add_message_type<msg::CheckpointAborted>("dataflow.CheckpointAborted");
  config.add_message_type<msg::SubtaskFailed>("dataflow.SubtaskFailed");
  config.add_message_type<msg::SubtaskGone>("dataflow.SubtaskGone");
  config.add_message_type<msg::SlotLost>("dataflow.SlotLost");
  config.add_message_type<msg::PeerUnreachable>("dataflow.PeerUnreachable");
  config.add_message_type<msg::PrintOutput>("dataflow.PrintOutput");
  config.add_message_type<msg::DeploySlots>("dataflow.DeploySlots");
  config.add_message_type<msg::WorkerEndpoint>("dataflow.WorkerEndpoint");
  config.add_message_type<msg::OpenSubtasks>("dataflow.OpenSubtasks");
  config.add_message_type<msg::StartSubtasks>("dataflow.StartSubtasks");
  config.add_message_type<msg::StopSubtasks>("dataflow.StopSubtasks");
  config.add_message_type<msg::CommitSubtasks>("dataflow.CommitSubtasks");
  config.add_message_type<msg::CancelAttempt>("dataflow.CancelAttempt");
  config.add_message_type<msg::AssignSplit>("dataflow.AssignSplit");
  config.add_message_type<msg::NoMoreSplits>("dataflow.NoMoreSplits");
  config.add_message_type<msg::RequestReports>("dataflow.RequestReports");
  config.add_message_type<msg::CallOperator>("dataflow.CallOperator");
  config.add_message_type<msg::OperatorAnswered>("dataflow.OperatorAnswered");
  config.add_message_type<msg::OutputTaken>("dataflow.OutputTaken");
  config.add_message_type<msg::CancelSubtask>("dataflow.CancelSubtask");
  config.add_message_type<msg::RequestSlots>("dataflow.RequestSlots");
  config.add_message_type<msg::SlotsGranted>("dataflow.SlotsGranted");
  config.add_message_type<msg::SlotsAwaited>("dataflow.SlotsAwaited");
  config.add_message_type<msg::SlotsRefused>("dataflow.SlotsRefused");
  config.add_message_type<msg::WorkerLost>("dataflow.WorkerLost");
  config.add_message_type<msg::KillWorker>("dataflow.KillWorker");
  config.add_message_type<msg::CommitBegins>("dataflow.CommitBegins");
  config.add_message_type<msg::CommitMayBegin>("dataflow.CommitMayBegin");
  config.add_message_type<msg::Answer>("dataflow.Answer");
  config.add_message_type<msg::Failure>("dataflow.Failure");
}

}  // namespace dataflow

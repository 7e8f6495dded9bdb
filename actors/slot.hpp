#pragma once
// The Slot actor: supervises the subtasks that a region's attempt has in one task slot, one of each vertex that is wide
// enough. It is also a CAF group, by which all its subtasks are told something at once.

#include <map>
#include <set>

#include <caf/event_based_actor.hpp>
#include <caf/group.hpp>

#include "actors/messages.hpp"

namespace dataflow {

class Slot final : public caf::event_based_actor {
 public:
  Slot(caf::actor_config& config, caf::actor worker, JobGraphPtr graph, std::string job_id, std::uint32_t attempt_base,
       RegionAttempt of, std::uint32_t slot, std::vector<SubtaskId> subtasks, std::shared_ptr<StateBackend> state);

  caf::behavior make_behavior() override;
  void on_exit() override;
  [[nodiscard]] const char* name() const override { return "dataflow.slot"; }

 private:
  void deploy();
  void on_subtask_down(const caf::down_msg& down);

  caf::actor worker_;
  JobGraphPtr graph_;
  std::string job_id_;
  std::uint32_t attempt_base_;  ///< what names of files add to the attempt's number
  RegionAttempt of_;
  std::uint32_t slot_;
  std::vector<SubtaskId> subtasks_;
  std::shared_ptr<StateBackend> state_;
  caf::group group_;
  caf::actor blocking_worker_;  ///< for what blocks; null in jobs without checkpoints
  std::map<caf::actor_addr, SubtaskId> alive_;
  std::set<caf::actor_addr> ended_;
  std::map<SubtaskId, msg::Failure> reasons_;  ///< said before the end, reported with it
};

/// The name of a slot's group.
std::string slot_group_name(const std::string& job_id, RegionAttempt of, std::uint32_t slot);

}  // namespace dataflow

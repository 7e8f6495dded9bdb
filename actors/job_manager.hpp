#pragma once
// The JobManager actor: registers TaskManagers, takes jobs, gives each a JobSupervisor, and hands out slots.

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <caf/event_based_actor.hpp>

#include "actors/messages.hpp"
#include "libdataflow/master/job_id.hpp"

namespace dataflow {

class JobManager final : public caf::event_based_actor {
 public:
  /// `new_job_id` gives each job an id that no other job has, of this JobManager or another.
  explicit JobManager(caf::actor_config& config, std::function<std::string()> new_job_id = random_job_id);

  caf::behavior make_behavior() override;
  void on_exit() override;
  [[nodiscard]] const char* name() const override { return "dataflow.job_manager"; }

 private:
  struct Node {
    caf::actor task_manager;
    std::uint32_t slots = 0;
    std::uint32_t used = 0;
  };
  struct Waiting {
    caf::actor supervisor;
    msg::RequestSlots request;
  };

  msg::JobAccepted submit(const msg::SubmitJob& job);
  void release(const std::string& job_id);
  void serve_waiting();

  std::vector<Node> nodes_;
  std::map<std::string, std::vector<std::size_t>> leases_;  ///< by job: the nodes, one entry a slot
  std::deque<Waiting> waiting_;                             ///< jobs that wait for slots, first come first served
  std::map<std::string, caf::actor> jobs_;
  std::function<std::string()> new_job_id_;
};

}  // namespace dataflow

#pragma once
// The JobMaster actor: a job's own process, started by the JobManager. It builds the graph, which may run user code,
// hosts the JobSupervisor and is its home: slots come from the JobManager through it, and clients' calls go to the
// JobSupervisor through it. What crashes here takes this job along and no other.

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>

#include "actors/cluster/endpoint.hpp"
#include "actors/messages.hpp"
#include "actors/wire/cluster_messages.hpp"
#include "libdataflow/artifact/job_artifact.hpp"

namespace dataflow {

class ControlPlane;

class JobMaster final : public caf::event_based_actor {
 public:
  /// `control` outlives it. `ended` is called when the process has nothing left to do.
  JobMaster(caf::actor_config& config, caf::actor job_manager, ControlPlane& control, std::uint64_t token,
            std::function<void()> ended);

  caf::behavior make_behavior() override;
  void on_exit() override;
  [[nodiscard]] const char* name() const override { return "dataflow.job_master"; }

 private:
  struct PieceOfOutput {
    std::string text;
    caf::response_promise taken;
  };

  void begin(const msg::MasterJob& job);
  void refuse(const Error& error);
  caf::result<msg::CommitMayBegin> tell_commit(const msg::CommitBegins& begins);
  void end(const msg::JobEnded& ended);
  caf::result<msg::OutputTaken> keep_output(const msg::PrintOutput& output);
  caf::result<msg::Followed> follow();
  void answer_follower();
  /// One that has not asked for long has left: its output is dropped, and nobody waits for it any more.
  void look_for_follower();
  caf::result<msg::Answer> call(const msg::CallJob& call);
  caf::result<msg::Answer> show();
  caf::result<msg::Answer> take_savepoint(const std::string& json);

  caf::actor job_manager_;
  ControlPlane& control_;
  std::uint64_t token_;
  std::function<void()> ended_;
  msg::JobSpec spec_;
  BuiltJob built_;
  caf::actor supervisor_;
  bool followed_ = false;
  std::deque<PieceOfOutput> output_;
  std::optional<caf::response_promise> follower_;
  std::uint64_t follow_request_ = 0;  ///< counts them, so that a timer knows its own
  std::chrono::steady_clock::time_point followed_at_;
  std::optional<std::string> final_json_;
};

}  // namespace dataflow

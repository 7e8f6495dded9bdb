#pragma once
// The LocalSlots actor: the home of a JobSupervisor whose slots are all in one Worker of the same process. What the
// JobManager and the TaskManagers do in a cluster comes down to a number here.

#include <cstdint>
#include <optional>

#include <caf/event_based_actor.hpp>

#include "actors/messages.hpp"

namespace dataflow {

class LocalSlots final : public caf::event_based_actor {
 public:
  LocalSlots(caf::actor_config& config, std::uint32_t slots);

  caf::behavior make_behavior() override;
  void on_exit() override;
  [[nodiscard]] const char* name() const override { return "dataflow.local_slots"; }

 private:
  void serve();

  std::uint32_t slots_;
  caf::actor worker_;      ///< null until it is there
  caf::actor supervisor_;  ///< who has asked
  std::optional<msg::RequestSlots> wanted_;
};

}  // namespace dataflow

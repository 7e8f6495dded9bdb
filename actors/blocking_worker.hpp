#pragma once
// A thread for work that blocks, as an actor: what writes checkpoints, so that no subtask's thread waits for a disk.

#include <functional>

#include <caf/event_based_actor.hpp>

#include "actors/messages.hpp"

namespace dataflow {

/// Spawn it detached. Work is done in the order in which it comes; what has not begun when the actor is ended is
/// dropped.
class BlockingWorker final : public caf::event_based_actor {
 public:
  explicit BlockingWorker(caf::actor_config& config) : caf::event_based_actor{config} {}
  caf::behavior make_behavior() override {
    return {[](const msg::BlockingWork& m) { m.work(); }};
  }
  [[nodiscard]] const char* name() const override { return "dataflow.blocking_worker"; }
};

}  // namespace dataflow

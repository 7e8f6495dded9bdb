#include "actors/local_slots.hpp"

#include <caf/all.hpp>

namespace dataflow {

LocalSlots::LocalSlots(caf::actor_config& config, std::uint32_t slots)
    : caf::event_based_actor{config}, slots_{slots} {}

caf::behavior LocalSlots::make_behavior() {
  return {
      [this](const msg::UseWorker& m) {
        worker_ = m.worker;
        serve();
      },
      [this](const msg::RequestSlots& m) {
        supervisor_ = caf::actor_cast<caf::actor>(current_sender());
        wanted_ = m;
        serve();
      },
      [](const msg::JobStateChanged&) {},
      [](const msg::JobEnded&) {},
  };
}

void LocalSlots::on_exit() {
  worker_ = nullptr;
  supervisor_ = nullptr;
}

void LocalSlots::serve() {
  if (!worker_ || !wanted_) return;
  const msg::RequestSlots request = *wanted_;
  wanted_.reset();
  const auto count = static_cast<std::uint32_t>(request.slots.size());
  if (count > slots_) {
    send(supervisor_,
         msg::SlotsRefused{request.round, "the job needs " + std::to_string(count) + " slots, " +
                                              std::to_string(slots_) + " exist; give it " +
                                              std::to_string(count - slots_) + " more, or a smaller parallelism"});
    return;
  }
  send(worker_, msg::ProvideSlots{request.round, request.slots});
}

}  // namespace dataflow

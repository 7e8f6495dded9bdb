#pragma once
// Every message that goes between processes has to be known by name on both sides.

namespace caf {
class actor_system_config;
}

namespace dataflow {

/// Makes all messages of this folder known to the actor system that `config` is for.
void register_messages(caf::actor_system_config& config);

}  // namespace dataflow

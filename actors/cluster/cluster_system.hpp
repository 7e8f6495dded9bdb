#pragma once
// Private to this folder. The actor system of a process in a cluster: what is set alike in all of them.

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include "actors/cluster/endpoint.hpp"
#include "serialization/result.hpp"

namespace dataflow {

class ClusterConfig : public caf::actor_system_config {
 public:
  /// `threads`: of the pool that the subtasks share.
  explicit ClusterConfig(std::size_t threads);
};

/// Makes `actor` the one whom others get by connecting to `at`; port 0 takes any. Returns where it listens. A port in
/// use by a process that has just ended is taken over.
Result<Endpoint> publish_control(caf::actor_system& system, const caf::actor& actor, const Endpoint& at);

/// The actor at the other end. Blocks for as long as connecting takes.
Result<caf::actor> connect_control(caf::actor_system& system, const Endpoint& to);

/// A number that nobody can guess.
std::uint64_t random_token();

}  // namespace dataflow

#pragma once
// Private to this folder. The actor system of a process in a cluster, and its way to those of others.

#include <memory>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include "actors/cluster/control_settings.hpp"
#include "actors/cluster/endpoint.hpp"
#include "serialization/result.hpp"

namespace dataflow {

/// What is set alike in all of them.
class ClusterConfig : public caf::actor_system_config {
 public:
  /// `threads`: of the pool that the subtasks share.
  explicit ClusterConfig(std::size_t threads);
};

/// BASP behind a ControlGate: actors that are published and connected to here go through it.
class ControlPlane {
 public:
  /// `system` outlives it. Errors: invalid_argument for TLS files that cannot be used.
  static Result<std::unique_ptr<ControlPlane>> open(caf::actor_system& system, ControlSettings settings);
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;

  /// Makes `actor` the one whom others get by connecting to `at`; port 0 takes any. Once for each process. Returns
  /// where it listens. Errors: as ControlGate::listen.
  Result<Endpoint> publish(const caf::actor& actor, const Endpoint& at);
  /// The actor at the other end. Blocks for as long as connecting takes. Errors: as ControlGate::connect.
  Result<caf::actor> connect(const Endpoint& to);

  /// For actors: connects without blocking them, by (connect_atom, host, port), as CAF's own middleman actor does. What
  /// it fails with is told apart by connection_error.
  [[nodiscard]] const caf::io::middleman_actor& middleman() const { return middleman_; }

 private:
  ControlPlane(caf::actor_system& system, caf::io::middleman_actor middleman)
      : system_{system}, middleman_{std::move(middleman)} {}

  caf::actor_system& system_;
  caf::io::middleman_actor middleman_;
};

/// What ControlGate::connect said, out of what the middleman actor fails with.
Error connection_error(const caf::actor_system& system, const caf::error& error, const Endpoint& to);

/// A number that nobody can guess.
std::uint64_t random_token();

}  // namespace dataflow

#include "actors/cluster/cluster_system.hpp"

#include <sys/random.h>

#include "actors/wire/register_messages.hpp"

namespace dataflow {

namespace {

/// Messages an actor may handle in a row: small, so that no subtask holds a thread from the others.
constexpr std::size_t max_throughput = 5;

}  // namespace

ClusterConfig::ClusterConfig(std::size_t threads) {
  register_messages(*this);
  load<caf::io::middleman>();
  // Work stealing's idle polling costs more than it brings at this number of actors, and so do threads between the
  // sockets and the actors.
  set("scheduler.policy", caf::atom("sharing"));
  set("scheduler.max-threads", threads);
  set("scheduler.max-throughput", max_throughput);
  set("middleman.workers", 0U);
  set("middleman.app-identifiers", std::vector<std::string>{"dataflow"});
  set("logger.verbosity", caf::atom("quiet"));
}

Result<Endpoint> publish_control(caf::actor_system& system, const caf::actor& actor, const Endpoint& at) {
  const auto port = system.middleman().publish(actor, at.port, at.host.c_str(), true);
  if (port) return Endpoint{at.host, *port};
  return fail(ErrorCode::io, "cannot listen at " + at.text() + ": " + system.render(port.error()));
}

Result<caf::actor> connect_control(caf::actor_system& system, const Endpoint& to) {
  auto actor = system.middleman().remote_actor(to.host, to.port);
  if (actor) return std::move(*actor);
  return fail(ErrorCode::io, "cannot connect to " + to.text() + ": " + system.render(actor.error()));
}

std::uint64_t random_token() {
  std::uint64_t token = 0;
  while (getrandom(&token, sizeof(token), 0) != sizeof(token)) {
  }
  return token;
}

}  // namespace dataflow

#include "actors/cluster/cluster_system.hpp"

#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <caf/io/middleman_actor_impl.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/doorman_impl.hpp>

#include "actors/cluster/control_gate.hpp"
#include "actors/wire/register_messages.hpp"

namespace dataflow {

namespace {

/// Messages an actor may handle in a row: small, so that no subtask holds a thread from the others.
constexpr std::size_t max_throughput = 5;

caf::error as_caf_error(const Error& error) {
  // 0 would be no error.
  return {static_cast<std::uint8_t>(static_cast<int>(error.code()) + 1), caf::atom("dataflow"),
          caf::make_message(error.message())};
}

/// Hands on what the gate has let through, and only that: others of this machine could reach the socket too.
class GateDoorman final : public caf::io::network::doorman_impl {
 public:
  GateDoorman(caf::io::network::default_multiplexer& multiplexer, int listening, Endpoint at)
      : doorman_impl{multiplexer, listening}, at_{std::move(at)} {}

  bool new_connection() override {
    ucred peer{};
    socklen_t size = sizeof(peer);
    const int fd = acceptor_.accepted_socket();
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid != getpid()) {
      close(fd);
      return false;
    }
    return doorman_impl::new_connection();
  }
  [[nodiscard]] std::string addr() const override { return at_.host; }
  [[nodiscard]] std::uint16_t port() const override { return at_.port; }

 private:
  Endpoint at_;
};

/// CAF's broker keeps an actor (a kilobyte) for each node that was ever connected, to spawn actors there, which nobody
/// does here: a JobManager sees a new node with each job.
class ForgettingBroker final : public caf::io::basp_broker {
 public:
  using basp_broker::basp_broker;

  void purge_state(const caf::node_id& node) override {
    basp_broker::purge_state(node);
    const auto server = spawn_servers.find(node);
    if (server == spawn_servers.end()) return;
    caf::anon_send_exit(server->second, caf::exit_reason::kill);
    spawn_servers.erase(server);
  }
};

/// CAF's middleman actor with other sockets.
class GateMiddleman final : public caf::io::middleman_actor_impl {
 public:
  GateMiddleman(caf::actor_config& config, caf::actor broker, std::shared_ptr<ControlGate> gate)
      : middleman_actor_impl{config, std::move(broker)}, gate_{std::move(gate)} {}

  [[nodiscard]] const char* name() const override { return "dataflow.control_plane"; }

 protected:
  caf::expected<caf::io::scribe_ptr> connect(const std::string& host, std::uint16_t port) override {
    auto socket = gate_->connect({host, port});
    if (!socket) return as_caf_error(socket.error());
    return multiplexer().new_scribe(socket->release());
  }

  caf::expected<caf::io::doorman_ptr> open(std::uint16_t port, const char* host, bool /*reuse*/) override {
    Endpoint at{host, port};
    auto listening = gate_->listen(at);
    if (!listening) return as_caf_error(listening.error());
    return caf::io::doorman_ptr{caf::make_counted<GateDoorman>(multiplexer(), listening->release(), at)};
  }

 private:
  caf::io::network::default_multiplexer& multiplexer() {
    return static_cast<caf::io::network::default_multiplexer&>(system().middleman().backend());
  }

  std::shared_ptr<ControlGate> gate_;
};

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

Result<std::unique_ptr<ControlPlane>> ControlPlane::open(caf::actor_system& system, ControlSettings settings) {
  auto gate = ControlGate::make(std::move(settings));
  if (!gate) return fail(gate.error());
  auto broker = system.middleman().named_broker<ForgettingBroker>(caf::atom("control"));
  auto middleman = system.spawn<GateMiddleman, caf::detached + caf::hidden>(std::move(broker), std::move(*gate));
  return std::unique_ptr<ControlPlane>(new ControlPlane(system, std::move(middleman)));
}

ControlPlane::~ControlPlane() {
  caf::scoped_actor self{system_};
  // It ignores all but this reason, as CAF's own does.
  self->send_exit(middleman_, caf::exit_reason::kill);
  self->wait_for(middleman_);
}

Result<Endpoint> ControlPlane::publish(const caf::actor& actor, const Endpoint& at) {
  Result<Endpoint> listening = at;
  caf::scoped_actor self{system_};
  self->request(middleman_, caf::infinite, caf::publish_atom::value, at.port,
                caf::actor_cast<caf::strong_actor_ptr>(actor), std::set<std::string>{}, at.host, true)
      .receive([&](std::uint16_t port) { listening->port = port; },
               [&](const caf::error& error) { listening = fail(connection_error(system_, error, at)); });
  return listening;
}

Result<caf::actor> ControlPlane::connect(const Endpoint& to) {
  Result<caf::actor> found = caf::actor{};
  caf::scoped_actor self{system_};
  self->request(middleman_, caf::infinite, caf::connect_atom::value, to.host, to.port)
      .receive(
          [&](const caf::node_id&, const caf::strong_actor_ptr& actor, const std::set<std::string>&) {
            if (actor) {
              found = caf::actor_cast<caf::actor>(actor);
            } else {
              found = fail(ErrorCode::io, "there is no actor at " + to.text());
            }
          },
          [&](const caf::error& error) { found = fail(connection_error(system_, error, to)); });
  return found;
}

Error connection_error(const caf::actor_system& system, const caf::error& error, const Endpoint& to) {
  if (error.category() == caf::atom("dataflow") && error.context().match_elements<std::string>())
    return {static_cast<ErrorCode>(error.code() - 1), error.context().get_as<std::string>(0)};
  return {ErrorCode::io, "cannot connect to " + to.text() + ": " + system.render(error)};
}

std::uint64_t random_token() {
  std::uint64_t token = 0;
  while (getrandom(&token, sizeof(token), 0) != sizeof(token)) {
  }
  return token;
}

}  // namespace dataflow

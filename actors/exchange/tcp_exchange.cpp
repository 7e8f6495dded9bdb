// The exchange over TCP: a listening thread that takes connections in and joins those that have ended, and a map of the
// connections that were made.

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

#include <caf/all.hpp>

#include "actors/exchange/exchange.hpp"
#include "actors/exchange/incoming_connection.hpp"
#include "actors/exchange/outgoing_connection.hpp"

namespace dataflow {

namespace {

/// Strangers that may be about to introduce themselves at the same time; more are turned away at once.
constexpr std::ptrdiff_t most_strangers = 128;
/// Saying goodbye may take as long as this.
constexpr auto goodbye_deadline = std::chrono::seconds{1};
/// A pause after a connection could not be taken (too many open files): trying again at once would spin.
constexpr int pause_after_error_ms = 100;

using Clock = std::chrono::steady_clock;

class OpenOutgoing final : public OutgoingChannel {
 public:
  OpenOutgoing(std::shared_ptr<OutgoingConnection> connection, WireChannel channel)
      : connection_{std::move(connection)}, channel_{channel} {}
  ~OpenOutgoing() override { connection_->close(channel_); }
  void send(EncodedEnvelopePtr envelope) override { connection_->send(channel_, std::move(envelope)); }

 private:
  std::shared_ptr<OutgoingConnection> connection_;
  WireChannel channel_;
};

class OpenIncoming final : public IncomingChannel {
 public:
  OpenIncoming(std::shared_ptr<ExchangeCore> core, WorkerId worker, std::shared_ptr<IncomingPeer> peer,
               WireChannel channel)
      : core_{std::move(core)}, worker_{std::move(worker)}, peer_{std::move(peer)}, channel_{channel} {}
  ~OpenIncoming() override {
    core_->with_peer(worker_, [this](const std::shared_ptr<IncomingPeer>& peer) {
      const std::lock_guard lock{peer->mutex};
      peer->port.forget(channel_);
      peer->receivers.erase(channel_);
    });
  }
  void grant(std::size_t bytes) override {
    std::shared_ptr<IncomingConnection> connection;
    {
      const std::lock_guard lock{peer_->mutex};
      peer_->port.grant(channel_, bytes);
      if (peer_->port.has_credits()) connection = peer_->connection;
    }
    if (connection != nullptr) connection->write_credits();
  }

 private:
  std::shared_ptr<ExchangeCore> core_;
  WorkerId worker_;
  std::shared_ptr<IncomingPeer> peer_;
  WireChannel channel_;
};

class TcpExchange final : public Exchange {
 public:
  TcpExchange(std::shared_ptr<ExchangeCore> core, ListeningSocket listening, Descriptor event)
      : core_{std::move(core)}, listening_{std::move(listening)}, wake_{std::move(event)} {
    core_->connection_finished = [this] { wake(); };
    thread_ = std::thread{[this] { serve(); }};
  }
  ~TcpExchange() override;

  [[nodiscard]] std::uint16_t port() const override { return listening_.port; }
  void connect(const WorkerId& peer, const std::string& host, std::uint16_t port,
               std::function<void(const Status&)> done) override;
  Result<std::unique_ptr<OutgoingChannel>> open_outgoing(WireChannel channel, const WorkerId& peer, SchemaPtr schema,
                                                         caf::actor sender, std::size_t output_channel) override;
  Result<std::unique_ptr<IncomingChannel>> open_incoming(WireChannel channel, const WorkerId& peer, SchemaPtr schema,
                                                         caf::actor receiver, std::size_t input_channel) override;
  [[nodiscard]] ExchangeStats stats() const override;

 private:
  void wake();
  void take_wakes();
  void serve();
  void take_connection(Descriptor socket);
  void join_finished();
  bool all_finished();

  const std::shared_ptr<ExchangeCore> core_;
  const ListeningSocket listening_;
  const Descriptor wake_;  ///< an eventfd: something has ended

  mutable std::mutex mutex_;
  std::map<WorkerId, std::shared_ptr<OutgoingConnection>> outgoing_;
  std::vector<std::shared_ptr<OutgoingConnection>> replaced_;  ///< lost, but not joined yet
  std::vector<std::shared_ptr<IncomingConnection>> incoming_;
  std::thread thread_;
};

TcpExchange::~TcpExchange() {
  {
    const std::lock_guard lock{mutex_};
    core_->closing = true;
  }
  wake();
  thread_.join();
  // Nothing is added any more; without the lock, since a connection's thread may be in a callback that comes back here.
  for (const auto& [peer, connection] : outgoing_) connection->leave();
  for (const auto& connection : incoming_) connection->leave();
  const auto deadline = Clock::now() + goodbye_deadline;
  while (!all_finished() && Clock::now() < deadline) {
    // Whoever finishes writes to it, so that this wakes up.
    if (wait_for(wake_.get(), Readiness::readable, std::chrono::duration_cast<Duration>(deadline - Clock::now()))) {
      take_wakes();
    }
  }
  for (const auto& [peer, connection] : outgoing_) connection->abandon();
  for (const auto& connection : incoming_) connection->abandon();
  // A channel's end may hold a connection for longer, but a connection's thread must not outlive this object.
  for (const auto& [peer, connection] : outgoing_) connection->join();
  for (const auto& connection : replaced_) connection->join();
  for (const auto& connection : incoming_) connection->join();
}

void TcpExchange::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
}

void TcpExchange::take_wakes() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_.get(), &count, sizeof(count));
}

bool TcpExchange::all_finished() {
  return std::all_of(outgoing_.begin(), outgoing_.end(), [](const auto& c) { return c.second->finished(); }) &&
         std::all_of(incoming_.begin(), incoming_.end(), [](const auto& c) { return c->finished(); });
}

void TcpExchange::serve() {
  bool paused = false;
  while (!core_->closing) {
    std::array<pollfd, 2> watched{pollfd{wake_.get(), POLLIN, 0}, pollfd{listening_.socket.get(), POLLIN, 0}};
    if (poll(watched.data(), paused ? 1 : 2, paused ? pause_after_error_ms : -1) < 0) continue;
    paused = false;
    if (watched[0].revents != 0) {
      take_wakes();
      join_finished();
    }
    if (watched[1].revents != 0) {
      try {
        auto socket = accept_tcp(listening_.socket);
        if (socket) {
          take_connection(std::move(*socket));
        } else {
          paused = true;
        }
      } catch (const std::system_error&) {
        paused = true;  // no thread to be had: the connection is closed, and others may end meanwhile
      }
    }
  }
}

void TcpExchange::take_connection(Descriptor socket) {
  const std::lock_guard lock{mutex_};
  const auto strangers = std::count_if(incoming_.begin(), incoming_.end(),
                                       [](const auto& c) { return !c->introduced() && !c->finished(); });
  if (strangers >= most_strangers) {
    ++core_->refused;
    core_->refusals.refused(peer_address_of(socket.get()), "too many connections that do not introduce themselves");
    return;
  }
  auto connection = std::make_shared<IncomingConnection>(core_, std::move(socket));
  connection->start();
  incoming_.push_back(std::move(connection));
}

void TcpExchange::join_finished() {
  const std::lock_guard lock{mutex_};
  const auto joined = [](const auto& connection) {
    if (!connection->finished()) return false;
    connection->join();
    return true;
  };
  std::erase_if(incoming_, joined);
  std::erase_if(replaced_, joined);
  std::erase_if(outgoing_, [&](const auto& of_peer) { return joined(of_peer.second); });
}

void TcpExchange::connect(const WorkerId& peer, const std::string& host, std::uint16_t port,
                          std::function<void(const Status&)> done) {
  std::shared_ptr<OutgoingConnection> connection;
  bool is_new = false;
  try {
    const std::lock_guard lock{mutex_};
    if (!core_->closing) {
      auto& at = outgoing_[peer];
      if (at != nullptr && at->ended()) replaced_.push_back(std::move(at));
      is_new = at == nullptr;
      if (is_new) {
        at = std::make_shared<OutgoingConnection>(core_, peer);
        at->when_connected(done);
        at->start(host, port);
      }
      connection = at;
    }
  } catch (const std::system_error& error) {
    return done(fail(ErrorCode::io, std::string{"no thread for the connection: "} + error.what()));
  }
  if (is_new) return;
  if (connection == nullptr) return done(fail(ErrorCode::cancelled, "the exchange is ending"));
  if (!connection->when_connected(done)) connect(peer, host, port, std::move(done));  // it was lost just now
}

Result<std::unique_ptr<OutgoingChannel>> TcpExchange::open_outgoing(WireChannel channel, const WorkerId& peer,
                                                                    SchemaPtr schema, caf::actor sender,
                                                                    std::size_t output_channel) {
  std::shared_ptr<OutgoingConnection> connection;
  {
    const std::lock_guard lock{mutex_};
    if (const auto at = outgoing_.find(peer); at != outgoing_.end()) connection = at->second;
  }
  if (connection == nullptr) return fail(ErrorCode::invalid_argument, "there is no connection to worker " + peer);
  if (auto status = connection->open(channel, schema, {std::move(sender), output_channel}); !status) {
    return fail(status.error());
  }
  return std::make_unique<OpenOutgoing>(std::move(connection), channel);
}

Result<std::unique_ptr<IncomingChannel>> TcpExchange::open_incoming(WireChannel channel, const WorkerId& worker,
                                                                    SchemaPtr schema, caf::actor receiver,
                                                                    std::size_t input_channel) {
  Status status;
  std::shared_ptr<IncomingPeer> found;
  core_->with_peer(worker, [&](const std::shared_ptr<IncomingPeer>& peer) {
    const std::lock_guard lock{peer->mutex};
    status = peer->port.expect(channel, std::move(schema));
    if (status) peer->receivers[channel] = {std::move(receiver), input_channel};
    found = peer;
  });
  if (!status) return fail(status.error());
  return std::make_unique<OpenIncoming>(core_, worker, std::move(found), channel);
}

ExchangeStats TcpExchange::stats() const {
  ExchangeStats stats{.connections = core_->connections,
                      .refused = core_->refused,
                      .dropped_envelopes = core_->dropped,
                      .received_envelopes = core_->received,
                      .delivered_envelopes = core_->delivered};
  const std::lock_guard lock{mutex_};
  for (const auto& [peer, connection] : outgoing_) stats.queued_bytes += connection->queued_bytes();
  return stats;
}

Status check_settings(const ExchangeSettings& settings) {
  if (settings.identity.worker.empty() || settings.identity.worker.size() > longest_exchange_name ||
      settings.identity.cluster.size() > longest_exchange_name) {
    return fail(ErrorCode::invalid_argument, "the names of a cluster and a worker have 1 to 255 bytes");
  }
  if (settings.tls || settings.insecure) return {};
  const auto loopback = is_loopback(settings.listen_host);
  if (!loopback) return fail(loopback.error());
  if (!*loopback) {
    return fail(ErrorCode::invalid_argument,
                "listening on " + settings.listen_host +
                    " lets everybody on the network in: give certificates (`dfnode certs` makes them), listen on "
                    "127.0.0.1, or say that it is meant (--insecure)");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Exchange>> listen_exchange(ExchangeSettings settings) {
  if (auto status = check_settings(settings); !status) return fail(status.error().within("exchange"));
  auto core = std::make_shared<ExchangeCore>(std::move(settings));
  if (core->settings.tls) {
    auto tls = TlsContext::load(*core->settings.tls);
    if (!tls) return fail(tls.error().within("exchange"));
    core->tls = std::move(*tls);
  }
  auto listening = listen_tcp(core->settings.listen_host, core->settings.listen_port);
  if (!listening) return fail(listening.error().within("exchange"));
  Descriptor wake{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!wake.valid()) return fail(ErrorCode::io, "exchange: no descriptor is left for an eventfd");
  return std::make_unique<TcpExchange>(std::move(core), std::move(*listening), std::move(wake));
}

}  // namespace dataflow

#pragma once
// What the connections of an exchange share. It outlives the exchange for the sake of channels that do.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "actors/exchange/buffer_pool.hpp"
#include "actors/exchange/byte_stream.hpp"
#include "actors/exchange/exchange.hpp"
#include "actors/exchange/refusal_log.hpp"
#include "libdataflow/exchange/receiving_port.hpp"

namespace dataflow {

class IncomingConnection;

/// The actor at an end of a channel, and the channel's index there.
struct ChannelEnd {
  caf::actor actor;
  std::size_t index = 0;
};

/// What one peer sends: the registered receivers, and the connection that it comes on.
struct IncomingPeer {
  std::mutex mutex;
  ReceivingPort port;
  std::unordered_map<WireChannel, ChannelEnd> receivers;
  std::shared_ptr<IncomingConnection> connection;  ///< null: not connected

  IncomingPeer();
  [[nodiscard]] bool idle() const { return port.empty() && connection == nullptr; }
};

struct ExchangeCore {
  explicit ExchangeCore(ExchangeSettings s) : settings{std::move(s)} {}

  ExchangeSettings settings;
  std::shared_ptr<TlsContext> tls;
  BufferPool pool;
  RefusalLog refusals{"exchange"};

  std::atomic<bool> closing{false};
  std::function<void()> connection_finished;  ///< a connection's thread is about to end and can be joined

  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> dropped{0};
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> delivered{0};

  /// Calls `use` with the peer, which is made when there is none and forgotten when it is idle afterwards.
  void with_peer(const WorkerId& worker, const std::function<void(const std::shared_ptr<IncomingPeer>&)>& use);
  /// Tells the listener, unless the exchange itself is ending.
  void lost(const WorkerId& peer, const Error& reason);

 private:
  std::mutex peers_mutex_;
  std::map<WorkerId, std::shared_ptr<IncomingPeer>> peers_;
};

}  // namespace dataflow

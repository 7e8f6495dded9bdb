#pragma once
// The data plane between worker processes, apart from CAF's BASP, which carries control only. One connection for each
// ordered pair of workers carries all channels of that direction; credit for them comes back on the same connection.
//
//   auto exchange = listen_exchange(settings);                       // in each worker
//   (*exchange)->connect("tm2/1", "10.0.0.2", 40123, [](const Status& s) { ... });
//   auto out = (*exchange)->open_outgoing(number, "tm2/1", schema, subtask, 0);   // before the task starts
//   auto in  = (*exchange)->open_incoming(number, "tm1/1", schema, subtask, 3);   // at the other worker
//   out->send(envelope);   // arrives there as msg::Deliver{3, envelope}; in->grant(n) here as msg::Credit{0, n}
//
// Every receiver of an attempt is opened before any of its senders sends (JobSupervisor waits for all Opened before it
// says Start): an envelope for a channel that nobody has opened is taken for one of a former attempt and dropped.
// Nothing here blocks but listen_exchange and the destructor, and all of it may be called from any thread.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <caf/actor.hpp>

#include "actors/exchange/tls_settings.hpp"
#include "libdataflow/exchange/handshake.hpp"
#include "libdataflow/exchange/wire_channel.hpp"
#include "serialization/envelope.hpp"
#include "serialization/time.hpp"

namespace dataflow {

/// A connection that had been made is no more, and with it all of its channels: their attempt cannot go on.
struct PeerLost {
  WorkerId peer;
  Error reason;
};

struct ExchangeSettings {
  ExchangeIdentity identity;
  std::string listen_host = "127.0.0.1";
  std::uint16_t listen_port = 0;   ///< 0: any free one; see Exchange::port
  std::optional<TlsSettings> tls;  ///< nothing: plain TCP
  bool insecure = false;           ///< allows plain TCP on other than loopback addresses
  /// Called once for each lost connection, by a thread of the exchange; it must not block or throw.
  std::function<void(const PeerLost&)> on_peer_lost;
  /// Connecting or a peer's introduction may take as long as this.
  Duration handshake_timeout = std::chrono::seconds{5};
  /// A peer that says nothing for this long is lost (it pings three times as often).
  Duration silence_timeout = std::chrono::seconds{10};
};

/// The sender's end of a channel. Destroying it closes the channel.
class OutgoingChannel {
 public:
  virtual ~OutgoingChannel() = default;
  /// Takes the envelope for transport, in order. A batch only while there is credit; who ignores that loses the
  /// connection (PeerLost). After the connection was lost: does nothing.
  virtual void send(EncodedEnvelopePtr envelope) = 0;
};

/// The receiver's end. Destroying it unregisters the channel: what still arrives is dropped and counted.
class IncomingChannel {
 public:
  virtual ~IncomingChannel() = default;
  /// The sender may send `bytes` more. After the connection was lost: does nothing.
  virtual void grant(std::size_t bytes) = 0;
};

struct ExchangeStats {
  std::uint64_t connections = 0;          ///< that stand now, of both directions
  std::uint64_t refused = 0;              ///< peers that did not introduce themselves properly
  std::uint64_t dropped_envelopes = 0;    ///< for channels that nobody has opened
  std::uint64_t received_envelopes = 0;   ///< from the wire
  std::uint64_t delivered_envelopes = 0;  ///< to actors; fewer, since small batches are joined
  std::uint64_t queued_bytes = 0;         ///< taken by send and not yet written
};

class Exchange {
 public:
  virtual ~Exchange() = default;

  /// Where it listens.
  [[nodiscard]] virtual std::uint16_t port() const = 0;

  /// Makes the connection that this worker's channels to `peer` use. `done` is called once, by a thread of the
  /// exchange: with nothing once the peer has agreed, or with the error: io (unreachable, late), invalid_argument
  /// (refused, with the peer's reason). At once when the connection stands. It may be made again after it was lost.
  virtual void connect(const WorkerId& peer, const std::string& host, std::uint16_t port,
                       std::function<void(const Status&)> done) = 0;

  /// Opens a channel to `peer`, whose connection stands (`connect` was done). Credit comes to `sender` as
  /// msg::Credit{output_channel, bytes}. Errors: invalid_argument when there is no connection or the channel is open.
  virtual Result<std::unique_ptr<OutgoingChannel>> open_outgoing(WireChannel channel, const WorkerId& peer,
                                                                 SchemaPtr schema, caf::actor sender,
                                                                 std::size_t output_channel) = 0;

  /// Registers the receiver of a channel from `peer`, who may connect before or after. Envelopes come to `receiver` as
  /// msg::Deliver{input_channel, envelope}, or in a msg::DeliverAll. Errors: invalid_argument when the channel is open.
  virtual Result<std::unique_ptr<IncomingChannel>> open_incoming(WireChannel channel, const WorkerId& peer,
                                                                 SchemaPtr schema, caf::actor receiver,
                                                                 std::size_t input_channel) = 0;

  [[nodiscard]] virtual ExchangeStats stats() const = 0;

 protected:
  Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
};

/// Listens over TCP. Destroying it says goodbye to its peers, for whom that is no loss unless channels are still open;
/// it takes a second at most. Channels that are left then do nothing any more.
/// Errors: invalid_argument for an address that is not loopback without `tls` or `insecure`, or for unreadable TLS
/// files; io when the address cannot be listened on.
Result<std::unique_ptr<Exchange>> listen_exchange(ExchangeSettings settings);

}  // namespace dataflow

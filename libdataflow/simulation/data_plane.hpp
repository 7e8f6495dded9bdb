#pragma once
// A worker's end of the data plane: the ports of libdataflow/exchange on connections of the simulated network. What
// travels is the bytes of frames, parsed and decoded at the other end like those of a socket.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libdataflow/exchange/batch_joiner.hpp"
#include "libdataflow/exchange/receiving_port.hpp"
#include "libdataflow/exchange/sending_port.hpp"
#include "libdataflow/simulation/world.hpp"

namespace dataflow::simulation {

class DataPlane;

/// Who takes what arrives at an end of a channel.
struct ChannelEnds {
  std::function<void(EncodedEnvelopePtr)> deliver;
  std::function<void(std::size_t)> credit;
};

/// Finds a worker's data plane by the worker's name; null when there is no such process any more.
using FindPeer = std::function<std::shared_ptr<DataPlane>(const std::string& worker)>;

class DataPlane : public std::enable_shared_from_this<DataPlane> {
 public:
  using Connected = std::function<void(const Status&)>;

  /// `lost(peer, why)`: a connection over which channels were open is no more.
  DataPlane(World& world, ProcessPtr process, std::string worker, FindPeer find,
            std::function<void(const std::string& peer, const std::string& why)> lost);

  void connect(const std::string& peer, Connected done);
  /// Errors: there is no connection; the channel is open already.
  Status open_outgoing(WireChannel channel, const std::string& peer, const SchemaPtr& schema,
                       std::function<void(std::size_t)> credit);
  Status open_incoming(WireChannel channel, const std::string& peer, SchemaPtr schema,
                       std::function<void(EncodedEnvelopePtr)> deliver);
  void send(WireChannel channel, const std::string& peer, EncodedEnvelopePtr envelope);
  void grant(WireChannel channel, const std::string& peer, std::size_t bytes);
  void close_outgoing(WireChannel channel, const std::string& peer);
  void forget_incoming(WireChannel channel, const std::string& peer);

 private:
  struct Outgoing {
    explicit Outgoing(std::size_t window) : port{window} {}
    ConnectionPtr connection;  ///< null while it is being made
    SendingPort port;
    std::map<WireChannel, std::function<void(std::size_t)>> senders;
    std::vector<Connected> waiting;
    bool writing = false;
  };
  struct Incoming {
    explicit Incoming(std::size_t window) : port{window} {}
    ConnectionPtr connection;
    ReceivingPort port;
    std::map<WireChannel, std::function<void(EncodedEnvelopePtr)>> receivers;
    BatchJoiner joiner;
    bool flushing = false;
    bool crediting = false;
  };

  void take_connection(const std::string& from, const ConnectionPtr& connection);
  void end_connecting(const std::string& peer, ConnectionPtr connection);
  void lose_outgoing(const std::string& peer, const std::string& why);
  void lose_incoming(const std::string& peer, const ConnectionPtr& connection, const std::string& why);
  void write_soon(const std::string& peer);
  void write(const std::string& peer);
  void take_frame(const std::string& from, const ConnectionPtr& connection, const Buffer& bytes);
  Status accept_frame(Incoming& incoming, const FrameHeader& header, const Buffer& payload);
  void take_credit(const std::string& from, WireChannel channel, std::uint64_t bytes);
  void flush(const std::string& from);
  void write_credits_soon(const std::string& from);
  /// A peer, or this end, has broken the protocol: no fault explains that.
  void broken(const std::string& peer, const Error& error, const ConnectionPtr& connection);

  World& world_;
  ProcessPtr process_;
  std::string worker_;
  FindPeer find_;
  std::function<void(const std::string&, const std::string&)> lost_;
  std::map<std::string, std::shared_ptr<Outgoing>> outgoing_;
  std::map<std::string, std::shared_ptr<Incoming>> incoming_;
};

}  // namespace dataflow::simulation

#pragma once
// The connection to one peer that this worker's channels to it use: connects, introduces itself, writes envelopes,
// reads credit.

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "actors/exchange/exchange_core.hpp"
#include "actors/exchange/frame_link.hpp"

namespace dataflow {

class OutgoingConnection final : private FrameLinkUser {
 public:
  using Done = std::function<void(const Status&)>;

  OutgoingConnection(std::shared_ptr<ExchangeCore> core, WorkerId peer);
  ~OutgoingConnection() override;

  /// Begins to connect, on a thread of its own.
  void start(const std::string& host, std::uint16_t port);
  /// Calls `done` once the peer has agreed or connecting has failed; at once when that is so. False: it was lost.
  bool when_connected(Done done);

  [[nodiscard]] bool ended() const;
  Status open(WireChannel channel, const SchemaPtr& schema, ChannelEnd sender);
  void send(WireChannel channel, EncodedEnvelopePtr envelope);
  void close(WireChannel channel);
  [[nodiscard]] std::size_t queued_bytes() const;

  /// Ends it in an orderly manner; `finished` turns true soon.
  void leave();
  /// Ends it at once.
  void abandon();
  /// Its thread can be joined without waiting.
  [[nodiscard]] bool finished() const { return finished_; }
  void join();

 private:
  enum class State : std::uint8_t { connecting, standing, ended };
  class Handshake;

  void run(const std::string& host, std::uint16_t port);
  Status introduce(const std::string& host, std::uint16_t port);
  void connected(const Status& status);

  // FrameLinkUser.
  Result<PayloadMemory> begin(const FrameHeader& header) override;
  Status end(const FrameHeader& header, Buffer payload) override;
  Status caught_up() override { return {}; }
  std::vector<OutgoingFrame> take_frames() override;

  Status take_answer(const FrameHeader& header, const Buffer& payload);
  Status take_credit(const FrameHeader& header, const Buffer& payload);

  const std::shared_ptr<ExchangeCore> core_;
  const WorkerId peer_;
  std::thread thread_;
  std::atomic<bool> finished_{false};
  bool agreed_ = false;  ///< the peer said welcome; of the reading thread

  mutable std::mutex mutex_;
  State state_ = State::connecting;
  const Handshake* shaking_hands_ = nullptr;  ///< with the peer, at the moment
  std::vector<Done> waiting_;
  std::shared_ptr<FrameLink> link_;
  SendingPort port_;
  std::unordered_map<WireChannel, ChannelEnd> senders_;
};

}  // namespace dataflow

#pragma once
// A connection that a peer made: reads its introduction, then its envelopes, which go to Subtask actors; writes credit.

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "actors/exchange/exchange_core.hpp"
#include "actors/exchange/frame_link.hpp"
#include "actors/messages.hpp"
#include "libdataflow/exchange/batch_joiner.hpp"

namespace dataflow {

class IncomingConnection final : private FrameLinkUser, public std::enable_shared_from_this<IncomingConnection> {
 public:
  IncomingConnection(std::shared_ptr<ExchangeCore> core, Descriptor socket);
  ~IncomingConnection() override;

  void start();
  /// There is credit to be granted. The caller does not hold the peer's mutex.
  void write_credits() { link_->write_now(*this); }
  /// A newer connection of the same peer takes its place. The caller holds the peer's mutex.
  void replace() { link_->fail({ErrorCode::io, "it has connected anew"}); }

  /// Ends it in an orderly manner; `finished` turns true soon.
  void leave();
  /// Ends it at once.
  void abandon();
  /// Its thread can be joined without waiting.
  [[nodiscard]] bool finished() const { return finished_; }
  void join();
  /// The peer has introduced itself.
  [[nodiscard]] bool introduced() const { return introduced_; }

 private:
  void run();
  Status introduce();
  void turn_away(const std::string& address, const Error& reason);
  void attach();
  /// What this peer opened and did not close, when the connection ends.
  bool detach();

  // FrameLinkUser.
  Result<PayloadMemory> begin(const FrameHeader& header) override;
  Status end(const FrameHeader& header, Buffer payload) override;
  Status caught_up() override;
  std::vector<OutgoingFrame> take_frames() override;

  Status take_hello(const FrameHeader& header, const Buffer& payload);
  /// Asks the port whether a channel's frame may come; notes its schema in accepted_.
  Status accept(const FrameHeader& header);
  Status take_envelope(const FrameHeader& header, const Buffer& payload);
  void deliver();
  msg::DeliverAll& letter_to(const caf::actor& receiver);

  const std::shared_ptr<ExchangeCore> core_;
  Descriptor socket_;  ///< until the link has it
  std::thread thread_;
  std::atomic<bool> finished_{false};
  std::atomic<bool> introduced_{false};

  std::mutex mutex_;
  std::shared_ptr<FrameLink> link_;  ///< made once, under mutex_
  bool ending_ = false;

  // Of the reading thread, after the introduction.
  WorkerId worker_;
  std::shared_ptr<IncomingPeer> peer_;
  SchemaPtr accepted_;  ///< of the channel of the frame that is being read; null: drop it
  BatchJoiner joiner_;
  std::vector<Delivery> deliveries_;
  /// What is delivered at once, by receiver: a few at most.
  std::vector<std::pair<caf::actor, msg::DeliverAll>> letters_;
};

}  // namespace dataflow

#pragma once
// The receiving end of what one peer sends: which channels are expected from it, their order and their credit. No
// socket and no thread; who uses it from several threads locks around it.
//
// What a channel's subtask grants it counts in bytes of what it was given, and small batches were joined for it: what
// joining saved is granted beside that, so that every byte that a sender used comes back to it sooner or later.

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "libdataflow/exchange/frame.hpp"
#include "serialization/envelope.hpp"

namespace dataflow {

class ReceivingPort {
 public:
  /// `window`: as the senders'; a batch beyond it is refused.
  explicit ReceivingPort(std::size_t window) : window_{static_cast<std::int64_t>(window)} {}

  /// A receiver is there. Errors: invalid_argument when there is one.
  Status expect(WireChannel channel, SchemaPtr schema);
  /// The receiver is gone: what comes later is dropped.
  void forget(WireChannel channel);

  /// A frame's header of kind open, batch, event or close has come. The channel's schema; null when nobody expects the
  /// channel and the frame is to be dropped. Errors, after which the connection cannot go on: malformed_data for a
  /// frame that is out of order, on a channel that is not open, or a batch without credit.
  Result<SchemaPtr> accept(const FrameHeader& header);
  /// The schema of an open frame that was accepted. Errors: malformed_data when it is not the expected one.
  static Status compare(WireChannel channel, const Schema& expected, const Buffer& words);
  /// A batch that was accepted had `bytes` (EncodedEnvelope::wire_size).
  void received(WireChannel channel, std::size_t bytes);
  /// Batches of `received` bytes were given to the receiver as one of `delivered`.
  void joined(WireChannel channel, std::size_t received, std::size_t delivered);
  /// The receiver has consumed so much of what it was given.
  void grant(WireChannel channel, std::size_t bytes);

  struct Credit {
    WireChannel channel;
    std::uint64_t bytes = 0;
  };
  /// What is to be granted to the peer now, summed by channel in the order in which they were granted first.
  std::vector<Credit> take_credits();
  [[nodiscard]] bool has_credits() const { return !to_grant_.empty(); }

  /// The connection is no more. Channels that were open on it are lost for good; those that were not may yet be opened
  /// on another connection.
  void connection_lost();
  /// Channels that the peer opened and did not close, and that somebody expects.
  [[nodiscard]] bool has_open_channels() const;
  /// Nobody expects anything from this peer.
  [[nodiscard]] bool empty() const { return channels_.empty(); }

 private:
  enum class State : std::uint8_t { expected, open, closed, lost };
  struct Channel {
    SchemaPtr schema;
    State state = State::expected;
    std::uint64_t next_sequence = 0;
    std::int64_t used = 0;       ///< bytes received and not granted again
    std::int64_t saved = 0;      ///< by joining; negative when joining made it longer
    std::uint64_t granting = 0;  ///< in to_grant_
  };

  void queue_credit(WireChannel id, Channel& channel);

  std::int64_t window_;
  std::unordered_map<WireChannel, Channel> channels_;
  std::vector<WireChannel> to_grant_;
};

}  // namespace dataflow

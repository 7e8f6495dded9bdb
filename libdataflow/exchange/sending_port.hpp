#pragma once
// The sending end of a connection: its channels, their numbers and credit, and the queue of what is to be written. No
// socket and no thread; who uses it from several threads locks around it.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

#include "libdataflow/exchange/frame.hpp"
#include "serialization/envelope.hpp"

namespace dataflow {

/// A frame with what it is made of. Its bytes are `head` (header, and for an envelope the segment table), then the
/// envelope's segments or the payload, which are not copied.
struct OutgoingFrame {
  std::vector<std::byte> head;
  EncodedEnvelopePtr envelope;
  Buffer payload;

  /// Adds its parts, in order, for a gathering write. They are valid while the frame lives.
  void append_parts(std::vector<std::span<const std::byte>>& to) const;
  [[nodiscard]] std::size_t size() const;
};

/// A frame that carries no envelope.
OutgoingFrame make_frame(const FrameHeader& header, Buffer payload = {});
OutgoingFrame make_credit_frame(WireChannel channel, std::uint64_t bytes);

class SendingPort {
 public:
  /// `window`: what may be under way on a channel before its sender has to wait for credit.
  explicit SendingPort(std::size_t window) : window_{static_cast<std::int64_t>(window)} {}

  /// Errors: invalid_argument when it is open.
  Status open(WireChannel channel, const SchemaPtr& schema);
  void close(WireChannel channel);
  /// Queues an envelope. Errors (of the sender, which broke its promise; the connection is to be given up): internal
  /// for a batch without credit, or when nobody takes the events that need none.
  Status send(WireChannel channel, EncodedEnvelopePtr envelope);
  /// The peer grants. Errors: malformed_data for credit beyond what was used. False: the channel is closed, nobody
  /// waits.
  Result<bool> credit(WireChannel channel, std::uint64_t bytes);

  [[nodiscard]] bool empty() const { return queue_.empty(); }
  [[nodiscard]] std::size_t queued_bytes() const { return queued_bytes_; }
  [[nodiscard]] bool has_open_channels() const { return !channels_.empty(); }
  /// Takes from the front: at least one frame, then as many as fit into `bytes`.
  std::vector<OutgoingFrame> take(std::size_t bytes);

 private:
  struct Queued {
    FrameHeader header;
    EncodedEnvelopePtr envelope;
    Buffer payload;
  };
  struct Channel {
    Buffer schema;           ///< until it is announced
    bool announced = false;  ///< the open frame has been queued
    std::uint64_t next_sequence = 0;
    std::int64_t used = 0;  ///< bytes of batches that were not granted again
    std::size_t queued_events = 0;
    std::uint64_t last_queued = 0;  ///< position of its last frame, counted from the first that was ever queued
  };

  void announce(WireChannel id, Channel& channel);
  void push(WireChannel id, Channel& channel, FrameKind kind, EncodedEnvelopePtr envelope, Buffer payload);
  bool replaces_queued(Channel& channel, const EncodedEnvelopePtr& envelope);

  std::int64_t window_;
  std::unordered_map<WireChannel, Channel> channels_;
  std::deque<Queued> queue_;
  std::uint64_t taken_ = 0;  ///< frames that left the queue
  std::size_t queued_bytes_ = 0;
};

}  // namespace dataflow

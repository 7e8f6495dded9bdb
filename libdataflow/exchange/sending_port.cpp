#include "libdataflow/exchange/sending_port.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "serialization/schema_codec.hpp"

namespace dataflow {

namespace {

/// Watermarks replace each other; of the rest a channel has a few a second at most.
constexpr std::size_t most_queued_events = 1024;

/// Far more than the segment table of a batch with as many columns as a decoder takes.
constexpr std::size_t most_table_bytes = 1U << 20;

std::size_t segment_table_bytes(std::size_t segments) {
  return (sizeof(std::uint32_t) * (1 + segments) + 7) / 8 * 8;
}

bool is_batch(const EncodedEnvelopePtr& envelope) {
  return std::holds_alternative<BatchPtr>(envelope->envelope());
}

std::vector<std::byte> head_of(FrameHeader header) {
  const FrameHeaderBytes bytes = write_frame_header(header);
  return {bytes.begin(), bytes.end()};
}

/// An envelope's payload is what decode reads: Cap'n Proto's segment table, then the segments.
OutgoingFrame make_envelope_frame(FrameHeader header, EncodedEnvelopePtr envelope) {
  const auto segments = envelope->segments();
  const std::size_t table_bytes = segment_table_bytes(segments.size());
  std::size_t bytes_of_segments = 0;
  for (const auto segment : segments) bytes_of_segments += segment.size();
  assert(bytes_of_segments == envelope->wire_size());  // what credit is counted in
  header.length = static_cast<std::uint32_t>(table_bytes + bytes_of_segments);
  OutgoingFrame frame{.head = {}, .envelope = std::move(envelope), .payload = {}};
  frame.head.resize(frame_header_bytes + table_bytes);
  const FrameHeaderBytes bytes = write_frame_header(header);
  std::memcpy(frame.head.data(), bytes.data(), bytes.size());
  std::byte* table = frame.head.data() + frame_header_bytes;
  const auto put = [&table](std::size_t value) {
    const auto number = static_cast<std::uint32_t>(value);
    std::memcpy(table, &number, sizeof(number));
    table += sizeof(number);
  };
  put(segments.size() - 1);
  for (const auto segment : segments) put(segment.size() / 8);
  return frame;
}

}  // namespace

void OutgoingFrame::append_parts(std::vector<std::span<const std::byte>>& to) const {
  to.emplace_back(head);
  if (!payload.empty()) to.push_back(payload.bytes());
  if (envelope == nullptr) return;
  for (const auto segment : envelope->segments()) to.push_back(segment);
}

std::size_t OutgoingFrame::size() const {
  return head.size() + payload.size() + (envelope ? envelope->wire_size() : 0);
}

OutgoingFrame make_frame(const FrameHeader& header, Buffer payload) {
  assert(header.length == payload.size());
  return {.head = head_of(header), .envelope = nullptr, .payload = std::move(payload)};
}

OutgoingFrame make_credit_frame(WireChannel channel, std::uint64_t bytes) {
  GrowingBuffer payload{sizeof(bytes)};
  payload.push(bytes);
  return make_frame({FrameKind::credit, channel, 0, sizeof(bytes)}, payload.freeze());
}

Status SendingPort::open(WireChannel id, const SchemaPtr& schema) {
  Buffer words = encode_schema(*schema);
  if (words.size() > max_payload_bytes(FrameKind::open)) {
    return fail(ErrorCode::invalid_argument, "the schema of channel " + to_string(id) + " is too long to be sent");
  }
  const auto [at, is_new] = channels_.try_emplace(id);
  if (!is_new) return fail(ErrorCode::invalid_argument, "channel " + to_string(id) + " is open already");
  at->second.schema = std::move(words);
  return {};
}

void SendingPort::close(WireChannel id) {
  const auto at = channels_.find(id);
  if (at == channels_.end()) return;
  if (at->second.announced) push(id, at->second, FrameKind::close, nullptr, {});
  channels_.erase(at);
}

Status SendingPort::send(WireChannel id, EncodedEnvelopePtr envelope) {
  const auto at = channels_.find(id);
  if (at == channels_.end())
    return fail(ErrorCode::internal, "sent on channel " + to_string(id) + ", which is not open");
  Channel& channel = at->second;
  announce(id, channel);
  if (is_batch(envelope)) {
    if (channel.used >= window_) {
      return fail(ErrorCode::internal, "a batch was sent without credit on channel " + to_string(id));
    }
    if (envelope->wire_size() > max_payload_bytes(FrameKind::batch) - most_table_bytes) {
      return fail(ErrorCode::unsupported, "a batch of " + std::to_string(envelope->wire_size()) +
                                              " bytes is too large to be sent; make the job's rows smaller");
    }
    channel.used += static_cast<std::int64_t>(envelope->wire_size());
    push(id, channel, FrameKind::batch, std::move(envelope), {});
    return {};
  }
  if (replaces_queued(channel, envelope)) return {};
  if (channel.queued_events >= most_queued_events) {
    return fail(ErrorCode::io, "more than " + std::to_string(most_queued_events) + " events wait on channel " +
                                   to_string(id) + "; the peer takes none");
  }
  ++channel.queued_events;
  push(id, channel, FrameKind::event, std::move(envelope), {});
  return {};
}

/// The open frame goes before the first envelope and no earlier: by then the receiver is there to see it.
void SendingPort::announce(WireChannel id, Channel& channel) {
  if (std::exchange(channel.announced, true)) return;
  push(id, channel, FrameKind::open, nullptr, std::exchange(channel.schema, {}));
}

/// Of neighbouring watermarks only the newest matters, and of neighbouring statuses.
bool SendingPort::replaces_queued(Channel& channel, const EncodedEnvelopePtr& envelope) {
  if (channel.last_queued < taken_) return false;
  Queued& last = queue_[channel.last_queued - taken_];
  if (last.header.kind != FrameKind::event) return false;
  const Envelope& before = last.envelope->envelope();
  const Envelope& now = envelope->envelope();
  if (before.index() != now.index()) return false;
  if (!std::holds_alternative<Watermark>(now) && !std::holds_alternative<StreamStatus>(now)) return false;
  last.envelope = envelope;  // of the same size: both are a number in the same place
  return true;
}

void SendingPort::push(WireChannel id, Channel& channel, FrameKind kind, EncodedEnvelopePtr envelope, Buffer payload) {
  queued_bytes_ += envelope ? envelope->wire_size() : payload.size();
  channel.last_queued = taken_ + queue_.size();
  const FrameHeader header{kind, id, channel.next_sequence++, static_cast<std::uint32_t>(payload.size())};
  queue_.push_back({header, std::move(envelope), std::move(payload)});
}

Result<bool> SendingPort::credit(WireChannel id, std::uint64_t bytes) {
  const auto at = channels_.find(id);
  if (at == channels_.end()) return false;
  if (bytes > static_cast<std::uint64_t>(at->second.used)) {
    return fail(ErrorCode::malformed_data, "the peer granted " + std::to_string(bytes) + " bytes on channel " +
                                               to_string(id) + ", of which " + std::to_string(at->second.used) +
                                               " were used");
  }
  at->second.used -= static_cast<std::int64_t>(bytes);
  return true;
}

std::vector<OutgoingFrame> SendingPort::take(std::size_t bytes) {
  std::vector<OutgoingFrame> taken;
  std::size_t taken_bytes = 0;
  while (!queue_.empty()) {
    Queued& next = queue_.front();
    const std::size_t size = next.envelope ? next.envelope->wire_size() : next.payload.size();
    if (!taken.empty() && taken_bytes + size > bytes) break;
    taken_bytes += size;
    queued_bytes_ -= size;
    if (next.header.kind == FrameKind::event) {
      const auto at = channels_.find(next.header.channel);
      if (at != channels_.end() && at->second.queued_events > 0) --at->second.queued_events;
    }
    taken.push_back(next.envelope ? make_envelope_frame(next.header, std::move(next.envelope))
                                  : make_frame(next.header, std::move(next.payload)));
    queue_.pop_front();
    ++taken_;
  }
  return taken;
}

}  // namespace dataflow

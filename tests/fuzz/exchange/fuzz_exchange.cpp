// Whatever bytes come out of a connection, in whatever pieces: the frames that are found are those that were written,
// nothing is read or written out of bounds, and a receiving port never grants more than was used. The first byte
// chooses the pieces. With bit 7 of it set, the input is a list of frames without magic and checksum, which a mutation
// would never get right: they are made valid here, so that what lies behind them is reached.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "libdataflow/exchange/batch_joiner.hpp"
#include "libdataflow/exchange/frame_parser.hpp"
#include "libdataflow/exchange/handshake.hpp"
#include "libdataflow/exchange/receiving_port.hpp"
#include "serialization/schema_codec.hpp"

using namespace dataflow;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

SchemaPtr schema() {
  static const SchemaPtr made = make_schema({{"id", TypeKind::int64}, {"name", TypeKind::string}});
  return made;
}

constexpr std::size_t window = 64 * 1024;

/// What an incoming connection does with frames, without its threads.
class Receiver final : public FrameSink {
 public:
  Receiver() {
    for (std::uint64_t channel = 0; channel < 4; ++channel) (void)port_.expect(WireChannel{channel}, schema());
  }

  Result<PayloadMemory> begin(const FrameHeader& header) override {
    require(header.length > 0 && header.length <= max_payload_bytes(header.kind));
    if (auto status = accept(header); !status) return fail(status.error());
    if (schema_ == nullptr || header.length > (1U << 20)) return PayloadMemory{};
    std::shared_ptr<std::byte[]> memory{new std::byte[header.length]};
    return PayloadMemory{memory, memory.get()};
  }

  Status end(const FrameHeader& header, Buffer payload) override {
    if (header.length == 0) {
      if (auto status = accept(header); !status) return status;
    }
    if (payload.empty()) return {};
    require(payload.size() == header.length);
    switch (header.kind) {
      case FrameKind::hello: return check(payload);
      case FrameKind::open: return ReceivingPort::compare(header.channel, *schema_, payload);
      case FrameKind::batch:
      case FrameKind::event: return take_envelope(header, payload);
      default: return {};
    }
  }

  void caught_up() {
    joiner_.flush(deliveries_);
    for (const Delivery& delivery : deliveries_) {
      const std::size_t size = delivery.envelope->wire_size();
      if (!std::holds_alternative<BatchPtr>(delivery.envelope->envelope())) continue;
      port_.joined(delivery.channel, delivery.received_bytes, size);
      port_.grant(delivery.channel, size);
    }
    deliveries_.clear();
    for (const auto& credit : port_.take_credits()) granted_ += credit.bytes;
    require(granted_ <= received_);
  }

 private:
  Status accept(const FrameHeader& header) {
    schema_ = schema();
    if (header.kind < FrameKind::open || header.kind > FrameKind::close) return {};
    auto accepted = port_.accept(header);
    if (!accepted) return fail(accepted.error());
    schema_ = *accepted;
    return {};
  }

  static Status check(const Buffer& payload) {
    const auto introduction = decode_introduction(payload.bytes());
    if (!introduction) return fail(introduction.error());
    const Buffer again = encode_introduction(*introduction);
    require(std::equal(again.bytes().begin(), again.bytes().end(), payload.bytes().begin(), payload.bytes().end()));
    return check_introduction(*introduction, introduction->identity);
  }

  Status take_envelope(const FrameHeader& header, const Buffer& payload) {
    DecodeLimits limits;
    limits.max_bytes = 1U << 20;
    limits.max_rows = 1U << 16;
    auto envelope = decode(payload, schema_, limits);
    if (!envelope) return fail(envelope.error());
    const bool is_batch = std::holds_alternative<BatchPtr>((*envelope)->envelope());
    if (is_batch != (header.kind == FrameKind::batch)) return fail(ErrorCode::malformed_data, "another kind");
    if (is_batch) {
      port_.received(header.channel, (*envelope)->wire_size());
      received_ += (*envelope)->wire_size();
    }
    joiner_.add(header.channel, std::move(*envelope), deliveries_);
    return {};
  }

  ReceivingPort port_{window};
  BatchJoiner joiner_;
  std::vector<Delivery> deliveries_;
  SchemaPtr schema_;
  std::uint64_t received_ = 0;
  std::uint64_t granted_ = 0;
};

/// Frames from a description: kind, channel, sequence, length (2 bytes), payload.
std::string make_valid(std::string_view description) {
  std::string bytes;
  while (description.size() >= 5) {
    const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(description[i]); };
    const std::size_t length = std::min<std::size_t>(at(3) + 256U * at(4), description.size() - 5);
    const auto header = write_frame_header(
        {static_cast<FrameKind>(at(0)), WireChannel{at(1)}, at(2), static_cast<std::uint32_t>(length)});
    bytes.append(reinterpret_cast<const char*>(header.data()), header.size());
    bytes.append(description.substr(5, length));
    description.remove_prefix(5 + length);
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + (data[0] & 0x7fU) * 37U;
  std::string input{reinterpret_cast<const char*>(data) + 1, size - 1};
  if ((data[0] & 0x80U) != 0) input = make_valid(input);

  FrameParser parser;
  Receiver receiver;
  std::string_view left = input;
  while (!left.empty()) {
    const auto space = parser.space();
    require(!space.ahead.empty());
    const std::size_t count = std::min({left.size(), piece, space.payload.size() + space.ahead.size()});
    const std::size_t first = std::min(count, space.payload.size());
    if (first > 0) std::memcpy(space.payload.data(), left.data(), first);
    if (count > first) std::memcpy(space.ahead.data(), left.data() + first, count - first);
    left.remove_prefix(count);
    if (!parser.filled(count, receiver)) break;
    receiver.caught_up();
  }
  return 0;
}

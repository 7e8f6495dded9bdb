#include "libdataflow/exchange/frame.hpp"

#include <bit>
#include <cstring>

#include <xxhash.h>

namespace dataflow {

namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie in memory");

constexpr std::uint32_t magic = 0x31584644;  // "DFX1"
constexpr std::size_t checked_bytes = 28;

template <class T>
void put(FrameHeaderBytes& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

template <class T>
T get(std::span<const std::byte, frame_header_bytes> bytes, std::size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

std::uint32_t checksum(const std::byte* bytes) {
  return static_cast<std::uint32_t>(XXH3_64bits(bytes, checked_bytes));
}

}  // namespace

std::string_view to_string(FrameKind kind) {
  switch (kind) {
    case FrameKind::hello: return "hello";
    case FrameKind::welcome: return "welcome";
    case FrameKind::refusal: return "refusal";
    case FrameKind::open: return "open";
    case FrameKind::batch: return "batch";
    case FrameKind::event: return "event";
    case FrameKind::close: return "close";
    case FrameKind::credit: return "credit";
    case FrameKind::ping: return "ping";
    case FrameKind::goodbye: return "goodbye";
  }
  return "unknown";
}

std::uint32_t max_payload_bytes(FrameKind kind) {
  switch (kind) {
    case FrameKind::hello:
    case FrameKind::welcome:
    case FrameKind::refusal:
    case FrameKind::event: return 1024;
    case FrameKind::open: return 8U << 20;
    case FrameKind::batch: return 512U << 20;
    case FrameKind::credit: return sizeof(std::uint64_t);
    case FrameKind::close:
    case FrameKind::ping:
    case FrameKind::goodbye: return 0;
  }
  return 0;
}

FrameHeaderBytes write_frame_header(const FrameHeader& header) {
  FrameHeaderBytes bytes{};
  put(bytes, 0, magic);
  put(bytes, 4, exchange_protocol_version);
  put(bytes, 6, static_cast<std::uint8_t>(header.kind));
  put(bytes, 8, header.channel.number);
  put(bytes, 16, header.sequence);
  put(bytes, 24, header.length);
  put(bytes, checked_bytes, checksum(bytes.data()));
  return bytes;
}

Result<FrameHeader> read_frame_header(std::span<const std::byte, frame_header_bytes> bytes) {
  if (get<std::uint32_t>(bytes, 0) != magic) {
    const bool like_tls = get<std::uint8_t>(bytes, 0) == 0x16 && get<std::uint8_t>(bytes, 1) == 3;
    return fail(ErrorCode::malformed_data,
                like_tls ? "the peer speaks TLS where this worker was set up without it" : "this is no frame");
  }
  if (const auto version = get<std::uint16_t>(bytes, 4); version != exchange_protocol_version) {
    return fail(ErrorCode::unsupported, "the peer speaks version " + std::to_string(version) +
                                            " of the exchange's protocol, this program version " +
                                            std::to_string(exchange_protocol_version) +
                                            "; run the same version of dfnode everywhere");
  }
  if (get<std::uint32_t>(bytes, checked_bytes) != checksum(bytes.data())) {
    return fail(ErrorCode::malformed_data, "a frame's header does not match its checksum");
  }
  const auto kind = get<std::uint8_t>(bytes, 6);
  if (kind < static_cast<std::uint8_t>(FrameKind::hello) || kind > static_cast<std::uint8_t>(FrameKind::goodbye)) {
    return fail(ErrorCode::malformed_data, "a frame is of the unknown kind " + std::to_string(kind));
  }
  const FrameHeader header{static_cast<FrameKind>(kind), WireChannel{get<std::uint64_t>(bytes, 8)},
                           get<std::uint64_t>(bytes, 16), get<std::uint32_t>(bytes, 24)};
  if (header.length > max_payload_bytes(header.kind)) {
    return fail(ErrorCode::malformed_data, "a frame of kind " + std::string{to_string(header.kind)} + " has " +
                                               std::to_string(header.length) + " bytes, at most " +
                                               std::to_string(max_payload_bytes(header.kind)) + " are allowed");
  }
  return header;
}

}  // namespace dataflow

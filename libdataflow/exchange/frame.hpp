#pragma once
// The frames that two workers exchange: a fixed header, then a payload. Everything is little-endian.
//
//   bytes  0..3   magic "DFX1"
//          4..5   protocol version
//          6      kind
//          7      0
//          8..15  channel, 0 for frames of the connection itself
//         16..23  number of the frame within its channel, from 0; 0 for frames without one
//         24..27  length of the payload in bytes
//         28..31  checksum of bytes 0..27: the low half of XXH3-64
//
// The checksum is there so that a length is never believed that nobody wrote; the payload is TCP's or TLS's to protect,
// and decode checks whatever is in it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "libdataflow/exchange/wire_channel.hpp"
#include "serialization/result.hpp"

namespace dataflow {

/// Version of frames, handshake and their meaning; a peer with another one is refused.
inline constexpr std::uint16_t exchange_protocol_version = 1;

/// Numbers are part of the protocol and never reused.
enum class FrameKind : std::uint8_t {
  hello = 1,    ///< who connected, to whom, and what it takes to be common ground; see handshake.hpp
  welcome = 2,  ///< the answer of who was connected to
  refusal = 3,  ///< or this: the reason as text
  open = 4,     ///< the first frame of a channel: its schema
  batch = 5,    ///< an envelope with a batch: needs credit
  event = 6,    ///< any other envelope: needs none
  close = 7,    ///< the last frame of a channel
  credit = 8,   ///< against the direction of the channel: the bytes (64 bit) that may be sent more
  ping = 9,     ///< nothing to say, but alive
  goodbye = 10  ///< the connection ends on purpose
};

std::string_view to_string(FrameKind kind);

struct FrameHeader {
  FrameKind kind = FrameKind::ping;
  WireChannel channel;
  std::uint64_t sequence = 0;
  std::uint32_t length = 0;
  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

inline constexpr std::size_t frame_header_bytes = 32;
using FrameHeaderBytes = std::array<std::byte, frame_header_bytes>;

/// What payloads may have at most, by kind; a batch's is the decoder's limit.
std::uint32_t max_payload_bytes(FrameKind kind);

FrameHeaderBytes write_frame_header(const FrameHeader& header);

/// Errors: malformed_data for what is no frame, unsupported for another version.
Result<FrameHeader> read_frame_header(std::span<const std::byte, frame_header_bytes> bytes);

}  // namespace dataflow

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <random>
#include <span>

#include "libdataflow/exchange/frame_parser.hpp"
#include "libdataflow/exchange/sending_port.hpp"
#include "tests/support/batches.hpp"

using namespace dataflow;

namespace {

struct Collected final : FrameSink {
  struct Frame {
    FrameHeader header;
    std::string payload;
    friend bool operator==(const Frame&, const Frame&) = default;
  };
  std::vector<Frame> frames;
  WireChannel thrown_away{99};

  Result<PayloadMemory> begin(const FrameHeader& header) override {
    if (header.channel == thrown_away) return PayloadMemory{};
    std::shared_ptr<std::byte[]> memory{new std::byte[header.length]};
    return PayloadMemory{memory, memory.get()};
  }
  Status end(const FrameHeader& header, Buffer payload) override {
    frames.push_back({header, std::string{payload.as<char>(), payload.size()}});
    return {};
  }
};

/// Gives the parser the bytes in pieces of at most `most(available)`.
template <class Most>
Status feed(FrameParser& parser, FrameSink& sink, std::string_view bytes, const Most& most) {
  while (!bytes.empty()) {
    const auto space = parser.space();
    std::size_t count = std::min({bytes.size(), space.payload.size() + space.ahead.size(), most()});
    const std::size_t first = std::min(count, space.payload.size());
    const auto read = std::as_bytes(std::span{bytes}).first(count);
    std::ranges::copy(read.first(first), space.payload.begin());
    std::ranges::copy(read.subspan(first), space.ahead.begin());
    bytes.remove_prefix(count);
    if (auto status = parser.filled(count, sink); !status) return status;
  }
  return {};
}

std::string bytes_of(const OutgoingFrame& frame) {
  std::vector<std::span<const std::byte>> parts;
  frame.append_parts(parts);
  std::string bytes;
  for (const auto part : parts) bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
  return bytes;
}

std::string frame_of(FrameKind kind, std::uint64_t channel, std::uint64_t sequence, const std::string& payload) {
  GrowingBuffer out;
  out.append(payload.data(), payload.size());
  return bytes_of(
      make_frame({kind, WireChannel{channel}, sequence, static_cast<std::uint32_t>(payload.size())}, out.freeze()));
}

}  // namespace

TEST_CASE("frames are the same in whatever pieces they come") {
  std::string bytes;
  std::vector<Collected::Frame> expected;
  std::mt19937_64 random{1};
  for (std::uint64_t i = 0; i < 200; ++i) {
    // Small ones in a row, large ones in a row, and both beside each other; some without payload, some thrown away.
    const std::size_t size = i % 20 < 10 ? random() % 50 : i % 3 == 0 ? 0 : random() % 200'000;
    const std::uint64_t channel = i % 11 == 0 ? 99 : i % 5;
    const std::string payload(size, static_cast<char>('a' + i % 26));
    bytes += frame_of(FrameKind::batch, channel, i, payload);
    expected.push_back(
        {{FrameKind::batch, WireChannel{channel}, i, static_cast<std::uint32_t>(size)}, channel == 99 ? "" : payload});
  }
  const auto check = [&](const auto& most) {
    FrameParser parser;
    Collected collected;
    REQUIRE(feed(parser, collected, bytes, most).has_value());
    CHECK(collected.frames == expected);
    CHECK(parser.between_frames());
  };
  check([] { return SIZE_MAX; });
  check([] { return std::size_t{1'000}; });
  check([] { return std::size_t{31}; });
  check([&] { return std::size_t{1 + random() % 100'000}; });
}

TEST_CASE("a stream that ends within a frame is told from one that ends between frames") {
  const std::string bytes = frame_of(FrameKind::batch, 1, 0, "payload!");
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    FrameParser parser;
    Collected collected;
    REQUIRE(feed(parser, collected, bytes.substr(0, size), [] { return SIZE_MAX; }).has_value());
    CHECK(parser.between_frames() == (size == 0 || size == bytes.size()));
  }
}

TEST_CASE("what is no frame ends the parsing") {
  FrameParser parser;
  Collected collected;
  const auto fed =
      feed(parser, collected, frame_of(FrameKind::ping, 0, 0, "") + std::string(32, 'x'), [] { return SIZE_MAX; });
  REQUIRE_FALSE(fed.has_value());
  CHECK(fed.error().message() == "this is no frame");
  CHECK(collected.frames.size() == 1);
}

TEST_CASE("an envelope's frame holds what decode reads") {
  const SchemaPtr schema = make_schema({{"id", TypeKind::int64}, {"name", TypeKind::string}});
  const BatchPtr batch = testing_support::make_batch(schema, {{1, "a"}, {2, nullptr}});
  SendingPort port{1 << 20};
  REQUIRE(port.open(WireChannel{1}, schema).has_value());
  REQUIRE(port.send(WireChannel{1}, encode(batch)).has_value());
  FrameParser parser;
  Collected collected;
  for (const auto& frame : port.take(SIZE_MAX)) {
    const std::string bytes = bytes_of(frame);
    CHECK(bytes.size() == frame.size());
    REQUIRE(feed(parser, collected, bytes, [] { return SIZE_MAX; }).has_value());
  }
  REQUIRE(collected.frames.size() == 2);
  GrowingBuffer words;
  words.append(collected.frames[1].payload.data(), collected.frames[1].payload.size());
  const auto decoded = decode(words.freeze(), schema);
  REQUIRE(decoded.has_value());
  CHECK(testing_support::rows_of(*std::get<BatchPtr>((*decoded)->envelope())) == testing_support::rows_of(*batch));
}

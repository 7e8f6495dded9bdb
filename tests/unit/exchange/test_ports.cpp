// The two ends of a connection as state machines: order, credit and what is joined.

#include <doctest/doctest.h>

#include "libdataflow/exchange/batch_joiner.hpp"
#include "libdataflow/exchange/receiving_port.hpp"
#include "libdataflow/exchange/sending_port.hpp"
#include "libdataflow/runtime/task_host.hpp"
#include "serialization/schema_codec.hpp"
#include "tests/support/batches.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

constexpr WireChannel one{1};
constexpr WireChannel two{2};
constexpr std::size_t window = 100'000;

SchemaPtr schema() {
  static const SchemaPtr numbers = make_schema({{"n", TypeKind::int64}});
  return numbers;
}

BatchPtr batch_of(std::int64_t first, std::uint32_t rows) {
  BatchBuilder builder{schema(), rows};
  for (std::uint32_t i = 0; i < rows; ++i) {
    builder.column(0).append_int64(first + i);
    builder.end_row();
  }
  return builder.finish();
}

FrameHeader header_of(const OutgoingFrame& frame) {
  return *read_frame_header(std::span<const std::byte, frame_header_bytes>{frame.head.data(), frame_header_bytes});
}

FrameHeader frame(FrameKind kind, std::uint64_t sequence, WireChannel channel = one) {
  return {kind, channel, sequence, 8};
}

std::vector<std::int64_t> numbers_of(const EncodedEnvelopePtr& envelope) {
  const auto values = std::get<BatchPtr>(envelope->envelope())->column(0).as<std::int64_t>();
  return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("a sender's frames are numbered by channel, from its opening to its end") {
  SendingPort port{window};
  REQUIRE(port.open(one, schema()).has_value());
  REQUIRE(port.open(two, schema()).has_value());
  CHECK_FALSE(port.open(one, schema()).has_value());
  REQUIRE(port.send(one, encode(batch_of(0, 1))).has_value());
  REQUIRE(port.send(two, encode(EndOfData{})).has_value());
  port.close(one);
  const auto frames = port.take(SIZE_MAX);
  REQUIRE(frames.size() == 5);
  const auto is = [&](std::size_t i, FrameKind kind, WireChannel channel, std::uint64_t sequence) {
    const FrameHeader header = header_of(frames[i]);
    return header.kind == kind && header.channel == channel && header.sequence == sequence;
  };
  CHECK(is(0, FrameKind::open, one, 0));
  CHECK(is(1, FrameKind::batch, one, 1));
  CHECK(is(2, FrameKind::open, two, 0));
  CHECK(is(3, FrameKind::event, two, 1));
  CHECK(is(4, FrameKind::close, one, 2));
  CHECK(port.empty());
  CHECK(port.queued_bytes() == 0);
}

TEST_CASE("a batch beyond the window is refused until credit has come, and no more credit than was used") {
  SendingPort port{window};
  REQUIRE(port.open(one, schema()).has_value());
  std::size_t used = 0;
  while (used < window) {
    const auto envelope = encode(batch_of(0, 1000));
    used += envelope->wire_size();
    REQUIRE(port.send(one, envelope).has_value());
  }
  const auto beyond = port.send(one, encode(batch_of(0, 1)));
  REQUIRE_FALSE(beyond.has_value());
  CHECK(beyond.error().message() == "a batch was sent without credit on channel attempt 0, edge 0, 0 -> 1");
  CHECK(port.queued_bytes() <= window + 10'000 + 1'000);

  CHECK_FALSE(port.credit(one, used + 1).has_value());
  const auto credited = port.credit(one, used);
  REQUIRE(credited.has_value());
  CHECK(*credited);
  CHECK(port.send(one, encode(batch_of(0, 1))).has_value());
  const auto unknown = port.credit(two, 5);
  REQUIRE(unknown.has_value());
  CHECK_FALSE(*unknown);
}

TEST_CASE("events need no credit; of neighbouring watermarks the newest travels, and the rest is bounded") {
  SendingPort port{window};
  REQUIRE(port.open(one, schema()).has_value());
  for (int i = 0; i < 100'000; ++i) REQUIRE(port.send(one, encode(Watermark{Timestamp{i}})).has_value());
  auto frames = port.take(SIZE_MAX);
  REQUIRE(frames.size() == 2);
  CHECK(std::get<Watermark>(frames[1].envelope->envelope()).time.micros == 99'999);

  // A watermark that was taken already is not touched.
  REQUIRE(port.send(one, encode(Watermark{Timestamp{100'000}})).has_value());
  REQUIRE(port.send(one, encode(batch_of(0, 1))).has_value());
  REQUIRE(port.send(one, encode(Watermark{Timestamp{100'001}})).has_value());
  CHECK(port.take(SIZE_MAX).size() == 3);

  Status status;
  int sent = 0;
  for (; status && sent < 1'000'000; ++sent) status = port.send(one, encode(LatencyMarker{}));
  REQUIRE_FALSE(status.has_value());
  CHECK(sent == 1025);
}

TEST_CASE("frames are taken in pieces of a size, at least one at a time") {
  SendingPort port{window};
  REQUIRE(port.open(one, schema()).has_value());
  REQUIRE(port.send(one, encode(LatencyMarker{})).has_value());
  (void)port.take(SIZE_MAX);
  for (int i = 0; i < 6; ++i) REQUIRE(port.send(one, encode(batch_of(i, 1000))).has_value());
  CHECK(port.take(1).size() == 1);
  CHECK(port.take(17'000).size() == 2);
  CHECK(port.take(SIZE_MAX).size() == 3);
  CHECK(port.take(SIZE_MAX).empty());
}

TEST_CASE("a receiver takes a channel's frames in order only") {
  ReceivingPort port{window};
  REQUIRE(port.expect(one, schema()).has_value());
  CHECK_FALSE(port.expect(one, schema()).has_value());
  const auto refused = [&](const FrameHeader& header) {
    const auto accepted = port.accept(header);
    return accepted ? std::string{"accepted"} : accepted.error().message();
  };
  const std::string channel = "channel attempt 0, edge 0, 0 -> 1: ";
  CHECK(refused(frame(FrameKind::batch, 0)) == channel + "batch on a channel that is not open");
  CHECK(refused(frame(FrameKind::open, 0)) == "accepted");
  CHECK(refused(frame(FrameKind::open, 1)) == channel + "open on a channel that is open");
  CHECK(refused(frame(FrameKind::batch, 1)) == "accepted");
  CHECK(refused(frame(FrameKind::batch, 1)) == channel + "frame 1 came twice");
  CHECK(refused(frame(FrameKind::event, 3)) == channel + "frame 3 came where frame 2 was due");
  CHECK(port.has_open_channels());
  CHECK(refused(frame(FrameKind::close, 2)) == "accepted");
  CHECK(refused(frame(FrameKind::event, 3)) == channel + "event on a channel that is closed");
  CHECK_FALSE(port.has_open_channels());
}

TEST_CASE("frames of channels that nobody expects are dropped, whatever their number") {
  ReceivingPort port{window};
  for (const std::uint64_t sequence : {5, 5, 1}) {
    const auto accepted = port.accept(frame(FrameKind::batch, sequence, two));
    REQUIRE(accepted.has_value());
    CHECK(*accepted == nullptr);
  }
  REQUIRE(port.expect(one, schema()).has_value());
  port.forget(one);
  CHECK(*port.accept(frame(FrameKind::open, 0)) == nullptr);
  CHECK(port.empty());
}

TEST_CASE("a sender that ignores its credit is refused") {
  ReceivingPort port{window};
  REQUIRE(port.expect(one, schema()).has_value());
  REQUIRE(port.accept(frame(FrameKind::open, 0)).has_value());
  REQUIRE(port.accept(frame(FrameKind::batch, 1)).has_value());
  port.received(one, window);
  CHECK(port.accept(frame(FrameKind::event, 2)).has_value());
  CHECK_FALSE(port.accept(frame(FrameKind::batch, 3)).has_value());
  port.grant(one, 1);
  const auto credits = port.take_credits();
  REQUIRE(credits.size() == 1);
  CHECK(credits[0].bytes == 1);
  CHECK(port.accept(frame(FrameKind::batch, 3)).has_value());
}

TEST_CASE("what joining saves is granted, so that small batches do not use up the window for good") {
  ReceivingPort port{window};
  REQUIRE(port.expect(one, schema()).has_value());
  REQUIRE(port.accept(frame(FrameKind::open, 0)).has_value());
  std::size_t received = 0;
  std::size_t granted = 0;
  std::size_t to_grant = 0;
  for (std::uint64_t i = 1; i <= 10'000; ++i) {
    REQUIRE(port.accept(frame(FrameKind::batch, i)).has_value());
    port.received(one, 300);
    received += 300;
    port.joined(one, 300, 20);  // as if joined with others
    to_grant += 20;
    if (to_grant >= window / 2) port.grant(one, std::exchange(to_grant, 0));
    for (const auto& credit : port.take_credits()) granted += credit.bytes;
    REQUIRE(granted <= received);
  }
  CHECK(received - granted < window * 3 / 4);
}

TEST_CASE("a batch that joining made longer grants no more than was used") {
  ReceivingPort port{window};
  REQUIRE(port.expect(one, schema()).has_value());
  REQUIRE(port.accept(frame(FrameKind::open, 0)).has_value());
  REQUIRE(port.accept(frame(FrameKind::batch, 1)).has_value());
  port.received(one, 100);
  port.joined(one, 100, 130);
  port.grant(one, 130);
  std::uint64_t granted = 0;
  for (const auto& credit : port.take_credits()) granted += credit.bytes;
  CHECK(granted == 100);
}

TEST_CASE("after a lost connection its channels stay dead, and those that were not open yet can be opened") {
  ReceivingPort port{window};
  REQUIRE(port.expect(one, schema()).has_value());
  REQUIRE(port.expect(two, schema()).has_value());
  REQUIRE(port.accept(frame(FrameKind::open, 0)).has_value());
  port.connection_lost();
  CHECK_FALSE(port.has_open_channels());
  CHECK_FALSE(port.accept(frame(FrameKind::batch, 1)).has_value());
  CHECK_FALSE(port.accept(frame(FrameKind::open, 0)).has_value());
  CHECK(port.accept(frame(FrameKind::open, 0, two)).has_value());
}

TEST_CASE("a channel's two ends have to agree on its schema") {
  CHECK(ReceivingPort::compare(one, *schema(), encode_schema(*schema())).has_value());
  const auto other = ReceivingPort::compare(one, *schema(), encode_schema(*make_schema({{"m", TypeKind::int64}})));
  REQUIRE_FALSE(other.has_value());
  CHECK(other.error().message() ==
        "channel attempt 0, edge 0, 0 -> 1: its sender has the schema { m int64 }, its receiver { n int64 }");
}

TEST_CASE("small batches of a channel that are there together become one, in order") {
  BatchJoiner joiner;
  std::vector<Delivery> out;
  std::size_t received = 0;
  for (int i = 0; i < 3; ++i) {
    const auto envelope = encode(batch_of(i, 1));
    received += envelope->wire_size();
    joiner.add(one, envelope, out);
    joiner.add(two, encode(batch_of(10 + i, 1)), out);
  }
  CHECK(out.empty());
  joiner.add(one, encode(Watermark{Timestamp{5}}), out);
  REQUIRE(out.size() == 2);
  CHECK(numbers_of(out[0].envelope) == std::vector<std::int64_t>{0, 1, 2});
  CHECK(out[0].received_bytes == received);
  CHECK(std::holds_alternative<Watermark>(out[1].envelope->envelope()));
  joiner.flush(out);
  REQUIRE(out.size() == 3);
  CHECK(out[2].channel == two);
  CHECK(numbers_of(out[2].envelope) == std::vector<std::int64_t>{10, 11, 12});
  joiner.flush(out);
  CHECK(out.size() == 3);
}

TEST_CASE("a large batch passes as it is, behind the small ones before it") {
  BatchJoiner joiner;
  std::vector<Delivery> out;
  joiner.add(one, encode(batch_of(0, 2)), out);
  const auto large = encode(batch_of(2, 4000));
  joiner.add(one, large, out);
  REQUIRE(out.size() == 2);
  CHECK(out[1].envelope == large);
  joiner.flush(out);
  CHECK(out.size() == 2);
}

TEST_CASE("joining ends at a batch's limits") {
  BatchJoiner joiner;
  std::vector<Delivery> out;
  for (int i = 0; i < 30; ++i) joiner.add(one, encode(batch_of(i * 500, 500)), out);
  joiner.flush(out);
  std::int64_t next = 0;
  for (const Delivery& delivery : out) {
    CHECK(std::get<BatchPtr>(delivery.envelope->envelope())->rows() <= max_batch_rows);
    for (const std::int64_t n : numbers_of(delivery.envelope)) CHECK(n == next++);
  }
  CHECK(next == 15'000);
  CHECK(out.size() == 4);
}

TEST_CASE("batches with and without event time are not joined") {
  BatchJoiner joiner;
  std::vector<Delivery> out;
  joiner.add(one, encode(batch_of(0, 1)), out);
  joiner.add(one, encode(make_batch(schema(), {{1}}, {1000})), out);
  joiner.flush(out);
  CHECK(out.size() == 2);
}

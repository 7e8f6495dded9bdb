#include <doctest/doctest.h>

#include <algorithm>

#include "libdataflow/exchange/frame.hpp"
#include "libdataflow/exchange/handshake.hpp"

using namespace dataflow;

TEST_CASE("a frame's header comes back as it was written") {
  const FrameHeader header{FrameKind::batch, WireChannel{0x1234'5678'9abc'def0}, 42, 4096};
  const auto read = read_frame_header(write_frame_header(header));
  REQUIRE(read.has_value());
  CHECK(*read == header);
}

TEST_CASE("a header with any single bit flipped is refused") {
  const FrameHeaderBytes good = write_frame_header({FrameKind::event, WireChannel{7}, 1, 24});
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    FrameHeaderBytes bad = good;
    bad[bit / 8] ^= std::byte{1} << (bit % 8);
    INFO("bit " << bit);
    CHECK_FALSE(read_frame_header(bad).has_value());
  }
}

TEST_CASE("a header of another version is refused with both versions") {
  FrameHeaderBytes other = write_frame_header({});
  other[4] = std::byte{9};
  const auto read = read_frame_header(other);
  REQUIRE_FALSE(read.has_value());
  CHECK(read.error().code() == ErrorCode::unsupported);
  CHECK(read.error().message() ==
        "the peer speaks version 9 of the exchange's protocol, this program version 1; run the same version of dfnode "
        "everywhere");
}

TEST_CASE("the beginning of TLS is recognised where frames are due") {
  FrameHeaderBytes tls{};
  tls[0] = std::byte{0x16};
  tls[1] = std::byte{3};
  const auto read = read_frame_header(tls);
  REQUIRE_FALSE(read.has_value());
  CHECK(read.error().message() == "the peer speaks TLS where this worker was set up without it");
}

TEST_CASE("a length beyond its kind's limit is refused") {
  CHECK(read_frame_header(write_frame_header({FrameKind::event, {}, 0, 1024})).has_value());
  CHECK_FALSE(read_frame_header(write_frame_header({FrameKind::event, {}, 0, 1025})).has_value());
  CHECK_FALSE(read_frame_header(write_frame_header({FrameKind::ping, {}, 0, 1})).has_value());
}

TEST_CASE("a channel's number keeps attempt, edge and subtasks apart") {
  const auto number = wire_channel(3, {.edge = 2, .from_subtask = 0, .to_subtask = 5});
  REQUIRE(number.has_value());
  CHECK(to_string(*number) == "attempt 3, edge 2, 0 -> 5");
  CHECK(*number != *wire_channel(4, {.edge = 2, .from_subtask = 0, .to_subtask = 5}));
  CHECK(*number != *wire_channel(3, {.edge = 2, .from_subtask = 5, .to_subtask = 0}));
  CHECK(to_string(*wire_channel(65'535, {.edge = 262'143, .from_subtask = 32'767, .to_subtask = 32'767})) ==
        "attempt 65535, edge 262143, 32767 -> 32767");
  CHECK_FALSE(wire_channel(1, {.edge = 0, .from_subtask = 32'768, .to_subtask = 0}).has_value());
}

TEST_CASE("an introduction comes back as it was written, and no part of one does") {
  const Introduction introduction{{.cluster = "c", .worker = "tm1/2", .leader_epoch = 3, .attempt_token = 4}, "tm2/1"};
  const Buffer words = encode_introduction(introduction);
  const auto read = decode_introduction(words.bytes());
  REQUIRE(read.has_value());
  CHECK(read->identity.cluster == "c");
  CHECK(read->identity.worker == "tm1/2");
  CHECK(read->identity.leader_epoch == 3);
  CHECK(read->identity.attempt_token == 4);
  CHECK(read->to == "tm2/1");
  for (std::size_t size = 0; size < words.size(); ++size) {
    CHECK_FALSE(decode_introduction(words.bytes().first(size)).has_value());
  }
}

TEST_CASE("a worker deals only with who agrees in everything, and says what differs but never the token") {
  const ExchangeIdentity self{.cluster = "c", .worker = "b", .leader_epoch = 3, .attempt_token = 4711};
  ExchangeIdentity peer = self;
  peer.worker = "a";
  CHECK(check_introduction({peer, "b"}, self).has_value());

  const auto reason = [&](const ExchangeIdentity& who, const WorkerId& to) {
    return check_introduction({who, to}, self).error().message();
  };
  auto other = peer;
  other.cluster = "d";
  CHECK(reason(other, "b") == R"(worker "a" belongs to the cluster "d", this one to "c")");
  CHECK(reason(peer, "x") == R"(worker "a" looks for "x", this one is "b")");
  other = peer;
  other.leader_epoch = 2;
  CHECK(reason(other, "b") == R"(worker "a" serves the leader of epoch 2, this one that of epoch 3)");
  other = peer;
  other.attempt_token = 1;
  CHECK(reason(other, "b") == R"(worker "a" was not deployed for the same job)");
  other = peer;
  other.worker = "a\nb";
  other.cluster = "d";
  CHECK(reason(other, "b") == R"(worker "a?b" belongs to the cluster "d", this one to "c")");
}

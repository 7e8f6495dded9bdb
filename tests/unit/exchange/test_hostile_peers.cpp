// Peers that lie, stop or die. Whatever one of them does, the connection of an honest one goes on.

#include <sys/socket.h>

#include "actors/exchange/refusal_log.hpp"
#include "libdataflow/runtime/task_host.hpp"
#include "tests/unit/exchange/workers.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

/// Worker b, to whom an honest worker a and a handmade peer "x" are connected.
struct Scene {
  explicit Scene(const std::function<void(ExchangeSettings&)>& change = {}) : b{"b", change} {
    REQUIRE(a.connect(b).has_value());
    const auto actor = receiver.actor();
    in = *b.exchange->open_incoming(channel_number(0), "a", numbers_schema(), actor, 0);
    out = *a.exchange->open_outgoing(channel_number(0), "b", numbers_schema(), actor, 0);
  }

  /// The honest worker's records still arrive.
  void check_undisturbed() {
    out->send(encode(numbers(42, 1)));
    const auto m = receiver.next();
    REQUIRE(m.has_value());
    CHECK(std::get<BatchPtr>(m->envelope->envelope())->column(0).as<std::int64_t>()[0] == 42);
    CHECK(a.lost->empty());
  }

  /// The peer x, introduced, with a channel that b expects; its first frames are in `port`.
  HandmadePeer introduced() {
    HandmadePeer peer{b.exchange->port()};
    peer.hello(identity_of("x"), "b");
    REQUIRE(peer.read_until(FrameKind::welcome));
    x_in = *b.exchange->open_incoming(channel_number(9), "x", numbers_schema(), x_receiver.actor(), 0);
    REQUIRE(port.open(channel_number(9), numbers_schema()).has_value());
    return peer;
  }

  /// b has cut x off, told its listener so, and a goes on.
  void check_lost(HandmadePeer& peer, const std::string& reason) {
    CHECK(peer.is_cut_off());
    const auto lost = b.lost->take();
    REQUIRE(lost.has_value());
    CHECK(lost->peer == "x");
    CHECK(lost->reason.message() == "connection with worker x: " + reason);
    check_undisturbed();
    CHECK(b.lost->empty());
  }

  caf::actor_system_config config;
  caf::actor_system system{config};
  Receiver receiver{system};
  Receiver x_receiver{system};
  Worker a{"a"};
  Worker b;
  SendingPort port{channel_window_bytes};
  std::unique_ptr<IncomingChannel> in;
  std::unique_ptr<IncomingChannel> x_in;
  std::unique_ptr<OutgoingChannel> out;
};

std::string bytes_of(const std::vector<OutgoingFrame>& frames) {
  std::string bytes;
  std::vector<ByteStream::Bytes> parts;
  for (const OutgoingFrame& frame : frames) frame.append_parts(parts);
  for (const auto part : parts) bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
  return bytes;
}

}  // namespace

TEST_CASE("strangers are turned away and disturb nobody") {
  Scene scene;
  std::uint64_t refused = 0;
  const auto check_refused = [&](HandmadePeer& peer) {
    CHECK(peer.is_cut_off());
    ++refused;
    scene.check_undisturbed();
  };
  SUBCASE("garbage") {
    HandmadePeer peer{scene.b.exchange->port()};
    peer.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    check_refused(peer);
  }
  SUBCASE("another version") {
    HandmadePeer peer{scene.b.exchange->port()};
    auto header = write_frame_header({FrameKind::hello, {}, 0, 100});
    header[4] = std::byte{2};
    peer.write({reinterpret_cast<const char*>(header.data()), header.size()});
    check_refused(peer);
  }
  SUBCASE("another cluster, epoch or job is told why") {
    for (const auto& change : std::vector<std::function<void(ExchangeIdentity&)>>{
             [](auto& i) { i.cluster = "other"; }, [](auto& i) { ++i.leader_epoch; },
             [](auto& i) { ++i.attempt_token; }, [](auto& i) { i.worker = ""; }}) {
      HandmadePeer peer{scene.b.exchange->port()};
      auto identity = identity_of("x");
      change(identity);
      peer.hello(identity, "b");
      CHECK(peer.read_until(FrameKind::refusal));
      CHECK_FALSE(peer.last_text().empty());
      check_refused(peer);
    }
  }
  SUBCASE("frames before the introduction") {
    HandmadePeer peer{scene.b.exchange->port()};
    REQUIRE(scene.port.open(channel_number(0), numbers_schema()).has_value());
    REQUIRE(scene.port.send(channel_number(0), encode(Watermark{Timestamp{1}})).has_value());
    peer.write(scene.port.take(SIZE_MAX));
    check_refused(peer);
  }
  SUBCASE("an introduction that is cut off") {
    HandmadePeer peer{scene.b.exchange->port()};
    peer.write(make_frame({FrameKind::hello, {}, 0, 0}));
    check_refused(peer);
  }
  SUBCASE("one that leaves without a word") {
    { HandmadePeer peer{scene.b.exchange->port()}; }
    // The second is taken in after the first.
    HandmadePeer peer{scene.b.exchange->port()};
    peer.write("no frame, but as long as a header");
    CHECK(peer.is_cut_off());
    scene.check_undisturbed();
    return;
  }
  CHECK(scene.b.lost->empty());
  // Counted before the connection is closed, and each once.
  CHECK(scene.b.exchange->stats().refused == refused);
}

TEST_CASE("a stranger that says nothing is turned away in time") {
  Scene scene{[](ExchangeSettings& s) { s.handshake_timeout = std::chrono::milliseconds{100}; }};
  HandmadePeer silent{scene.b.exchange->port()};
  CHECK(silent.is_cut_off());
  HandmadePeer slow{scene.b.exchange->port()};
  slow.write("D");
  CHECK(slow.is_cut_off());
  scene.check_undisturbed();
}

TEST_CASE("a peer whose frames are out of order is cut off") {
  Scene scene;
  HandmadePeer peer = scene.introduced();
  REQUIRE(scene.port.send(channel_number(9), encode(numbers(0, 1))).has_value());
  auto frames = scene.port.take(SIZE_MAX);
  const std::string channel = "channel attempt 1, edge 9, 0 -> 0: ";
  SUBCASE("a frame twice") {
    peer.write(frames);
    peer.write(frames.back());
    scene.check_lost(peer, channel + "frame 1 came twice");
  }
  SUBCASE("a frame that is missing") {
    REQUIRE(scene.port.send(channel_number(9), encode(numbers(1, 1))).has_value());
    peer.write(frames.front());
    peer.write(scene.port.take(SIZE_MAX));
    scene.check_lost(peer, channel + "frame 2 came where frame 1 was due");
  }
  SUBCASE("a channel that was not opened") {
    peer.write(frames.back());
    scene.check_lost(peer, channel + "batch on a channel that is not open");
  }
  SUBCASE("a second introduction") {
    peer.hello(identity_of("x"), "b");
    scene.check_lost(peer, "it sent a frame of kind hello out of turn");
  }
}

TEST_CASE("a peer that sends what does not decode is cut off") {
  Scene scene;
  HandmadePeer peer = scene.introduced();
  REQUIRE(scene.port.send(channel_number(9), encode(numbers(0, 10))).has_value());
  auto frames = scene.port.take(SIZE_MAX);
  peer.write(frames.front());
  SUBCASE("an envelope of nonsense") {
    const std::string nonsense(64, '\7');
    GrowingBuffer payload;
    payload.append(nonsense.data(), nonsense.size());
    peer.write(make_frame({FrameKind::batch, channel_number(9), 1, 64}, payload.freeze()));
    CHECK(peer.is_cut_off());
    const auto lost = scene.b.lost->take();
    REQUIRE(lost.has_value());
    CHECK(lost->reason.message().find("envelope: ") != std::string::npos);
    scene.check_undisturbed();
  }
  SUBCASE("garbage where a frame is due") {
    peer.write(std::string(100, 'x'));
    scene.check_lost(peer, "this is no frame");
  }
  SUBCASE("a batch as an event") {
    const std::string bytes = bytes_of(frames).substr(frames.front().size() + frame_header_bytes);
    GrowingBuffer payload;
    payload.append(bytes.data(), bytes.size());
    peer.write(make_frame({FrameKind::event, channel_number(9), 1, static_cast<std::uint32_t>(bytes.size())},
                          payload.freeze()));
    scene.check_lost(peer, "channel attempt 1, edge 9, 0 -> 0: a frame of kind event holds something else");
  }
  SUBCASE("a frame that is cut off") {
    peer.write(std::string_view{bytes_of(frames)}.substr(frames.front().size(), frames.back().size() - 5));
    peer.hang_up();
    const auto lost = scene.b.lost->take();
    REQUIRE(lost.has_value());
    CHECK(lost->reason.message() == "connection with worker x: it hung up within a frame");
    scene.check_undisturbed();
  }
}

TEST_CASE("a peer that dies is lost at once, and one that says goodbye is not") {
  Scene scene;
  HandmadePeer peer = scene.introduced();
  peer.write(scene.port.take(SIZE_MAX));
  SUBCASE("dies") {
    peer.hang_up();
    const auto lost = scene.b.lost->take();
    REQUIRE(lost.has_value());
    CHECK(lost->reason.message() == "connection with worker x: it hung up");
  }
  SUBCASE("says goodbye") {
    scene.port.close(channel_number(9));
    peer.write(scene.port.take(SIZE_MAX));
    peer.write(make_frame({FrameKind::goodbye, {}, 0, 0}));
    CHECK(peer.read_until(FrameKind::goodbye));
    CHECK(scene.b.lost->empty());
  }
  SUBCASE("connects again, which ends the former connection") {
    HandmadePeer again{scene.b.exchange->port()};
    again.hello(identity_of("x"), "b");
    CHECK(again.read_until(FrameKind::welcome));
    CHECK(peer.is_cut_off());
    const auto lost = scene.b.lost->take();
    REQUIRE(lost.has_value());
    CHECK(lost->reason.message() == "connection with worker x: it has connected anew");
    CHECK(scene.b.lost->empty());
  }
  scene.check_undisturbed();
}

TEST_CASE("a peer that falls silent is lost after the deadline, and two that have nothing to say are not") {
  Scene scene{[](ExchangeSettings& s) { s.silence_timeout = std::chrono::milliseconds{300}; }};
  // b hears nothing from the silent peer; from a it hears pings only when a's own timeout asks for them.
  Worker honest{"h", [](ExchangeSettings& s) { s.silence_timeout = std::chrono::milliseconds{300}; }};
  REQUIRE(honest.connect(scene.b).has_value());
  HandmadePeer peer = scene.introduced();
  std::map<WorkerId, std::string> reasons;
  for (int i = 0; i < 2; ++i) {
    const auto lost = scene.b.lost->take();
    REQUIRE(lost.has_value());
    reasons[lost->peer] = lost->reason.message();
  }
  CHECK(reasons["x"] == "connection with worker x: nothing was heard of it for 300 ms");
  CHECK(reasons.contains("a"));  // whose pings come every 3 s
  CHECK(honest.lost->empty());
  CHECK(scene.b.lost->empty());
}

TEST_CASE("a peer that grants what was not used, or speaks out of turn, is cut off by the sender") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  auto listening = listen_tcp("127.0.0.1", 0);
  REQUIRE(listening.has_value());
  Worker a{"a"};
  auto connecting = std::async(std::launch::async, [&] { return a.connect("x", listening->port); });
  REQUIRE(wait_for(listening->socket.get(), Readiness::readable, patience));
  auto accepted = accept_tcp(listening->socket);
  REQUIRE(accepted.has_value());
  auto stream = make_plain_stream(std::move(*accepted));
  const auto write = [&](const OutgoingFrame& frame) {
    std::vector<ByteStream::Bytes> parts;
    frame.append_parts(parts);
    REQUIRE(stream->write(parts).has_value());
  };
  const auto welcome = [&](const ExchangeIdentity& identity) {
    const Buffer words = encode_introduction({identity, "a"});
    write(make_frame({FrameKind::welcome, {}, 0, static_cast<std::uint32_t>(words.size())}, words));
  };
  SUBCASE("somebody else answers") {
    welcome(identity_of("y"));
    CHECK(connecting.get().error().message() == "worker x: another worker answers there");
    CHECK(a.lost->empty());
  }
  SUBCASE("credit before the introduction") {
    write(make_credit_frame(channel_number(0), 5));
    CHECK(connecting.get().error().message() == "worker x: it sent a frame of kind credit out of turn");
  }
  SUBCASE("credit that was not used") {
    welcome(identity_of("x"));
    REQUIRE(connecting.get().has_value());
    const auto out =
        *a.exchange->open_outgoing(channel_number(0), "x", numbers_schema(), caf::actor_cast<caf::actor>(self), 0);
    write(make_credit_frame(channel_number(0), 5));
    const auto lost = a.lost->take();
    REQUIRE(lost.has_value());
    CHECK(lost->reason.message() ==
          "connection with worker x: the peer granted 5 bytes on channel attempt 1, edge 0, 0 -> 0, of which 0 were "
          "used");
  }
  SUBCASE("a batch in the wrong direction") {
    welcome(identity_of("x"));
    REQUIRE(connecting.get().has_value());
    SendingPort port{channel_window_bytes};
    REQUIRE(port.open(channel_number(0), numbers_schema()).has_value());
    REQUIRE(port.send(channel_number(0), encode(Watermark{Timestamp{1}})).has_value());
    write(port.take(SIZE_MAX).front());
    const auto lost = a.lost->take();
    REQUIRE(lost.has_value());
    CHECK(lost->reason.message() == "connection with worker x: it sent a frame of kind open out of turn");
  }
}

TEST_CASE("the same refusal is logged once a minute, with how often it came") {
  RefusalLog log{"exchange"};
  const RefusalLog::Clock::time_point start{};
  std::uint64_t kept_back = 0;
  CHECK(log.is_due("10.0.0.1", "no frame", start, kept_back));
  for (int i = 1; i < 60; ++i)
    CHECK_FALSE(log.is_due("10.0.0.1", "no frame", start + std::chrono::seconds{i}, kept_back));
  CHECK(log.is_due("10.0.0.1", "another cluster", start, kept_back));
  CHECK(log.is_due("10.0.0.2", "no frame", start, kept_back));
  CHECK(log.is_due("10.0.0.1", "no frame", start + std::chrono::seconds{60}, kept_back));
  CHECK(kept_back == 59);
  // A thousand hosts at once do not make a thousand lines.
  int logged = 0;
  for (int i = 0; i < 1000; ++i) logged += log.is_due("192.168.0." + std::to_string(i), "x", start, kept_back) ? 1 : 0;
  CHECK(logged <= 257);
}

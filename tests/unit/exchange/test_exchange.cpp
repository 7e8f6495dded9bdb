#include <sys/socket.h>

#include "libdataflow/runtime/task_host.hpp"
#include "tests/unit/exchange/workers.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

struct System {
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor sender{system};
  Receiver receiver{system};
};

/// An open channel between two connected workers.
struct Pair {
  explicit Pair(System& system, const std::function<void(ExchangeSettings&)>& change = {})
      : from{"a", change}, to{"b", change} {
    REQUIRE(from.connect(to).has_value());
    auto opened_in = to.exchange->open_incoming(channel_number(0), "a", numbers_schema(), system.receiver.actor(), 5);
    auto opened_out = from.exchange->open_outgoing(channel_number(0), "b", numbers_schema(),
                                                   caf::actor_cast<caf::actor>(system.sender), 9);
    REQUIRE(opened_in.has_value());
    REQUIRE(opened_out.has_value());
    in = std::move(*opened_in);
    out = std::move(*opened_out);
  }
  Worker from;
  Worker to;
  std::unique_ptr<IncomingChannel> in;
  std::unique_ptr<OutgoingChannel> out;
};

}  // namespace

TEST_CASE("what one worker sends arrives at the other's actor in order, and credit comes back") {
  System system;
  Pair pair{system};
  std::int64_t sent = 0;
  std::int64_t received = 0;
  std::int64_t in_flight = 0;
  std::int64_t granted = 0;
  std::size_t to_grant = 0;
  bool ended = false;
  constexpr std::int64_t total = 60'000;
  // As a Task does it: sends while there is credit, grants in halves of the window.
  while (!ended) {
    while (sent < total && in_flight < static_cast<std::int64_t>(channel_window_bytes)) {
      const std::uint32_t rows = sent % 7 == 0 ? 1 : 600;
      const auto envelope = encode(numbers(sent, rows, sent % 3 == 0 ? 40 : 0));
      in_flight += static_cast<std::int64_t>(envelope->wire_size());
      sent += rows;
      pair.out->send(envelope);
      pair.out->send(encode(Watermark{Timestamp{sent}}));
      if (sent >= total) pair.out->send(encode(EndOfData{}));
    }
    const auto m = system.receiver.next();
    REQUIRE(m.has_value());
    CHECK(m->channel == 5);
    if (const auto* batch = std::get_if<BatchPtr>(&m->envelope->envelope())) {
      for (const std::int64_t n : (*batch)->column(0).as<std::int64_t>()) REQUIRE(n == received++);
      to_grant += m->envelope->wire_size();
      if (to_grant >= channel_window_bytes / 2) pair.in->grant(std::exchange(to_grant, 0));
    } else if (const auto* watermark = std::get_if<Watermark>(&m->envelope->envelope())) {
      REQUIRE(watermark->time.micros == received);
    } else {
      ended = std::holds_alternative<EndOfData>(m->envelope->envelope());
    }
    system.sender->receive(
        [&](const msg::Credit& c) {
          CHECK(c.channel == 9);
          in_flight -= static_cast<std::int64_t>(c.bytes);
          granted += static_cast<std::int64_t>(c.bytes);
        },
        caf::after(std::chrono::milliseconds{0}) >> [] {});
    REQUIRE(in_flight >= 0);
  }
  CHECK(received == sent);
  CHECK(granted > 0);
  CHECK(pair.from.lost->empty());
  CHECK(pair.to.lost->empty());
  CHECK(pair.to.exchange->stats().dropped_envelopes == 0);
}

TEST_CASE("small batches arrive joined, and all of their credit comes back") {
  System system;
  Pair pair{system};
  // As a Task does it: sends while there is credit, grants in halves of the window. What arrives joined is far less
  // than half a window for a whole one sent, so that its credit comes of the joining; how much is joined is up to the
  // scheduler, and without any of it the halves must do.
  constexpr auto window = static_cast<std::int64_t>(channel_window_bytes);
  constexpr std::int64_t total = 20'000;
  std::int64_t in_flight = 0;
  std::int64_t sent = 0;
  std::int64_t received = 0;
  std::size_t to_grant = 0;
  const auto receive_until = [&](std::int64_t rows) {
    while (received < rows) {
      const auto m = system.receiver.next();
      REQUIRE(m.has_value());
      received += std::get<BatchPtr>(m->envelope->envelope())->rows();
      to_grant += m->envelope->wire_size();
      if (to_grant >= channel_window_bytes / 2) pair.in->grant(std::exchange(to_grant, 0));
    }
  };
  while (true) {
    while (sent < total && in_flight < window) {
      const auto envelope = encode(numbers(sent++, 1, 0));
      in_flight += static_cast<std::int64_t>(envelope->wire_size());
      pair.out->send(envelope);
    }
    if (sent == total) break;
    receive_until(sent);
    const auto credit = next_message<msg::Credit>(system.sender);
    REQUIRE(credit.has_value());
    in_flight -= static_cast<std::int64_t>(credit->bytes);
    REQUIRE(in_flight >= 0);
  }
  receive_until(total);
  const auto stats = pair.to.exchange->stats();
  CHECK(stats.received_envelopes == total);
  CHECK(stats.delivered_envelopes < total);
}

TEST_CASE("a slow receiver keeps what is under way within the window, whatever time passes") {
  System system;
  Pair pair{system};
  std::size_t sent_bytes = 0;
  while (sent_bytes < channel_window_bytes) {
    const auto envelope = encode(numbers(0, 1000, 100));
    sent_bytes += envelope->wire_size();
    pair.out->send(envelope);
  }
  CHECK(pair.from.exchange->stats().queued_bytes <= channel_window_bytes + max_batch_bytes);
  // A task that goes on in spite of having no credit is stopped, at both ends.
  pair.out->send(encode(numbers(0, 1)));
  const auto at_sender = pair.from.lost->take();
  REQUIRE(at_sender.has_value());
  CHECK(at_sender->peer == "b");
  CHECK(at_sender->reason.message() ==
        "connection with worker b: a batch was sent without credit on channel attempt 1, edge 0, 0 -> 0");
  CHECK(pair.to.lost->take().has_value());
  pair.out->send(encode(numbers(0, 1)));  // does nothing
  pair.in->grant(1);
}

TEST_CASE("events overtake nothing and need no credit") {
  System system;
  Pair pair{system};
  std::size_t used = 0;
  while (used < channel_window_bytes) {
    const auto envelope = encode(numbers(0, 1000, 100));
    used += envelope->wire_size();
    pair.out->send(envelope);
  }
  pair.out->send(encode(EndOfData{.drain = false}));
  std::size_t received = 0;
  while (true) {
    const auto m = system.receiver.next();
    REQUIRE(m.has_value());
    if (std::holds_alternative<EndOfData>(m->envelope->envelope())) break;
    received += m->envelope->wire_size();
  }
  CHECK(received == used);
}

TEST_CASE("many channels share one connection for each direction") {
  System system;
  Worker a{"a"};
  Worker b{"b"};
  REQUIRE(a.connect(b).has_value());
  REQUIRE(a.connect(b).has_value());  // it stands already
  REQUIRE(b.connect(a).has_value());
  const auto sender = caf::actor_cast<caf::actor>(system.sender);
  const auto receiver = system.receiver.actor();
  std::vector<std::unique_ptr<IncomingChannel>> in;
  std::vector<std::unique_ptr<OutgoingChannel>> out;
  for (std::uint32_t i = 0; i < 100; ++i) {
    Worker& from = i % 2 == 0 ? a : b;
    Worker& to = i % 2 == 0 ? b : a;
    in.push_back(*to.exchange->open_incoming(channel_number(i), from.worker, numbers_schema(), receiver, i));
    out.push_back(*from.exchange->open_outgoing(channel_number(i), to.worker, numbers_schema(), sender, i));
  }
  for (std::uint32_t i = 0; i < 100; ++i) out[i]->send(encode(numbers(i, 1)));
  std::vector<bool> came(100);
  for (int i = 0; i < 100; ++i) {
    const auto m = system.receiver.next();
    REQUIRE(m.has_value());
    const auto n = std::get<BatchPtr>(m->envelope->envelope())->column(0).as<std::int64_t>()[0];
    CHECK(static_cast<std::size_t>(n) == m->channel);
    came[m->channel] = true;
  }
  CHECK(std::count(came.begin(), came.end(), true) == 100);
  CHECK(a.exchange->stats().connections == 2);
  CHECK(b.exchange->stats().connections == 2);
}

TEST_CASE("what comes for a channel of a former attempt is dropped and counted, and disturbs nothing") {
  System system;
  Pair pair{system};
  const auto sender = caf::actor_cast<caf::actor>(system.sender);
  const auto old = *pair.from.exchange->open_outgoing(channel_number(0, 0), "b", numbers_schema(), sender, 0);
  old->send(encode(numbers(100, 1)));
  old->send(encode(numbers(101, 50, 1000)));
  pair.out->send(encode(numbers(1, 1)));
  const auto m = system.receiver.next();
  REQUIRE(m.has_value());
  CHECK(std::get<BatchPtr>(m->envelope->envelope())->column(0).as<std::int64_t>()[0] == 1);
  CHECK(pair.to.exchange->stats().dropped_envelopes == 2);
  // And when the receiver goes while its sender does not know yet.
  pair.in.reset();
  pair.out->send(encode(numbers(2, 1)));
  pair.out.reset();
  CHECK(pair.to.lost->empty());
}

TEST_CASE("a channel has one sender and one receiver, and needs a connection") {
  System system;
  Pair pair{system};
  const auto actor = caf::actor_cast<caf::actor>(system.sender);
  const auto again = pair.to.exchange->open_incoming(channel_number(0), "a", numbers_schema(), actor, 0);
  CHECK(again.error().message() == "channel attempt 1, edge 0, 0 -> 0 has a receiver already");
  const auto twice = pair.from.exchange->open_outgoing(channel_number(0), "b", numbers_schema(), actor, 0);
  CHECK(twice.error().message() == "channel attempt 1, edge 0, 0 -> 0 is open already");
  const auto nobody = pair.to.exchange->open_outgoing(channel_number(1), "a", numbers_schema(), actor, 0);
  CHECK(nobody.error().message() == "there is no connection to worker a");
}

TEST_CASE("a sender and a receiver that disagree on the schema lose the connection, which says both") {
  System system;
  Pair pair{system};
  const auto actor = caf::actor_cast<caf::actor>(system.sender);
  const auto in =
      *pair.to.exchange->open_incoming(channel_number(1), "a", make_schema({{"n", TypeKind::int32}}), actor, 0);
  const auto out = *pair.from.exchange->open_outgoing(channel_number(1), "b", numbers_schema(), actor, 0);
  out->send(encode(Watermark{Timestamp{1}}));  // the schema goes before the first envelope
  const auto lost = pair.to.lost->take();
  REQUIRE(lost.has_value());
  CHECK(lost->peer == "a");
  CHECK(lost->reason.message().find("its sender has the schema { n int64, text string }, its receiver { n int32 }") !=
        std::string::npos);
}

TEST_CASE("a worker that leaves with open channels is lost to its peers; one without is not") {
  System system;
  auto pair = std::make_unique<Pair>(system);
  auto from_lost = pair->from.lost;
  pair->out->send(encode(Watermark{Timestamp{1}}));
  REQUIRE(system.receiver.next().has_value());
  pair->from.exchange.reset();
  const auto lost = pair->to.lost->take();
  REQUIRE(lost.has_value());
  CHECK(lost->reason.message() == "connection with worker a: it left while its channels were open");
  pair.reset();
  CHECK(from_lost->empty());

  Pair orderly{system};
  orderly.out->send(encode(EndOfData{}));
  REQUIRE(system.receiver.next().has_value());
  orderly.out.reset();
  orderly.in.reset();
  orderly.from.exchange.reset();
  // Its connection is gone once a new one can be told from it.
  Worker next{"c"};
  REQUIRE(next.connect(orderly.to).has_value());
  orderly.to.exchange.reset();
  CHECK(orderly.to.lost->empty());
}

TEST_CASE("channels may outlive their exchange and do nothing then") {
  System system;
  Pair pair{system};
  pair.from.exchange.reset();
  pair.to.exchange.reset();
  pair.out->send(encode(numbers(0, 1)));
  pair.in->grant(10);
}

TEST_CASE("connecting to nobody, or to somebody else, says why") {
  Worker a{"a"};
  Worker b{"b"};
  const auto elsewhere = a.connect("c", b.exchange->port());
  REQUIRE_FALSE(elsewhere.has_value());
  CHECK(elsewhere.error().message() == R"(worker c: it refuses: worker "a" looks for "c", this one is "b")");
  CHECK(b.exchange->stats().refused == 1);

  const std::uint16_t port = b.exchange->port();
  b.exchange.reset();
  const auto nobody = a.connect("b", port);
  REQUIRE_FALSE(nobody.has_value());
  CHECK(nobody.error().message() ==
        "worker b: cannot connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused");

  Worker other{"d", [](ExchangeSettings& s) { s.identity.cluster = "prod"; }};
  const auto refused = a.connect(other);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code() == ErrorCode::invalid_argument);
  CHECK(refused.error().message() ==
        R"(worker d: it refuses: worker "a" belongs to the cluster "test", this one to "prod")");
  CHECK(a.lost->empty());
  CHECK(other.lost->empty());
}

TEST_CASE("an exchange that is connecting to somebody who does not answer ends at once all the same") {
  // Its queue of connections is full, so that a further one is not accepted: what a network does that swallows packets.
  auto silent = listen_tcp("127.0.0.1", 0).value();
  REQUIRE(listen(silent.socket.get(), 0) == 0);
  std::vector<Descriptor> queue;
  const auto enter = [&] { return connect_tcp("127.0.0.1", silent.port, std::chrono::milliseconds{200}); };
  for (auto entered = enter(); entered; entered = enter()) queue.push_back(std::move(*entered));
  Worker a{"a"};
  std::promise<Status> told;
  a.exchange->connect("silent", "127.0.0.1", silent.port, [&](const Status& status) { told.set_value(status); });
  const auto begun = std::chrono::steady_clock::now();
  a.exchange.reset();
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds{2});
  CHECK_FALSE(told.get_future().get());
}

TEST_CASE("listening beyond this machine needs certificates or the word that it is meant") {
  ExchangeSettings settings;
  settings.identity = identity_of("a");
  settings.listen_host = "0.0.0.0";
  const auto refused = listen_exchange(settings);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code() == ErrorCode::invalid_argument);
  CHECK(refused.error().message().find("--insecure") != std::string::npos);
  settings.insecure = true;
  CHECK(listen_exchange(settings).has_value());
}

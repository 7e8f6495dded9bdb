#include "libdataflow/runtime/task_host.hpp"
#include "tests/unit/exchange/workers.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

struct System {
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor sender{system};
  caf::scoped_actor receiver{system};
};

/// An open channel between two connected workers.
struct Pair {
  explicit Pair(System& system, const std::function<void(ExchangeSettings&)>& change = {})
      : from{"a", change}, to{"b", change} {
    REQUIRE(from.connect(to).has_value());
    auto opened_in = to.exchange->open_incoming(channel_number(0), "a", numbers_schema(),
                                                caf::actor_cast<caf::actor>(system.receiver), 5);
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
    const auto m = next_message<msg::Deliver>(system.receiver);
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

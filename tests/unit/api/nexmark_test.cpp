// The benchmark's events as a source of C++ jobs: those of the topology's source.

#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <numeric>

namespace df = dataflow;
using namespace std::chrono_literals;
using df::testing::run;

namespace {

/// Two of a bid's fields.
struct Price {
  std::int64_t auction = 0;
  std::int64_t price = 0;
};
DATAFLOW_RECORD(Price, auction, price)

struct Bids {
  std::int64_t auction = 0;
  std::int64_t n = 0;
};
DATAFLOW_RECORD(Bids, auction, n)

df::NexmarkOptions options(df::NexmarkStream stream) {
  return {.stream = stream, .events = 2000, .seed = 7, .event_rate = 5000, .out_of_order_group = 100};
}

/// A topology with the same settings, for as long as a test runs.
class Topology {
 public:
  Topology() {
    file() = (std::filesystem::temp_directory_path() / ("nexmark-" + std::to_string(getpid()) + ".toml")).string();
    std::ofstream out{file()};
    out << "name = \"nexmark\"\n";
    for (const char* stream : {"person", "auction", "bid", "all"}) {
      out << "[sources." << stream << "s]\ntype = \"nexmark\"\nstream = \"" << stream << "\"\n"
          << "events = 2000\nseed = 7\nevent_rate = 5000\nout_of_order_group = 100\n";
    }
  }
  ~Topology() { std::filesystem::remove(file()); }
  static std::string& file() {
    static std::string name;
    return name;
  }
};

std::string why_not(const df::NexmarkOptions& options) {
  df::Environment env;
  env.nexmark(options).discard();
  const auto graph = env.build("job");
  return graph ? "" : graph.error().message();
}

}  // namespace

TEST_CASE("the events are those of a topology's nexmark source with the same settings") {
  const Topology topology;
  const auto of_topology = run([](df::Environment& env) {
    const auto part = env.topology(Topology::file());
    part.stream<df::NexmarkPerson>("persons").discard().named("people");
    part.stream<df::NexmarkAuction>("auctions").discard().named("offers");
    part.stream<df::NexmarkBid>("bids").discard().named("prices");
    part.stream<df::NexmarkEvent>("alls").discard().named("everything");
  });
  const auto in_cpp = run([](df::Environment& env) {
    using enum df::NexmarkStream;
    env.nexmark<df::NexmarkPerson>(options(person)).named("persons").discard();
    env.nexmark<df::NexmarkAuction>(options(auction)).named("auctions").discard();
    env.nexmark<df::NexmarkBid>(options(bid)).named("bids").discard();
    env.nexmark(options(all)).named("alls").discard();
  });
  for (const char* stream : {"persons", "auctions", "bids", "alls"}) {
    CAPTURE(stream);
    CHECK(in_cpp.json_of(stream) == of_topology.json_of(stream));
  }
  CHECK(in_cpp.of<df::NexmarkPerson>("persons").size() == 40);
  CHECK(in_cpp.of<df::NexmarkAuction>("auctions").size() == 120);
  CHECK(in_cpp.of<df::NexmarkBid>("bids").size() == 1840);
  const auto all = in_cpp.of<df::NexmarkEvent>("alls");
  REQUIRE(all.size() == 2000);
  CHECK(std::all_of(all.begin(), all.end(), [](const auto& e) { return e.price.has_value() == (e.event_type == 2); }));
}

TEST_CASE("a record may have some of the fields, and functions see what all of them would have") {
  const auto outputs = run([](df::Environment& env) {
    using df::NexmarkStream;
    env.nexmark<df::NexmarkBid>(options(NexmarkStream::bid))
        .map([](const df::NexmarkBid& bid) {
          return Price{bid.auction, bid.price};
        })
        .named("of_all")
        .print();
    env.nexmark<Price>(options(NexmarkStream::bid)).map([](const Price& p) { return p; }).named("of_some").print();
  });
  CHECK(outputs.of<Price>("of_some").size() == 1840);
  CHECK(outputs.json_of("of_some") == outputs.json_of("of_all"));
}

TEST_CASE("no event is late, however they are shuffled") {
  const auto outputs = run([](df::Environment& env) {
    env.nexmark<df::NexmarkBid>(
           {.stream = df::NexmarkStream::bid, .events = 50'000, .event_rate = 1000, .out_of_order_group = 1000})
        .key_by(&df::NexmarkBid::auction)
        .window(df::tumbling(100ms))
        .aggregate<Bids>(df::key(&Bids::auction), df::count(&Bids::n))
        .named("counted")
        .print();
  });
  std::int64_t sum = 0;
  for (const Bids& bids : outputs.of<Bids>("counted")) sum += bids.n;
  CHECK(sum == 46'000);
}

TEST_CASE("settings that cannot be are mistakes with their line") {
  CHECK(why_not({.events = 10}).empty());
  for (const auto& [wrong, says] : {std::pair<df::NexmarkOptions, std::string>{{.events = -1}, "events must not be"},
                                    {{.event_rate = 0}, "event_rate must be more than 0"},
                                    {{.out_of_order_group = 0}, "out_of_order_group must be 1 or more"},
                                    {{.out_of_order_group = 1906}, "no multiple of 953"}}) {
    CAPTURE(says);
    CHECK(why_not(wrong).starts_with("nexmark_test.cpp:"));
    CHECK(why_not(wrong).find(says) != std::string::npos);
  }
}

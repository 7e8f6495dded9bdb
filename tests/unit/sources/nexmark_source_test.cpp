#include "libdataflow/sources/nexmark_source.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "tests/unit/sources/reading.hpp"

using namespace dataflow;
using dataflow::testing::read_all;

namespace {

SourceFactoryPtr nexmark(std::uint64_t events, std::optional<NexmarkKind> only = {}, std::uint64_t group = 1,
                         std::uint64_t seed = 0) {
  NexmarkSourceSpec spec;
  spec.events.seed = seed;
  spec.events.out_of_order_group = group;
  spec.count = events;
  spec.only = only;
  return make_nexmark_source(std::move(spec));
}

/// FNV-1a.
std::uint64_t fingerprint(const std::string& text) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash;
}

std::ptrdiff_t count_rows(const std::string& rows) {
  return std::count(rows.begin(), rows.end(), '\n');
}

}  // namespace

TEST_CASE("of 50 events one is a person, three are auctions, the others bids") {
  std::array<int, 3> counts{};
  for (std::uint64_t n = 0; n < 5000; ++n) ++counts[static_cast<std::size_t>(NexmarkEvents::kind(n))];
  CHECK(counts == std::array{100, 300, 4600});
  CHECK(count_rows(read_all(*nexmark(5000, NexmarkKind::person)).rows) == 100);
  CHECK(count_rows(read_all(*nexmark(5000, NexmarkKind::auction)).rows) == 300);
  CHECK(count_rows(read_all(*nexmark(5000, NexmarkKind::bid)).rows) == 4600);
}

TEST_CASE("events are the same at any parallelism and batch size, and other with another seed") {
  const auto one = read_all(*nexmark(20'000, {}, 1000));
  CHECK(count_rows(one.rows) == 20'000);
  CHECK(read_all(*nexmark(20'000, {}, 1000), 4).rows == one.rows);
  CHECK(read_all(*nexmark(20'000, {}, 1000), 1, 17).rows == one.rows);
  CHECK(read_all(*nexmark(20'000, {}, 1000, 1)).rows != one.rows);
}

TEST_CASE("events are frozen: results of queries must not change with the engine's version") {
  const std::string bids = read_all(*nexmark(5, NexmarkKind::bid)).rows;
  CHECK(bids ==
        "{\"auction\":1006,\"bidder\":1001,\"price\":15535,\"channel\":\"Facebook\","
        "\"url\":\"https://www.nexmark.com/_df/zrm/_pfd/item.htm?query=1\",\"date_time\":\"1970-01-01T00:00:00Z\","
        "\"extra\":\"rxptkttvmxxzzotsypejaddflsxyslcxghcurybkejmshnagzrhcxtaqpbhxeoeozws\"}\n");
  CHECK(fingerprint(read_all(*nexmark(10'000)).rows) == 8426172929488636407ULL);
}

TEST_CASE("a kind alone has what it has among all") {
  const std::string all = read_all(*nexmark(50)).rows;
  const std::string bids = read_all(*nexmark(50, NexmarkKind::bid)).rows;
  const std::string last_of_all = all.substr(all.find("\"auction\":", all.rfind('\n', all.size() - 2)));
  const std::string last_bid = bids.substr(bids.rfind('\n', bids.size() - 2) + 2);
  CHECK(last_of_all == last_bid);
}

TEST_CASE("a field that nobody reads does not change the others") {
  const SchemaPtr schema = nexmark_schema(NexmarkKind::bid);
  std::vector<bool> read(schema->size(), false);
  read[*schema->find("price")] = true;
  const auto pruned = nexmark(1000, NexmarkKind::bid)->reading(read);
  const NexmarkEvents events{NexmarkSettings{}};
  std::string expected;
  for (std::uint64_t n = 0; n < 1000; ++n) {
    if (NexmarkEvents::kind(n) == NexmarkKind::bid) expected += "{\"price\":" + std::to_string(events.price(n)) + "}\n";
  }
  CHECK(read_all(*pruned).rows == expected);
}

TEST_CASE("disorder stays within its group, and every event comes once") {
  NexmarkSettings settings;
  settings.out_of_order_group = 1000;
  const NexmarkEvents events{settings};
  std::set<std::uint64_t> seen;
  bool in_order = true;
  for (std::uint64_t position = 0; position < 10'000; ++position) {
    const std::uint64_t n = events.number_at(position);
    CHECK(n / 1000 == position / 1000);
    in_order = in_order && n == position;
    seen.insert(n);
  }
  CHECK(seen.size() == 10'000);
  CHECK_FALSE(in_order);
}

TEST_CASE("the skew is the benchmark's") {
  const NexmarkEvents events{NexmarkSettings{}};
  std::uint64_t bids = 0;
  std::uint64_t hot_auction = 0;
  std::uint64_t hot_bidder = 0;
  std::map<std::string, std::uint64_t> channels;
  for (std::uint64_t n = 500'000; n < 600'000; ++n) {
    if (NexmarkEvents::kind(n) != NexmarkKind::bid) continue;
    ++bids;
    hot_auction += static_cast<std::uint64_t>((events.auction(n) - 1000) % 100 == 0);
    hot_bidder += static_cast<std::uint64_t>((events.bidder(n) - 1000) % 100 == 1);
    std::string channel;
    events.channel(n, channel);
    ++channels[channel];
    const std::int64_t price = events.price(n);
    CHECK((price >= 100 && price <= 100'000'000));
  }
  const auto share = [&](std::uint64_t count) { return static_cast<double>(count) / static_cast<double>(bids); };
  CHECK(share(hot_auction) == doctest::Approx(0.505).epsilon(0.02));
  CHECK(share(hot_bidder) == doctest::Approx(0.7525).epsilon(0.02));
  CHECK(share(channels["Apple"]) == doctest::Approx(0.125).epsilon(0.05));
}

TEST_CASE("bids are for auctions that are there or come soon, by people who are or do") {
  const NexmarkEvents events{NexmarkSettings{}};
  std::int64_t auctions = 0;
  std::int64_t people = 0;
  for (std::uint64_t n = 0; n < 100'000; ++n) {
    if (NexmarkEvents::kind(n) == NexmarkKind::person) {
      CHECK(NexmarkEvents::id(n) == 1000 + people++);
    } else if (NexmarkEvents::kind(n) == NexmarkKind::auction) {
      CHECK(NexmarkEvents::id(n) == 1000 + auctions++);
      CHECK(events.expires(n) > events.time(n));
      CHECK(events.reserve(n) > events.initial_bid(n));
      CHECK(events.seller(n) < 1000 + people + 10);
    } else {
      CHECK((events.auction(n) >= 1000 && events.auction(n) < 1000 + auctions + 10));
      CHECK((events.bidder(n) >= 1000 && events.bidder(n) < 1000 + people + 10));
    }
  }
}

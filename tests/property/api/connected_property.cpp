// A function over two streams with state of both and timers, against a reference that looks at all records each time:
// disorder and lateness, equal times, keys that are NULL, checkpoints, and other numbers of subtasks.
#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <random>

#include "tests/property/api/subtasks.hpp"
#include "tests/support/seeds.hpp"

namespace dataflow {
namespace {

using testing_support::seeds;
using testing_support::Subtasks;

/// Of either stream, with their fields in another order.
struct Ask {
  std::optional<std::int64_t> key;
  std::int64_t number = 0;
  std::int64_t at = 0;
};
DATAFLOW_RECORD(Ask, key, number, at)
struct Bid {
  std::optional<std::int64_t> key;
  std::int64_t at = 0;
  std::int64_t number = 0;
};
DATAFLOW_RECORD(Bid, key, at, number)

constexpr std::int64_t apart = 5;  ///< records meet that are so far from one another, or less
using Lines = std::vector<std::string>;

std::string name_of(const std::optional<std::int64_t>& key) {
  return key ? std::to_string(*key) : "NULL";
}

/// Pairs of what is at most so far apart. A record is kept until time has come so far behind it, and then says how
/// often it was in a pair.
class Meeting : public KeyedCoProcess<std::optional<std::int64_t>, Ask, Bid, std::string> {
 public:
  void process_first(const Ask& ask, Context& ctx, Output<std::string>& out) override {
    for (const Bid& bid : bids_.get()) meet(ask.number, ask.at, bid.number, bid.at, ctx, out);
    asks_.add(ask);
    ctx.on_event_time(Timestamp{ask.at + apart}, "ask");
  }
  void process_second(const Bid& bid, Context& ctx, Output<std::string>& out) override {
    for (const Ask& ask : asks_.get()) meet(ask.number, ask.at, bid.number, bid.at, ctx, out);
    bids_.add(bid);
    ctx.on_event_time(Timestamp{bid.at + apart}, "bid");
  }
  void on_timer(Timestamp time, Context& ctx, Output<std::string>& out) override {
    const auto leave = [&](auto& records) {
      std::erase_if(records, [&](const auto& record) {
        if (record.at + apart != time.micros) return false;
        const std::int64_t* met = met_.find(record.number);
        out.emit(name_of(ctx.key()) + ": " + std::to_string(record.number) + " met " +
                 std::to_string(met == nullptr ? 0 : *met));
        met_.remove(record.number);
        return true;
      });
    };
    if (ctx.timer_name() == "ask") return asks_.update(leave);
    bids_.update(leave);
  }

 private:
  void meet(std::int64_t ask, std::int64_t ask_at, std::int64_t bid, std::int64_t bid_at, Context& ctx,
            Output<std::string>& out) {
    if (std::abs(ask_at - bid_at) > apart) return;
    out.emit(name_of(ctx.key()) + ": " + std::to_string(ask) + "/" + std::to_string(bid));
    for (const std::int64_t number : {ask, bid}) {
      const std::int64_t* met = met_.find(number);
      met_.put(number, (met == nullptr ? 0 : *met) + 1);
    }
  }
  ListState<Ask> asks_{this, "asks"};
  ListState<Bid> bids_{this, "bids"};
  MapState<std::int64_t, std::int64_t> met_{this, "met"};
};

/// Every record that there has been, with the times at which it came and went.
class MeetingByHand {
 public:
  Lines push(int side, std::optional<std::int64_t> key, std::int64_t number, std::int64_t at) {
    Lines lines;
    for (const Record& other : records_) {
      if (other.side == side || other.key != key || other.gone || std::abs(other.at - at) > apart) continue;
      lines.push_back(name_of(key) + ": " + std::to_string(side == 0 ? number : other.number) + "/" +
                      std::to_string(side == 0 ? other.number : number));
      met_.push_back(number);
      met_.push_back(other.number);
    }
    records_.push_back({side, key, number, at, false});
    return lines;
  }
  Lines time_comes_to(std::int64_t time) {
    Lines lines;
    for (Record& record : records_) {
      if (record.gone || record.at + apart > time) continue;
      record.gone = true;
      lines.push_back(name_of(record.key) + ": " + std::to_string(record.number) + " met " +
                      std::to_string(std::count(met_.begin(), met_.end(), record.number)));
    }
    return lines;
  }

 private:
  struct Record {
    int side = 0;
    std::optional<std::int64_t> key;
    std::int64_t number = 0;
    std::int64_t at = 0;
    bool gone = false;
  };
  std::vector<Record> records_;
  std::vector<std::int64_t> met_;
};

Lines sorted(Lines lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}

}  // namespace

TEST_CASE("two streams' records of a key find each other as by hand, through checkpoints of any number of subtasks") {
  std::size_t lines = 0;
  const auto all = seeds(200);
  for (const std::uint64_t seed : all) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const auto up_to = [&](std::int64_t most) {
      return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most + 1));
    };
    Subtasks<Meeting> subtasks{static_cast<std::uint32_t>(1 + up_to(3))};
    MeetingByHand by_hand;
    std::int64_t watermark = 0;
    for (int step = 1; step <= 120; ++step) {
      CAPTURE(step);
      Lines expected;
      if (up_to(4) == 0) {
        watermark += up_to(4);
        subtasks.watermark(Timestamp{watermark});
        expected = by_hand.time_comes_to(watermark);
      } else {
        const int side = static_cast<int>(up_to(1));
        const std::optional<std::int64_t> key = up_to(4) == 0 ? std::nullopt : std::optional{up_to(2)};
        const std::int64_t at = std::max<std::int64_t>(0, watermark + up_to(20) - 10);
        expected = by_hand.push(side, key, step, at);
        if (side == 0) {
          subtasks.push_first({key, step, at}, Timestamp{at});
        } else {
          subtasks.push_second({key, at, step}, Timestamp{at});
        }
      }
      REQUIRE(sorted(subtasks.given()) == sorted(expected));
      lines += expected.size();
      if (up_to(14) == 0) subtasks.restore(static_cast<std::uint32_t>(1 + up_to(4)));
    }
    subtasks.watermark(Timestamp::max());
    REQUIRE(sorted(subtasks.given()) == sorted(by_hand.time_comes_to(1'000'000)));
  }
  if (all.size() == 1) return;
  CHECK(lines > 100);
}

}  // namespace dataflow

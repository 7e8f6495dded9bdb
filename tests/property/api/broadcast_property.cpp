// Rules that come between records, against a reference that knows the rules of each moment: every subtask has the same
// ones, also behind a checkpoint that another number of subtasks has written.
#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/property/api/subtasks.hpp"
#include "tests/support/seeds.hpp"

namespace dataflow {
namespace {

using testing_support::seeds;
using testing_support::Subtasks;
using Lines = std::vector<std::string>;

struct Payment {
  std::int64_t card = 0;
  std::string kind;
  std::int64_t cents = 0;
  std::int64_t at = 0;
};
DATAFLOW_RECORD(Payment, card, kind, cents, at)

/// Less than nothing takes the kind's limit away; of no kind, those of all.
struct Limit {
  std::optional<std::string> kind;
  std::int64_t most = 0;
};
DATAFLOW_RECORD(Limit, kind, most)

constexpr std::int64_t delay = 3;

std::string line_of(std::int64_t card, const std::string& what, const std::int64_t* most, std::int64_t count) {
  return std::to_string(card) + " " + what + " " + (most == nullptr ? "free" : std::to_string(*most)) + " " +
         std::to_string(count);
}

/// Says of each payment which limit there is when it comes and, while time has not come so far, when it is `delay` old.
class Limited : public KeyedBroadcastProcess<std::int64_t, Payment, Limit, std::string> {
 public:
  void process(const Payment& p, Context& ctx, Output<std::string>& out) override {
    const std::int64_t* most = limits_.find(p.kind);
    if (most == nullptr || p.cents > *most) count_ = count_.value_or(0) + 1;
    out.emit(line_of(ctx.key(), p.kind, most, count_.value_or(0)));
    ctx.on_event_time(Timestamp{p.at + delay}, p.kind);
  }
  void process_broadcast(const Limit& limit, BroadcastContext&, Output<std::string>& out) override {
    if (!limit.kind) {
      limits_.clear();
    } else if (limit.most < 0) {
      limits_.remove(*limit.kind);
    } else {
      limits_.put(*limit.kind, limit.most);
    }
    std::string all = "limits";
    for (const auto& [kind, most] : limits_) all += " " + kind + std::to_string(most);
    out.emit(all);
  }
  void on_timer(Timestamp time, Context& ctx, Output<std::string>& out) override {
    out.emit(line_of(ctx.key(), ctx.timer_name() + " at " + std::to_string(time.micros), limits_.find(ctx.timer_name()),
                     count_.value_or(0)));
  }

 private:
  BroadcastState<std::string, std::int64_t> limits_{this, "limits"};
  ValueState<std::int64_t> count_{this, "count"};
};

/// What has happened so far, in order.
class LimitedByHand {
 public:
  std::string push(const Payment& p) {
    payments_.push_back({p, limits_.size(), false});
    return line_of(p.card, p.kind, limit_of(p.kind, limits_.size()), count_of(p.card));
  }
  std::string push(const Limit& limit) {
    limits_.push_back(limit);
    std::string all = "limits";
    for (const char* kind : {"books", "food", "rent"}) {
      const std::int64_t* most = limit_of(kind, limits_.size());
      if (most != nullptr) all += " " + std::string{kind} + std::to_string(*most);
    }
    return all;
  }
  Lines time_comes_to(std::int64_t time) {
    Lines lines;
    for (Came& came : payments_) {
      const Payment& p = came.payment;
      if (came.gone || p.at + delay > time) continue;
      came.gone = true;
      const std::string line = line_of(p.card, p.kind + " at " + std::to_string(p.at + delay),
                                       limit_of(p.kind, limits_.size()), count_of(p.card));
      // The same time of the same name is one timer.
      if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(line);
    }
    return lines;
  }

 private:
  struct Came {
    Payment payment;
    std::size_t limits = 0;  ///< that there were before it
    bool gone = false;
  };
  /// The last word on a kind among the first so many.
  [[nodiscard]] const std::int64_t* limit_of(const std::string& kind, std::size_t first) const {
    const std::int64_t* most = nullptr;
    for (std::size_t i = 0; i < first; ++i) {
      if (limits_[i].kind && *limits_[i].kind != kind) continue;
      most = !limits_[i].kind || limits_[i].most < 0 ? nullptr : &limits_[i].most;
    }
    return most;
  }
  [[nodiscard]] std::int64_t count_of(std::int64_t card) const {
    return std::count_if(payments_.begin(), payments_.end(), [&](const Came& came) {
      const std::int64_t* most = limit_of(came.payment.kind, came.limits);
      return came.payment.card == card && (most == nullptr || came.payment.cents > *most);
    });
  }

  std::vector<Came> payments_;
  std::vector<Limit> limits_;
};

Lines sorted(Lines lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}

}  // namespace

TEST_CASE("records meet the rules that came before them, in each of any number of subtasks, through checkpoints") {
  for (const std::uint64_t seed : seeds(200)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const auto up_to = [&](std::int64_t most) {
      return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most + 1));
    };
    const auto kind = [&] { return std::string{std::array{"food", "books", "rent"}[random() % 3]}; };
    Subtasks<Limited> subtasks{static_cast<std::uint32_t>(1 + up_to(3))};
    LimitedByHand by_hand;
    std::int64_t watermark = 0;
    for (int step = 1; step <= 120; ++step) {
      CAPTURE(step);
      switch (up_to(5)) {
        case 0: {
          watermark += up_to(4);
          subtasks.watermark(Timestamp{watermark});
          REQUIRE(sorted(subtasks.given()) == sorted(by_hand.time_comes_to(watermark)));
          break;
        }
        case 1: {
          const Limit limit{up_to(9) == 0 ? std::nullopt : std::optional{kind()}, up_to(3) == 0 ? -1 : up_to(80)};
          subtasks.push_second(limit, Timestamp{watermark});
          const Lines each(subtasks.parallelism(), by_hand.push(limit));
          REQUIRE(subtasks.given() == each);
          break;
        }
        default: {
          const Payment p{up_to(6), kind(), up_to(100), std::max<std::int64_t>(0, watermark + up_to(8) - 4)};
          subtasks.push_first(p, Timestamp{p.at});
          REQUIRE(subtasks.given() == Lines{by_hand.push(p)});
        }
      }
      if (up_to(14) != 0) continue;
      const std::string before = subtasks.ask(0, "limits");
      subtasks.restore(static_cast<std::uint32_t>(1 + up_to(4)));
      for (std::uint32_t i = 0; i < subtasks.parallelism(); ++i) CHECK(subtasks.ask(i, "limits") == before);
    }
  }
}

}  // namespace dataflow

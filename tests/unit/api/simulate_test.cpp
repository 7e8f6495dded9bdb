// Jobs under test on a simulated cluster: one that is right, and ones with the mistakes that this is there to find.
#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <atomic>

namespace df = dataflow;
using namespace std::chrono_literals;
using df::testing::Failure;
using df::testing::Inputs;
using df::testing::simulate;

namespace {

struct Payment {
  std::string card;
  std::int64_t cents = 0;
  df::Timestamp time;
};
DATAFLOW_RECORD(Payment, card, cents, time)

struct Spent {
  std::string card;
  std::int64_t cents = 0;
};
DATAFLOW_RECORD(Spent, card, cents)

std::vector<Payment> payments() {
  std::vector<Payment> made;
  for (std::int64_t i = 0; i < 400; ++i) {
    made.push_back({"card-" + std::to_string(i * 7 % 11), i, df::Timestamp{i * 1'000'000}});
  }
  return made;
}

/// What each card has spent so far, in declared state.
class Total : public df::KeyedProcess<std::string, Payment, Spent> {
 public:
  void process(const Payment& payment, Context&, df::Output<Spent>& out) override {
    total_ = total_.value_or(0) + payment.cents;
    out.emit({payment.card, *total_});
  }

 private:
  df::ValueState<std::int64_t> total_{this, "total"};
};

/// The same in a member, which no checkpoint knows of.
class ForgetfulTotal : public df::KeyedProcess<std::string, Payment, Spent> {
 public:
  void process(const Payment& payment, Context&, df::Output<Spent>& out) override {
    totals_[payment.card] += payment.cents;
    out.emit({payment.card, totals_[payment.card]});
  }

 private:
  std::map<std::string, std::int64_t> totals_;
};

template <class P>
void totals(df::Environment& env) {
  env.from_collection<Payment>({})
      .named("payments")
      .event_time(&Payment::time, df::out_of_orderness(1s))
      .key_by(&Payment::card)
      .template process<P>()
      .named("total")
      .print();
}

std::atomic<std::int64_t> calls{0};

void by_chance(df::Environment& env) {
  env.from_collection<Payment>({})
      .named("payments")
      .map([](const Payment& payment) {
        return Spent{payment.card, ++calls};
      })
      .named("numbered")
      .print();
}

std::string failure_of(void (*job)(df::Environment&)) {
  try {
    simulate(job, Inputs{}.from("payments", payments()), {.first = 1, .last = 50});
  } catch (const Failure& failure) {
    return failure.what();
  }
  return {};
}

TEST_CASE("a job that keeps what it knows in state commits the same whatever goes wrong") {
  const auto met = simulate(totals<Total>, Inputs{}.from("payments", payments()), {.first = 1, .last = 20});
  CHECK(met.faults > 20);
  CHECK(met.restarts > 0);
  CHECK(met.checkpoints > 20);
}

TEST_CASE("state that is not declared is found, with the seed and the rows") {
  const std::string why = failure_of(totals<ForgetfulTotal>);
  CAPTURE(why);
  CHECK(why.starts_with("seed "));
  CHECK(why.find("the committed output differs from that without faults") != std::string::npos);
  CHECK(why.find("\"card\":\"card-") != std::string::npos);
}

TEST_CASE("an operator whose output depends on more than its input is named") {
  const std::string why = failure_of(by_chance);
  CAPTURE(why);
  CHECK(why.find("the output of \"numbered\" depends on more than its input") != std::string::npos);
}

TEST_CASE("a job without an end is refused") {
  const auto endless = [](df::Environment& env) {
    env.generate(-1, [](std::int64_t i) { return Spent{"c", i}; }).named("payments").print();
  };
  CHECK_THROWS_WITH_AS(simulate(endless), doctest::Contains("never ends"), Failure);
}

}  // namespace

#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <set>
#include <thread>

#include "tests/support/faults.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;
using dataflow::testing_support::check_exact;
using df::testing::run;

namespace {

struct Payment {
  std::string card;
  std::int64_t number = 0;
  df::Timestamp time;
};
DATAFLOW_RECORD(Payment, card, number, time)

/// Calls that wait until the test answers them.
struct Service {
  std::map<std::int64_t, std::vector<df::Completion<std::string>>> asked;
  std::size_t calls = 0;
  void answer(std::int64_t number, const std::string& with) {
    const auto waiting = std::exchange(asked[number], {});
    REQUIRE(!waiting.empty());
    for (const auto& completion : waiting) completion.complete(with);
  }
  void refuse(std::int64_t number) {
    for (const auto& completion : std::exchange(asked[number], {})) completion.fail("busy");
  }
};

/// The operator of an async_map on a clock of the test's own; what it gives, watermarks among it, is in `given`.
template <class G = df::FailOnTimeout>
class Calls : public df::testing::Bench {
 public:
  explicit Calls(df::AsyncOptions options, G otherwise = {}) : options_{options}, otherwise_{otherwise} { open(); }

  void push(const std::vector<std::int64_t>& numbers) {
    df::RowBuffer rows{df::schema_of<Payment>()};
    for (const std::int64_t number : numbers) {
      df::put_record(rows, Payment{"c", number, {}});
      rows.end_row(df::Timestamp{number * 1s});
    }
    df::testing::Bench::run(*operator_, [&] { return operator_->process(0, rows.finish(), *this); });
  }
  void time_comes_to(df::Duration time) {
    df::testing::Bench::run(*operator_, [&] { return operator_->on_watermark(df::Timestamp{time}, *this); });
  }
  void clock(df::Duration time) {
    now_ = df::Timestamp{time};
    df::testing::Bench::run(*operator_, [&] { return operator_->on_processing_time(now_, *this); });
  }
  void checkpoint_and_restore() {
    const std::string saved = df::testing::save_state(*operator_);
    service.asked.clear();
    open();
    df::testing::load_state(*operator_, saved);
    clock(now_.micros * 1us);
  }
  [[nodiscard]] bool takes(df::Operator::Event event) const { return operator_->can_take(event); }

  std::string given() {
    std::string all = std::exchange(given_, {});
    return all;
  }

  void emit(df::BatchPtr batch, std::size_t) override {
    std::vector<std::string> texts;
    REQUIRE(df::append_records(*batch, texts));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      given_ += texts[i] + "@" + std::to_string(batch->timestamp(i).micros / 1'000'000) + " ";
    }
  }
  void advance_watermark(df::Timestamp time) override { given_ += "w" + std::to_string(time.micros / 1'000'000) + " "; }

  Service service;

 private:
  void open() {
    auto call = [this](const Payment& p, df::Completion<std::string> done) {
      ++service.calls;
      service.asked[p.number].push_back(std::move(done));
    };
    df::AsyncPlan plan{.positions = {0, 1, 2},
                       .record = df::schema_of<Payment>(),
                       .output = df::schema_of<std::string>(),
                       .event_time = true,
                       .options = options_};
    operator_ = std::make_unique<df::AsyncOperatorOf<Payment, std::string, decltype(call), G>>(plan, call, otherwise_);
    REQUIRE(operator_->open(*this));
  }
  df::AsyncOptions options_;
  G otherwise_;
  std::unique_ptr<df::Operator> operator_;
  std::string given_;
};

TEST_CASE("ordered answers are given in the order of their records, watermarks between them") {
  Calls<> calls{{}};
  calls.push({1, 2});
  calls.time_comes_to(2s);
  calls.push({3});
  calls.service.answer(3, "c");
  calls.service.answer(2, "b");
  calls.clock(1ms);
  CHECK(calls.given().empty());
  calls.service.answer(1, "a");
  calls.clock(2ms);
  CHECK(calls.given() == "a@1 b@2 w2 c@3 ");
  calls.time_comes_to(5s);
  CHECK(calls.given() == "w5 ");
}

TEST_CASE("unordered answers are given as they come, but overtake no watermark") {
  Calls<> calls{{.order = df::AsyncOrder::unordered}};
  calls.push({1, 2});
  calls.time_comes_to(2s);
  calls.push({3});
  calls.service.answer(3, "c");
  calls.service.answer(2, "b");
  calls.clock(1ms);
  CHECK(calls.given() == "b@2 ");
  calls.service.answer(1, "a");
  calls.clock(2ms);
  CHECK(calls.given() == "a@1 w2 c@3 ");
}

TEST_CASE("no more calls than the capacity are under way, and no batch is taken before the last one's are") {
  Calls<> calls{{.capacity = 2}};
  using Event = df::Operator::Event;
  CHECK(calls.takes(Event::end));
  calls.push({1, 2, 3, 4});
  CHECK(calls.service.calls == 2);
  CHECK(!calls.takes(Event::batch));
  CHECK(calls.takes(Event::watermark));
  calls.service.answer(2, "b");
  calls.clock(1ms);
  CHECK(calls.service.calls == 2);  // its answer waits for its turn
  calls.service.answer(1, "a");
  calls.clock(2ms);
  CHECK(calls.given() == "a@1 b@2 ");
  CHECK(calls.service.calls == 4);
  CHECK(calls.takes(Event::batch));
  CHECK(!calls.takes(Event::end));
  calls.service.answer(3, "c");
  calls.service.answer(4, "d");
  calls.clock(3ms);
  CHECK(calls.takes(Event::end));
}

TEST_CASE("what has no answer is in the checkpoint and asked again, in order") {
  Calls<> calls{{.capacity = 2}};
  calls.push({1, 2, 3});
  calls.service.answer(2, "b");
  calls.clock(1ms);
  calls.checkpoint_and_restore();
  calls.service.answer(1, "a again");
  calls.service.answer(2, "b again");
  calls.clock(2ms);
  CHECK(calls.given() == "a again@1 b again@2 ");
  calls.service.answer(3, "c");
  calls.clock(3ms);
  CHECK(calls.given() == "c@3 ");
}

TEST_CASE("a call that fails is made again after a while, and fails the job at its last attempt") {
  Calls<> calls{{.attempts = 2, .retry_delay = 10ms}};
  calls.push({1});
  calls.service.refuse(1);
  calls.clock(1ms);
  CHECK(calls.service.calls == 1);
  calls.clock(11ms);
  CHECK(calls.service.calls == 2);
  calls.service.answer(1, "a");
  calls.clock(12ms);
  CHECK(calls.given() == "a@1 ");
  CHECK(calls.counter("retries").value() == 1);

  calls.push({2});
  calls.service.refuse(2);
  calls.clock(20ms);
  calls.clock(30ms);
  calls.service.refuse(2);
  CHECK_THROWS_WITH(calls.clock(31ms), doctest::Contains("user code threw std::runtime_error: busy, at record "
                                                         "{\"card\":\"c\",\"number\":2"));
}

TEST_CASE("a call without an answer in time fails the job, or gives what is said instead") {
  Calls<> strict{{.timeout = 1s}};
  strict.push({1});
  strict.clock(999ms);
  CHECK_THROWS_WITH(strict.clock(1s), doctest::Contains("the call for a record has no answer after 1s, at record "));
  const auto nothing = [](const Payment& p) { return "nothing for " + std::to_string(p.number); };
  Calls<decltype(nothing)> lenient{{.timeout = 1s}, nothing};
  lenient.push({1});
  lenient.clock(1s);
  CHECK(lenient.given() == "nothing for 1@1 ");
  lenient.service.answer(1, "too late");
  lenient.clock(2s);
  CHECK(lenient.given().empty());
  CHECK(lenient.counter("timeouts").value() == 1);
}

std::vector<Payment> payments(std::int64_t count) {
  std::vector<Payment> all;
  for (std::int64_t i = 0; i < count; ++i) all.push_back({"c" + std::to_string(i % 5), i, df::Timestamp{i * 1s}});
  return all;
}

std::future<std::string> at_once(const Payment& p) {
  std::promise<std::string> promise;
  promise.set_value(p.card + "/" + std::to_string(p.number));
  return promise.get_future();
}

void looked_up(df::Environment& env) {
  env.from_collection(payments(500))
      .event_time(&Payment::time)
      .named("payments")
      .async_map(at_once, {.capacity = 7})
      .named("looked_up")
      .print();
}

TEST_CASE("a job with asynchronous calls gives every record once, in order, whatever goes wrong") {
  const auto texts = run(looked_up).of<std::string>("looked_up");
  REQUIRE(texts.size() == 500);
  for (std::size_t i = 0; i < texts.size(); ++i) CHECK(texts[i].ends_with("/" + std::to_string(i)));
  check_exact(looked_up, {"looked_up"});
}

/// A client that answers a call only when it has been given others, the newest first, fails each third record's first
/// one, and has no answer for the last ones: they run out of time and are given the same by other means.
class SlowClient {
 public:
  void operator()(const Payment& p, df::Completion<std::string> done) {
    if (p.number % 3 == 0 && refused_.insert(p.number).second) return done.fail("busy");
    waiting_.emplace_back(answer_to(p), std::move(done));
    if (waiting_.size() < 4) return;
    std::reverse(waiting_.begin(), waiting_.end());
    for (const auto& [answer, completion] : waiting_) completion.complete(answer);
    waiting_.clear();
  }
  static std::string answer_to(const Payment& p) { return p.card + "/" + std::to_string(p.number); }

 private:
  std::set<std::int64_t> refused_;
  std::vector<std::pair<std::string, df::Completion<std::string>>> waiting_;
};

template <df::AsyncOrder order>
void slowly_looked_up(df::Environment& env) {
  env.from_collection(payments(400))
      .event_time(&Payment::time)
      .named("payments")
      .async_map<std::string>(SlowClient{},
                              {.timeout = 50ms, .capacity = 7, .order = order, .attempts = 2, .retry_delay = 3ms},
                              SlowClient::answer_to)
      .named("looked_up")
      .print();
}

TEST_CASE("answers that come later, in another order, again or not at all are given once, whatever goes wrong") {
  check_exact(slowly_looked_up<df::AsyncOrder::unordered>, {"looked_up"});
  check_exact(slowly_looked_up<df::AsyncOrder::ordered>, {"looked_up"});
  auto texts = run(slowly_looked_up<df::AsyncOrder::ordered>).of<std::string>("looked_up");
  REQUIRE(texts.size() == 400);
  for (std::size_t i = 0; i < texts.size(); ++i) CHECK(texts[i].ends_with("/" + std::to_string(i)));
}

TEST_CASE("a future may give several records, and windows behind the calls fire by the delayed watermarks") {
  const auto outputs = run([](df::Environment& env) {
    env.from_collection(payments(60))
        .event_time(&Payment::time)
        .async_map([](const Payment& p) {
          std::promise<std::vector<Payment>> promise;
          promise.set_value(p.number % 2 == 0 ? std::vector<Payment>{p, p} : std::vector<Payment>{});
          return promise.get_future();
        })
        .named("twice")
        .key_by(&Payment::card)
        .window(df::tumbling(30s))
        .reduce([](const Payment& a, const Payment& b) {
          return Payment{a.card, a.number + b.number, a.time};
        })
        .named("sums")
        .map([](const Payment& p) { return p.number; })
        .print()
        .named("all");
  });
  std::int64_t sum = 0;
  for (const std::int64_t n : outputs.of<std::int64_t>("all")) sum += n;
  CHECK(outputs.of<std::int64_t>("all").size() == 10);
  CHECK(sum == 2 * 29 * 30);
}

TEST_CASE("what a call throws is told with the record") {
  const auto job = [](df::Environment& env) {
    env.from_collection(payments(10))
        .async_map<std::string>([](const Payment& p, const df::Completion<std::string>& done) {
          if (p.number == 3) throw std::runtime_error("no line");
          done.complete(p.card);
        })
        .named("asked")
        .print();
  };
  CHECK_THROWS_WITH(run(job), doctest::Contains("user code threw std::runtime_error: no line, at record "
                                                "{\"card\":\"c3\",\"number\":3"));
}

TEST_CASE("options that make no sense, and calls without a name, are mistakes with their line") {
  df::Environment env;
  env.from_collection(payments(1)).async_map(at_once, {.timeout = 0s, .capacity = 0, .attempts = 0}).print();
  const auto graph = env.build("job");
  REQUIRE(!graph);
  const std::string& message = graph.error().message();
  CHECK(message.starts_with("async_test.cpp:"));
  for (const char* why : {"capacity is at least 1", "timeout is a time longer than nothing",
                          "attempts counts the first one", "this async_map keeps state and needs a name"}) {
    CHECK(message.find(why) != std::string::npos);
  }
}

}  // namespace

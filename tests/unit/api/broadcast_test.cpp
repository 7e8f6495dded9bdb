#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <unistd.h>
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "tests/support/faults.hpp"

namespace df = dataflow;
using namespace std::chrono_literals;
using dataflow::testing_support::check_exact;
using df::testing::BroadcastHarness;
using df::testing::run;

namespace {

struct Payment {
  std::string card;
  std::string kind;
  double amount = 0;
  df::Timestamp time;
};
DATAFLOW_RECORD(Payment, card, kind, amount, time)

/// Less than nothing takes the kind's limit away.
struct Limit {
  std::string kind;
  double most = 0;
};
DATAFLOW_RECORD(Limit, kind, most)

struct Alert {
  std::string card;
  double amount = 0;
  std::int64_t so_far = 0;
};
DATAFLOW_RECORD(Alert, card, amount, so_far)

class AboveLimit : public df::KeyedBroadcastProcess<std::string, Payment, Limit, Alert> {
 public:
  void process(const Payment& p, Context& ctx, df::Output<Alert>& out) override {
    const double* most = limits_.find(p.kind);
    if (most == nullptr || p.amount <= *most) return;
    count_ = count_.value_or(0) + 1;
    out.emit({ctx.key(), p.amount, *count_});
  }
  void process_broadcast(const Limit& rule, BroadcastContext& ctx, df::Output<Alert>&) override {
    ctx.counter("rules").add(1);
    if (rule.most < 0) return limits_.remove(rule.kind);
    limits_.put(rule.kind, rule.most);
  }

 private:
  df::BroadcastState<std::string, double> limits_{this, "limits"};
  df::ValueState<std::int64_t> count_{this, "count"};
};

TEST_CASE("rules change what happens to the records behind them") {
  BroadcastHarness<AboveLimit> h;
  h.push({"c", "food", 100, 0s});
  h.push_broadcast({"food", 50});
  h.push({"c", "food", 100, 0s});
  h.push({"c", "books", 100, 0s});
  h.push_broadcast({"food", 200});
  h.push({"c", "food", 100, 0s});
  h.push_broadcast({"food", 10});
  h.push({"c", "food", 100, 0s});
  h.push_broadcast({"food", -1});
  h.push({"c", "food", 100, 0s});
  const auto alerts = h.output();
  REQUIRE(alerts.size() == 2);
  CHECK(alerts[1].so_far == 2);
  CHECK(h.counter("rules") == 4);
}

TEST_CASE("rules and keyed state go through a checkpoint, and rules can be asked for") {
  BroadcastHarness<AboveLimit> h;
  h.push_broadcast({"food", 50});
  h.push_broadcast({"books", 20});
  h.push({"c", "food", 100, 0s});
  h.restore(h.snapshot());
  CHECK(h.ask("limits", "") == R"({"books":20.0,"food":50.0})");
  CHECK(h.ask("count", "\"c\"") == "1");
  h.push({"c", "books", 21, 0s});
  CHECK(h.output().back().so_far == 2);
}

TEST_CASE("of a checkpoint of several subtasks each subtask of another number gets all rules once") {
  BroadcastHarness<AboveLimit> h;
  h.push_broadcast({"food", 50});
  auto metadata = df::decode_metadata(h.snapshot(), "test");
  REQUIRE(metadata);
  // As if three subtasks had written it, each its own.
  auto& subtasks = metadata->operators[0].subtasks;
  subtasks.push_back(subtasks[0]);
  subtasks.push_back(subtasks[0]);
  const auto checkpoint = df::RestoredCheckpoint::of(std::move(*metadata));
  for (std::uint32_t subtask = 0; subtask < 2; ++subtask) {
    std::uint32_t rows = 0;
    const auto schema = df::make_schema({{"state", df::TypeKind::string}, {"key", df::TypeKind::bytes}});
    const auto reader = checkpoint->reader("operator", subtask, 2);
    REQUIRE(reader->read("broadcast", schema, [&](std::uint32_t, const df::BatchPtr& batch) -> df::Status {
      rows += batch->rows();
      return {};
    }));
    CHECK(rows == 1);
  }
}

class ChangesElsewhere : public df::KeyedBroadcastProcess<std::string, Payment, Limit, Alert> {
 public:
  void process(const Payment& p, Context&, df::Output<Alert>&) override { limits_.put(p.kind, 1); }
  void process_broadcast(const Limit&, BroadcastContext&, df::Output<Alert>&) override { count_ = 1; }

 private:
  df::BroadcastState<std::string, double> limits_{this, "limits"};
  df::ValueState<std::int64_t> count_{this, "count"};
};

TEST_CASE("rules are changed only by rules, and no key's state is there for them") {
  BroadcastHarness<ChangesElsewhere> h;
  CHECK_THROWS_WITH(h.push({"c", "food", 100, 0s}),
                    doctest::Contains("the broadcast state \"limits\" was changed outside of process_broadcast"));
  BroadcastHarness<ChangesElsewhere> g;
  CHECK_THROWS_WITH(g.push_broadcast({"food", 1}),
                    doctest::Contains("the state \"count\" is kept for each key, and a broadcast record has none"));
}

/// The world of an operator whose state lies in a store, of which little is in memory.
class Stored : public df::testing::Bench {
 public:
  Stored() : folder_{std::filesystem::temp_directory_path() / ("dataflow-rules-" + std::to_string(getpid()))} {
    auto backend = df::make_memory_backend(folder_, 1U << 20);
    REQUIRE(backend);
    backend_ = std::move(*backend);
  }
  ~Stored() override {
    backend_.reset();
    std::filesystem::remove_all(folder_);
  }
  [[nodiscard]] std::shared_ptr<df::StateBackend> state_backend() const override { return backend_; }

 private:
  std::filesystem::path folder_;
  df::StateBackendPtr backend_;
};

TEST_CASE("keys whose state lies in a store are found behind a rule, too") {
  Stored world;
  auto plan = std::make_shared<df::ProcessPlan>();
  plan->key_fields = {0};
  plan->key_types = {df::DataType{df::TypeKind::string}};
  plan->positions = {0, 1, 2, 3};
  plan->second = df::ProcessInput{{}, {0, 1}};
  plan->output = df::schema_of<Alert>();
  plan->sides = std::make_shared<df::SideOutputs>();
  const auto factory = std::make_shared<df::ProcessFactory<AboveLimit>>(plan, std::tuple<>{});
  auto op = factory->create();
  REQUIRE(op->open(world));
  const auto push = [&](std::size_t input, const df::BatchPtr& batch) {
    world.run(*op, [&] { return op->process(input, batch, world); });
  };
  const auto limits = df::to_batches(std::vector<Limit>{{"food", 1}})[0];
  for (int round = 0; round < 3; ++round) {
    push(1, limits);
    const std::string fresh = "card" + std::to_string(round);
    push(0, df::to_batches(std::vector<Payment>{{"c", "food", 5, 0s}, {fresh, "food", 5, 0s}})[0]);
    push(1, limits);
    CHECK(*op->query("count", "\"c\"") == std::to_string(round + 1));
    CHECK(*op->query("count", "\"" + fresh + "\"") == "1");
    // From the store into an operator that has nothing in memory.
    const std::string saved = df::testing::save_state(*op);
    op = factory->create();
    REQUIRE(op->open(world));
    df::testing::load_state(*op, saved);
  }
}

class CountsInstead : public df::KeyedBroadcastProcess<std::string, Payment, Limit, Alert> {
 public:
  void process(const Payment&, Context&, df::Output<Alert>&) override {}
  void process_broadcast(const Limit&, BroadcastContext&, df::Output<Alert>&) override {}

 private:
  df::BroadcastState<std::string, std::int64_t> limits_{this, "limits"};
  df::ValueState<std::int64_t> count_{this, "count"};
};
class WithoutLimits : public df::KeyedBroadcastProcess<std::string, Payment, Limit, Alert> {
 public:
  void process(const Payment&, Context&, df::Output<Alert>&) override {}
  void process_broadcast(const Limit&, BroadcastContext&, df::Output<Alert>&) override {}
};

TEST_CASE("broadcast state of another type, or that is not declared any more, is refused by name") {
  BroadcastHarness<AboveLimit> h;
  h.push_broadcast({"food", 50});
  BroadcastHarness<CountsInstead> other_type;
  CHECK_THROWS_WITH(other_type.restore(h.snapshot()), doctest::Contains("the broadcast state \"limits\" is "));
  BroadcastHarness<WithoutLimits> none;
  CHECK_THROWS_WITH(none.restore(h.snapshot()),
                    doctest::Contains("a broadcast state \"limits\", which the function does not declare"));
}

/// A payment a second, without end by the clock of those who wait for it.
class SlowPayments : public df::Source<Payment> {
 public:
  [[nodiscard]] std::unique_ptr<df::SplitReader<Payment>> reader() const override { return std::make_unique<Reader>(); }

 private:
  class Reader : public df::SplitReader<Payment> {
   public:
    void open(std::string_view, std::string_view from) override {
      at_ = from.empty() ? 0 : std::stoll(std::string{from});
    }
    df::ReadStep next(df::Output<Payment>& out, std::uint32_t) override {
      if (at_ == 60) return df::ReadStep::end();
      waiting_ = !waiting_;
      if (waiting_) return df::ReadStep::wait(1s);
      out.emit({"card" + std::to_string(at_ % 7), "food", static_cast<double>(at_), std::chrono::seconds{at_}});
      ++at_;
      return df::ReadStep::more();
    }
    [[nodiscard]] std::string position() const override { return std::to_string(at_); }

   private:
    std::int64_t at_ = 0;
    bool waiting_ = false;
  };
};

void limited(df::Environment& env) {
  auto rules = env.from_collection<Limit>({{"food", 30}}).named("rules");
  env.from_source<Payment>(std::make_shared<SlowPayments>())
      .event_time(&Payment::time)
      .named("payments")
      .key_by(&Payment::card)
      .connect(rules.broadcast())
      .process<AboveLimit>()
      .named("above_limit")
      .key_by(&Alert::card)
      .window(df::tumbling(10s))
      .reduce([](const Alert& a, const Alert& b) { return a.amount > b.amount ? a : b; })
      .named("largest")
      .print();
}

TEST_CASE("every subtask has the rules, and rules without event time hold nobody's time back") {
  for (const std::uint32_t parallelism : {1U, 3U}) {
    const auto outputs = run(limited, {}, {.parallelism = parallelism});
    double sum = 0;
    for (const Alert& a : outputs.of<Alert>("largest")) sum += a.amount;
    double expected = 0;  // of each card and ten seconds the last one, above 30
    for (int start = 30; start < 60; start += 10) {
      for (int card = 0; card < 7; ++card) {
        int last = 0;
        for (int i = start; i < start + 10; ++i) last = i > 30 && i % 7 == card ? i : last;
        expected += last;
      }
    }
    CHECK(sum == expected);
  }
}

/// A limit that is one from some time on; less than nothing takes it away.
struct DatedLimit {
  std::string kind;
  double most = 0;
  df::Timestamp since;
};
DATAFLOW_RECORD(DatedLimit, kind, most, since)

/// A payment waits until all limits of its time are there, and is held against the newest that is no newer: which of
/// the streams comes first does not matter.
class AboveLimitOfItsTime : public df::KeyedBroadcastProcess<std::string, Payment, DatedLimit, Alert> {
 public:
  void process(const Payment& p, Context& ctx, df::Output<Alert>&) override {
    waiting_.add(p);
    ctx.on_event_time(p.time);
  }
  void process_broadcast(const DatedLimit& rule, BroadcastContext&, df::Output<Alert>&) override {
    const auto* known = limits_.find(rule.kind);
    auto limits = known == nullptr ? std::map<df::Timestamp, double>{} : *known;
    limits[rule.since] = rule.most;
    limits_.put(rule.kind, limits);
  }
  void on_timer(df::Timestamp time, Context& ctx, df::Output<Alert>& out) override {
    waiting_.update([&](std::vector<Payment>& waiting) {
      for (const Payment& p : waiting) {
        if (p.time == time && is_above(p)) {
          count_ = count_.value_or(0) + 1;
          out.emit({ctx.key(), p.amount, *count_});
        }
      }
      std::erase_if(waiting, [&](const Payment& p) { return p.time == time; });
    });
  }

 private:
  [[nodiscard]] bool is_above(const Payment& p) const {
    const auto* limits = limits_.find(p.kind);
    if (limits == nullptr) return false;
    const auto behind = limits->upper_bound(p.time);
    if (behind == limits->begin()) return false;
    const double most = std::prev(behind)->second;
    return most >= 0 && p.amount > most;
  }
  df::BroadcastState<std::string, std::map<df::Timestamp, double>> limits_{this, "limits"};
  df::ListState<Payment> waiting_{this, "waiting"};
  df::ValueState<std::int64_t> count_{this, "count"};
};

std::vector<Payment> dated_payments() {
  std::vector<Payment> all;
  for (int i = 0; i < 400; ++i) {
    all.push_back({"card" + std::to_string(i % 7),
                   i % 3 == 0   ? "food"
                   : i % 3 == 1 ? "books"
                                : "rent",
                   static_cast<double>(i * 37 % 101), df::Timestamp{1s * i}});
  }
  return all;
}
std::vector<DatedLimit> dated_limits() {
  std::vector<DatedLimit> all;
  for (int i = 1; i <= 20; ++i) {
    all.push_back({i % 2 == 0 ? "food" : "books", i % 5 == 0 ? -1.0 : i * 31 % 90, df::Timestamp{18s * i}});
  }
  return all;
}

void limited_by_date(df::Environment& env) {
  auto rules = env.from_collection(dated_limits()).event_time(&DatedLimit::since).named("rules");
  env.from_collection(dated_payments())
      .event_time(&Payment::time)
      .named("payments")
      .key_by(&Payment::card)
      .connect(rules.broadcast())
      .process<AboveLimitOfItsTime>()
      .named("above_limit")
      .print();
}

TEST_CASE("a broadcast stream's rules are exact whatever goes wrong") {
  std::multiset<std::string> expected;
  std::map<std::string, std::int64_t> so_far;
  for (const Payment& p : dated_payments()) {
    std::optional<DatedLimit> limit;
    for (const DatedLimit& l : dated_limits()) {
      if (l.kind == p.kind && l.since <= p.time) limit = l;
    }
    if (!limit || limit->most < 0 || p.amount <= limit->most) continue;
    expected.insert(p.card + " " + std::to_string(p.amount) + " " + std::to_string(++so_far[p.card]));
  }
  REQUIRE(expected.size() > 50);
  for (const std::uint32_t parallelism : {1U, 3U}) {
    std::multiset<std::string> given;
    for (const Alert& a : run(limited_by_date, {}, {.parallelism = parallelism}).of<Alert>("above_limit")) {
      given.insert(a.card + " " + std::to_string(a.amount) + " " + std::to_string(a.so_far));
    }
    CHECK(given == expected);
  }
  check_exact(limited_by_date, {"above_limit"});
}

class Everywhere : public df::BroadcastProcess<Payment, Limit, std::string> {
 public:
  void process(const Payment& p, Context&, df::Output<std::string>& out) override {
    if (limits_.contains(p.kind)) out.emit(p.card);
  }
  void process_broadcast(const Limit& rule, BroadcastContext&, df::Output<std::string>& out) override {
    limits_.put(rule.kind, rule.most);
    out.emit("rule");
  }

 private:
  df::BroadcastState<std::string, double> limits_{this, "limits"};
};

TEST_CASE("records without key have rules, too") {
  BroadcastHarness<Everywhere> h;
  h.push_broadcast({"food", 1});
  h.restore(h.snapshot());
  h.push({"c", "food", 100, 0s});
  h.push({"d", "books", 100, 0s});
  CHECK(h.output() == std::vector<std::string>{"rule", "c"});
}

TEST_CASE("rules that are not broadcast are a mistake with its line") {
  df::Environment env;
  env.from_collection<Payment>({})
      .key_by(&Payment::card)
      .connect(env.from_collection<Limit>({}))
      .process<AboveLimit>()
      .named("above_limit")
      .print();
  const auto graph = env.build("job");
  REQUIRE(!graph);
  CHECK(graph.error().message().starts_with("broadcast_test.cpp:"));
  CHECK(graph.error().message().find("every subtask needs all rules: connect(rules.broadcast())") != std::string::npos);
}

}  // namespace

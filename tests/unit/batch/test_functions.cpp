// Process functions in a batch with more keys than memory has room for.

#include <dataflow/dataflow.hpp>

#include <algorithm>

#include "tests/unit/batch/batch_job.hpp"

using namespace dataflow;
using namespace dataflow::batch_tests;

namespace {

struct Amount {
  std::string card;
  std::int64_t amount = 0;
  Timestamp time;
};
DATAFLOW_RECORD(Amount, card, amount, time)

struct Limit {
  std::int64_t limit = 0;
};
DATAFLOW_RECORD(Limit, limit)

/// The card's total, and below which limit that was; which object of the class has said it.
class Totals : public KeyedProcess<std::string, Amount, std::string> {
 public:
  static inline int objects = 0;
  explicit Totals(Duration ttl_of_total = Duration{0}) : total_{this, "total", ttl(ttl_of_total)} {
    number_ = ++objects;
  }
  void process(const Amount& amount, Context& context, Output<std::string>& out) override {
    total_ = total_.value_or(0) + amount.amount;
    out.emit("object " + std::to_string(number_) + ", limit " + std::to_string(limit_) + ": " + context.key() + " " +
             std::to_string(*total_));
  }
  void receives(Receiver& on) override {
    on("set_limit", [this](const Limit& limit) { limit_ = limit.limit; });
  }

 private:
  int number_ = 0;
  std::int64_t limit_ = 0;
  ValueState<std::int64_t> total_;
};

class Reminders : public KeyedProcess<std::string, Amount, std::string> {
 public:
  void process(const Amount&, Context& context, Output<std::string>& out) override {
    context.on_processing_time(context.now() + Duration{1'000'000});
    out.emit(context.key());
  }
};

template <class P, class... Args>
OperatorFactoryPtr in_a_batch(Args... arguments) {
  Environment env;
  env.settings().mode = ExecutionMode::batch;
  env.from_collection<Amount>({})
      .event_time(&Amount::time)
      .key_by(&Amount::card)
      .process<P>(arguments...)
      .named("tested")
      .discard();
  const auto graph = env.build("job");
  REQUIRE(graph.has_value());
  const auto tested = std::find_if(graph->nodes.begin(), graph->nodes.end(),
                                   [](const StreamNode& node) { return node.name == "tested"; });
  return tested->factory;
}

BatchPtr one_of_each_card(int cards, std::int64_t amount) {
  RowBuffer rows{schema_of<Amount>()};
  for (int card = 0; card < cards; ++card) {
    put_record(rows, Amount{"card" + std::to_string(card), amount, Timestamp{card}});
    rows.end_row(Timestamp{card});
  }
  return rows.finish();
}

std::size_t lines_with(const BatchJob::Table& table, std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      table.begin(), table.end(), [&](const auto& line) { return line.first.find(text) != std::string::npos; }));
}

}  // namespace

TEST_CASE("a batch takes the keys of a function in parts, with one object, which keeps what it was told") {
  Totals::objects = 0;
  BatchJob job{in_a_batch<Totals>(), {0}};
  job.start(1, 0);
  job.push(one_of_each_card(10, 1));
  for (int i = 0; i < 3; ++i) job.push(one_of_each_card(1000, 1));
  CHECK(job.given().size() == 10 + 3 * 10);  // the others wait
  REQUIRE(job.op(0).receive("set_limit", R"({"limit":7})").has_value());
  const auto table = job.end();
  CHECK(table.size() == 1000 * 3 + 10);
  CHECK(lines_with(table, "object 1, limit 7") == 990 * 3);
  CHECK(table.contains("0: object 1, limit 7: card999 3 at 999"));
  CHECK(Totals::objects == 1);
}

TEST_CASE("no key of a function waits that goes by the clock") {
  for (const OperatorFactoryPtr& factory : {in_a_batch<Reminders>(), in_a_batch<Totals>(Duration{1'000'000})}) {
    BatchJob job{factory, {0}};
    job.start(1, 0);
    job.push(one_of_each_card(10, 1));
    job.push(one_of_each_card(1000, 1));
    const std::size_t at_once = job.given().size();
    CHECK(at_once >= 1000);
    CHECK(job.end().size() == at_once);
  }
}

TEST_CASE("a batch leaves no state of a function behind") {
  BatchJob job{in_a_batch<Totals>(), {0}};
  job.start(1, 0);
  for (int i = 0; i < 2; ++i) job.push(one_of_each_card(100, 1));
  REQUIRE(job.op(0).query("total", "\"card3\"").value() == "2");
  CHECK(job.op(0).query("total", "\"card99\"").value() == "2");
  job.end();
  for (const char* card : {"\"card3\"", "\"card99\""}) CHECK(job.op(0).query("total", card).value() == "null");
}

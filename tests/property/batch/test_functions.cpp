// Process functions, windows and patterns of a C++ job in a batch, with any memory, batches, checkpoints and
// parallelism, against what the same job does as a stream.

#include <dataflow/dataflow.hpp>

#include <algorithm>

#include "tests/property/batch/random_batch.hpp"
#include "tests/support/seeds.hpp"

using namespace dataflow;
using namespace dataflow::batch_tests;

namespace {

struct Payment {
  std::optional<std::string> card;
  std::int64_t amount = 0;
  Timestamp time;
};
DATAFLOW_RECORD(Payment, card, amount, time)

using Card = std::optional<std::string>;
using Payments = KeyedStream<Payment, Card>;

/// What it gives depends on the order of a key's records, on time, and on all state that there is.
class Everything : public KeyedProcess<Card, Payment, std::string> {
 public:
  void process(const Payment& payment, Context& context, Output<std::string>& out) override {
    total_ = total_.value_or(0) + payment.amount;
    if (payment.amount % 3 == 0) amounts_.add(payment.amount);
    if (payment.amount % 5 == 0) times_.put(payment.time.micros, payment.amount);
    context.on_event_time(payment.time + Duration{payment.amount});
    if (payment.amount % 7 == 0) total_.clear();
    out.emit("record " + said(context));
  }
  void on_timer(Timestamp time, Context& context, Output<std::string>& out) override {
    out.emit("timer " + std::to_string(time.micros) + " " + said(context));
    if (time.micros % 4 == 0) context.on_event_time(time + Duration{3}, "again");
    if (context.timer_name() == "again") amounts_.clear();
  }

 private:
  std::string said(Context& context) {
    std::string text = context.key().value_or("NULL") + " " + std::to_string(total_.value_or(-1));
    text += context.watermark() == Timestamp::min() ? " before the end:" : " at the end:";
    for (const std::int64_t amount : amounts_.get()) text += " " + std::to_string(amount);
    return text;
  }

  ValueState<std::int64_t> total_{this, "total"};
  ListState<std::int64_t> amounts_{this, "amounts"};
  MapState<std::int64_t, std::int64_t> times_{this, "times"};
};

class Amounts : public WindowProcess<Card, Payment, std::string> {
 public:
  void on_window(const Window& window, std::span<const Timed<Payment>> payments, Context& context,
                 Output<std::string>& out) override {
    std::string text = context.key().value_or("NULL") + " " + std::to_string(window.start.micros) + ":";
    for (const auto& [time, payment] : payments) text += " " + std::to_string(payment.amount);
    out.emit(text);
  }
};

struct Sum {
  std::int64_t sum = 0;
  void add(const Payment& payment) { sum += payment.amount; }
  void merge(const Sum& other) { sum += other.sum; }
  [[nodiscard]] std::string result(const Card& card, const Window& window) const {
    return card.value_or("NULL") + " " + std::to_string(window.end.micros) + ": " + std::to_string(sum);
  }
};
DATAFLOW_RECORD(Sum, sum)

struct Counted {
  Card card;
  std::int64_t records = 0;
};
DATAFLOW_RECORD(Counted, card, records)

void everything(Payments payments) {
  payments.process<Everything>().named("tested").discard();
}
void reduced(Payments payments) {
  payments.reduce([](const Payment& a, const Payment& b) {
            return Payment{b.card, a.amount + b.amount, b.time};
          })
      .named("tested")
      .discard();
}
void window_function(Payments payments) {
  payments.window(sliding(Duration{20}, Duration{10}))
      .evictor(keep_last(5))
      .process<Amounts>()
      .named("tested")
      .discard();
}
void sessions(Payments payments) {
  payments.window(session(Duration{7})).aggregate<Sum>().named("tested").discard();
}
void counts(Payments payments) {
  payments.window(session(Duration{7}))
      .aggregate<Counted>(key(&Counted::card), count(&Counted::records))
      .named("tested")
      .discard();
}
void pattern(Payments payments) {
  payments
      .pattern(Pattern<Payment>::begin("small")
                   .where([](const Payment& p) { return p.amount < 10; })
                   .times_or_more(1)
                   .followed_by_any("large")
                   .where([](const Payment& p) { return p.amount > 15; })
                   .within(Duration{12})
                   .after_match(skip_to_next()))
      .select(
          [](const Match<Payment>& m) {
            return m.first("small")->card.value_or("NULL") + " " + std::to_string(m.last("large")->amount);
          },
          [](const Match<Payment>& m) { return m.first("small")->card.value_or("NULL") + " alone"; })
      .named("tested")
      .discard();
}

OperatorFactoryPtr operators_of(void (*job)(Payments), ExecutionMode mode) {
  Environment env;
  env.settings().mode = mode;
  job(env.from_collection<Payment>({}).event_time(&Payment::time).key_by(&Payment::card));
  const auto graph = env.build("job");
  REQUIRE_MESSAGE(graph.has_value(), (graph ? "" : graph.error().message()));
  const auto tested = std::find_if(graph->nodes.begin(), graph->nodes.end(),
                                   [](const StreamNode& node) { return node.name == "tested"; });
  return tested->factory;
}

class RandomPayments : public RandomBatch {
 public:
  explicit RandomPayments(std::uint64_t seed) : RandomBatch{seed} { most_cards_ = pick(2) == 0 ? 5 : 200; }

  void compare_modes() {
    constexpr void (*jobs[])(Payments) = {everything, reduced, window_function, sessions, counts, pattern};
    auto* const job = jobs[pick(std::size(jobs))];
    compare(operators_of(job, ExecutionMode::streaming), operators_of(job, ExecutionMode::batch), {0});
  }

 private:
  BatchPtr random_batch() override {
    RowBuffer rows{schema_of<Payment>()};
    for (std::uint64_t i = 1 + pick(60); i > 0; --i) {
      const std::uint64_t card = pick(most_cards_);
      const Timestamp time{static_cast<std::int64_t>(pick(100))};
      put_record(rows, Payment{card == 0 ? Card{} : Card{"card" + std::to_string(card)},
                               static_cast<std::int64_t>(pick(20)), time});
      rows.end_row(time);
    }
    return rows.finish();
  }

  std::uint64_t most_cards_;
};

}  // namespace

TEST_CASE(
    "functions, windows and patterns of C++ give in a batch what they give in a stream, whatever memory they have") {
  for (const std::uint64_t seed : testing_support::seeds(400)) {
    CAPTURE(seed);
    RandomPayments{seed}.compare_modes();
  }
}

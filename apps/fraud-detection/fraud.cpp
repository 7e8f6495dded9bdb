// Card fraud, as thieves do it: a small payment to see whether a stolen card works, and within five minutes a large
// one. The payments are generated, a thousand a minute over two hundred cards, and two cards in a hundred are stolen.

#include <dataflow/dataflow.hpp>

namespace df = dataflow;
using namespace std::chrono_literals;

namespace {

struct Payment {
  std::string card;
  double amount = 0;
  df::Timestamp time;
};
DATAFLOW_RECORD(Payment, card, amount, time)

struct Alert {
  std::string card;
  double small = 0;
  double large = 0;
  df::Timestamp time;
};
DATAFLOW_RECORD(Alert, card, small, large, time)

struct SetLimit {
  double value = 0;
};
DATAFLOW_RECORD(SetLimit, value)

/// A small payment, followed by a large one in time. Records may overtake the watermark, so that times are compared;
/// the timer only gives the memory back.
class SmallThenLarge : public df::KeyedProcess<std::string, Payment, Alert> {
 public:
  explicit SmallThenLarge(df::Duration within) : within_(within) {}

  void process(const Payment& payment, Context& ctx, df::Output<Alert>& out) override {
    if (payment.amount > limit_ && small_ && payment.time <= small_->time + within_) {
      out.emit({payment.card, small_->amount, payment.amount, payment.time});
    }
    forget(ctx);
    if (payment.amount < 1) {
      small_ = payment;
      ctx.on_event_time(payment.time + within_);
    }
  }

  void on_timer(df::Timestamp, Context&, df::Output<Alert>&) override { small_.clear(); }

  /// `dfnode send fraud small_then_large set_limit '{"value": 900}'`
  void receives(df::Receiver& on) override {
    on("set_limit", [this](const SetLimit& message) {
      limit_ = message.value;
      return SetLimit{limit_};
    });
  }

 private:
  void forget(Context& ctx) {
    if (small_) ctx.delete_event_timer(small_->time + within_);
    small_.clear();
  }

  df::Duration within_;
  double limit_ = 500;
  df::ValueState<Payment> small_{this, "small"};
};

/// Payment number `n`: always the same, and hard to guess.
Payment payment(std::int64_t n) {
  auto bits = static_cast<std::uint64_t>(n) * 0x9e3779b97f4a7c15;
  bits = (bits ^ (bits >> 32)) * 0xd6e8feb86659fd93;
  bits ^= bits >> 29;
  const std::uint64_t card = bits % 200;
  const bool stolen = card % 50 == 7;
  const std::uint64_t draw = (bits >> 20) % 1000;
  double amount = 1 + static_cast<double>((bits >> 32) % 20000) / 100;
  if (draw < (stolen ? 200 : 5)) amount = 0.25;
  if (draw > (stolen ? 800 : 998)) amount = 600 + static_cast<double>(draw);
  // Sixty milliseconds apart, and up to ten seconds late.
  const auto late = std::chrono::milliseconds{(bits >> 40) % 10000};
  const df::Timestamp start{std::chrono::seconds{1'700'000'000}};
  return {"card-" + std::to_string(card), amount, start + std::chrono::milliseconds{n * 60} - late};
}

void fraud(df::Environment& env) {
  env.generate(env.args().get_integer("payments", 10'000), payment)
      .event_time(&Payment::time, df::out_of_orderness(10s))
      .named("payments")
      .key_by(&Payment::card)
      .process<SmallThenLarge>(5min)
      .named("small_then_large")
      .print()
      .named("alerts");
}

}  // namespace

DATAFLOW_JOB("fraud", fraud)

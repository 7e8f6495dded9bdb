// A job whose window waits for event time: by itself, or, with --asks, behind calls that are never answered. With
// --ends its source ends instead of waiting for ever, and calls time out soon.

#include <iterator>
#include <memory>
#include <string>

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

/// A payment at noon, one three hours later, and one of the day before: a record at a time, so that the last is late.
class Payments : public df::Source<Payment> {
 public:
  explicit Payments(bool ends) : ends_{ends} {}
  [[nodiscard]] bool bounded() const override { return ends_; }
  [[nodiscard]] std::unique_ptr<df::SplitReader<Payment>> reader() const override {
    return std::make_unique<Reader>(ends_);
  }

 private:
  class Reader : public df::SplitReader<Payment> {
   public:
    explicit Reader(bool ends) : ends_{ends} {}
    void open(std::string_view, std::string_view position) override {
      next_ = position.empty() ? 0 : std::stoul(std::string{position});
    }
    df::ReadStep next(df::Output<Payment>& out, std::uint32_t) override {
      constexpr df::Timestamp times[] = {df::Timestamp{36h}, df::Timestamp{39h}, df::Timestamp{3h}};
      if (next_ == std::size(times)) return ends_ ? df::ReadStep::end() : df::ReadStep::wait(1h);
      out.emit({"card", 1, times[next_++]});
      return df::ReadStep::more();
    }
    [[nodiscard]] std::string position() const override { return std::to_string(next_); }

   private:
    bool ends_;
    std::size_t next_ = 0;
  };

  bool ends_;
};

class Daily : public df::WindowProcess<std::string, Payment, std::int64_t> {
 public:
  void on_window(const df::Window&, std::span<const df::Timed<Payment>> payments, Context&,
                 df::Output<std::int64_t>& out) override {
    out.emit(static_cast<std::int64_t>(payments.size()));
  }
};

void waiting(df::Environment& env) {
  env.parallelism(1);  // time goes on with each record
  auto payments = env.from_source<Payment>(std::make_shared<Payments>(env.args().has("ends")))
                      .event_time(&Payment::time, df::out_of_orderness(1h))
                      .named("payments");
  if (env.args().has("asks")) {
    const auto ask = [](const Payment& p, const df::Completion<Payment>& done) {
      // The first one is answered, so that the window has something to wait for.
      if (p.time == df::Timestamp{36h}) done.complete(p);
    };
    const df::Duration timeout = env.args().has("ends") ? df::Duration{1ms} : df::Duration{24h};
    payments =
        payments.async_map<Payment>(ask, {.timeout = timeout}, [](const Payment& p) { return p; }).named("asked");
  }
  payments.key_by(&Payment::card).window(df::tumbling(24h)).process<Daily>().named("daily").print().named("days");
}

}  // namespace

DATAFLOW_JOB("waiting", waiting)

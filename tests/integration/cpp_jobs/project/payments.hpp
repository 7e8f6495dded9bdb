#pragma once
#include <dataflow/dataflow.hpp>

namespace df = dataflow;
using namespace std::chrono_literals;

struct Payment { std::string card; double amount; df::Timestamp time; std::optional<std::string> note; };
DATAFLOW_RECORD(Payment, card, amount, time, note)      // schema and accessors at compile time; optional = nullable

struct Alert { std::string card; double small; double large; };
DATAFLOW_RECORD(Alert, card, small, large)

struct Total { std::string card; double gross; };
DATAFLOW_RECORD(Total, card, gross)

struct CardStats { std::string card; df::Timestamp until; std::int64_t n; double total; };
DATAFLOW_RECORD(CardStats, card, until, n, total)

struct SetLimit { double value; };
DATAFLOW_RECORD(SetLimit, value)

class SmallThenLarge : public df::KeyedProcess<std::string, Payment, Alert> {
 public:
  explicit SmallThenLarge(df::Duration within) : within_(within) {}
  void process(const Payment& p, Context& ctx, df::Output<Alert>& out) override {
    if (p.amount > limit_ && small_) out.emit({p.card, *small_, p.amount});
    small_.clear();
    if (p.amount < 1) { small_ = p.amount; ctx.on_event_time(p.time + within_); }
  }
  void on_timer(df::Timestamp, Context&, df::Output<Alert>&) override { small_.clear(); }
  void receives(df::Receiver& on) override {
    on("set_limit", [this](const SetLimit& m) { limit_ = m.value; return SetLimit{limit_}; });
  }
 private:
  df::Duration within_;
  double limit_ = 500;
  df::ValueState<double> small_{this, "small", df::ttl(1h)};        // also ListState, MapState, ReducingState
};

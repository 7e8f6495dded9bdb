// A job whose function throws where --at says: "plan", "constructor", "open", "process", "on_timer" or "close". With
// "crash" or "plan_crash" it aborts.
#include <cstdlib>
#include <stdexcept>

#include "payments.hpp"

class Throwing : public df::KeyedProcess<std::string, Payment, Alert> {
 public:
  explicit Throwing(std::string at) : at_(std::move(at)) { fail_at("constructor"); }
  void open(const df::OperatorContext&) override { fail_at("open"); }
  void process(const Payment& p, Context& ctx, df::Output<Alert>&) override {
    if (at_ == "crash") std::abort();
    if (p.amount > 10) fail_at("process");
    ctx.on_event_time(p.time);
  }
  void on_timer(df::Timestamp, Context&, df::Output<Alert>&) override { fail_at("on_timer"); }
  void close() override { fail_at("close"); }

 private:
  void fail_at(const std::string& place) const {
    if (at_ == place) throw std::runtime_error("thrown in " + place);
  }
  std::string at_;
};

void throwing(df::Environment& env) {
  const std::string at = env.args().get("at", "nowhere");
  if (at == "plan_crash") std::abort();
  if (at == "plan") throw std::runtime_error("thrown in plan");
  env.settings().restart.strategy = df::RestartSettings::Strategy::none;
  env.from_collection<Payment>({{"c", 1, 0s, {}}, {"d", 20, 1s, {}}})
     .event_time(&Payment::time)
     .key_by(&Payment::card)
     .process<Throwing>(at).named("throwing")
     .discard();
  if (at == "unread") env.from_collection<Total>({}).map([](const Total& total) { return total.gross; });
  if (at == "mistake") env.from_collection<Total>({}).key_by(&Total::card).reduce([](Total a, Total) { return a; }).print();
}
DATAFLOW_JOB("throwing", throwing)

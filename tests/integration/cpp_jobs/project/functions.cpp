// Process functions for topologies.
#include "payments.hpp"

struct Limits { double limit; std::optional<std::string> label; };
DATAFLOW_RECORD(Limits, limit, label)

struct In { std::string card; double amount; };
DATAFLOW_RECORD(In, card, amount)

struct Enriched { std::string card; double amount; std::int64_t n; std::string label; };
DATAFLOW_RECORD(Enriched, card, amount, n, label)

class Enrich : public df::KeyedProcess<std::string, In, Enriched> {
 public:
  using settings_type = Limits;
  explicit Enrich(const Limits& limits) : limits_(limits) {}
  static df::SideOutputs side_outputs() { return {df::side_output_of<In>("large")}; }
  void process(const In& in, Context& ctx, df::Output<Enriched>& out) override {
    if (in.amount > limits_.limit) return ctx.emit("large", in);
    count_ = count_.value_or(0) + 1;
    out.emit({in.card, in.amount, *count_, limits_.label.value_or("none")});
  }

 private:
  Limits limits_;
  df::ValueState<std::int64_t> count_{this, "count"};
};
DATAFLOW_FUNCTION("enrich", Enrich)

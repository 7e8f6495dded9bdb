#include "payments.hpp"

void fraud(df::Environment& env) {
  auto payments = env.read_csv<Payment>("payments.csv")
                     .event_time(&Payment::time, df::out_of_orderness(30s));
  payments.where("amount > 0 AND card IS NOT NULL")                 // the expression language, compiled to column loops
          .key_by(&Payment::card)
          .process<SmallThenLarge>(5min).named("small_then_large")  // constructor arguments follow
          .write_json("alerts/");
  payments.map([](const Payment& p) { return Total{p.card, p.amount * 1.19}; })
          .key_by(&Total::card)
          .window(df::sliding(5min, 1min))
          .aggregate<CardStats>(df::key(&CardStats::card), df::window_end(&CardStats::until),
                                df::count(&CardStats::n), df::sum(&Total::gross, &CardStats::total)).named("stats")
          .print();
}
DATAFLOW_JOB("fraud", fraud)

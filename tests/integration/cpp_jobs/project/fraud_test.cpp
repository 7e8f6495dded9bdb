#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <dataflow/testing.hpp>

#include "payments.hpp"

TEST_CASE("a large payment after six minutes is no alert") {
  df::testing::Harness<SmallThenLarge> h{5min};
  h.push({"c", 0.5, 0s}); h.watermark(6min); h.push({"c", 900, 6min});
  CHECK(h.output().empty());
  h.restore(h.snapshot());                       // and through a checkpoint
}

TEST_CASE("a whole job runs on virtual time") {
  const auto job = [](df::Environment& env) {
    env.read_csv<Payment>("payments.csv").named("payments")
       .event_time(&Payment::time)
       .key_by(&Payment::card)
       .process<SmallThenLarge>(5min).named("alerts")
       .print();
  };
  const std::vector<Payment> payments{{"c", 0.5, 0s, {}}, {"c", 900, 1min, {}}, {"d", 900, 2min, {}}};
  const auto alerts = df::testing::run(job, df::testing::Inputs{}.from("payments", payments)).of<Alert>("alerts");
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].card == "c");
}

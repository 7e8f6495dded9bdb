#pragma once
// A job of the C++ API under faults: `check_exact(job, {"totals"});`.

#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>

namespace dataflow::testing_support {

/// Runs a job on simulated clusters under faults, which have to be met: a run in which nothing is killed, restarted,
/// kept in a checkpoint and given to another number of subtasks says nothing. Neither does one of a job whose outputs
/// are empty: those named have rows.
inline void check_exact(void (*job)(Environment&), std::initializer_list<const char*> outputs,
                        testing::Seeds seeds = {.first = 1, .last = 40}) {
  const testing::Outputs calm = testing::run(job, {}, {.parallelism = 2});
  for (const std::string output : outputs) {
    CAPTURE(output);
    CHECK(!calm.json_of(output).empty());
  }
  const testing::Simulated met = testing::simulate(job, {}, seeds);
  CAPTURE(met.faults);
  CHECK(met.faults > 0);
  CHECK(met.restarts > 0);
  CHECK(met.checkpoints > met.restarts);
  CHECK(met.rescales > 0);
}

}  // namespace dataflow::testing_support

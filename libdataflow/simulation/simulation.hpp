#pragma once
// `dfnode simulate`: a job on simulated clusters under faults, seed after seed. What its sinks have committed in the
// end has to be what they commit when nothing goes wrong.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "libdataflow/graph/stream_graph.hpp"
#include "libdataflow/simulation/cluster.hpp"

namespace dataflow::simulation {

struct Options {
  std::set<FaultKind> faults{FaultKind::kill,     FaultKind::stop,    FaultKind::cut,
                             FaultKind::slow,     FaultKind::disk,    FaultKind::clock,
                             FaultKind::failover, FaultKind::rescale, FaultKind::savepoint};
  std::uint32_t nodes = 3;
  std::uint32_t parallelism = 2;                  ///< where the job says none
  Duration time_limit = std::chrono::minutes{1};  ///< of virtual time, after the last fault
  std::optional<std::size_t> most_faults{};       ///< only so many of a seed's faults happen
  Defect defect = Defect::none;                   ///< for tests of the simulation itself
  std::shared_ptr<StateBackend> state{};          ///< without stores; of all subtasks. Null: they have none
};

/// Rows of one sink that are not as they should be.
struct Difference {
  std::string sink;
  std::vector<std::string> missing;
  std::vector<std::string> unexpected;
};

struct SeedFailure {
  std::uint64_t seed = 0;
  std::size_t faults = 0;         ///< in the seed
  std::size_t faults_needed = 0;  ///< the smallest prefix of them that still fails
  std::string problem;            ///< in a sentence
  std::vector<Difference> differences;
};

/// The same in lines: the problem, then each row with - (missing) or + (unexpected) and its sink.
std::string describe(const SeedFailure& failure);

struct SeedResult {
  Counts counts;
  Duration took{0};
  std::uint64_t events = 0;
  std::map<std::string, std::uint64_t> met;
  std::string trace;
  std::optional<SeedFailure> failure;
};

/// The job's output depends on more than its input: nothing can be compared with it.
struct NotDeterministic {
  bool by_parallelism = false;     ///< it was not the same in both
  std::string op;                  ///< the first operator whose output differs; a name
  std::vector<std::string> one;    ///< rows that came out once,
  std::vector<std::string> other;  ///< and those that came out the other time
};

/// A sentence that names the operator.
std::string describe(const NotDeterministic& found);

class Simulation {
 public:
  /// Runs the job without faults. Errors: invalid_argument when the job cannot be simulated (it has no end, or no
  /// graph can be made of it); what the job fails with.
  static Result<Simulation> prepare(StreamGraph job, Options options);

  /// Set when runs without faults come to different results; then seeds say nothing.
  [[nodiscard]] const std::optional<NotDeterministic>& not_deterministic() const { return not_deterministic_; }
  [[nodiscard]] std::uint64_t records() const { return records_; }
  [[nodiscard]] Duration reference_time() const { return reference_time_; }

  /// One seed. A failing one is run again with fewer faults, until the smallest prefix is found that still fails.
  SeedResult run(std::uint64_t seed) const;
  /// One run with every event in its order.
  SeedResult trace(std::uint64_t seed) const;

 private:
  Simulation(StreamGraph job, Options options) : job_{std::move(job)}, options_{std::move(options)} {}
  [[nodiscard]] RunSettings settings_of(std::uint64_t seed) const;
  [[nodiscard]] std::vector<Difference> compare(const RunResult& result) const;
  SeedResult run_once(const RunSettings& settings) const;
  Status find_reference();
  /// Where two runs differ that ought not to.
  [[nodiscard]] NotDeterministic find_cause(RunSettings one, RunSettings other) const;

  StreamGraph job_;
  Options options_;
  std::map<std::string, std::vector<std::string>> expected_;  ///< by sink, sorted
  Duration reference_time_{0};
  std::uint64_t last_state_ = 0;  ///< bytes in the last checkpoint
  std::uint64_t records_ = 0;
  std::optional<NotDeterministic> not_deterministic_;
};

}  // namespace dataflow::simulation

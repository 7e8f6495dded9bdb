#include "libdataflow/simulation/simulation.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace dataflow::simulation {

namespace {

/// Runs without faults whose results are compared before any fault is blamed for a difference.
constexpr std::uint64_t calm_runs = 3;
/// And those at another parallelism.
constexpr std::uint32_t other_layouts = 4;
/// What a job keeps in the end does not depend on how it came there, but for how that is laid out and what sources and
/// sinks note of it: so many times as much, and bytes.
constexpr std::uint64_t last_state_factor = 2;
constexpr std::uint64_t last_state_slack = 16 * 1024;

std::vector<std::string> only_in(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::string> rows;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(rows));
  return rows;
}

}  // namespace

std::string describe(const SeedFailure& failure) {
  std::string text = "seed " + std::to_string(failure.seed) + " with " + std::to_string(failure.faults_needed) +
                     " of its " + std::to_string(failure.faults) + " faults: " + failure.problem;
  for (const Difference& difference : failure.differences) {
    for (const std::string& row : difference.missing) text += "\n- " + difference.sink + " " + row;
    for (const std::string& row : difference.unexpected) text += "\n+ " + difference.sink + " " + row;
  }
  return text;
}

std::string describe(const NotDeterministic& found) {
  if (found.by_parallelism) {
    return "Two runs without any fault at different parallelism differ: the output of \"" + found.op +
           "\" depends on how many subtasks there are (which of two rows comes first, or whether a record is late). "
           "Faults without rescale can be told with --faults.";
  }
  return "Two runs without any fault differ: the output of \"" + found.op +
         "\" depends on more than its input (a random number, a clock, an address, or which of two rows comes first).";
}

Result<Simulation> Simulation::prepare(StreamGraph job, Options options) {
  if (!job.bounded()) {
    std::string endless;
    for (const StreamNode& node : job.nodes) {
      if (node.is_source() && !node.source->factory->bounded()) endless = node.name;
    }
    return fail(ErrorCode::invalid_argument, "a job that never ends has no result to compare: \"" + endless +
                                                 "\" has no end; give it one, for instance with --set sources." +
                                                 endless + ".count=1500");
  }
  if (job.nodes.empty()) return fail(ErrorCode::invalid_argument, "the job has no nodes");
  const auto built = build_job_graph(std::make_shared<const StreamGraph>(job), options.parallelism);
  if (!built) return fail(built.error());
  Simulation simulation{std::move(job), std::move(options)};
  if (Status found = simulation.find_reference(); !found) return fail(found.error());
  return simulation;
}

Status Simulation::find_reference() {
  RunSettings calm;
  calm.nodes = options_.nodes;
  calm.parallelism = options_.parallelism;
  calm.state = options_.state;
  calm.time_limit = std::max<Duration>(options_.time_limit, std::chrono::hours{1});
  for (std::uint64_t seed = 0; seed < calm_runs; ++seed) {
    RunSettings settings = calm;
    settings.seed = seed;
    RunResult result = Cluster{job_, settings}.run();
    if (result.problem) return fail(ErrorCode::internal, "without any fault: " + *result.problem);
    last_state_ = std::max(last_state_, result.counts.last_state);
    if (seed == 0) {
      expected_ = std::move(result.rows);
      reference_time_ = result.took;
      records_ = result.counts.records;
    } else if (result.rows != expected_) {
      not_deterministic_ = find_cause(calm, settings);
      return {};
    }
  }
  if (!options_.faults.contains(FaultKind::rescale)) return {};
  for (std::uint32_t layout = 1; layout <= other_layouts; ++layout) {
    RunSettings settings = calm;
    settings.seed = layout;
    settings.layout = layout;
    const RunResult result = Cluster{job_, settings}.run();
    if (result.problem) return fail(ErrorCode::internal, "without any fault: " + *result.problem);
    if (result.rows == expected_) continue;
    not_deterministic_ = find_cause(calm, settings);
    not_deterministic_->by_parallelism = true;
    return {};
  }
  return {};
}

NotDeterministic Simulation::find_cause(RunSettings one, RunSettings other) const {
  one.taps = other.taps = true;
  std::map<std::string, std::vector<std::string>> a = Cluster{job_, one}.run().rows;
  std::map<std::string, std::vector<std::string>> b = Cluster{job_, other}.run().rows;
  // Which operator is the first whose output differs? Inputs come before their users.
  for (const StreamNode& node : job_.nodes) {
    for (std::size_t output = 0; output < node.outputs.size(); ++output) {
      const std::string tap = "tap of " + tap_name(node, output);
      if (a[tap] == b[tap]) continue;
      return {.op = tap_name(node, output), .one = only_in(a[tap], b[tap]), .other = only_in(b[tap], a[tap])};
    }
  }
  return {};
}

RunSettings Simulation::settings_of(std::uint64_t seed) const {
  Random random{seed};
  RunSettings settings;
  settings.seed = seed;
  settings.nodes = options_.nodes;
  settings.parallelism = options_.parallelism;
  settings.time_limit = options_.time_limit;
  settings.defect = options_.defect;
  settings.state = options_.state;
  settings.checkpoint_interval = reference_time_ / static_cast<std::int64_t>(random.between(2, 12));
  // A run takes longer than the reference did where its batches are smaller, and where it has to begin again.
  settings.faults =
      draw_faults(seed, options_.faults, reference_time_ * static_cast<std::int64_t>(random.between(1, 6)));
  if (options_.most_faults && settings.faults.size() > *options_.most_faults) {
    settings.faults.resize(*options_.most_faults);
  }
  return settings;
}

std::vector<Difference> Simulation::compare(const RunResult& result) const {
  std::vector<Difference> differences;
  for (const auto& [sink, rows] : expected_) {
    const auto actual = result.rows.find(sink);
    const std::vector<std::string> none;
    const std::vector<std::string>& came = actual == result.rows.end() ? none : actual->second;
    if (came == rows) continue;
    differences.push_back({sink, only_in(rows, came), only_in(came, rows)});
  }
  return differences;
}

SeedResult Simulation::run_once(const RunSettings& settings) const {
  RunResult result = Cluster{job_, settings}.run();
  SeedResult seed;
  seed.counts = std::move(result.counts);
  seed.took = result.took;
  seed.events = result.events;
  seed.met = std::move(result.met);
  std::vector<Difference> differences;
  if (!result.problem) differences = compare(result);
  if (!result.problem && seed.counts.last_state > last_state_factor * last_state_ + last_state_slack) {
    result.problem = "the last checkpoint holds " + std::to_string(seed.counts.last_state) +
                     " bytes of state, and without faults " + std::to_string(last_state_);
  }
  if (!differences.empty()) result.problem = "the committed output differs from that without faults";
  if (result.problem) {
    seed.failure = SeedFailure{settings.seed, settings.faults.size(), settings.faults.size(), *result.problem,
                               std::move(differences)};
  }
  seed.trace = std::move(result.trace);
  return seed;
}

SeedResult Simulation::run(std::uint64_t seed) const {
  RunSettings settings = settings_of(seed);
  SeedResult whole = run_once(settings);
  if (!whole.failure) return whole;
  // Faults depend on each other: what fails with many may not fail with one more. From the front, the first is least.
  const std::vector<Fault> faults = settings.faults;
  for (std::size_t count = 0; count < faults.size(); ++count) {
    settings.faults.assign(faults.begin(), faults.begin() + static_cast<std::ptrdiff_t>(count));
    const SeedResult fewer = run_once(settings);
    if (!fewer.failure) continue;
    whole.failure = fewer.failure;
    whole.failure->faults = faults.size();
    break;
  }
  return whole;
}

SeedResult Simulation::trace(std::uint64_t seed) const {
  RunSettings settings = settings_of(seed);
  settings.traced = true;
  return run_once(settings);
}

}  // namespace dataflow::simulation

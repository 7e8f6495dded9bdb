// dfnode simulate: the job on a simulated cluster, under faults drawn from seeds.

#include <CLI/CLI.hpp>

#include <charconv>
#include <chrono>
#include <iostream>
#include <memory>
#include <sstream>

#include "libdataflow/simulation/simulation.hpp"
#include "tools/dfnode/command.hpp"
#include "tools/dfnode/job_file.hpp"

namespace dataflow::cli {

namespace {

using simulation::Counts;
using simulation::SeedFailure;
using simulation::SeedResult;
using simulation::Simulation;

/// Rows of a difference that are shown; the rest is a number.
constexpr std::size_t most_rows_shown = 20;
constexpr auto progress_interval = std::chrono::seconds{2};

struct SimulateOptions {
  JobArguments job;
  std::string seeds = "1..100";
  std::uint64_t seed = 0;
  bool one_seed = false;
  std::vector<std::string> faults;
  std::int64_t most_faults = -1;
  std::uint32_t nodes = 3;
  std::uint32_t parallelism = 2;
  std::string time_limit = "60s";
  bool trace = false;
  bool json = false;
  bool quiet = false;
};

struct Seeds {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

struct Totals {
  std::uint64_t runs = 0;
  Counts counts;
  Duration virtual_time{0};
  std::vector<std::uint64_t> failed;
};

int refuse(const SimulateOptions& options, const std::string& why) {
  if (options.json) {
    std::string text;
    append_json_string(why, text);
    std::cout << "{\"error\":" << text << "}\n";
  } else {
    std::cerr << "dfnode: " << why << "\n";
  }
  return exit_wrong;
}

std::optional<Seeds> parse_seeds(std::string_view text) {
  Seeds seeds;
  const auto number = [](std::string_view digits, std::uint64_t& into) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), into);
    return error == std::errc{} && end == digits.data() + digits.size();
  };
  const std::size_t dots = text.find("..");
  const bool good = dots == std::string_view::npos
                        ? number(text, seeds.first) && number(text, seeds.last)
                        : number(text.substr(0, dots), seeds.first) && number(text.substr(dots + 2), seeds.last);
  if (!good || seeds.first == 0 || seeds.last < seeds.first) return std::nullopt;
  return seeds;
}

void print_rows(const std::vector<std::string>& rows, const char* sign, const char* what) {
  for (std::size_t i = 0; i < rows.size() && i < most_rows_shown; ++i) {
    std::cout << "      " << sign << " " << rows[i] << "   (" << what << ")\n";
  }
  if (rows.size() > most_rows_shown) {
    std::cout << "      " << sign << " and " << rows.size() - most_rows_shown << " more\n";
  }
}

/// As it is to be typed again.
std::string replay_command(const SimulateOptions& options, const SeedFailure& failure) {
  std::string command = "dfnode simulate " + options.job.file;
  for (const std::string& override_ : options.job.overrides) command += " --set '" + override_ + "'";
  if (!options.faults.empty()) {
    command += " --faults ";
    for (std::size_t i = 0; i < options.faults.size(); ++i) command += (i > 0 ? "," : "") + options.faults[i];
  }
  if (options.nodes != 3) command += " --nodes " + std::to_string(options.nodes);
  if (options.parallelism != 2) command += " --parallelism " + std::to_string(options.parallelism);
  command += " --seed " + std::to_string(failure.seed);
  if (failure.faults_needed < failure.faults) command += " --most-faults " + std::to_string(failure.faults_needed);
  return command + " --trace";
}

void print_failure(const SimulateOptions& options, const SeedFailure& failure) {
  std::cout << "FAIL  seed " << failure.seed << ": " << failure.problem << "\n"
            << "    with the first " << failure.faults_needed << " of its " << failure.faults << " faults\n";
  for (const simulation::Difference& difference : failure.differences) {
    std::cout << "    " << difference.sink << ":\n";
    print_rows(difference.missing, "-", "expected, did not come");
    print_rows(difference.unexpected, "+", "came, not expected");
  }
  std::cout << "    " << replay_command(options, failure) << "\n";
}

void print_table(const Totals& totals) {
  const auto line = [](const std::string& name, const std::string& value) {
    std::cout << "  " << name << std::string(name.size() < 24 ? 24 - name.size() : 1, ' ') << value << "\n";
  };
  line("runs", std::to_string(totals.runs));
  for (const auto& [kind, count] : totals.counts.faults) line("faults: " + kind, std::to_string(count));
  line("restarts", std::to_string(totals.counts.restarts));
  line("checkpoints completed", std::to_string(totals.counts.checkpoints_completed));
  line("checkpoints failed", std::to_string(totals.counts.checkpoints_failed));
  line("savepoints", std::to_string(totals.counts.savepoints));
  line("records", std::to_string(totals.counts.records));
  line("virtual time", to_string(std::chrono::duration_cast<std::chrono::milliseconds>(totals.virtual_time)));
  line("failed seeds", std::to_string(totals.failed.size()));
}

std::string to_json(const Totals& totals) {
  std::ostringstream out;
  out << "{\"runs\":" << totals.runs << ",\"faults\":{";
  bool first = true;
  for (const auto& [kind, count] : totals.counts.faults) {
    out << (first ? "\"" : ",\"") << kind << "\":" << count;
    first = false;
  }
  out << "},\"restarts\":" << totals.counts.restarts
      << ",\"checkpoints_completed\":" << totals.counts.checkpoints_completed
      << ",\"checkpoints_failed\":" << totals.counts.checkpoints_failed
      << ",\"savepoints\":" << totals.counts.savepoints << ",\"records\":" << totals.counts.records
      << ",\"virtual_time_us\":" << totals.virtual_time.count() << ",\"failed_seeds\":[";
  for (std::size_t i = 0; i < totals.failed.size(); ++i) out << (i > 0 ? "," : "") << totals.failed[i];
  out << "]}";
  return out.str();
}

int explain_chance(const SimulateOptions& options, const simulation::NotDeterministic& found) {
  if (options.json) {
    std::string name;
    append_json_string(found.op, name);
    std::cout << "{\"not_deterministic\":" << name << "}\n";
    return exit_failed;
  }
  std::cout << describe(found) << "\n";
  print_rows(found.one, "-", "in one run");
  print_rows(found.other, "+", "in the other");
  return exit_failed;
}

int trace(const SimulateOptions& options, const Simulation& simulation) {
  const SeedResult result = simulation.trace(options.seed);
  std::cout << result.trace;
  if (!result.failure) return exit_done;
  print_failure(options, *result.failure);
  return exit_failed;
}

int run_seeds(const SimulateOptions& options, const Simulation& simulation, const Seeds& seeds) {
  Totals totals;
  auto told = std::chrono::steady_clock::now();
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    const SeedResult result = simulation.run(seed);
    ++totals.runs;
    totals.counts.add(result.counts);
    totals.virtual_time += result.took;
    if (result.failure) {
      totals.failed.push_back(seed);
      if (!options.json) print_failure(options, *result.failure);
    }
    const auto now = std::chrono::steady_clock::now();
    if (options.quiet || options.json || now - told < progress_interval) continue;
    told = now;
    std::cerr << seed - seeds.first + 1 << " of " << seeds.last - seeds.first + 1 << " seeds, " << totals.failed.size()
              << " failed\n";
  }
  if (options.json) {
    std::cout << to_json(totals) << "\n";
  } else if (!options.quiet || !totals.failed.empty()) {
    print_table(totals);
  }
  return totals.failed.empty() ? exit_done : exit_failed;
}

int simulate(const SimulateOptions& options) {
  const auto seeds = options.one_seed ? std::optional{Seeds{options.seed, options.seed}} : parse_seeds(options.seeds);
  if (!seeds) return refuse(options, "--seeds takes a number from 1, or two of them like 1..1000");
  simulation::Options settings;
  if (!options.faults.empty()) settings.faults.clear();
  for (const std::string& name : options.faults) {
    const auto kind = simulation::fault_kind(name);
    if (!kind) {
      return refuse(options, "no kind of fault \"" + name +
                                 "\"; there are kill, stop, cut, slow, disk, clock, failover, rescale and savepoint");
    }
    settings.faults.insert(*kind);
  }
  const auto limit = parse_duration(options.time_limit);
  if (!limit || *limit <= Duration{0}) return refuse(options, "--time-limit takes a duration like 60s");
  settings.time_limit = *limit;
  settings.nodes = options.nodes;
  settings.parallelism = options.parallelism;
  if (options.most_faults >= 0) settings.most_faults = static_cast<std::size_t>(options.most_faults);
  const auto topology = load_job_or_explain(options.job, options.json, options.quiet);
  if (!topology) return exit_wrong;
  const auto prepared = Simulation::prepare(topology->graph, settings);
  if (!prepared) return refuse(options, topology->secrets.redact(prepared.error().message()));
  if (const auto& chance = prepared->not_deterministic()) return explain_chance(options, *chance);
  if (options.trace) {
    if (!options.one_seed) return refuse(options, "--trace shows one seed: give it with --seed");
    return trace(options, *prepared);
  }
  return run_seeds(options, *prepared, *seeds);
}

}  // namespace

void add_simulate(CLI::App& app, Action& action) {
  auto options = std::make_shared<SimulateOptions>();
  CLI::App& command = *app.add_subcommand("simulate", "Run a job on a simulated cluster, under faults");
  add_job_arguments(command, options->job);
  command.add_option("--seeds", options->seeds, "A range of seeds: each is one run with faults of its own")
      ->type_name("A..B")
      ->capture_default_str();
  auto* const seed = command.add_option("--seed", options->seed, "One seed")->type_name("N");
  command.add_option("--faults", options->faults, "Only these kinds of faults; all of them if not given")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("KIND,...");
  command.add_option("--most-faults", options->most_faults, "Only the first faults of a seed")->type_name("N");
  add_parallelism(command, "--nodes", options->nodes, "How many nodes the cluster has");
  add_parallelism(command, "--parallelism,-p", options->parallelism, "Subtasks of nodes that do not say it");
  command.add_option("--time-limit", options->time_limit, "Virtual time to come to the end after the last fault")
      ->type_name("TIME")
      ->capture_default_str();
  command.add_flag("--trace", options->trace, "Print every event of one seed, in order");
  command.add_flag("--json", options->json, "End with a JSON object instead of a table");
  command.add_flag("--quiet,-q", options->quiet, "Only seeds that fail");
  command.footer(
      "Every sink is replaced by one that commits to a simulated disk; what is committed has to be what is committed\n"
      "without faults. Kinds of faults: kill, stop, cut, slow, disk, clock, failover, rescale, savepoint.\n\n"
      "Examples:\n  dfnode simulate job.toml --seeds 1..1000\n"
      "  dfnode simulate job.toml --faults kill,disk --nodes 5\n"
      "  dfnode simulate job.toml --seed 4711 --trace\n\n"
      "Exits with 1 when a seed fails, with 2 when nothing could be run.");
  command.callback([options, seed, &action] {
    options->one_seed = seed->count() > 0;
    action = [options] { return simulate(*options); };
  });
}

}  // namespace dataflow::cli

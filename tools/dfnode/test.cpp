// dfnode test: the tests written in a topology, on virtual time.

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <memory>

#include "actors/cluster/crash_report.hpp"
#include "libdataflow/topology/test_run.hpp"
#include "tools/dfnode/command.hpp"
#include "tools/dfnode/job_file.hpp"

namespace dataflow::cli {

namespace {

struct TestOptions {
  JobArguments job;
  std::string only;
  bool json = false;
  bool quiet = false;
};

struct NamedOutcome {
  const TopologyTest* test;
  TestOutcome outcome;
};

/// The first few rows of a kind: a test that fails has thousands as easily as one.
void print_rows(const std::vector<std::string>& rows, const std::string& before, const std::string& behind) {
  constexpr std::size_t most = 20;
  for (std::size_t i = 0; i < std::min(rows.size(), most); ++i) std::cout << before << rows[i] << behind << "\n";
  if (rows.size() > most) std::cout << before << "and " << rows.size() - most << " more" << behind << "\n";
}

void print_difference(const NodeComparison& comparison) {
  const std::size_t expected = comparison.matched.size() + comparison.missing.size();
  const std::size_t came = comparison.matched.size() + comparison.unexpected.size();
  std::cout << "  " << comparison.node << ": expected " << expected << (expected == 1 ? " row" : " rows") << ", got "
            << came << (comparison.order_differs ? ", in another order" : "") << "\n";
  print_rows(comparison.matched, "      ", "");
  print_rows(comparison.missing, "    - ", "   (expected, did not come)");
  print_rows(comparison.unexpected, "    + ", "   (came, not expected)");
}

void print_text(const std::vector<NamedOutcome>& outcomes, const TestOptions& options) {
  std::size_t failed = 0;
  for (const auto& [test, outcome] : outcomes) {
    if (outcome.passed()) {
      if (!options.quiet) std::cout << "ok    " << test->name << "\n";
      continue;
    }
    ++failed;
    std::cout << "FAIL  " << test->name << "  (" << options.job.file << ":" << test->place.line << ")\n";
    if (outcome.error) std::cout << "  " << outcome.error->message() << "\n";
    for (const NodeComparison& comparison : outcome.comparisons)
      if (!comparison.passed()) print_difference(comparison);
  }
  if (!options.quiet || failed > 0) std::cout << outcomes.size() - failed << " passed, " << failed << " failed\n";
}

void append_rows(std::string_view name, const std::vector<std::string>& rows, std::string& out) {
  out += ",\"" + std::string{name} + "\":[";
  for (std::size_t i = 0; i < rows.size(); ++i) out += (i > 0 ? "," : "") + rows[i];
  out += "]";
}

std::string to_json(const NamedOutcome& named) {
  std::string out = "{\"name\":";
  append_json_string(named.test->name, out);
  out += ",\"line\":" + std::to_string(named.test->place.line);
  out += std::string{",\"passed\":"} + (named.outcome.passed() ? "true" : "false");
  if (named.outcome.error) {
    out += ",\"error\":";
    append_json_string(named.outcome.error->message(), out);
  }
  out += ",\"expect\":[";
  for (std::size_t i = 0; i < named.outcome.comparisons.size(); ++i) {
    const NodeComparison& comparison = named.outcome.comparisons[i];
    out += i > 0 ? ",{\"node\":" : "{\"node\":";
    append_json_string(comparison.node, out);
    out += std::string{",\"order_differs\":"} + (comparison.order_differs ? "true" : "false");
    append_rows("matched", comparison.matched, out);
    append_rows("missing", comparison.missing, out);
    append_rows("unexpected", comparison.unexpected, out);
    out += "}";
  }
  return out + "]}";
}

int test(const TestOptions& options) {
  report_crashes_to_person();  // of functions that the file names
  const auto topology = load_job_or_explain(options.job, options.json, options.quiet);
  if (!topology) return exit_wrong;
  std::vector<NamedOutcome> outcomes;
  bool passed = true;
  for (const TopologyTest& one : topology->tests) {
    if (one.name.find(options.only) == std::string::npos) continue;
    outcomes.push_back({&one, run_topology_test(*topology, one)});
    passed = passed && outcomes.back().outcome.passed();
  }
  if (options.json) {
    std::string out = std::string{"{\"passed\":"} + (passed ? "true" : "false") + ",\"tests\":[";
    for (std::size_t i = 0; i < outcomes.size(); ++i) out += (i > 0 ? "," : "") + to_json(outcomes[i]);
    std::cout << out << "]}\n";
  } else if (outcomes.empty()) {
    std::cerr << options.job.file << (options.only.empty() ? ": no [[tests]]" : ": no test of that name") << "\n";
  } else {
    print_text(outcomes, options);
  }
  if (outcomes.empty() && !options.only.empty()) return exit_wrong;
  return passed ? exit_done : exit_failed;
}

}  // namespace

void add_test(CLI::App& app, Action& action) {
  auto options = std::make_shared<TestOptions>();
  CLI::App& command = *app.add_subcommand("test", "Run the tests written in a topology, on virtual time");
  add_job_arguments(command, options->job);
  command.add_option("--only", options->only, "Only tests whose name contains this")->type_name("TEXT");
  command.add_flag("--json", options->json, "Print a JSON object instead of text");
  command.add_flag("--quiet,-q", options->quiet, "Only tests that fail");
  command.footer(
      "A test in a topology:\n"
      "  [[tests]]\n"
      "  name = \"a hot reading is flagged, a cold one is not\"\n"
      "  given.readings = [ { temperature = 31.0 }, { temperature = 12.0 } ]\n"
      "  expect.hot     = [ { temperature = 31.0 } ]\n\n"
      "`given` takes the place of a node; sources that are not given have no records. `expect` compares only the\n"
      "fields named, in any order unless `ordered = true`. Of many rows of a kind 20 are shown; --json has all.\n\n"
      "Examples:\n  dfnode test job.toml\n  dfnode test job.toml --only hot\n\nExits with 1 when a test fails.");
  command.callback([options, &action] { action = [options] { return test(*options); }; });
}

}  // namespace dataflow::cli

#include "tools/dfnode/job_file.hpp"

#include <algorithm>
#include <iostream>
#include <thread>

namespace dataflow::cli {

LoadedJob load_job(const JobArguments& job) {
  LoadOptions options;
  options.overrides = job.overrides;
  LoadedTopology loaded = load_topology(job.file, options);
  return {std::move(loaded.topology), std::move(loaded.diagnostics)};
}

std::optional<Topology> load_job_or_explain(const JobArguments& job, bool json, bool quiet) {
  LoadedJob loaded = load_job(job);
  if (quiet) {
    std::erase_if(loaded.diagnostics, [](const Diagnostic& d) { return d.severity == Severity::warning; });
  }
  if (json && !loaded.diagnostics.empty()) {
    std::cerr << "{\"diagnostics\":" << to_json(loaded.diagnostics) << "}\n";
  } else if (!json) {
    for (const Diagnostic& diagnostic : loaded.diagnostics) std::cerr << render(diagnostic) << "\n";
  }
  return std::move(loaded.topology);
}

std::uint32_t default_parallelism() {
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace dataflow::cli

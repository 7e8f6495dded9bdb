#pragma once
// A job from its FILE: a topology, or a shared library of C++ code.

#include <optional>
#include <string>
#include <vector>

#include "libdataflow/topology/topology.hpp"
#include "tools/dfnode/command.hpp"

namespace dataflow::cli {

struct LoadedJob {
  std::optional<Topology> topology;     ///< nothing when there is an error
  std::vector<Diagnostic> diagnostics;  ///< errors and warnings
};

/// Builds the job; opens no source and no sink. The options' overrides are those of `job`.
LoadedJob load_job(const JobArguments& job, LoadOptions options = {});

/// `{"ok":...,"diagnostics":[...]}`: what every command that takes a job prints of its mistakes as JSON. `ok` when the
/// job can be built; there are warnings then, at most.
std::string diagnostics_as_json(bool ok, const std::vector<Diagnostic>& diagnostics);

/// A mistake of the job as a whole, on standard error: as text, or as JSON.
void explain_mistake(const std::string& file, const std::string& message, bool json);

/// load_job, with its diagnostics on standard error: as text, or with `json` as one line; with `quiet` without
/// warnings. Nothing when there was an error: the command ends with exit_wrong.
std::optional<Topology> load_job_or_explain(const JobArguments& job, bool json, bool quiet, LoadOptions options = {});

/// How many subtasks a node has when nobody says: the number of cores.
std::uint32_t default_parallelism();

}  // namespace dataflow::cli

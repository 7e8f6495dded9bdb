#pragma once
// The top level of a topology file: what is said of the job as a whole.

#include <filesystem>
#include <string>
#include <vector>

#include "libdataflow/graph/stream_graph.hpp"
#include "libdataflow/topology/document.hpp"
#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

/// The keys and tables of the top level, without the sections of nodes and tests.
const std::vector<Option>& job_options();

struct JobHeader {
  std::string name;
  JobSettings settings;
};

/// Reads the top level of `root`. `default_name` is the job's when the file gives none. Mistakes, and settings that
/// have no effect yet, are appended to `diagnostics`.
JobHeader read_job_settings(const TomlValue& root, const std::string& default_name,
                            const std::filesystem::path& base_folder, std::vector<Diagnostic>& diagnostics);

}  // namespace dataflow

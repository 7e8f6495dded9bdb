#include "actors/state_home.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace dataflow {

namespace {

bool keeps_state(const StreamGraph& job) {
  return std::any_of(job.nodes.begin(), job.nodes.end(), [](const StreamNode& node) { return node.stateful; });
}

}  // namespace

Result<StateBackendPtr> open_state_backend(const StreamGraph& job) {
  const JobSettings& settings = job.settings;
  const bool on_heap = settings.state.backend == StateBackendKind::heap;
  if (on_heap && (settings.mode != ExecutionMode::batch || !keeps_state(job))) return StateBackendPtr{};
  const char* named = std::getenv(state_folder_variable);
  // Not /tmp, which is in memory on many machines.
  const std::filesystem::path parent =
      named != nullptr && *named != 0 ? std::string{named} : "/var/tmp/dataflow-" + std::to_string(::getuid());
  auto folder = claim_state_folder(parent);
  if (!folder) return fail(folder.error());
  const auto make = on_heap ? make_spill_backend : make_rocksdb_backend;
  return make(*folder, settings.state_memory_bytes());
}

}  // namespace dataflow

#include "actors/state_home.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace dataflow {

Result<StateBackendPtr> open_state_backend(const JobSettings& settings) {
  if (settings.state.backend == StateBackendKind::heap) return StateBackendPtr{};
  const char* named = std::getenv(state_folder_variable);
  // Not /tmp, which is in memory on many machines.
  const std::filesystem::path parent =
      named != nullptr && *named != 0 ? std::string{named} : "/var/tmp/dataflow-" + std::to_string(::getuid());
  auto folder = claim_state_folder(parent);
  if (!folder) return fail(folder.error());
  return make_rocksdb_backend(*folder, settings.state_memory_bytes());
}

}  // namespace dataflow

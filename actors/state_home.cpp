#include "actors/state_home.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace dataflow {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view copies_prefix = "copies-";
/// A job whose JobManager is lost is begun again by the next one.
constexpr auto copies_wait = std::chrono::minutes{10};

fs::path copies_folder(const fs::path& states, const std::string& job_id) {
  return states / (std::string{copies_prefix} + job_id);
}

bool keeps_state(const StreamGraph& job) {
  return std::any_of(job.nodes.begin(), job.nodes.end(), [](const StreamNode& node) { return node.stateful; });
}

}  // namespace

Result<StateBackendPtr> open_state_backend(const StreamGraph& job, const std::string& job_id) {
  const JobSettings& settings = job.settings;
  const bool on_heap = settings.state.backend == StateBackendKind::heap;
  if (on_heap && (settings.mode != ExecutionMode::batch || !keeps_state(job))) return StateBackendPtr{};
  const char* named = std::getenv(state_folder_variable);
  // Not /tmp, which is in memory on many machines.
  const fs::path parent =
      named != nullptr && *named != 0 ? std::string{named} : "/var/tmp/dataflow-" + std::to_string(::getuid());
  auto folder = claim_state_folder(parent);
  if (!folder) return fail(folder.error());
  if (on_heap) return make_spill_backend(*folder, settings.state_memory_bytes());
  auto backend = make_rocksdb_backend(*folder, settings.state_memory_bytes());
  if (backend) (*backend)->keep_copies_in(job_id.empty() ? *folder / "copies" : copies_folder(parent, job_id));
  return backend;
}

void remove_local_copies(const fs::path& states, const std::string& job_id) {
  std::error_code ignored;
  fs::remove_all(copies_folder(states, job_id), ignored);
}

void remove_old_local_copies(const fs::path& states, const std::set<std::string>& live) {
  const auto oldest = fs::file_time_type::clock::now() - copies_wait;
  std::vector<std::string> old;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{states, ignored}) {
    const std::string name = entry.path().filename().native();
    if (!name.starts_with(copies_prefix) || live.contains(name.substr(copies_prefix.size()))) continue;
    if (const auto changed = entry.last_write_time(ignored); !ignored && changed < oldest) old.push_back(name);
  }
  for (const std::string& name : old) remove_local_copies(states, name.substr(copies_prefix.size()));
}

}  // namespace dataflow

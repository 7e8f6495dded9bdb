#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "actors/cluster/job_logs.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

namespace fs = std::filesystem;

fs::path log(const TemporaryFolder& folder, const std::string& job, const std::string& name, std::size_t age) {
  fs::path file = job_log_file(folder.path(), job, name);
  std::ofstream{file} << "a line\n";
  fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours{age});
  return file;
}

}  // namespace

TEST_CASE("of many logs the oldest go, but not the one that a quiet process of a live job writes to") {
  const TemporaryFolder folder;
  const auto earlier = log(folder, "live", "1", 2002);
  const auto present = log(folder, "live", "2", 2001);
  const auto other = log(folder, "lively", "1", 2000);
  for (std::size_t i = 0; i < max_job_logs; ++i) log(folder, "ended-" + std::to_string(i), "1", i);
  const auto oldest_kept = job_log_file(folder.path(), "ended-" + std::to_string(max_job_logs - 1), "1");
  prune_job_logs(folder.path(), {"live", "unknown"});
  CHECK(fs::exists(present));
  CHECK_FALSE(fs::exists(earlier));
  CHECK_FALSE(fs::exists(other));
  CHECK(fs::exists(oldest_kept));
  CHECK(read_job_logs(folder.path(), "live") == "a line\n");
}

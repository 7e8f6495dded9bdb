#pragma once
// What a JobManager must not forget of a job, and its form in a file:
//
//   dataflow-job VERSION XXH3-64-IN-HEX LENGTH\n
//   { JSON of LENGTH bytes }
//
// The header is checked before the body is looked at, so that a torn file, a flipped bit or a file of a newer version
// is told from a wrong one. Readers ignore members that they do not know; what older readers would misunderstand raises
// the version.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/master/execution.hpp"
#include "libdataflow/master/failure_history.hpp"

namespace dataflow {

struct StoredJob {
  std::string id;  ///< `[A-Za-z0-9_-]+`
  std::string name;
  std::string artifact;  ///< its SHA-256 in hex
  std::vector<std::string> arguments;
  std::map<std::string, std::string> settings;  ///< as given at submit: "operators.hot.where" = "temperature > 30"
  JobState state = JobState::created;
  Timestamp submitted_at;
  std::optional<Timestamp> ended_at;
  std::string reason;  ///< of a job that failed
  std::uint32_t restarts = 0;
  std::vector<FailureRecord> failures;
};

inline constexpr std::uint32_t stored_job_version = 1;

std::string encode_stored_job(const StoredJob& record);
/// `file` is named in errors. Errors: malformed_data; unsupported for a newer version.
Result<StoredJob> decode_stored_job(std::string_view bytes, const std::string& file);

}  // namespace dataflow

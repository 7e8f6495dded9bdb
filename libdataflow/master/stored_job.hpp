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
#include "serialization/result.hpp"

namespace dataflow {

/// A job's master process ended before its job did. Only the JobManager, which outlives it, can tell.
struct MasterLoss {
  Timestamp at;
  std::uint32_t start = 0;  ///< which of the masters that this JobManager started for the job, counted from 0
  std::string reason;       ///< with the backtrace of a crash
};
/// The `start` of what only the JobManager can tell though no master ended: a worker that was stuck after the end of
/// its job.
inline constexpr std::uint32_t no_master = ~std::uint32_t{0};

struct StoredJob {
  std::string id;  ///< `[A-Za-z0-9_-]+`
  std::string name;
  // What it is made of, as it was submitted.
  std::string artifact;                            ///< its SHA-256 in hex
  std::string file_name;                           ///< "job.toml" or "fraud.so": says what the artifact is
  std::string base_folder;                         ///< where its relative paths start
  std::map<std::string, std::string> libraries;    ///< artifacts of its functions' libraries, by path
  std::vector<std::string> overrides;              ///< "operators.hot.where=\"temperature > 30\""
  std::map<std::string, std::string> environment;  ///< what ${NAME} stands for
  std::vector<std::string> arguments;
  std::uint32_t parallelism = 0;  ///< of nodes that say none
  bool followed = false;          ///< a client waits for the print sinks' output
  std::string from;               ///< the savepoint that it started from; empty: none
  bool drop_unclaimed = false;    ///< state in it that no operator claims is left out
  // What has become of it.
  JobState state = JobState::created;
  /// Its output, which no checkpoint lists, is being made visible: the job must not begin again.
  bool committing = false;
  Timestamp submitted_at;
  std::optional<Timestamp> ended_at;
  std::uint32_t slots = 0;         ///< how many it needs; 0 until its graph was built
  std::optional<Error> error;      ///< of a job that failed
  std::vector<MasterLoss> losses;  ///< the newest
  std::string shown;               ///< what `show` says, once it has ended
};

inline constexpr std::uint32_t stored_job_version = 1;

std::string encode_stored_job(const StoredJob& record);
/// `file` is named in errors. Errors: malformed_data; unsupported for a newer version.
Result<StoredJob> decode_stored_job(std::string_view bytes, const std::string& file);

}  // namespace dataflow

#pragma once
// What the JobManager keeps of each job, in memory and in a file of its own in the storage folder, so that one started
// later on the same storage knows them all. Each start of a JobManager on a storage is an epoch of its own, greater
// than those before.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "actors/wire/cluster_messages.hpp"
#include "libdataflow/master/execution_graph.hpp"
#include "serialization/result.hpp"
#include "serialization/time.hpp"

namespace dataflow {

struct JobRecord {
  msg::JobSpec spec;
  std::string name;
  JobState state = JobState::created;
  Timestamp submitted;
  std::optional<Timestamp> ended;
  std::uint32_t slots = 0;  ///< 0 until its graph was built
  msg::Failure failure;     ///< why it failed
  std::string json;         ///< what `show` says, once it has ended
};

class JobRecords {
 public:
  /// Reads all jobs, and begins a new epoch. Errors: io; malformed_data with the file; invalid_argument when the
  /// storage belongs to another cluster.
  static Result<JobRecords> open(const std::filesystem::path& folder, const std::string& cluster);

  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  [[nodiscard]] const std::map<std::string, JobRecord>& all() const { return jobs_; }
  [[nodiscard]] JobRecord* find(const std::string& id);
  [[nodiscard]] const JobRecord* find(const std::string& id) const;
  /// Adds it and writes it down. Errors: io.
  Status add(JobRecord record);
  /// Writes down what has been changed in it. Errors: io.
  Status save(const std::string& id) const;

 private:
  std::filesystem::path folder_;
  std::uint64_t epoch_ = 0;
  std::map<std::string, JobRecord> jobs_;
};

}  // namespace dataflow

#pragma once
// The log files of a job's processes. A child's standard output and error go to a file from its start; once it is a
// job's, the file's name begins with the job's id, so that the job's lines are found without a search.

#include <filesystem>
#include <set>
#include <string>

namespace dataflow {

/// `folder`/JOB-NAME.log
std::filesystem::path job_log_file(const std::filesystem::path& folder, const std::string& job_id,
                                   const std::string& name);

/// The newest lines of all log files of the job in `folder`, at most some hundred kilobytes of each.
std::string read_job_logs(const std::filesystem::path& folder, const std::string& job_id);

/// The same lines ordered by the time that they begin with; those without one stay behind the line before them.
std::string sort_log_lines(const std::string& lines);

/// How many logs a folder keeps, besides those of jobs that live.
inline constexpr std::size_t max_job_logs = 200;

/// Removes the logs that were written to the longest time ago, when there are many. The newest of each of `live_jobs`
/// stays, since a process writes to it that may be quiet for long and crash then.
void prune_job_logs(const std::filesystem::path& folder, const std::set<std::string>& live_jobs);

}  // namespace dataflow

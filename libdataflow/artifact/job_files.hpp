#pragma once
// The files that a job names while it is built: shared libraries of functions, and the topologies that a C++ job
// embeds. They travel with the job, so that a process that builds it elsewhere has them though their paths mean nothing
// there. So do the values of the environment variables that these topologies name: they are those of who submits.
//
// What a process has loaded belongs to the process, and so does this. A job names a file by an absolute path, or by one
// that starts in the folder of who runs or submits it.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "serialization/result.hpp"

namespace dataflow {

struct JobFiles {
  std::string folder;                         ///< where relative paths start; empty: this process's current folder
  std::map<std::string, std::string> places;  ///< where files are that came with the job, by absolute path
  /// The variables that came with the job, which has no others; nothing: it has this process's environment.
  std::optional<std::map<std::string, std::string>> environment;
};

/// For a process that has been sent a job; call it before the job is built.
void set_job_files(JobFiles files);

/// The path as it is known to all processes that build the job.
std::string absolute_job_file(const std::string& path);
/// Where the file is in this process: `path`, an absolute one, unless it came with the job.
std::string place_of_job_file(const std::string& path);

/// To be called for each that was used.
void note_job_file(const std::string& path);
/// Those that were used so far, by absolute path.
std::set<std::string> named_job_files();

/// What `${NAME}` stands for in a topology that a C++ job embeds; nothing: it is not set.
std::optional<std::string> job_variable(const std::string& name);

/// What a job needs of the place where it is submitted.
struct JobNeeds {
  std::set<std::string> files;                     ///< by absolute path
  std::map<std::string, std::string> environment;  ///< those variables that are set
};

/// What the C++ job in `library` names. Its function runs in a child process, since it may do anything. Of a job that
/// has mistakes it is what was named before; of one that crashes there or does not end within half a minute, nothing:
/// who builds the job in earnest tells its mistakes.
JobNeeds needs_of_job(const std::string& library, const std::vector<std::string>& arguments);

}  // namespace dataflow

#pragma once
// Shared libraries of C++ code: jobs (DATAFLOW_JOB) and process functions for topologies (DATAFLOW_FUNCTION).
//
// A library is compiled against the engine's headers and finds the engine in the program that loads it, so both must
// come from the same version, compiler and standard library: its stamp is read before anything else of it is used,
// and another stamp is refused. A library is never unloaded, since its code may be running and its statics are shared.

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/graph/stream_graph.hpp"
#include "serialization/result.hpp"

namespace dataflow {

struct FunctionDescriptor;

/// The stamp that libraries must have: version, compiler and standard library.
std::string_view abi_stamp();

/// Loads the library at `path` and lets its job declare its graph.
/// Errors: not_found, invalid_argument (not a shared library; one that throws or crashes while it is loaded;
/// no job in it; another stamp, with both shown; mistakes in
/// the job, each with its line); user_code when the job's function throws.
Result<StreamGraph> load_job_library(const std::string& path, std::vector<std::string> arguments);

/// Where shared libraries of functions are that came to this process with its job: by the path that the job names. One
/// that is not here is where its path says. What is loaded belongs to the process, and so does this; call it before the
/// job is built.
void set_library_places(std::map<std::string, std::string> places);

/// The libraries of functions that this process has loaded, as their jobs named them: they have to travel with the job.
std::set<std::string> loaded_function_libraries();

/// The functions of a library that was loaded, in the order of their declaration.
class FunctionLibrary {
 public:
  /// Loads the library at `path`. Errors: as above.
  static Result<FunctionLibrary> load(const std::string& path);
  /// Errors: not_found names the functions there are.
  [[nodiscard]] Result<const FunctionDescriptor*> find(std::string_view name) const;

 private:
  FunctionLibrary(std::string path, const FunctionDescriptor* first) : path_{std::move(path)}, first_{first} {}

  std::string path_;
  const FunctionDescriptor* first_;
};

}  // namespace dataflow

#pragma once
// Shared libraries of C++ code: jobs (DATAFLOW_JOB) and process functions for topologies (DATAFLOW_FUNCTION).
//
// A library is compiled against the engine's headers and finds the engine in the program that loads it, so both must
// come from the same version, compiler and standard library: its stamp is read before anything else of it is used,
// and another stamp is refused. A library is never unloaded, since its code may be running and its statics are shared.

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

/// The functions of a library that was loaded, in the order of their declaration.
class FunctionLibrary {
 public:
  /// Loads the library at `path`, or the one that came with the job for it (job_files.hpp). Errors: as above.
  static Result<FunctionLibrary> load(const std::string& path);
  /// Errors: not_found names the functions there are.
  [[nodiscard]] Result<const FunctionDescriptor*> find(std::string_view name) const;

 private:
  FunctionLibrary(std::string path, const FunctionDescriptor* first) : path_{std::move(path)}, first_{first} {}

  std::string path_;
  const FunctionDescriptor* first_;
};

}  // namespace dataflow

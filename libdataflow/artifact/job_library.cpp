#include "libdataflow/artifact/job_library.hpp"

#include <dlfcn.h>

#include <filesystem>

#include "dataflow/job.hpp"
#include "libdataflow/artifact/crash_notice.hpp"
#include "libdataflow/artifact/elf_file.hpp"
#include "libdataflow/artifact/job_files.hpp"
#include "libdataflow/artifact/load_probe.hpp"

namespace dataflow {

namespace {

Result<void*> open_library(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return fail(ErrorCode::not_found, path + ": no such file");
  if (auto status = check_shared_library(path); !status) return fail(status.error());
  // A name without a slash would be looked for along the system's search path.
  const std::string absolute = std::filesystem::absolute(path, error).string();
  // One that is loaded already has shown that it can be.
  void* const loaded = dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
  if (loaded != nullptr) return loaded;
  if (auto status = probe_library(absolute); !status) {
    return fail(status.error().code(), path + " " + status.error().message());
  }
  void* const library = dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const reason = dlerror();
    return fail(ErrorCode::invalid_argument,
                path + " cannot be loaded: " + (reason != nullptr ? reason : "unknown reason") +
                    ". It was perhaps built against another version of dataflow than this one (" +
                    std::string{abi_stamp()} + "): build it again with dataflow_add_job or dataflow_add_library");
  }
  return library;
}

Status check_stamp(const std::string& path, std::string_view stamp) {
  if (stamp == abi_stamp()) return {};
  return fail(ErrorCode::invalid_argument, path + " was built for another engine:\n  the library: " +
                                               std::string{stamp} + "\n  this program: " + std::string{abi_stamp()} +
                                               "\nBuild it again with the installed headers and this compiler");
}

}  // namespace

std::string_view abi_stamp() {
  return DATAFLOW_ABI_STAMP;
}

Result<StreamGraph> load_job_library(const std::string& path, std::vector<std::string> arguments) {
  auto library = open_library(path);
  if (!library) return fail(library.error());
  const auto* const job = static_cast<const JobDescriptor*>(dlsym(*library, "dataflow_job_v1"));
  if (job == nullptr) {
    return fail(ErrorCode::invalid_argument,
                path + " has no job: a job's source ends with DATAFLOW_JOB(\"name\", function)");
  }
  if (auto status = check_stamp(path, job->abi_stamp); !status) return fail(status.error());
  const CrashNotice notice{path + " crashed while its job was being declared"};
  return build_job(job->name, job->function, std::move(arguments));
}

Result<FunctionLibrary> FunctionLibrary::load(const std::string& path) {
  auto library = open_library(place_of_job_file(path));
  if (!library) return fail(library.error());
  using List = void (*)(FunctionList*);
  const auto list = reinterpret_cast<List>(dlsym(*library, "dataflow_functions_v1"));
  FunctionList functions{"none", nullptr};
  if (list != nullptr) list(&functions);
  if (list == nullptr || (functions.abi_stamp == abi_stamp() && functions.first == nullptr)) {
    return fail(ErrorCode::invalid_argument,
                path + " has no functions: they are declared with DATAFLOW_FUNCTION(\"name\", Class)");
  }
  if (auto status = check_stamp(path, functions.abi_stamp); !status) return fail(status.error());
  note_job_file(path);
  return FunctionLibrary{path, functions.first};
}

Result<const FunctionDescriptor*> FunctionLibrary::find(std::string_view name) const {
  std::string known;
  for (const FunctionDescriptor* function = first_; function != nullptr; function = function->next) {
    if (function->name == name) return function;
    (known += known.empty() ? "" : ", ") += "\"" + std::string{function->name} + "\"";
  }
  return fail(ErrorCode::not_found, path_ + " has no function \"" + std::string{name} + "\", but " + known);
}

}  // namespace dataflow

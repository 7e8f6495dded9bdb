// Environment::execute and run_program: the lower layers declare them, and here is what they need.

#include "dataflow/program.hpp"
#include "libdataflow/artifact/crash_notice.hpp"
#include "tools/dfnode/job_program.hpp"

namespace dataflow {

Environment::Environment(int argc, const char* const* argv)
    : arguments_{cli::arguments_of_job(argc, argv)}, given_(argv + 1, argv + argc) {}

int Environment::execute(std::string_view job_name) const {
  const std::string name{job_name};
  std::vector<const char*> argv{name.c_str()};
  for (const std::string& argument : given_.empty() ? arguments_.all() : given_) argv.push_back(argument.c_str());
  return cli::run_job_program(static_cast<int>(argv.size()), argv.data(), name,
                              [&](const std::vector<std::string>&) { return build(name); });
}

int run_program(int argc, const char* const* argv, const JobDescriptor& job) {
  return cli::run_job_program(argc, argv, job.name, [&](std::vector<std::string> arguments) {
    const CrashNotice notice{std::string{job.name} + " crashed while its job was being declared"};
    return build_job(job.name, job.function, std::move(arguments));
  });
}

}  // namespace dataflow

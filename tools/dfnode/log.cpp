#include "tools/dfnode/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace dataflow::cli {

namespace {

/// Made on first use: most commands log nothing.
spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = std::make_shared<spdlog::logger>("dfnode", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

}  // namespace

void log_info(const std::string& line) {
  logger().log(spdlog::level::info, "{}", line);
}

void log_warning(const std::string& line) {
  logger().log(spdlog::level::warn, "{}", line);
}

}  // namespace dataflow::cli

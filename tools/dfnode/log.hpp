#pragma once
// Lines for a person or a log file, on standard error, with their time.

#include <string>

namespace dataflow::cli {

void log_info(const std::string& line);
void log_warning(const std::string& line);

}  // namespace dataflow::cli

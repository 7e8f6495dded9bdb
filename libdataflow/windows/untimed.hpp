#pragma once
// Windows that no watermark ends: count windows end with their last record, a global one with all records. What is
// left unfinished gives its result when the input has ended.

#include <memory>

#include "libdataflow/windows/window_operator.hpp"

namespace dataflow::windows {

std::unique_ptr<Operator> make_count_windows(const WindowSpec& spec, const SchemaPtr& input);
std::unique_ptr<Operator> make_global_windows(const WindowSpec& spec, const SchemaPtr& input);

}  // namespace dataflow::windows

#pragma once

#include <string_view>

namespace dataflow::cli {

/// The engine's version, "0.1.0".
std::string_view version();

}  // namespace dataflow::cli

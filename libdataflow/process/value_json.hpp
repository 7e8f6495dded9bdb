#pragma once
// A value of a process function's state in a savepoint, read without the program that has its type.

#include <optional>
#include <string>
#include <string_view>

namespace dataflow {

/// `type`: what StateType said of it; `bytes`: what its Codec wrote. Texts of maps are members' names. Nothing when the
/// bytes are no such value.
std::optional<std::string> value_to_json(std::string_view type, std::string_view bytes);

}  // namespace dataflow

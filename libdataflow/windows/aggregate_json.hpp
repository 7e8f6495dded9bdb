#pragma once
// The state of an aggregate in a savepoint, shown as what it would give now.

#include <optional>
#include <string>
#include <string_view>

namespace dataflow::windows {

/// `column`: the name of the state's column in the table "groups", which has the call as it was written; `saved`: what
/// is in it. Nothing when it is no such column, or of another version.
std::optional<std::string> saved_aggregate_to_json(std::string_view column, std::string_view saved);

}  // namespace dataflow::windows

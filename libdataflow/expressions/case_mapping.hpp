#pragma once
// Upper and lower case of UTF-8 text, character by character (Unicode's simple mappings, no locale of the user's).

#include <string>
#include <string_view>

namespace dataflow::expr {

/// Appends `text` in lower case to `out`; invalid bytes stay.
void append_lower(std::string_view text, std::string& out);
void append_upper(std::string_view text, std::string& out);

}  // namespace dataflow::expr

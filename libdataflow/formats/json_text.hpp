#pragma once
// The pieces of JSON text that need more than a look: escaped strings, the grammar of numbers, base64.

#include <string>
#include <string_view>

namespace dataflow::text {

/// Replaces the escapes of a JSON string (given without its quotes) and appends the result to `out`. False for an
/// unknown escape or half a surrogate pair.
bool unescape_json(std::string_view raw, std::string& out);

/// Whether `token` is a number by RFC 8259, section 6.
bool is_json_number(std::string_view token);

/// Appends what base64 text (RFC 4648, padding optional) stands for. False when it is none.
bool decode_base64(std::string_view text, std::string& out);

}  // namespace dataflow::text

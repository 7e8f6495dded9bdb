#pragma once
// One value of any type, for the slow paths: literals, test rows, JSON output, keys in errors.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "serialization/data_type.hpp"

namespace dataflow {

/// monostate is NULL; int64 holds int32, int64, decimal (unscaled) and timestamp (microseconds).
using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

inline bool is_null(const Value& v) {
  return std::holds_alternative<std::monostate>(v);
}

/// As JSON: NULL `null`, timestamps as quoted ISO 8601, decimals as plain numbers, bytes as quoted base64,
/// strings escaped (invalid UTF-8 becomes U+FFFD), NaN and infinities `null`, whole doubles with `.0`.
void append_json(const DataType& type, const Value& value, std::string& out);
std::string to_json(const DataType& type, const Value& value);
/// The pieces of append_json that hot loops call without a Value between. A string comes with its quotes, base64
/// (RFC 4648, padded) without.
void append_json_string(std::string_view text, std::string& out);
void append_json_double(double value, std::string& out);
void append_decimal(std::int64_t unscaled, std::uint8_t scale, std::string& out);
void append_base64(std::string_view bytes, std::string& out);

}  // namespace dataflow

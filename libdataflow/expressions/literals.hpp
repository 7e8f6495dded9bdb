#pragma once
// Reading literals: numbers with a point, and intervals.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

#include "libdataflow/expressions/type.hpp"
#include "serialization/value.hpp"

namespace dataflow::expr {

/// Wide enough for every product and rescaling of two 64-bit decimals.
__extension__ typedef __int128 int128;

/// `1.50` is the decimal(3,2) 150; with an exponent or more than 18 digits a float64. Nothing when it is beyond
/// float64.
std::optional<std::pair<Type, Value>> parse_number_literal(std::string_view digits);

/// MICROSECOND to WEEK, also in the plural; MONTH, QUARTER and YEAR too, which parse_interval refuses.
bool is_interval_unit(std::string_view word);

/// The microseconds of `INTERVAL 'text' UNIT`, or of `INTERVAL '5 minutes'` when `unit` is empty.
/// Errors: a message for the person.
tl::expected<std::int64_t, std::string> parse_interval(std::string_view text, std::string_view unit);

/// Unscaled value of decimal text (`-12.345`, spaces around it allowed, no exponent) at `scale`, surplus digits
/// rounded half away from zero. Nothing when it is no such text or needs more than 18 digits.
std::optional<std::int64_t> parse_decimal(std::string_view text, std::uint8_t scale);

/// Any number as a double, spaces around it allowed; nothing when it is none or too large.
std::optional<double> parse_double(std::string_view text);

/// Without white space at both ends.
std::string_view trimmed(std::string_view text);

/// 10^exponent, exponent at most 18.
std::int64_t power_of_ten(unsigned exponent);

}  // namespace dataflow::expr

#pragma once
// A fixed-width cell as 64 bits that are equal exactly when the values are, for sets and hashes of values.

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "serialization/column.hpp"

namespace dataflow::windows {

inline std::uint64_t cell_bits(std::uint8_t v) {
  return v;
}
inline std::uint64_t cell_bits(std::int32_t v) {
  return static_cast<std::uint64_t>(std::int64_t{v});
}
inline std::uint64_t cell_bits(std::int64_t v) {
  return static_cast<std::uint64_t>(v);
}
/// -0.0 is 0.0, and all NaNs are one value.
inline std::uint64_t cell_bits(double v) {
  if (v == 0) return 0;
  if (std::isnan(v)) return std::bit_cast<std::uint64_t>(std::numeric_limits<double>::quiet_NaN());
  return std::bit_cast<std::uint64_t>(v);
}

/// Calls `visit(values)` with the typed values of a fixed-width column.
template <class Visit>
void visit_fixed_width(const Column& column, Visit&& visit) {
  switch (column.type.kind()) {
    case TypeKind::boolean: visit(column.as<std::uint8_t>().data()); break;
    case TypeKind::int32: visit(column.as<std::int32_t>().data()); break;
    case TypeKind::float64: visit(column.as<double>().data()); break;
    default: visit(column.as<std::int64_t>().data()); break;
  }
}

}  // namespace dataflow::windows

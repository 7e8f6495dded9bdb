#pragma once
// Values as bytes whose order is the values' order, so that rows are compared by memcmp whatever their types are
// (normalised keys: Graefe, "Implementing sorting in database systems", ACM Computing Surveys 38(3), 2006).

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/batch.hpp"

namespace dataflow {

struct SortField {
  std::size_t field = 0;
  bool descending = false;
};

/// Appends the row's key. NULL is less than every value; NaN is greater than every number and equal to itself; -0.0 is
/// 0.0. Two keys of the same fields are equal only if all values are, so that it is also a key to group by.
void append_sort_key(const Batch& batch, std::uint32_t row, const std::vector<SortField>& fields, std::string& out);

/// Of a row's fields, which are of these types, as RowBytes writes them.
void append_sort_key(std::string_view row, const std::vector<DataType>& types, const std::vector<SortField>& fields,
                     std::string& out);

/// Eight bytes, in the order of the number.
void append_sort_number(std::uint64_t number, std::string& out);
std::uint64_t last_sort_number(std::string_view key);
/// What is in front of that number.
[[nodiscard]] inline std::string_view without_number(std::string_view key) {
  return key.substr(0, key.size() - 8);
}

}  // namespace dataflow

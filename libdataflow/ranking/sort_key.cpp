#include "libdataflow/ranking/sort_key.hpp"

#include <bit>
#include <cmath>

#include "libdataflow/state/store_key.hpp"

namespace dataflow {

namespace {

constexpr std::uint64_t sign_bit = 0x8000000000000000ULL;

std::uint64_t ordered(std::int64_t v) {
  return static_cast<std::uint64_t>(v) ^ sign_bit;
}

std::uint64_t ordered(double v) {
  if (std::isnan(v)) return ~std::uint64_t{0};
  const auto bits = std::bit_cast<std::uint64_t>(v == 0 ? 0.0 : v);
  return (bits & sign_bit) != 0 ? ~bits : bits | sign_bit;
}

void append_value(const Column& column, std::uint32_t row, std::string& out) {
  switch (column.type.kind()) {
    case TypeKind::boolean: out.push_back(static_cast<char>(column.as<std::uint8_t>()[row])); break;
    case TypeKind::int32: append_sort_number(ordered(std::int64_t{column.as<std::int32_t>()[row]}), out); break;
    case TypeKind::float64: append_sort_number(ordered(column.as<double>()[row]), out); break;
    case TypeKind::string:
    case TypeKind::bytes: put_ordered_text(out, column.text(row)); break;
    default: append_sort_number(ordered(column.as<std::int64_t>()[row]), out); break;
  }
}

}  // namespace

void append_sort_number(std::uint64_t number, std::string& out) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> static_cast<unsigned>(shift)));
}

std::uint64_t last_sort_number(const std::string& key) {
  std::uint64_t number = 0;
  for (std::size_t i = key.size() - 8; i < key.size(); ++i) {
    number = (number << 8U) | static_cast<unsigned char>(key[i]);
  }
  return number;
}

void append_sort_key(const Batch& batch, std::uint32_t row, const std::vector<SortField>& fields, std::string& out) {
  for (const SortField& field : fields) {
    const std::size_t start = out.size();
    const Column& column = batch.column(field.field);
    const bool null = column.is_null(row);
    out.push_back(null ? '\0' : '\1');
    if (!null) append_value(column, row, out);
    if (!field.descending) continue;
    for (std::size_t i = start; i < out.size(); ++i) out[i] = static_cast<char>(~out[i]);
  }
}

}  // namespace dataflow

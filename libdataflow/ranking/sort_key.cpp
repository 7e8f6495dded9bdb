#include "libdataflow/ranking/sort_key.hpp"

#include <absl/container/inlined_vector.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

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

template <class T>
T fixed_at(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// Of a value of fixed width that is not NULL.
void append_fixed(const DataType& type, const char* bytes, std::string& out) {
  switch (type.kind()) {
    case TypeKind::boolean: out.push_back(*bytes); break;
    case TypeKind::int32: append_sort_number(ordered(std::int64_t{fixed_at<std::int32_t>(bytes)}), out); break;
    case TypeKind::float64: append_sort_number(ordered(fixed_at<double>(bytes)), out); break;
    default: append_sort_number(ordered(fixed_at<std::int64_t>(bytes)), out); break;
  }
}

/// What has been appended since `start` in the other order.
void turn(std::size_t start, std::string& out) {
  for (std::size_t i = start; i < out.size(); ++i) out[i] = static_cast<char>(~out[i]);
}

}  // namespace

void append_sort_number(std::uint64_t number, std::string& out) {
  std::array<char, sizeof number> bytes;  // appended at once: a running top has one for each record
  for (unsigned i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(number >> (56U - 8U * i));
  out.append(bytes.data(), bytes.size());
}

std::uint64_t last_sort_number(std::string_view key) {
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
    if (!null && column.type.is_variable_width()) {
      put_ordered_text(out, column.text(row));
    } else if (!null) {
      const auto* bytes = reinterpret_cast<const char*>(column.values.data()) + row * column.type.width();
      append_fixed(column.type, bytes, out);
    }
    if (field.descending) turn(start, out);
  }
}

void append_sort_key(std::string_view row, const std::vector<DataType>& types, const std::vector<SortField>& fields,
                     std::string& out) {
  absl::InlinedVector<const char*, 16> values;  // of each field, behind the byte that says that there is one
  const char* at = row.data();
  for (const DataType& type : types) {
    const bool null = *at++ == 0;
    values.push_back(null ? nullptr : at);
    if (null) continue;
    at += type.is_variable_width() ? sizeof(std::uint32_t) + fixed_at<std::uint32_t>(at) : type.width();
  }
  for (const SortField& field : fields) {
    const std::size_t start = out.size();
    const char* const value = values[field.field];
    out.push_back(value == nullptr ? '\0' : '\1');
    if (value != nullptr && types[field.field].is_variable_width()) {
      const auto length = fixed_at<std::uint32_t>(value);
      put_ordered_text(out, {value + sizeof length, length});
    } else if (value != nullptr) {
      append_fixed(types[field.field], value, out);
    }
    if (field.descending) turn(start, out);
  }
}

}  // namespace dataflow

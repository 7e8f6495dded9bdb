#include "libdataflow/ranking/row_bytes.hpp"

#include <cassert>
#include <cstring>
#include <numeric>

namespace dataflow {

namespace {

/// In front of each value.
enum class Presence : char { null = 0, value = 1 };

std::vector<std::size_t> all_of(const Schema& schema) {
  std::vector<std::size_t> fields(schema.size());
  std::iota(fields.begin(), fields.end(), std::size_t{0});
  return fields;
}

template <class T>
char* put(const Column& column, std::uint32_t row, char* to) {
  std::memcpy(to, column.values.as<T>() + row, sizeof(T));
  return to + sizeof(T);
}

}  // namespace

RowBytes::RowBytes(const Schema& schema) : RowBytes{schema, all_of(schema)} {}

RowBytes::RowBytes(const Schema& schema, std::vector<std::size_t> fields) : fields_{std::move(fields)} {
  for (const std::size_t field : fields_) {
    const DataType& type = schema[field].type;
    types_.push_back(type);
    most_bytes_ += 1 + (type.is_variable_width() ? sizeof(std::uint32_t) : type.width());
  }
}

/// Into room for all of it, so that no field asks for more (benchmark nexmark_q9).
void RowBytes::append(const Batch& batch, std::uint32_t row, std::string& out) const {
  const std::size_t start = out.size();
  std::size_t most = most_bytes_;
  for (std::size_t i = 0; i < types_.size(); ++i) {
    if (types_[i].is_variable_width()) most += batch.column(fields_[i]).text(row).size();
  }
  out.resize(start + most);
  char* to = out.data() + start;
  for (std::size_t i = 0; i < types_.size(); ++i) {
    const Column& column = batch.column(fields_[i]);
    const bool null = column.is_null(row);
    *to++ = static_cast<char>(null ? Presence::null : Presence::value);
    if (null) continue;
    if (types_[i].is_variable_width()) {
      const std::string_view text = column.text(row);
      const auto length = static_cast<std::uint32_t>(text.size());
      std::memcpy(to, &length, sizeof length);
      if (length != 0) std::memcpy(to + sizeof length, text.data(), length);
      to += sizeof length + length;
      continue;
    }
    switch (types_[i].width()) {
      case 1: to = put<std::uint8_t>(column, row, to); break;
      case 4: to = put<std::int32_t>(column, row, to); break;
      default: to = put<std::int64_t>(column, row, to); break;
    }
  }
  out.resize(static_cast<std::size_t>(to - out.data()));
}

void RowBytes::restore(std::string_view bytes, BatchBuilder& rows) const {
  const char* at = bytes.data();
  for (std::size_t i = 0; i < types_.size(); ++i) {
    ColumnBuilder& column = rows.column(i);
    if (static_cast<Presence>(*at++) == Presence::null) {
      column.append_null();
    } else if (types_[i].is_variable_width()) {
      std::uint32_t length = 0;
      std::memcpy(&length, at, sizeof length);
      column.append_text({at + sizeof length, length});
      at += sizeof length + length;
    } else {
      const std::size_t width = types_[i].width();
      switch (width) {
        case 1: std::memcpy(column.append_uninitialised<std::uint8_t>(1), at, width); break;
        case 4: std::memcpy(column.append_uninitialised<std::int32_t>(1), at, width); break;
        default: std::memcpy(column.append_uninitialised<std::int64_t>(1), at, width); break;
      }
      at += width;
    }
  }
  assert(at == bytes.data() + bytes.size());
}

}  // namespace dataflow

#include "libdataflow/ranking/row_bytes.hpp"

#include <cassert>
#include <cstring>

namespace dataflow {

namespace {

/// In front of each value.
enum class Presence : char { null = 0, value = 1 };

}  // namespace

RowBytes::RowBytes(const Schema& schema) {
  for (std::size_t i = 0; i < schema.size(); ++i) fields_.push_back(i);
  for (const Field& field : schema.fields()) types_.push_back(field.type);
}

RowBytes::RowBytes(const Schema& schema, std::vector<std::size_t> fields) : fields_{std::move(fields)} {
  for (const std::size_t field : fields_) types_.push_back(schema[field].type);
}

void RowBytes::append(const Batch& batch, std::uint32_t row, std::string& out) const {
  for (std::size_t i = 0; i < types_.size(); ++i) {
    const Column& column = batch.column(fields_[i]);
    if (is_unread(column) || column.is_null(row)) {
      out.push_back(static_cast<char>(Presence::null));
      continue;
    }
    out.push_back(static_cast<char>(Presence::value));
    if (types_[i].is_variable_width()) {
      const std::string_view text = column.text(row);
      const auto length = static_cast<std::uint32_t>(text.size());
      out.append(reinterpret_cast<const char*>(&length), sizeof length);
      out.append(text);
    } else {
      const std::size_t width = types_[i].width();
      out.append(reinterpret_cast<const char*>(column.values.data()) + row * width, width);
    }
  }
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

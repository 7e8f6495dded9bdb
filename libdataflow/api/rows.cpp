#include "dataflow/rows.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace dataflow {

Status bind_columns(const Batch& batch, std::span<const MemberUse> fields, std::string_view record_name,
                    std::span<const std::uint16_t> positions, ColumnView* views) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const Column& column = batch.column(positions[i]);
    views[i] = {column.values.data(), column.offsets.as<std::uint32_t>(),
                column.has_nulls() ? column.validity_bits() : nullptr};
    if (fields[i].optional || !column.has_nulls() || all_bits_set(column.validity_bits(), batch.rows())) continue;
    std::uint32_t row = 0;
    while (!column.is_null(row)) ++row;
    std::string content;
    append_row_json(batch, row, content);
    return fail(ErrorCode::malformed_data,
                "field \"" + std::string{fields[i].name} + "\" is NULL, but the member of " + std::string{record_name} +
                    " is not optional: make it a std::optional, or leave such records out with where(\"" +
                    std::string{fields[i].name} + " IS NOT NULL\"), at record " + content);
  }
  return {};
}

RowBuffer::RowBuffer(SchemaPtr schema)
    : schema_{std::move(schema)}, slots_(schema_->size()), pointers_(schema_->size()) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].type = (*schema_)[i].type;
    slots_[i].width = slots_[i].type.width();
    if (slots_[i].width == 0) text_columns_.push_back(i);
  }
}

void RowBuffer::grow(std::uint32_t at_least) {
  capacity_ = std::max({at_least, capacity_ * 2, 16U});
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.width == 0) {
      const bool first = slot.offsets.size() == 0;
      slot.offsets.resize((capacity_ + 1) * sizeof(std::uint32_t));
      if (first) slot.offsets.as<std::uint32_t>()[0] = 0;
      pointers_[i] = slot.offsets.data();
    } else {
      slot.values.resize(capacity_ * slot.width);
      pointers_[i] = slot.values.data();
    }
    if (slot.validity.size() != 0) {
      const std::size_t old = slot.validity.size();
      slot.validity.resize(bitmap_bytes(capacity_));
      std::memset(slot.validity.data() + old, 0xff, slot.validity.size() - old);
    }
  }
}

void RowBuffer::put_null(std::size_t column, std::uint32_t row) {
  Slot& slot = slots_[column];
  if (slot.validity.size() == 0) {
    slot.validity.resize(bitmap_bytes(capacity_));
    std::memset(slot.validity.data(), 0xff, slot.validity.size());
  }
  clear_bit(slot.validity.as<std::uint8_t>(), row);
  if (slot.width == 0) {
    slot.offsets.as<std::uint32_t>()[row + 1] = static_cast<std::uint32_t>(slot.values.size());
  } else {
    std::memset(slot.values.data() + row * slot.width, 0, slot.width);
  }
}

TextRoom RowBuffer::grow_text(std::size_t column, std::uint32_t used, std::size_t more) {
  if (more > UINT32_MAX - used) throw RecordError{"the texts of one batch are larger than 4 GiB"};
  GrowingBuffer& values = slots_[column].values;
  values.resize(used);  // so much is kept
  values.reserve(std::max<std::size_t>({used + more, 2 * values.capacity(), 4096}));
  return text_room(column);
}

BatchPtr RowBuffer::finish() {
  ColumnPtr timestamps;
  if (times_.size() != 0) {
    assert(times_.size() == rows_ * sizeof(std::int64_t));
    timestamps = std::make_shared<const Column>(Column{TypeKind::timestamp, rows_, times_.freeze(), {}, {}});
  }
  return finish(std::move(timestamps), {});
}

BatchPtr RowBuffer::finish(ColumnPtr timestamps, Buffer kinds) {
  if (capacity_ == 0) grow(0);
  std::vector<ColumnPtr> columns;
  columns.reserve(slots_.size());
  for (Slot& slot : slots_) {
    Column column{.type = slot.type, .rows = rows_};
    if (slot.width == 0) {
      slot.offsets.resize((rows_ + 1) * sizeof(std::uint32_t));
      column.offsets = slot.offsets.freeze();
    } else {
      slot.values.resize(rows_ * slot.width);
    }
    column.values = slot.values.freeze();
    if (slot.validity.size() != 0) {
      slot.validity.resize(bitmap_bytes(rows_));
      if (rows_ % 8 != 0) {  // bits beyond the last row are zero
        slot.validity.as<std::uint8_t>()[rows_ / 8] &= static_cast<std::uint8_t>((1U << (rows_ % 8)) - 1);
      }
      column.validity = slot.validity.freeze();
    }
    columns.push_back(std::make_shared<const Column>(std::move(column)));
  }
  auto batch =
      std::make_shared<const Batch>(schema_, rows_, std::move(columns), std::move(timestamps), std::move(kinds));
  rows_ = 0;
  capacity_ = 0;
  return batch;
}

}  // namespace dataflow

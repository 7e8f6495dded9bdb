#include "libdataflow/expressions/rowwise.hpp"

#include <algorithm>

namespace dataflow::expr {

TextResult::TextResult(KernelCall& call) : call_{call} {
  const auto constant = [](const Vector& v) { return v.constant; };
  const bool repeated = std::all_of(call.arguments.begin(), call.arguments.end(), constant);
  most_ = repeated ? most_constant_bytes : most_bytes;
  offsets_.reserve((call.rows + 1) * sizeof(std::uint32_t));
  offsets_.push(std::uint32_t{0});
}

void TextResult::end_row() {
  if (too_long_) {
    too_long_ = false;
    fail("the text is too long: the texts of a batch may have 256 MiB in all, a constant 64 KiB");
  }
  offsets_.push(static_cast<std::uint32_t>(bytes_.size()));
  row_start_ = bytes_.size();
}

void TextResult::begin(std::uint32_t row) {
  if (rows_ != 0) end_row();
  for (; rows_ < row; ++rows_) offsets_.push(static_cast<std::uint32_t>(bytes_.size()));
  ++rows_;
}

void TextResult::null() {
  bytes_.resize(row_start_);
  if (nulls_.size() == 0) {
    if (call_.validity.empty()) {
      nulls_ = full_bitmap(call_.rows, true);
    } else {
      nulls_.append(call_.validity.data(), bitmap_bytes(call_.rows));
    }
  }
  clear_bit(nulls_.as<std::uint8_t>(), rows_ - 1);
}

void TextResult::fail(std::string message) {
  bytes_.resize(row_start_);
  too_long_ = false;
  call_.fail(rows_ - 1, std::move(message));
}

ColumnPtr TextResult::finish() {
  if (rows_ != 0) end_row();
  for (; rows_ < call_.rows; ++rows_) offsets_.push(static_cast<std::uint32_t>(bytes_.size()));
  Column column;
  column.type = storage_type(call_.type);
  column.rows = call_.rows;
  column.values = bytes_.freeze();
  column.offsets = offsets_.freeze();
  column.validity = nulls_.size() == 0 ? call_.validity : nulls_.freeze();
  return std::make_shared<const Column>(std::move(column));
}

}  // namespace dataflow::expr

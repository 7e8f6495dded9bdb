#include "libdataflow/expressions/rowwise.hpp"

#include <algorithm>

namespace dataflow::expr {

TextResult::TextResult(KernelCall& call) : call_{call} {
  const auto constant = [](const Vector& v) { return v.constant; };
  const bool repeated = std::all_of(call.arguments.begin(), call.arguments.end(), constant);
  most_ = repeated ? most_constant_bytes : most_bytes;
  offsets_.resize((call.rows + 1) * sizeof(std::uint32_t));
}

void TextResult::give_up_row() {
  fail("the text is too long: the texts of a batch may have 256 MiB in all, a constant 64 KiB");
}

void TextResult::null() {
  bytes_.resize(row_start());
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
  bytes_.resize(row_start());
  too_long_ = false;
  call_.fail(rows_ - 1, std::move(message));
}

ColumnPtr TextResult::finish() {
  begin(call_.rows);  // where the last one ends
  Column column;
  column.type = storage_type(call_.type);
  column.rows = call_.rows;
  column.values = bytes_.freeze();
  column.offsets = offsets_.freeze();
  column.validity = nulls_.size() == 0 ? call_.validity : nulls_.freeze();
  return std::make_shared<const Column>(std::move(column));
}

}  // namespace dataflow::expr

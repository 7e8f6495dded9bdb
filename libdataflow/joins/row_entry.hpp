#pragma once
// Rows that a join has put aside on disk: one after the other in the entries of a store or of a sorted run. For this
// process only, which is why they have no version; what keeps them checks that they are what was written.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "libdataflow/joins/packed_rows.hpp"

namespace dataflow::joins {

/// The numbers that a join keeps with a row, at most; those of its table in a checkpoint, in their order.
using RowNumbers = std::array<std::int64_t, 4>;

/// A row as it lies in an entry.
struct RowEntry {
  std::size_t side = 0;
  RowNumbers numbers{};
  const std::byte* bytes = nullptr;  ///< a PackedLayout's, not aligned

  [[nodiscard]] std::uint32_t size() const { return PackedLayout::size_of(bytes); }
};

inline void append_row(const RowEntry& row, std::string& out) {
  out += static_cast<char>(row.side);
  out.append(reinterpret_cast<const char*>(row.numbers.data()), sizeof row.numbers);
  out.append(reinterpret_cast<const char*>(row.bytes), row.size());
}

/// Reads rows in the order in which they were appended.
class RowEntries {
 public:
  explicit RowEntries(std::string_view bytes) : left_{bytes} {}
  /// False at the end. The row is valid as long as the bytes.
  bool next(RowEntry& row) {
    if (left_.empty()) return false;
    row.side = static_cast<unsigned char>(left_.front());
    std::memcpy(row.numbers.data(), left_.data() + 1, sizeof row.numbers);
    row.bytes = reinterpret_cast<const std::byte*>(left_.data() + 1 + sizeof row.numbers);
    left_.remove_prefix(1 + sizeof row.numbers + row.size());
    return true;
  }

 private:
  std::string_view left_;
};

}  // namespace dataflow::joins

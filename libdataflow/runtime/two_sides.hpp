#pragma once
// The rows of a batch on two sides, by their hash: what an exchange between two subtasks does with every batch.

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "serialization/batch.hpp"

namespace dataflow {

class TwoSides {
 public:
  /// Rows whose hash is at least `upper` go to the second side; one hash for each row.
  void choose(std::span<const std::uint64_t> hashes, std::uint64_t upper);
  /// How many rows of the last ones chosen for are on a side: 0 or 1.
  [[nodiscard]] std::uint32_t rows(std::size_t side) const { return sizes_[side]; }
  /// The rows of `batch`, whose hashes have been given last, in their order. No side is empty.
  [[nodiscard]] std::pair<BatchPtr, BatchPtr> split(const Batch& batch);

 private:
  using Columns = std::pair<ColumnPtr, ColumnPtr>;

  void list_rows();
  [[nodiscard]] std::span<const std::uint32_t> list(std::size_t side);
  [[nodiscard]] Columns split(const Column& column);

  std::span<const std::uint64_t> hashes_;  ///< valid until the split
  std::uint64_t upper_ = 0;
  std::array<std::uint32_t, 2> sizes_{};
  /// Of eight rows: bit i is set when row i of them is on the second side. Only where the processor can do with it.
  std::vector<std::uint8_t> masks_;
  bool listed_ = false;
  std::array<std::vector<std::uint32_t>, 2> lists_;  ///< if listed_; each as long as the largest batch so far
};

}  // namespace dataflow

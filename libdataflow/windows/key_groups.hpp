#pragma once
// The records of a batch by key. What is the same for all records of a key is then done once for each key of the batch:
// finding its row among those of all keys, and folding in what its records come to (partial preaggregation: Larson,
// ICDE 2002).
//
// Keys are told apart by one column of fixed width, in a table that fits into the first-level cache; the other key
// columns must have one value in the whole batch, as dates mostly have (nexmark_q17). Where that is not so, or nearly
// every record has a key of its own, records are taken one by one.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "serialization/batch.hpp"

namespace dataflow::windows {

class KeyGroups {
 public:
  /// `fields`: the key's, in the input.
  explicit KeyGroups(std::vector<std::size_t> fields) : fields_{std::move(fields)} {}

  /// Numbers the batch's keys from 0 in the order of their first records. False: it is not worth it, take each record
  /// by itself. The rest is valid until the next call.
  [[nodiscard]] bool read(const Batch& batch);

  [[nodiscard]] std::size_t size() const { return first_rows_.size(); }
  /// The number of each record's key.
  [[nodiscard]] const std::uint16_t* of_rows() const { return groups_.data(); }
  /// The first record of each key.
  [[nodiscard]] std::span<const std::uint32_t> first_rows() const { return first_rows_; }
  /// How many records each key has.
  [[nodiscard]] std::span<const std::uint32_t> sizes() const { return sizes_; }

 private:
  [[nodiscard]] bool group(const std::uint64_t* words, std::size_t rows);
  void group_all(std::size_t rows);

  std::vector<std::size_t> fields_;
  std::size_t batches_left_out_ = 0;  ///< that will not even be tried
  std::vector<std::uint16_t> groups_;
  std::vector<std::uint32_t> first_rows_;
  std::vector<std::uint32_t> sizes_;
  std::vector<std::uint64_t> words_;      ///< of a column that is none of words
  std::vector<std::uint64_t> key_words_;  ///< of each key
  std::vector<std::uint16_t> slots_;      ///< 0: free; else a key's number + 1
};

}  // namespace dataflow::windows

#pragma once
// The records of a batch by key. What is the same for all records of a key is then done once for each key of the batch:
// finding its row among those of all keys, and folding in what its records come to (partial preaggregation: Larson,
// ICDE 2002).
//
// Keys are told apart by one column of fixed width, in a table that fits into the first-level cache; the other key
// columns must have one value in the whole batch, as dates mostly have (nexmark_q17). Where that is not so, or nearly
// every record has a key of its own, records are taken one by one.

#include <array>
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

  [[nodiscard]] std::size_t size() const { return size_; }
  /// The number of each record's key.
  [[nodiscard]] const std::uint16_t* of_rows() const { return groups_.data(); }
  /// The first record of each key.
  [[nodiscard]] std::span<const std::uint32_t> first_rows() const { return {first_rows_.data(), size_}; }
  /// How many records each key has.
  [[nodiscard]] std::span<const std::uint32_t> sizes() const { return {sizes_.data(), size_}; }
  struct Extent {
    std::int64_t first;
    std::int64_t last;
  };
  /// From when to when the records of each key are, of a time for each record. Valid until the next call.
  [[nodiscard]] std::span<const Extent> extents(std::span<const std::int64_t> times);

 private:
  [[nodiscard]] bool group(const std::uint64_t* words, std::size_t rows);
  void group_some(const std::uint64_t* words, std::size_t from, std::size_t to);
  void group_all(std::size_t rows);
  void make_room(std::size_t keys);

  std::vector<std::size_t> fields_;
  std::size_t batches_left_out_ = 0;     ///< that will not even be tried, as those before had too many keys,
  std::size_t next_pause_ = 0;           ///< and how many after the next such one
  std::size_t rows_with_many_keys_ = 0;  ///< of the last such one
  std::size_t size_ = 0;                 ///< how many keys there are; what else is in their lists is not used
  std::vector<std::uint16_t> groups_;
  std::vector<std::uint32_t> first_rows_;
  std::vector<std::uint32_t> last_rows_;
  std::vector<std::uint32_t> sizes_;
  std::vector<Extent> extents_;
  /// Counts of every fourth record: to count those of a key that most of them have would wait each time for the record
  /// before (nexmark_q11).
  std::vector<std::array<std::uint16_t, 4>> parts_;
  std::vector<std::uint64_t> words_;      ///< of a column that is none of words
  std::vector<std::uint64_t> key_words_;  ///< of each key
  std::vector<std::uint16_t> slots_;      ///< free, or a key's number; and one that is none
};

}  // namespace dataflow::windows

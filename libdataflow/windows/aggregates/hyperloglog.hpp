#pragma once
// How many different values there were, in at most 4 KiB: HyperLogLog (Flajolet et al., AofA 2007) with 4096 registers,
// a standard error of 1.04 / sqrt(4096) = 1.6 %, and Ertl's estimator, which needs no tables for small or large counts
// ("New cardinality estimation algorithms for HyperLogLog sketches", arXiv 1702.01284). Up to 64 different values are
// counted exactly from their hashes, so that many small groups stay small.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow::windows {

class HyperLogLog {
 public:
  /// Takes a value by its hash (hash_value), of which all 64 bits are used.
  void add(std::uint64_t hash);
  /// Afterwards as if both had seen all values. Commutative.
  void merge(const HyperLogLog& other);
  [[nodiscard]] std::int64_t estimate() const;
  /// For checkpoints.
  void save(std::string& out) const;
  [[nodiscard]] bool load(std::string_view saved);

  /// The frozen hash: results must be the same on every machine.
  static std::uint64_t hash_value(const void* bytes, std::size_t size);

 private:
  void add_to_registers(std::uint64_t hash);
  void make_dense();

  std::vector<std::uint64_t> exact_;     ///< different hashes, ascending; empty once dense
  std::vector<std::uint8_t> registers_;  ///< empty until dense
};

}  // namespace dataflow::windows

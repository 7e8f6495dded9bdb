#pragma once
// Which subtask a key belongs to: a frozen hash of the key's values, key groups, and the groups of each subtask.
//
// The hash is part of the format: it decides where a key's state lies in a savepoint, so it may never change with a
// platform, a library or a release; golden values in its test hold it. Key groups are as in Flink
// (KeyGroupRangeAssignment): a fixed number of them, `max_parallelism`, is dealt out to the subtasks in runs, so that
// state moves in whole groups when the parallelism changes.
//
// Definition. All arithmetic is modulo 2^64, S = key_hash_seed, and
//   mix(x)     = MurmurHash3's 64-bit finalizer (fmix64)
//   cell       = NULL: the constant key_hash_null
//                bool: mix(0 or 1 xor S); int32, int64, decimal (unscaled), timestamp (microseconds):
//                mix(the value, sign-extended to 64 bits, xor S), so that int32 and int64 keys meet
//                float64: mix(its IEEE 754 bits xor S), -0.0 as 0.0 and every NaN as 0x7ff8000000000000
//                string, bytes: XXH3_64bits with seed S of the bytes
//   row        = one column: its cell; none: mix(S)
//                more: r = the first cell; then for each further cell c: r = mix(r * 0x9e3779b97f4a7c15 + c)

#include <cassert>
#include <cstdint>
#include <span>
#include <vector>

#include "serialization/column.hpp"

namespace dataflow {

inline constexpr std::uint64_t key_hash_seed = 0x6a09e667f3bcc908;  // the square root of 2, as in SHA-512
inline constexpr std::uint64_t key_hash_null = 0xbb67ae8584caa73b;  // and of 3

/// Hashes `rows` rows of the key columns into out[0 .. rows), resizing it. Nested columns cannot be keys (asserted).
void hash_rows(std::span<const Column* const> key_columns, std::uint32_t rows, std::vector<std::uint64_t>& out);

/// The key group of a hash, below `max_parallelism` (at least 1). Taken from the hash's upper half, so that the lower
/// bits still spread the keys of one group over a table.
constexpr std::uint32_t key_group_of(std::uint64_t hash, std::uint32_t max_parallelism) {
  return static_cast<std::uint32_t>(((hash >> 32) * max_parallelism) >> 32);
}

/// The least hash of a key group: groups are in the order of their hashes.
constexpr std::uint64_t first_hash_of(std::uint32_t group, std::uint32_t max_parallelism) {
  assert(group < max_parallelism);
  return ((std::uint64_t{group} << 32) + max_parallelism - 1) / max_parallelism << 32;
}

/// The subtask, below `parallelism`, that owns a key group. parallelism is at most max_parallelism.
constexpr std::uint32_t subtask_of_key_group(std::uint32_t group, std::uint32_t max_parallelism,
                                             std::uint32_t parallelism) {
  return static_cast<std::uint32_t>(std::uint64_t{group} * parallelism / max_parallelism);
}

/// Key groups `first` to `end`, without `end`.
struct KeyGroupRange {
  std::uint32_t first = 0;
  std::uint32_t end = 0;

  [[nodiscard]] constexpr bool contains(std::uint32_t group) const { return group >= first && group < end; }
  [[nodiscard]] constexpr std::uint32_t size() const { return end - first; }
  friend bool operator==(const KeyGroupRange&, const KeyGroupRange&) = default;
};

/// The key groups that a subtask owns: the inverse of subtask_of_key_group.
constexpr KeyGroupRange key_groups_of_subtask(std::uint32_t subtask, std::uint32_t max_parallelism,
                                              std::uint32_t parallelism) {
  const auto first_of = [=](std::uint64_t s) {
    return static_cast<std::uint32_t>((s * max_parallelism + parallelism - 1) / parallelism);
  };
  return {first_of(subtask), first_of(std::uint64_t{subtask} + 1)};
}

}  // namespace dataflow

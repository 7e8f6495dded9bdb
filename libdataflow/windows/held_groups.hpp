#pragma once
// Groups that lie in no table while their results are on the way out: what a ResultWriter refers to until it is
// flushed. Keeps its memory from one flush to the next.

#include <cstddef>
#include <memory>
#include <vector>

#include "libdataflow/windows/aggregation.hpp"
#include "libdataflow/windows/key_batch.hpp"

namespace dataflow::windows {

class HeldGroups {
 public:
  /// `aggregation` outlives it.
  explicit HeldGroups(const Aggregation& aggregation) : aggregation_{aggregation} {}
  ~HeldGroups() { clear(); }
  HeldGroups(const HeldGroups&) = delete;
  HeldGroups& operator=(const HeldGroups&) = delete;

  /// Initial states, until `clear`.
  [[nodiscard]] std::byte* add();
  /// The newest states are of no use after all.
  void drop_newest() { aggregation_.release(blocks_[--used_].get()); }
  /// The key with a text that stays until `clear`.
  [[nodiscard]] KeyRef keep(KeyForm form, const KeyRef& key);
  /// Their results are out.
  void clear();

 private:
  const Aggregation& aggregation_;
  std::vector<std::unique_ptr<std::byte[]>> blocks_;
  std::size_t used_ = 0;
  std::vector<std::unique_ptr<char[]>> texts_;
};

}  // namespace dataflow::windows

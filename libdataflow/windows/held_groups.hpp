#pragma once
// Groups that lie in no table while their results are on the way out: what a ResultWriter refers to until it is
// flushed. Keeps its memory from one flush to the next.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "libdataflow/windows/aggregation.hpp"
#include "libdataflow/windows/key_batch.hpp"

namespace dataflow::windows {

class HeldGroups {
 public:
  /// `aggregation` outlives it.
  explicit HeldGroups(const Aggregation& aggregation)
      : aggregation_{aggregation}, state_bytes_{std::max<std::size_t>(8, aggregation.initial_states().size())} {}
  ~HeldGroups() { clear(); }
  HeldGroups(const HeldGroups&) = delete;
  HeldGroups& operator=(const HeldGroups&) = delete;

  /// Initial states, until `clear`.
  [[nodiscard]] std::byte* add();
  /// Of so many groups.
  void add(std::size_t count, std::byte** states);
  /// The newest states are of no use after all.
  void drop_newest() { aggregation_.release(states_of(--used_)); }
  /// The key with a text that stays until `clear`.
  [[nodiscard]] KeyRef keep(KeyForm form, const KeyRef& key);
  /// Their results are out.
  void clear();

 private:
  static constexpr std::size_t groups_in_a_slab = 64;

  [[nodiscard]] std::byte* states_of(std::size_t group) const {
    return slabs_[group / groups_in_a_slab].get() + group % groups_in_a_slab * state_bytes_;
  }

  const Aggregation& aggregation_;
  std::size_t state_bytes_;
  std::vector<std::byte> initial_;  ///< for a slab
  std::vector<std::unique_ptr<std::byte[]>> slabs_;
  std::size_t used_ = 0;  ///< groups
  std::vector<std::unique_ptr<char[]>> texts_;
};

}  // namespace dataflow::windows

#pragma once
// Hashes of keys, of which there are many and none ever leaves: half a cache line's access for each that is looked up,
// where a set of nodes would take several.

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace dataflow {

class HashSet {
 public:
  [[nodiscard]] std::size_t size() const { return size_ + (has_zero_ ? 1 : 0); }
  [[nodiscard]] bool contains(std::uint64_t hash) const { return hash == 0 ? has_zero_ : slots_[place_of(hash)] != 0; }
  /// Whether it is new.
  bool insert(std::uint64_t hash) {
    if (hash == 0) return !std::exchange(has_zero_, true);
    std::size_t place = place_of(hash);
    if (slots_[place] != 0) return false;
    if (2 * (size_ + 1) > slots_.size()) {
      grow();
      place = place_of(hash);
    }
    slots_[place] = hash;
    ++size_;
    return true;
  }
  /// All of them, in no order.
  [[nodiscard]] std::vector<std::uint64_t> all() const {
    std::vector<std::uint64_t> hashes;
    hashes.reserve(size());
    if (has_zero_) hashes.push_back(0);
    for (const std::uint64_t hash : slots_) {
      if (hash != 0) hashes.push_back(hash);
    }
    return hashes;
  }

 private:
  /// Where the hash is, or may be put.
  [[nodiscard]] std::size_t place_of(std::uint64_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t place = hash & mask;
    while (slots_[place] != 0 && slots_[place] != hash) place = (place + 1) & mask;
    return place;
  }
  void grow() {
    const std::vector<std::uint64_t> before = std::exchange(slots_, std::vector<std::uint64_t>(slots_.size() * 2));
    for (const std::uint64_t hash : before) {
      if (hash != 0) slots_[place_of(hash)] = hash;
    }
  }

  std::vector<std::uint64_t> slots_ = std::vector<std::uint64_t>(1024);  ///< 0: free; at most half are not
  std::size_t size_ = 0;
  bool has_zero_ = false;
};

}  // namespace dataflow

#include "libdataflow/windows/held_groups.hpp"

#include <algorithm>
#include <cstring>

namespace dataflow::windows {

std::byte* HeldGroups::add() {
  std::byte* states = nullptr;
  add(1, &states);
  return states;
}

void HeldGroups::add(std::size_t count, std::byte** states) {
  if (initial_.empty()) {
    const std::vector<std::byte>& one = aggregation_.initial_states();
    initial_.resize(groups_in_a_slab * state_bytes_);
    for (std::size_t i = 0; i < groups_in_a_slab; ++i) {
      std::copy(one.begin(), one.end(), initial_.begin() + static_cast<std::ptrdiff_t>(i * state_bytes_));
    }
  }
  while (count != 0) {
    const std::size_t in_slab = used_ % groups_in_a_slab;
    if (in_slab == 0 && used_ / groups_in_a_slab == slabs_.size()) {
      slabs_.push_back(std::make_unique_for_overwrite<std::byte[]>(initial_.size()));
    }
    const std::size_t n = std::min(count, groups_in_a_slab - in_slab);
    std::byte* at = states_of(used_);
    std::memcpy(at, initial_.data(), n * state_bytes_);
    for (std::size_t i = 0; i < n; ++i, at += state_bytes_) *states++ = at;
    used_ += n;
    count -= n;
  }
}

KeyRef HeldGroups::keep(KeyForm form, const KeyRef& key) {
  if (form != KeyForm::text || key.null || key.key.is_inline()) return key;
  texts_.push_back(std::make_unique<char[]>(key.key.length()));
  std::memcpy(texts_.back().get(), key.key.far(), key.key.length());
  KeyRef kept = key;
  kept.key = make_text_key(texts_.back().get(), key.key.length());
  return kept;
}

void HeldGroups::clear() {
  for (std::size_t i = 0; aggregation_.states_own_memory() && i < used_; ++i) aggregation_.release(states_of(i));
  used_ = 0;
  texts_.clear();
}

}  // namespace dataflow::windows

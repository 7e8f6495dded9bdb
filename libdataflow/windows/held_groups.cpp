#include "libdataflow/windows/held_groups.hpp"

#include <cstring>

namespace dataflow::windows {

std::byte* HeldGroups::add() {
  const std::vector<std::byte>& initial = aggregation_.initial_states();
  if (used_ == blocks_.size()) blocks_.push_back(std::make_unique<std::byte[]>(initial.size()));
  std::byte* states = blocks_[used_++].get();
  std::memcpy(states, initial.data(), initial.size());
  return states;
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
  for (std::size_t i = 0; i < used_; ++i) aggregation_.release(blocks_[i].get());
  used_ = 0;
  texts_.clear();
}

}  // namespace dataflow::windows

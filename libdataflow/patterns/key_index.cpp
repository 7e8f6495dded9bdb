#include "libdataflow/patterns/key_index.hpp"

namespace dataflow::patterns {

namespace {

std::string_view view_of(const windows::TextKey& key) {
  return {key.is_inline() ? reinterpret_cast<const char*>(&key) : key.far(), key.length()};
}

}  // namespace

KeySlot KeyIndex::find(const windows::KeyBatch& keys, std::uint32_t row) const {
  if (is_null(keys, row)) return null_;
  if (form_ == windows::KeyForm::word) {
    const auto found = words_.find(keys.words[row]);
    return found == words_.end() ? no_slot : found->second;
  }
  const auto found = texts_.find(view_of(keys.texts[row]));
  return found == texts_.end() ? no_slot : found->second;
}

KeySlot KeyIndex::find_or_insert(const windows::KeyBatch& keys, std::uint32_t row) {
  if (const KeySlot known = find(keys, row); known != no_slot) return known;
  KeySlot slot = static_cast<KeySlot>(keys_.size());
  if (free_.empty()) {
    keys_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Key& key = keys_[slot];
  key.used = true;
  key.null = is_null(keys, row);
  if (key.null) {
    null_ = slot;
  } else if (form_ == windows::KeyForm::word) {
    key.word = keys.words[row];
    words_.emplace(key.word, slot);
  } else {
    key.text.assign(view_of(keys.texts[row]));
    texts_.emplace(key.text, slot);
  }
  return slot;
}

windows::KeyRef KeyIndex::key(KeySlot slot) const {
  const Key& key = keys_[slot];
  if (key.null || form_ == windows::KeyForm::none) return {.null = true, .key = {}};
  if (form_ == windows::KeyForm::word) return {.null = false, .key = {.head = key.word}};
  return {.null = false, .key = windows::make_text_key(key.text.data(), static_cast<std::uint32_t>(key.text.size()))};
}

void KeyIndex::forget_if_idle(KeySlot slot) {
  Key& key = keys_[slot];
  if (!key.matches.empty() || key.results != 0 || !key.used) return;
  if (key.null) {
    null_ = no_slot;
  } else if (form_ == windows::KeyForm::word) {
    words_.erase(key.word);
  } else {
    texts_.erase(key.text);
  }
  key.used = false;
  ++key.generation;
  free_.push_back(slot);
}

std::vector<KeySlot> KeyIndex::slots() const {
  std::vector<KeySlot> used;
  for (KeySlot slot = 0; slot < keys_.size(); ++slot) {
    if (keys_[slot].used) used.push_back(slot);
  }
  return used;
}

}  // namespace dataflow::patterns

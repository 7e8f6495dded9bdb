#pragma once
// Private to this folder.
//
// The keys that have partial matches, numbered; a key without any is forgotten at once.

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/patterns/matcher.hpp"
#include "libdataflow/windows/key_batch.hpp"

namespace dataflow::patterns {

using KeySlot = std::uint32_t;
inline constexpr KeySlot no_slot = UINT32_MAX;

class KeyIndex {
 public:
  explicit KeyIndex(windows::KeyForm form) : form_{form} {}

  /// The slot of a row's key; no_slot when it has none.
  [[nodiscard]] KeySlot find(const windows::KeyBatch& keys, std::uint32_t row) const;
  KeySlot find_or_insert(const windows::KeyBatch& keys, std::uint32_t row);
  [[nodiscard]] KeyMatches& matches(KeySlot slot) { return keys_[slot].matches; }
  [[nodiscard]] const KeyMatches& matches(KeySlot slot) const { return keys_[slot].matches; }
  [[nodiscard]] windows::KeyRef key(KeySlot slot) const;
  /// Another one for each key that the slot has had.
  [[nodiscard]] std::uint32_t generation(KeySlot slot) const { return keys_[slot].generation; }
  /// A result that refers to the key's slot waits, or waits no more.
  void retain(KeySlot slot) { ++keys_[slot].results; }
  void release(KeySlot slot) {
    --keys_[slot].results;
    forget_if_idle(slot);
  }
  /// After each change of its matches.
  void forget_if_idle(KeySlot slot);
  /// The slots in use, ascending.
  [[nodiscard]] std::vector<KeySlot> slots() const;

 private:
  struct Key {
    std::string text;
    std::uint64_t word = 0;
    bool null = false;
    bool used = false;
    std::uint32_t results = 0;
    std::uint32_t generation = 0;
    KeyMatches matches;
  };
  [[nodiscard]] bool is_null(const windows::KeyBatch& keys, std::uint32_t row) const {
    return form_ == windows::KeyForm::none || (keys.validity != nullptr && !bit_at(keys.validity, row));
  }

  windows::KeyForm form_;
  std::deque<Key> keys_;  ///< which stay where they are: the index refers to their texts
  std::vector<KeySlot> free_;
  KeySlot null_ = no_slot;  ///< of the NULL key, or of the only one there is
  absl::flat_hash_map<std::uint64_t, KeySlot> words_;
  absl::flat_hash_map<std::string_view, KeySlot> texts_;
};

}  // namespace dataflow::patterns

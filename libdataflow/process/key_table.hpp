#pragma once
// Keys numbered: each key that is in use has a slot, and a batch's keys are looked up in one go.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataflow/keyed_runtime.hpp"
#include "dataflow/slot_array.hpp"
#include "serialization/batch.hpp"

namespace dataflow {

/// The cell of a key that is one integer.
std::int64_t integer_cell(const Column& column, std::uint32_t row);
/// Appends one field of a composite key, as Codec<std::optional<M>> writes it.
void append_key_field(const Column& column, std::uint32_t row, std::string& out);
/// Appends what it wrote to a column of the field's type.
void read_key_field(ByteReader& in, const DataType& type, ColumnBuilder& column);

/// The uses of a slot that no key has, so that it is given back once only.
inline constexpr std::uint32_t released_slot = UINT32_MAX;

/// A key's bytes, which stay where they are.
struct KeyText {
  const char* data = nullptr;
  std::uint32_t size = 0;
  [[nodiscard]] std::string_view view() const { return {data, size}; }
};

/// The keys of all slots as they were at a barrier, for a thread that writes them.
class FrozenKeys {
 public:
  [[nodiscard]] std::uint32_t slots() const { return slots_; }
  [[nodiscard]] std::int64_t integer(std::uint32_t slot) const { return integers_[slot]; }
  [[nodiscard]] std::string_view text(std::uint32_t slot) const { return texts_[slot].view(); }
  /// By key; see KeyTable::before.
  [[nodiscard]] bool before(std::uint32_t a, std::uint32_t b) const;

 private:
  friend class KeyTable;
  KeyShape shape_ = KeyShape::none;
  std::uint32_t slots_ = 0;
  SlotArray<std::int64_t>::Frozen integers_;
  SlotArray<KeyText>::Frozen texts_;
  std::shared_ptr<void> bytes_;  ///< what holds the texts
};

class KeyTable {
 public:
  explicit KeyTable(KeyShape shape);
  ~KeyTable();
  KeyTable(const KeyTable&) = delete;
  KeyTable& operator=(const KeyTable&) = delete;

  /// The slot of each row's key in `out`, new keys included. `fields` are the key's columns.
  void resolve(const Batch& batch, std::span<const std::size_t> fields, std::vector<std::uint32_t>& out);
  /// The slot of one row's key, if it has one.
  [[nodiscard]] std::optional<std::uint32_t> find(const Batch& batch, std::span<const std::size_t> fields,
                                                  std::uint32_t row) const;
  std::uint32_t slot_of_integer(std::int64_t key);
  std::uint32_t slot_of_text(std::string_view key);
  [[nodiscard]] std::optional<std::uint32_t> find_text(std::string_view key) const;
  void release(std::uint32_t slot);

  /// Slots ever used, free ones included.
  [[nodiscard]] std::uint32_t slots() const { return slots_; }
  /// Those that keys have.
  [[nodiscard]] std::size_t in_use() const { return slots_ - free_.size(); }
  [[nodiscard]] std::int64_t integer(std::uint32_t slot) const { return integers_[slot]; }
  [[nodiscard]] std::string_view text(std::uint32_t slot) const { return texts_[slot].view(); }
  /// By key, the same on every machine and in every run.
  [[nodiscard]] bool before(std::uint32_t a, std::uint32_t b) const;
  [[nodiscard]] FrozenKeys freeze();

 private:
  struct HashedText;
  template <class T>
  void resolve_integers(const Column& column, std::vector<std::uint32_t>& out);
  void resolve_texts(const Batch& batch, std::span<const std::size_t> fields, std::vector<std::uint32_t>& out);
  std::uint32_t slot_of_hashed(const HashedText& key);
  std::uint32_t take_slot();

  KeyShape shape_;
  std::uint32_t slots_ = 0;
  std::vector<std::uint32_t> free_;
  struct Maps;
  std::unique_ptr<Maps> maps_;  ///< from keys to slots
  SlotArray<std::int64_t> integers_;
  SlotArray<KeyText> texts_;
  struct Texts;
  std::shared_ptr<Texts> bytes_;   ///< frees the texts; frozen keys hold it too
  std::vector<KeyText> released_;  ///< of keys that are gone, but may be frozen
  std::string scratch_;
};

}  // namespace dataflow

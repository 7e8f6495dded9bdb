#pragma once
// Keys numbered: each key that is in use has a slot, and a batch's keys are looked up in one go.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataflow/keyed_runtime.hpp"
#include "serialization/batch.hpp"

namespace dataflow {

/// The cell of a key that is one integer.
std::int64_t integer_cell(const Column& column, std::uint32_t row);
/// Appends one field of a composite key, as Codec<std::optional<M>> writes it.
void append_key_field(const Column& column, std::uint32_t row, std::string& out);

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
  void release(std::uint32_t slot);

  /// Slots ever used, free ones included.
  [[nodiscard]] std::uint32_t slots() const { return slots_; }
  [[nodiscard]] std::int64_t integer(std::uint32_t slot) const { return integers_[slot]; }
  [[nodiscard]] std::string_view text(std::uint32_t slot) const { return texts_[slot]; }
  /// By key, the same on every machine and in every run.
  [[nodiscard]] bool before(std::uint32_t a, std::uint32_t b) const;
  /// Slots of all keys, in the order of the keys.
  [[nodiscard]] std::vector<std::uint32_t> in_order() const;

 private:
  std::uint32_t take_slot();

  KeyShape shape_;
  std::uint32_t slots_ = 0;
  std::vector<std::uint32_t> free_;
  struct Maps;
  std::unique_ptr<Maps> maps_;  ///< from keys to slots
  std::vector<std::int64_t> integers_;
  std::deque<std::string> texts_;  ///< never moves its strings
  std::string scratch_;
};

}  // namespace dataflow

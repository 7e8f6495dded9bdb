#pragma once
// The key columns of a batch in the form that group tables look up: one word, or a 16-byte text.
//
// One fixed-width key column is a word. Anything else is a text: a string column as it is, several columns encoded one
// after the other. Texts of up to 12 bytes lie in the 16 bytes themselves, so that comparing two is two words and no
// pointer (the strings of Umbra: Neumann and Freitag, CIDR 2020).
//
// Equal is what GROUP BY calls equal: NULLs are one group, so are NaNs, and -0.0 is 0.0.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/batch.hpp"
#include "serialization/builder.hpp"

namespace dataflow::windows {

enum class KeyForm : std::uint8_t { none, word, text };

inline constexpr std::uint32_t inline_text_bytes = 12;

/// Low half of `tail`: bytes 8 to 11; high half: the length. `head`: bytes 0 to 7, or where a longer text lies, and
/// then the low half of `tail` has its first four bytes. Unused bytes are zero.
struct TextKey {
  std::uint64_t head = 0;
  std::uint64_t tail = 0;

  [[nodiscard]] std::uint32_t length() const { return static_cast<std::uint32_t>(tail >> 32); }
  [[nodiscard]] bool is_inline() const { return length() <= inline_text_bytes; }
  /// Where a text that is not inline lies.
  [[nodiscard]] const char* far() const {
    return reinterpret_cast<const char*>(static_cast<std::uintptr_t>(head));  // NOLINT(performance-no-int-to-ptr)
  }
  void append_to(ColumnBuilder& column) const;
};

/// A text key that refers to `bytes` when they do not fit inline.
[[nodiscard]] TextKey make_text_key(const char* bytes, std::uint32_t length);

/// The text, which lies in `key` when it is inline.
[[nodiscard]] inline std::string_view text_of(const TextKey& key) {
  return {key.is_inline() ? reinterpret_cast<const char*>(&key) : key.far(), key.length()};
}

/// The cells of a fixed-width column as words that are equal when the cells are one group: the column itself, or what
/// is written to `scratch`. A NULL's word is any.
[[nodiscard]] const std::uint64_t* key_words(const Column& column, std::vector<std::uint64_t>& scratch);

/// The keys of a batch's rows. Refers to the batch and to the KeyReader that made it.
struct KeyBatch {
  KeyForm form = KeyForm::none;
  const std::uint64_t* words = nullptr;
  const TextKey* texts = nullptr;
  const std::uint8_t* validity = nullptr;  ///< null: no key is NULL. Only for keys of one column
};

/// A key that lies in a group's row or in a batch.
struct KeyRef {
  bool null = false;
  TextKey key;  ///< a word key is its `head`
};

/// Turns key columns into KeyBatches and group keys back into columns.
class KeyReader {
 public:
  KeyReader(const Schema& input, std::vector<std::size_t> fields);

  [[nodiscard]] KeyForm form() const { return form_; }
  /// The keys of all rows; valid until the next call and while `batch` lives.
  [[nodiscard]] const KeyBatch& read(const Batch& batch);
  /// The keys of those rows alone, each of which is there once: the i-th key is that of `rows[i]`. No key of one column
  /// is NULL.
  [[nodiscard]] const KeyBatch& read(const Batch& batch, std::span<const std::uint32_t> rows);
  /// Appends each key to the builders of its columns: `columns[i]` is of the i-th key field's type.
  void write(const KeyRef* keys, std::size_t count, ColumnBuilder* const* columns) const;
  /// Appends a key as a store has it, behind its key group (state/stored_table.hpp).
  void append_stored(const KeyRef& key, std::string& out) const;
  /// What append_stored wrote. Refers to `bytes`.
  [[nodiscard]] KeyRef read_stored(std::string_view bytes) const;

 private:
  void read_texts(const Column& column);
  template <class RowOf>
  void encode(const Batch& batch, std::size_t count, RowOf&& row_of);

  std::vector<std::size_t> fields_;
  std::vector<DataType> types_;
  KeyForm form_ = KeyForm::none;
  KeyBatch keys_;
  std::vector<std::uint64_t> words_;  ///< keys that need another form than their column's
  std::vector<TextKey> texts_;
  std::vector<char> encoded_;  ///< of several columns, row after row
};

}  // namespace dataflow::windows

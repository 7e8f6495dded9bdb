#pragma once
// Rows of one input as bytes: what a join remembers of them. A row has every field at a place that is the same for all
// rows of the input, texts behind them, so that a batch is packed column by column and a column of results is read out
// of any rows without asking each row for its form (a row store for hash joins as in Kersten et al., "Everything you
// always wanted to know about compiled and vectorized queries", PVLDB 11(13), 2018).

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "serialization/batch.hpp"

namespace dataflow::joins {

/// A row: its size in bytes, a bit for each field that has a value, the fields by falling width (a text as where it
/// starts and how long it is), the texts. Equal rows are equal bytes.
class PackedLayout {
 public:
  /// Of the fields `stored` of an input, of which the first `keys` are the key.
  PackedLayout(const Schema& input, std::vector<std::size_t> stored, std::size_t keys);

  [[nodiscard]] const std::vector<std::size_t>& stored() const { return stored_; }
  /// The stored fields, keys first.
  [[nodiscard]] const SchemaPtr& schema() const { return schema_; }
  [[nodiscard]] std::size_t keys() const { return keys_; }
  /// Where a field of the input is among those that are stored (asserted to be one).
  [[nodiscard]] std::size_t place_of(std::size_t input_field) const;

  /// How many bytes each of `rows` needs: a multiple of 8.
  void sizes(const Batch& batch, std::span<const std::uint32_t> rows, std::vector<std::uint32_t>& out) const;
  /// Writes rows[i] to to[i], which has room for it, sizes[i] bytes, and is aligned to 8. A field that nobody reads is
  /// a NULL.
  void pack(const Batch& batch, std::span<const std::uint32_t> rows, std::span<const std::uint32_t> sizes,
            std::byte* const* to) const;
  /// The stored field at `place` of each row; NULL where there is no row (a null pointer).
  [[nodiscard]] ColumnPtr unpack(std::size_t place, std::span<const std::byte* const> rows) const;

  /// The stored int64 or timestamp (in microseconds) at `place` of one row; nothing: NULL.
  [[nodiscard]] std::optional<std::int64_t> number(const std::byte* row, std::size_t place) const {
    return has_value(row, place) ? std::optional{load<std::int64_t>(row, place)} : std::nullopt;
  }

  [[nodiscard]] static std::uint32_t size_of(const std::byte* row) {
    std::uint32_t size = 0;
    std::memcpy(&size, row, sizeof size);
    return size;
  }
  [[nodiscard]] static bool equal(const std::byte* a, const std::byte* b) {
    return size_of(a) == size_of(b) && std::memcmp(a, b, size_of(a)) == 0;
  }
  /// Whether the keys of two rows, none of which is NULL, are equal; the key types of the layouts are (asserted).
  [[nodiscard]] static bool equal_keys(const PackedLayout& a, const std::byte* row_a, const PackedLayout& b,
                                       const std::byte* row_b);

 private:
  struct TextPlace {
    std::uint32_t offset;  ///< from the row's start
    std::uint32_t length;
  };
  template <class T>
  void pack_fixed(const Column& column, std::size_t place, std::span<const std::uint32_t> rows,
                  std::byte* const* to) const;
  void pack_texts(const Column& column, std::size_t place, std::span<const std::uint32_t> rows, std::byte* const* to,
                  std::vector<std::uint32_t>& ends) const;
  template <class T>
  void unpack_fixed(std::size_t place, std::span<const std::byte* const> rows, Column& column) const;
  void unpack_texts(std::size_t place, std::span<const std::byte* const> rows, Column& column) const;
  [[nodiscard]] bool has_value(const std::byte* row, std::size_t place) const {
    return bit_at(reinterpret_cast<const std::uint8_t*>(row + sizeof(std::uint32_t)), place);
  }
  template <class T>
  [[nodiscard]] T load(const std::byte* row, std::size_t place) const {
    T value;
    std::memcpy(&value, row + offsets_[place], sizeof value);
    return value;
  }

  std::vector<std::size_t> stored_;
  std::vector<std::size_t> places_;  ///< by field of the input; npos: not stored
  SchemaPtr schema_;
  std::size_t keys_;
  std::vector<std::uint32_t> offsets_;  ///< by place
  std::uint32_t fixed_bytes_ = 0;       ///< where the texts begin
};

/// Memory for rows that come and go one by one. A row does not move; what is freed is used for rows of like size.
class RowArena {
 public:
  RowArena() = default;
  RowArena(RowArena&&) noexcept = default;
  RowArena& operator=(RowArena&&) noexcept = default;

  /// Aligned to 8 bytes.
  [[nodiscard]] std::byte* allocate(std::size_t bytes);
  void free(std::byte* row, std::size_t bytes);
  /// Of the rows that there are.
  [[nodiscard]] std::size_t bytes_in_use() const { return in_use_; }

 private:
  static std::size_t size_class(std::size_t bytes);

  std::vector<std::unique_ptr<std::byte[]>> pages_;
  std::byte* next_ = nullptr;  ///< what is left of the newest page
  std::size_t left_ = 0;
  std::size_t page_bytes_ = 0;  ///< of the newest page
  std::size_t in_use_ = 0;
  std::vector<std::vector<std::byte*>> free_;  ///< by size class
  std::map<std::byte*, std::unique_ptr<std::byte[]>> large_;
};

/// The rows of a batch whose key has a value in each field and can so be equal to another: no NULL and no NaN.
void rows_with_key(const Batch& batch, std::span<const std::size_t> key_fields, std::vector<std::uint32_t>& with_key,
                   std::vector<std::uint32_t>& without_key);

}  // namespace dataflow::joins

#pragma once
// Between columns and rows, without knowing any record type: what is read from a batch as raw pointers, and what is
// written as one. Everything that need not be a template lives here, so that a job compiles quickly.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "serialization/batch.hpp"
#include "serialization/column.hpp"

namespace dataflow {

/// memcpy for texts: keys and names are short, and for those a call costs more than the copy.
inline void copy_text(char* to, const char* from, std::size_t size) {
  if (size > 16) {
    std::memcpy(to, from, size);
  } else if (size >= 8) {  // two words that may overlap
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    std::memcpy(&head, from, 8);
    std::memcpy(&tail, from + size - 8, 8);
    std::memcpy(to, &head, 8);
    std::memcpy(to + size - 8, &tail, 8);
  } else if (size >= 4) {
    std::uint32_t head = 0;
    std::uint32_t tail = 0;
    std::memcpy(&head, from, 4);
    std::memcpy(&tail, from + size - 4, 4);
    std::memcpy(to, &head, 4);
    std::memcpy(to + size - 4, &tail, 4);
  } else if (size != 0) {
    to[0] = from[0];
    to[size / 2] = from[size / 2];
    to[size - 1] = from[size - 1];
  }
}

/// A column of the batch at hand, as its rows are read.
struct ColumnView {
  const std::byte* values = nullptr;
  const std::uint32_t* offsets = nullptr;
  const std::uint8_t* validity = nullptr;  ///< null when no row is NULL

  template <class V>
  [[nodiscard]] V fixed(std::size_t row) const {
    return reinterpret_cast<const V*>(values)[row];
  }
  [[nodiscard]] std::string_view text(std::size_t row) const {
    return {reinterpret_cast<const char*>(values) + offsets[row], offsets[row + 1] - offsets[row]};
  }
  [[nodiscard]] bool is_null(std::uint32_t row) const { return validity != nullptr && !bit_at(validity, row); }
};

/// What a record type asks of a field when it is read.
struct MemberUse {
  std::string_view name;
  bool optional = false;
};

/// Points `views[i]` at the column of `batch` at `positions[i]`.
/// Errors: malformed_data when a field that is not optional holds a NULL, naming field, record type and row.
Status bind_columns(const Batch& batch, std::span<const MemberUse> fields, std::string_view record_name,
                    std::span<const std::uint16_t> positions, ColumnView* views);

/// A value that the record type cannot hold (an unknown enumerator). Caught where batches are looped over.
class RecordError : public std::exception {
 public:
  explicit RecordError(std::string message) : message_{std::move(message)} {}
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

/// Called in a catch block: what went wrong as an Error that names the record: its content and event time.
/// `user code threw std::runtime_error: no such card, at record {"card":"4711"} (event time 2010-01-01T00:00:00Z)`.
Error error_of_current_exception(const Batch& batch, std::uint32_t row);
/// The same where there is no record: `where` is "in open()".
Error error_of_current_exception(std::string_view where);
/// A type's name as it is written in a source.
std::string readable_name(const std::type_info& type);

/// Where the next text of a column goes.
struct TextRoom {
  char* bytes = nullptr;
  std::uint32_t used = 0;
  std::uint32_t capacity = 0;
};

/// Rows that are being written. A row is written field by field at `rows()`, between `begin_row` and an `end_row`.
class RowBuffer {
 public:
  explicit RowBuffer(SchemaPtr schema);

  [[nodiscard]] const SchemaPtr& schema() const { return schema_; }
  [[nodiscard]] std::uint32_t rows() const { return rows_; }
  [[nodiscard]] bool empty() const { return rows_ == 0; }
  /// As many rows or bytes as a batch should have.
  [[nodiscard]] bool full() const {
    if (rows_ >= max_batch_rows) return true;
    std::size_t text_bytes = 0;
    for (const std::size_t column : text_columns_) text_bytes += slots_[column].values.size();
    return text_bytes >= max_batch_bytes;
  }

  /// Room for `rows` in all; `pointers` moves.
  void reserve(std::uint32_t rows) {
    if (rows > capacity_) grow(rows);
  }
  /// The start of each fixed-width column's values, and of each text column's offsets.
  [[nodiscard]] std::byte* const* pointers() const { return pointers_.data(); }

  void begin_row() {
    if (rows_ == capacity_) grow(rows_ + 1);
  }
  /// Appends a text to a column and tells where it ends, which the caller stores as the row's end offset.
  std::uint32_t append_text(std::size_t column, std::string_view text) {
    GrowingBuffer& values = slots_[column].values;
    const std::size_t at = values.size();
    values.resize(at + text.size());
    copy_text(values.as<char>() + at, text.data(), text.size());
    return static_cast<std::uint32_t>(at + text.size());
  }
  void put_null(std::size_t column, std::uint32_t row);
  /// For writers that keep a text column's end themselves: where it is, more of it, and, before anything else is done
  /// with the column, where it has come to. Of no meaning for other columns. Throws RecordError beyond 4 GiB of text.
  [[nodiscard]] TextRoom text_room(std::size_t column) {
    GrowingBuffer& values = slots_[column].values;
    return {values.as<char>(), static_cast<std::uint32_t>(values.size()), clamped(values.capacity())};
  }
  TextRoom grow_text(std::size_t column, std::uint32_t used, std::size_t more);
  void set_text_used(std::size_t column, std::uint32_t used) {
    if (slots_[column].width == 0) slots_[column].values.resize(used);
  }
  /// Ends a row without event time.
  void end_row() { ++rows_; }
  void end_row(Timestamp event_time) {
    times_.push(event_time.micros);
    ++rows_;
  }
  /// Ends `rows` rows at once that were written through `pointers`; their timestamps are given to `finish`.
  void end_rows(std::uint32_t rows) { rows_ += rows; }
  /// Rows so far as a batch; empty afterwards. With timestamps when rows were ended with one.
  BatchPtr finish();
  /// The same with timestamps and kinds that somebody else has.
  BatchPtr finish(ColumnPtr timestamps, Buffer kinds);

 private:
  struct Slot {
    DataType type;
    std::size_t width = 0;  ///< 0: text
    GrowingBuffer values;
    GrowingBuffer offsets;
    GrowingBuffer validity;  ///< empty until the first NULL
  };
  void grow(std::uint32_t at_least);
  static std::uint32_t clamped(std::size_t size) {
    return static_cast<std::uint32_t>(std::min<std::size_t>(size, UINT32_MAX));
  }

  SchemaPtr schema_;
  std::vector<Slot> slots_;
  std::vector<std::byte*> pointers_;
  GrowingBuffer times_;
  std::uint32_t rows_ = 0;
  std::uint32_t capacity_ = 0;
  std::vector<std::size_t> text_columns_;
};

/// One row from a JSON object whose members are the schema's fields; absent members and null are NULL.
/// A schema of the single field "value" also takes the bare value. Errors: invalid_argument naming the member.
Result<BatchPtr> row_from_json(const SchemaPtr& schema, std::string_view json);
/// Errors: invalid_argument naming a member of such a row that is not there and not optional.
Status require_members(const Batch& row, std::span<const MemberUse> members, std::string_view record_name);
/// Errors: invalid_argument naming a member of the object, which should have none.
Status refuse_members(std::string_view json);

}  // namespace dataflow

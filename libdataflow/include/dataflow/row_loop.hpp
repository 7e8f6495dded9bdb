#pragma once
// The loops of lambdas over a batch's records, written so that the compiler keeps in registers what does not change:
// the columns' addresses, the ends of the texts. It does so only as long as it sees every use of them, which is why so
// much here must be inlined: a byte that is written could otherwise be one of theirs.

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "dataflow/record.hpp"

namespace dataflow {

/// Rows of a batch in ascending order; all of them as long as nothing has been left out.
struct RowSelection {
  bool all = true;
  std::uint32_t count = 0;
  std::vector<std::uint32_t> rows;  ///< of meaning when not `all`; longer than `count` by `room` when filters use it

  /// What `rows_of_flags` may write past the end.
  static constexpr std::uint32_t room = 8;

  [[nodiscard]] const std::uint32_t* indices() const { return all ? nullptr : rows.data(); }
};

/// Writes first + i for each i whose flag is 1, not 0, in order, and returns how many. `out` has room for `count` and
/// RowSelection::room more.
std::uint32_t rows_of_flags(const std::uint8_t* flags, std::uint32_t count, std::uint32_t first, std::uint32_t* out);

/// Calls `use(i, record)` for i from 0 to `count`, where `row`, for what is caught, is `row_of(i)`.
template <class T, class RowOf, class Use>
[[gnu::always_inline]] inline void for_each_record(const RowReader<T>& reader, std::uint32_t count, std::uint32_t& row,
                                                   RowOf row_of, Use use) {
  const auto views = reader.views();
  [[maybe_unused]] T reused{};
#pragma GCC unroll 4
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = row_of(i);
    row = static_cast<std::uint32_t>(at);
    if constexpr (std::is_trivially_copyable_v<T>) {
      T record{};  // never leaves registers
      RowReader<T>::read_row(views.data(), at, record);
      use(i, std::as_const(record));
    } else {
      RowReader<T>::read_row(views.data(), at, reused);
      use(i, std::as_const(reused));
    }
  }
}

/// The same for each selected row, in order; two loops, because the compiler leaves a condition in one.
template <class T, class Use>
[[gnu::always_inline]] inline void for_each_record(const RowReader<T>& reader, const RowSelection& selection,
                                                   std::uint32_t& row, Use use) {
  if (const std::uint32_t* const rows = selection.indices()) {
    for_each_record(
        reader, selection.count,
        row, [rows](std::size_t i) __attribute__((always_inline))->std::size_t { return rows[i]; }, use);
  } else {
    for_each_record(
        reader, selection.count, row, [](std::size_t i) __attribute__((always_inline)) { return i; }, use);
  }
}

/// Writes a batch's rows into a RowBuffer; in a loop it keeps in registers what the buffer has in memory.
template <class R>
class RowWriter {
 public:
  /// Makes room for `count` rows; nothing else may write to `rows` until `finish`.
  [[gnu::always_inline]] RowWriter(RowBuffer& rows, std::uint32_t count) : rows_{&rows} {
    rows.reserve(count);
    each_column([&](std::size_t i) __attribute__((always_inline)) {
      at_[i] = rows.pointers()[i];
      texts_[i] = rows.text_room(i);
    });
  }

  [[gnu::always_inline]] void write(std::size_t row, const R& record) {
    std::size_t i = 0;
    for_each_field<R>(
        record, [&]<class M>(const M& field)
                    __attribute__((always_inline)) { FieldTraits<M>::write(*this, at_.data(), i++, row, field); });
  }
  /// Ends the rows that have been written.
  [[gnu::always_inline]] void finish(std::uint32_t count) {
    each_column([&](std::size_t i) __attribute__((always_inline)) { rows_->set_text_used(i, texts_[i].used); });
    rows_->end_rows(count);
  }

  // What FieldTraits asks of a RowBuffer.
  [[gnu::always_inline]] std::uint32_t append_text(std::size_t column, std::string_view text) {
    TextRoom& room = texts_[column];
    if (room.capacity - room.used < text.size()) [[unlikely]] {
      room = rows_->grow_text(column, room.used, text.size());
    }
    copy_text(room.bytes + room.used, text.data(), text.size());
    return room.used += static_cast<std::uint32_t>(text.size());
  }
  [[gnu::always_inline]] void put_null(std::size_t column, std::uint32_t row) {
    rows_->set_text_used(column, texts_[column].used);
    rows_->put_null(column, row);
  }

 private:
  /// Unrolled: an element that is found by a computed index cannot be a register.
  template <class Visit>
  [[gnu::always_inline]] static void each_column(Visit visit) {
    [&]<std::size_t... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
      (visit(I), ...);
    }
    (std::make_index_sequence<field_count<R>>{});
  }

  RowBuffer* rows_;
  std::array<std::byte*, field_count<R>> at_{};
  std::array<TextRoom, field_count<R>> texts_{};
};

}  // namespace dataflow

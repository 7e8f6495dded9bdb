#pragma once
// Loops over rows for kernels: the function that computes one row is a template parameter and inlined, so that there
// is no call a row.

#include <tuple>
#include <type_traits>
#include <utility>

#include "libdataflow/expressions/node.hpp"

namespace dataflow::expr {

/// How a C++ type lies in a column.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>;

namespace detail {
template <class... Args, class F, std::size_t... I>
void each_row(KernelCall& call, F&& f, std::index_sequence<I...>) {
  const auto readers = std::tuple{Reader<Args>{call.arguments[I]}...};
  if (call.validity.empty()) {
    for (std::uint32_t row = 0; row < call.rows; ++row) f(row, std::get<I>(readers)[row]...);
    return;
  }
  const auto* valid = call.validity.as<std::uint8_t>();
  for (std::uint32_t row = 0; row < call.rows; ++row) {
    if (bit_at(valid, row)) f(row, std::get<I>(readers)[row]...);
  }
}
}  // namespace detail

/// A strict kernel from `Result f(Args...)` that cannot fail and is computed for every row, even under NULLs.
template <class Result, class... Args, class F>
Kernel map_rows(F f) {
  return [f](KernelCall& call) {
    GrowingBuffer out;
    out.resize(call.rows * sizeof(Stored<Result>));
    auto* values = out.as<Stored<Result>>();
    const auto loop = [&]<std::size_t... I>(std::index_sequence<I...>) {
      const auto readers = std::tuple{Reader<Args>{call.arguments[I]}...};
      for (std::uint32_t row = 0; row < call.rows; ++row) {
        values[row] = static_cast<Stored<Result>>(f(std::get<I>(readers)[row]...));
      }
    };
    loop(std::index_sequence_for<Args...>{});
    return call.finish(std::move(out));
  };
}

/// Where a row function of try_rows puts its result: exactly one of the three.
template <class T>
class RowResult {
 public:
  RowResult(KernelCall& call, Stored<T>* values) : call_{call}, values_{values} {}
  void at(std::uint32_t row) { row_ = row; }
  void set(T value) { values_[row_] = static_cast<Stored<T>>(value); }
  void fail(std::string message) { call_.fail(row_, std::move(message)); }
  void null() {
    if (nulls_.size() == 0) {
      if (call_.validity.empty()) {
        nulls_ = full_bitmap(call_.rows, true);
      } else {
        nulls_.append(call_.validity.data(), bitmap_bytes(call_.rows));
      }
    }
    clear_bit(nulls_.as<std::uint8_t>(), row_);
  }
  [[nodiscard]] Buffer validity() { return nulls_.size() == 0 ? call_.validity : nulls_.freeze(); }

 private:
  KernelCall& call_;
  Stored<T>* values_;
  std::uint32_t row_ = 0;
  GrowingBuffer nulls_;
};

/// A strict kernel from `void f(RowResult<Result>&, Args...)`, called for valid rows only. Each batch has a copy of f,
/// which may remember something from row to row.
template <class Result, class... Args, class F>
Kernel try_rows(F f) {
  return [f](KernelCall& call) {
    F one = f;
    GrowingBuffer out;
    out.resize(call.rows * sizeof(Stored<Result>));
    if (out.size() != 0) std::memset(out.data(), 0, out.size());
    RowResult<Result> result{call, out.as<Stored<Result>>()};
    detail::each_row<Args...>(
        call,
        [&](std::uint32_t row, const Args&... args) {
          result.at(row);
          one(result, args...);
        },
        std::index_sequence_for<Args...>{});
    return call.finish(std::move(out), result.validity());
  };
}

/// Where a row function of text_rows writes: any number of appends, then the row is done; or null, or fail.
class TextResult {
 public:
  explicit TextResult(KernelCall& call);
  void append(std::string_view text) {
    if (bytes_.size() + text.size() > most_) [[unlikely]] {
      too_long_ = true;
    } else {
      bytes_.append(text.data(), text.size());
    }
  }
  void append(char c) { append(std::string_view{&c, 1}); }
  void null();
  void fail(std::string message);
  /// True when the row's text is over the limit: the function may stop early.
  [[nodiscard]] bool too_long() const { return too_long_; }

  /// Goes to `row`, behind the last one; rows between are NULL and empty.
  [[gnu::always_inline]] void begin(std::uint32_t row) {
    if (too_long_) [[unlikely]]
      give_up_row();
    const auto start = static_cast<std::uint32_t>(bytes_.size());
    while (rows_ <= row) offsets_.as<std::uint32_t>()[rows_++] = start;
  }
  ColumnPtr finish();

 private:
  void give_up_row();
  [[nodiscard]] std::size_t row_start() const { return offsets_.as<std::uint32_t>()[rows_ - 1]; }

  /// Bytes of one column, in all: keeps offsets in 32 bits and a malicious replace() from eating the memory. A constant
  /// has less, as it may be repeated for each row.
  static constexpr std::size_t most_bytes = std::size_t{256} << 20;
  static constexpr std::size_t most_constant_bytes = std::size_t{64} << 10;

  KernelCall& call_;
  GrowingBuffer bytes_;
  GrowingBuffer offsets_;  ///< of all rows, set as far as rows have begun
  GrowingBuffer nulls_;
  std::uint32_t rows_ = 0;  ///< rows begun
  bool too_long_ = false;
  std::size_t most_;
};

/// A strict kernel from `void f(TextResult&, Args...)`, called for valid rows only. Each batch has a copy of f, which
/// may remember something from row to row.
template <class... Args, class F>
Kernel text_rows(F f) {
  return [f](KernelCall& call) {
    F one = f;
    TextResult result{call};
    detail::each_row<Args...>(
        call,
        [&](std::uint32_t row, const Args&... args) {
          result.begin(row);
          one(result, args...);
        },
        std::index_sequence_for<Args...>{});
    return result.finish();
  };
}

}  // namespace dataflow::expr

#include "libdataflow/expressions/comparison.hpp"

#include <functional>
#include <numeric>

#include "libdataflow/expressions/arithmetic.hpp"
#include "libdataflow/expressions/compare_rows.hpp"
#include "libdataflow/expressions/rowwise.hpp"
#include "serialization/cpu.hpp"

namespace dataflow::expr {

namespace {

/// Calls `use` with the function object of `op`.
template <class Use>
auto with_operator(BinaryOperator op, Use&& use) {
  switch (op) {
    case BinaryOperator::equal: return use(std::equal_to<>{});
    case BinaryOperator::not_equal: return use(std::not_equal_to<>{});
    case BinaryOperator::less: return use(std::less<>{});
    case BinaryOperator::less_equal: return use(std::less_equal<>{});
    case BinaryOperator::greater: return use(std::greater<>{});
    default: assert(op == BinaryOperator::greater_equal); return use(std::greater_equal<>{});
  }
}

/// Calls `use` with a value of the C++ type in which columns of `kind` are compared.
template <class Use>
auto with_type(Kind kind, Use&& use) {
  switch (kind) {
    case Kind::boolean: return use(std::uint8_t{});
    case Kind::int32: return use(std::int32_t{});
    case Kind::float64: return use(double{});
    case Kind::null:
    case Kind::string:
    case Kind::bytes: return use(std::string_view{});
    case Kind::int64:
    case Kind::decimal:
    case Kind::timestamp:
    case Kind::interval: break;
  }
  return use(std::int64_t{});
}

template <class T, class Compare>
void compare_loop(const T* __restrict a, T b, std::uint8_t* __restrict out, std::uint32_t rows, Compare compare) {
  for (std::uint32_t i = 0; i < rows; ++i) out[i] = compare(a[i], b);
}

/// Whether each row compares as wanted with one value.
template <class T, class Compare>
void compare_all(const T* a, T b, std::uint8_t* out, std::uint32_t rows, Compare compare) {
#if defined(__x86_64__)
  if constexpr (sizeof(T) >= 4) {
    if (cpu::has_avx2()) return avx2::flags_of_rows(a, b, rows, out, compare);
  }
#endif
  compare_loop(a, b, out, rows, compare);
}

template <class T, class Compare>
ColumnPtr compare_fixed(KernelCall& call, Compare compare) {
  GrowingBuffer out;
  out.resize(call.rows);
  auto* values = out.as<std::uint8_t>();
  const Vector& left = call.arguments[0];
  const Vector& right = call.arguments[1];
  const T* a = left.column->values.as<T>();
  const T* b = right.column->values.as<T>();
  if (right.constant) {
    compare_all(a, b[0], values, call.rows, compare);
  } else if (left.constant) {
    compare_loop(b, a[0], values, call.rows, [compare](T x, T y) { return compare(y, x); });
  } else {
    for (std::uint32_t i = 0; i < call.rows; ++i) values[i] = compare(a[i], b[i]);
  }
  return call.finish(std::move(out));
}

/// Narrows the rows to those for which `keep` is true. It writes every candidate and goes on to the next place only
/// when it is kept: no branch to mispredict.
template <class Keep>
void compact(RowList& rows, Keep keep) {
  std::size_t kept = 0;
  std::uint32_t* out = rows.data();
  for (const std::uint32_t row : rows) {
    out[kept] = row;
    kept += keep(row) ? 1 : 0;
  }
  rows.resize(kept);
}

template <class Keep>
void compact_all(RowList& rows, std::uint32_t batch_rows, Keep keep) {
  rows.resize(batch_rows);
  std::iota(rows.begin(), rows.end(), 0U);
  compact(rows, keep);
}

template <class T, class Compare>
void filter_column(const Column& column, const Vector& value, RowList& rows, bool all, Compare compare) {
  const Reader<T> values{Vector{std::shared_ptr<const Column>{std::shared_ptr<void>{}, &column}, false, {}}};
  const T wanted = Reader<T>{value}[0];
  const std::uint8_t* valid = column.has_nulls() ? column.validity_bits() : nullptr;
  const auto keep = [=](std::uint32_t row) {
    const unsigned is_valid = valid == nullptr ? 1U : static_cast<unsigned>(bit_at(valid, row));
    return (is_valid & static_cast<unsigned>(compare(values[row], wanted))) != 0;
  };
  if (!all) return compact(rows, keep);
  if constexpr (std::is_arithmetic_v<T>) {
    rows.resize(column.rows + std::size_t{8});
    rows.resize(kept_rows(column.values.as<T>(), wanted, valid, column.rows, rows.data(), compare));
  } else {
    compact_all(rows, column.rows, keep);
  }
}

int128 scaled(std::int64_t value, unsigned digits) {
  int128 wide = value;
  while (digits-- != 0) wide *= 10;
  return wide;
}

}  // namespace

BinaryOperator mirrored(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::less: return BinaryOperator::greater;
    case BinaryOperator::less_equal: return BinaryOperator::greater_equal;
    case BinaryOperator::greater: return BinaryOperator::less;
    case BinaryOperator::greater_equal: return BinaryOperator::less_equal;
    default: return op;
  }
}

Kernel comparison_kernel(BinaryOperator op, Kind kind) {
  return with_operator(op, [kind](auto compare) {
    return with_type(kind, [compare](auto sample) -> Kernel {
      using T = decltype(sample);
      if constexpr (std::is_same_v<T, std::string_view>) {
        return map_rows<bool, T, T>(compare);
      } else {
        return [compare](KernelCall& call) { return compare_fixed<T>(call, compare); };
      }
    });
  });
}

Kernel decimal_comparison_kernel(BinaryOperator op, std::uint8_t left_scale, std::uint8_t right_scale) {
  const unsigned left_digits = left_scale < right_scale ? right_scale - left_scale : 0U;
  const unsigned right_digits = right_scale < left_scale ? left_scale - right_scale : 0U;
  return with_operator(op, [=](auto compare) {
    return map_rows<bool, std::int64_t, std::int64_t>(
        [=](std::int64_t a, std::int64_t b) { return compare(scaled(a, left_digits), scaled(b, right_digits)); });
  });
}

Kernel distinct_kernel(Kind kind, bool negated) {
  return with_type(kind, [negated](auto sample) -> Kernel {
    using T = decltype(sample);
    return [negated](KernelCall& call) {
      const Vector& left = call.arguments[0];
      const Vector& right = call.arguments[1];
      const Reader<T> a{left};
      const Reader<T> b{right};
      GrowingBuffer out;
      out.resize(call.rows);
      auto* values = out.as<std::uint8_t>();
      for (std::uint32_t row = 0; row < call.rows; ++row) {
        const bool left_null = left.is_null(row);
        const bool right_null = right.is_null(row);
        const bool distinct = left_null || right_null ? left_null != right_null : !(a[row] == b[row]);
        values[row] = distinct != negated;
      }
      return call.finish(std::move(out), {});
    };
  });
}

Vector FieldComparisonNode::evaluate(Frame& frame) const {
  const Vector arguments[] = {{frame.batch->columns()[field_], false, {}}, value_};
  KernelCall call{arguments, frame.rows, type(), arguments[0].column->validity, frame.context, {}};
  return {kernel_(call), false, {}};
}

void FieldComparisonNode::filter(Frame& frame, RowList& rows, bool all) const {
  const Column& column = frame.batch->column(field_);
  with_operator(op_, [&](auto compare) {
    with_type(kind_, [&](auto sample) { filter_column<decltype(sample)>(column, value_, rows, all, compare); });
  });
}

}  // namespace dataflow::expr

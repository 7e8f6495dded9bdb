#include "serialization/key_hash.hpp"

#include <bit>
#include <cmath>
#include <cstring>

#include "serialization/cpu.hpp"

// Inlined, because most keys are shorter than a call is worth. XXH3's results are frozen since xxHash 0.8.0.
#define XXH_INLINE_ALL
#include <xxhash.h>

static_assert(XXH_VERSION_NUMBER >= 800, "older versions of XXH3 gave other results");

namespace dataflow {
namespace {

/// Austin Appleby, MurmurHash3 (public domain).
constexpr std::uint64_t first_factor = 0xff51afd7ed558ccd;
constexpr std::uint64_t second_factor = 0xc4ceb9fe1a85ec53;
constexpr std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 33;
  x *= first_factor;
  x ^= x >> 33;
  x *= second_factor;
  return x ^ (x >> 33);
}

constexpr std::uint64_t canonical(std::uint8_t v) {
  return v;
}
constexpr std::uint64_t canonical(std::int32_t v) {
  return static_cast<std::uint64_t>(std::int64_t{v});
}
constexpr std::uint64_t canonical(std::int64_t v) {
  return static_cast<std::uint64_t>(v);
}
std::uint64_t canonical(double v) {
  if (v == 0) return 0;
  return std::isnan(v) ? 0x7ff8000000000000ULL : std::bit_cast<std::uint64_t>(v);
}

template <class T>
struct FixedCells {
  const T* values;
  std::uint64_t operator()(std::size_t row) const { return mix(canonical(values[row]) ^ key_hash_seed); }
};

struct TextCells {
  const Column& column;
  std::uint64_t operator()(std::size_t row) const {
    const std::string_view text = column.text(row);
    return XXH3_64bits_withSeed(text.data(), text.size(), key_hash_seed);
  }
};

/// Whether a column is the row's first, whose cells stand for themselves, or is combined with what is there.
enum class Position { first, further };

template <Position position>
void put(std::uint64_t& row, std::uint64_t cell) {
  row = position == Position::first ? cell : mix(row * 0x9e3779b97f4a7c15ULL + cell);
}

/// Of the rows from `from` on.
template <Position position, class Cells>
void hash_cells(const Column& column, Cells cell, std::uint64_t* out, std::size_t from = 0) {
  const std::size_t rows = column.rows;
  if (column.has_nulls()) {
    const std::uint8_t* const valid = column.validity_bits();
    for (std::size_t i = from; i < rows; ++i) put<position>(out[i], bit_at(valid, i) ? cell(i) : key_hash_null);
  } else {
    for (std::size_t i = from; i < rows; ++i) put<position>(out[i], cell(i));
  }
}

#if defined(__x86_64__)
/// Whole numbers as rows of one column, which is what most exchanges hash (nexmark_q12), eight at a time; returns how
/// many rows are done. A product of eight takes three instructions here and is not to be had without.
[[gnu::target("avx512f,avx512dq")]] std::size_t hash_eights(const std::int64_t* values, std::size_t rows,
                                                            std::uint64_t* out) {
  using Eight = std::uint64_t __attribute__((vector_size(64)));
  std::size_t i = 0;
  for (; i + 8 <= rows; i += 8) {
    Eight x;
    std::memcpy(&x, values + i, sizeof x);
    x ^= key_hash_seed;
    x ^= x >> 33;
    x *= first_factor;
    x ^= x >> 33;
    x *= second_factor;
    x ^= x >> 33;
    std::memcpy(out + i, &x, sizeof x);
  }
  return i;
}
#endif

template <Position position>
void hash_longs(const Column& column, std::uint64_t* out) {
  const auto* values = column.values.as<std::int64_t>();
  std::size_t done = 0;
#if defined(__x86_64__)
  if (position == Position::first && !column.has_nulls() && cpu::has_avx512()) {
    done = hash_eights(values, column.rows, out);
  }
#endif
  hash_cells<position>(column, FixedCells<std::int64_t>{values}, out, done);
}

template <Position position>
void hash_column(const Column& column, std::uint64_t* out) {
  switch (column.type.kind()) {
    case TypeKind::boolean:
      return hash_cells<position>(column, FixedCells<std::uint8_t>{column.values.as<std::uint8_t>()}, out);
    case TypeKind::int32:
      return hash_cells<position>(column, FixedCells<std::int32_t>{column.values.as<std::int32_t>()}, out);
    case TypeKind::float64: return hash_cells<position>(column, FixedCells<double>{column.values.as<double>()}, out);
    case TypeKind::string:
    case TypeKind::bytes: return hash_cells<position>(column, TextCells{column}, out);
    default: assert(column.type.width() == 8); return hash_longs<position>(column, out);
  }
}

}  // namespace

void hash_rows(std::span<const Column* const> key_columns, std::uint32_t rows, std::vector<std::uint64_t>& out) {
  if (key_columns.empty()) {
    out.assign(rows, mix(key_hash_seed));
    return;
  }
  out.resize(rows);
  for (std::size_t c = 0; c < key_columns.size(); ++c) {
    assert(key_columns[c]->rows == rows);
    if (c == 0) {
      hash_column<Position::first>(*key_columns[c], out.data());
    } else {
      hash_column<Position::further>(*key_columns[c], out.data());
    }
  }
}

}  // namespace dataflow

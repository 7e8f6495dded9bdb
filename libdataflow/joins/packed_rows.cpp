#include "libdataflow/joins/packed_rows.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace dataflow::joins {

namespace {

constexpr std::size_t npos = static_cast<std::size_t>(-1);

constexpr std::size_t round_up(std::size_t n, std::size_t to) {
  return (n + to - 1) / to * to;
}

/// The bits of the fields that have a value.
std::uint8_t* bits_of(std::byte* row) {
  return reinterpret_cast<std::uint8_t*>(row + sizeof(std::uint32_t));
}

}  // namespace

PackedLayout::PackedLayout(const Schema& input, std::vector<std::size_t> stored, std::size_t keys)
    : stored_{std::move(stored)}, places_(input.size(), npos), keys_{keys}, offsets_(stored_.size()) {
  std::vector<Field> fields;
  for (std::size_t place = 0; place < stored_.size(); ++place) {
    places_[stored_[place]] = place;
    fields.push_back(input[stored_[place]]);
  }
  schema_ = make_schema(std::move(fields));
  const auto width = [&](std::size_t place) {
    const DataType& type = (*schema_)[place].type;
    return type.is_variable_width() ? sizeof(TextPlace) : type.width();
  };
  std::vector<std::size_t> by_width(stored_.size());
  std::iota(by_width.begin(), by_width.end(), std::size_t{0});
  std::stable_sort(by_width.begin(), by_width.end(), [&](auto a, auto b) { return width(a) > width(b); });
  std::size_t at = round_up(sizeof(std::uint32_t) + bitmap_bytes(stored_.size()), 8);
  for (const std::size_t place : by_width) {
    offsets_[place] = static_cast<std::uint32_t>(at);
    at += width(place);
  }
  fixed_bytes_ = static_cast<std::uint32_t>(at);
}

std::size_t PackedLayout::place_of(std::size_t input_field) const {
  assert(places_[input_field] != npos);
  return places_[input_field];
}

void PackedLayout::sizes(const Batch& batch, std::span<const std::uint32_t> rows,
                         std::vector<std::uint32_t>& out) const {
  out.assign(rows.size(), fixed_bytes_);
  bool have_texts = false;
  for (const std::size_t field : stored_) {
    const Column& column = batch.column(field);
    if (!column.type.is_variable_width() || is_unread(column)) continue;
    have_texts = true;
    const std::uint32_t* const offsets = column.offset_data();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (column.is_null(rows[i])) continue;
      out[i] += offsets[rows[i] + 1] - offsets[rows[i]];
      if (out[i] > std::numeric_limits<std::uint32_t>::max() / 2) throw std::length_error{"a row of more than 2 GiB"};
    }
  }
  if (!have_texts) return out.assign(rows.size(), static_cast<std::uint32_t>(round_up(fixed_bytes_, 8)));
  for (std::uint32_t& size : out) size = static_cast<std::uint32_t>(round_up(size, 8));
}

template <class T>
void PackedLayout::pack_fixed(const Column& column, std::size_t place, std::span<const std::uint32_t> rows,
                              std::byte* const* to) const {
  const T* const values = column.values.as<T>();
  const std::uint32_t offset = offsets_[place];
  if (!column.has_nulls()) {
    for (std::size_t i = 0; i < rows.size(); ++i) std::memcpy(to[i] + offset, values + rows[i], sizeof(T));
    return;
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (column.is_null(rows[i])) continue;
    std::memcpy(to[i] + offset, values + rows[i], sizeof(T));
    set_bit(bits_of(to[i]), place);
  }
}

void PackedLayout::pack_texts(const Column& column, std::size_t place, std::span<const std::uint32_t> rows,
                              std::byte* const* to, std::vector<std::uint32_t>& ends) const {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (column.is_null(rows[i])) continue;
    const std::string_view text = column.text(rows[i]);
    const TextPlace where{ends[i], static_cast<std::uint32_t>(text.size())};
    std::memcpy(to[i] + offsets_[place], &where, sizeof where);
    if (!text.empty()) std::memcpy(to[i] + where.offset, text.data(), text.size());
    ends[i] += where.length;
    set_bit(bits_of(to[i]), place);
  }
}

void PackedLayout::pack(const Batch& batch, std::span<const std::uint32_t> rows, std::span<const std::uint32_t> sizes,
                        std::byte* const* to) const {
  std::vector<std::byte> start(fixed_bytes_);  // of each row: with the bits of fields that all rows have
  for (std::size_t place = 0; place < stored_.size(); ++place) {
    if (!batch.column(stored_[place]).has_nulls()) set_bit(bits_of(start.data()), place);
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(start.data(), &sizes[i], sizeof(std::uint32_t));
    std::memcpy(to[i], start.data(), fixed_bytes_);
    // Behind the last text, so that equal rows are equal bytes; texts go over the rest.
    if (fixed_bytes_ < sizes[i]) std::memset(to[i] + sizes[i] - 8, 0, 8);
  }
  std::vector<std::uint32_t> ends(rows.size(), fixed_bytes_);
  for (std::size_t place = 0; place < stored_.size(); ++place) {
    const Column& column = batch.column(stored_[place]);
    if (is_unread(column)) continue;
    if (column.type.is_variable_width()) {
      pack_texts(column, place, rows, to, ends);
      continue;
    }
    switch (column.type.width()) {
      case 1: pack_fixed<std::uint8_t>(column, place, rows, to); break;
      case 4: pack_fixed<std::int32_t>(column, place, rows, to); break;
      default: pack_fixed<std::int64_t>(column, place, rows, to); break;
    }
  }
}

template <class T>
void PackedLayout::unpack_fixed(std::size_t place, std::span<const std::byte* const> rows, Column& column) const {
  GrowingBuffer out;
  out.resize(rows.size() * sizeof(T));
  T* const values = out.as<T>();
  for (std::size_t i = 0; i < rows.size(); ++i) values[i] = rows[i] != nullptr ? load<T>(rows[i], place) : T{};
  column.values = out.freeze();
}

void PackedLayout::unpack_texts(std::size_t place, std::span<const std::byte* const> rows, Column& column) const {
  GrowingBuffer offsets;
  offsets.resize((rows.size() + 1) * sizeof(std::uint32_t));
  auto* const ends = offsets.as<std::uint32_t>();
  std::uint64_t total = 0;
  ends[0] = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] != nullptr) total += load<TextPlace>(rows[i], place).length;
    if (total > std::numeric_limits<std::uint32_t>::max()) throw std::length_error{"joined texts pass 4 GiB"};
    ends[i + 1] = static_cast<std::uint32_t>(total);
  }
  GrowingBuffer bytes;
  bytes.resize(total);
  char* const target = bytes.as<char>();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (ends[i] == ends[i + 1]) continue;
    const auto where = load<TextPlace>(rows[i], place);
    std::memcpy(target + ends[i], rows[i] + where.offset, where.length);
  }
  column.offsets = offsets.freeze();
  column.values = bytes.freeze();
}

ColumnPtr PackedLayout::unpack(std::size_t place, std::span<const std::byte* const> rows) const {
  auto column = std::make_shared<Column>();
  column->type = (*schema_)[place].type;
  column->rows = static_cast<std::uint32_t>(rows.size());
  if (column->type.is_variable_width()) {
    unpack_texts(place, rows, *column);
  } else {
    switch (column->type.width()) {
      case 1: unpack_fixed<std::uint8_t>(place, rows, *column); break;
      case 4: unpack_fixed<std::int32_t>(place, rows, *column); break;
      default: unpack_fixed<std::int64_t>(place, rows, *column); break;
    }
  }
  GrowingBuffer validity;
  validity.resize(bitmap_bytes(rows.size()));
  auto* const bits = validity.as<std::uint8_t>();
  std::fill_n(bits, validity.size(), std::uint8_t{0});  // no memset: of no rows there may be no bits
  bool all = true;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool valid = rows[i] != nullptr && has_value(rows[i], place);
    all = all && valid;
    if (valid) set_bit(bits, i);
  }
  if (!all) column->validity = validity.freeze();
  return column;
}

bool PackedLayout::equal_keys(const PackedLayout& a, const std::byte* row_a, const PackedLayout& b,
                              const std::byte* row_b) {
  assert(a.keys_ == b.keys_);
  for (std::size_t place = 0; place < a.keys_; ++place) {
    const DataType& type = (*a.schema_)[place].type;
    assert(type == (*b.schema_)[place].type);
    if (type.is_variable_width()) {
      const auto x = a.load<TextPlace>(row_a, place);
      const auto y = b.load<TextPlace>(row_b, place);
      if (x.length != y.length || std::memcmp(row_a + x.offset, row_b + y.offset, x.length) != 0) return false;
    } else if (type.kind() == TypeKind::float64) {
      if (a.load<double>(row_a, place) != b.load<double>(row_b, place)) return false;
    } else if (std::memcmp(row_a + a.offsets_[place], row_b + b.offsets_[place], type.width()) != 0) {
      return false;
    }
  }
  return true;
}

namespace {

constexpr std::size_t first_page_bytes = 1024;
constexpr std::size_t page_bytes = 64 * 1024;
/// Larger rows have memory of their own.
constexpr std::size_t largest_in_page = 8 * 1024;
constexpr std::size_t few_bytes = 256;
constexpr std::size_t steps_of_few = few_bytes / 16;

}  // namespace

/// Steps of 16 bytes up to 256, then eight between one power of two and the next: an eighth is wasted at most.
std::size_t RowArena::size_class(std::size_t bytes) {
  if (bytes <= few_bytes) return (bytes + 15) / 16;
  const auto power = static_cast<unsigned>(std::bit_width(bytes - 1));  // 2^(power-1) < bytes <= 2^power
  const std::size_t base = std::size_t{1} << (power - 1);
  const std::size_t step = base / 8;
  return steps_of_few + (power - 9) * 8 + (bytes - base + step - 1) / step;
}

namespace {

std::size_t class_bytes(std::size_t size_class) {
  if (size_class <= steps_of_few) return size_class * 16;
  const std::size_t power = (size_class - steps_of_few - 1) / 8;
  const std::size_t base = few_bytes << power;
  return base + (((size_class - steps_of_few - 1) % 8) + 1) * (base / 8);
}

}  // namespace

std::byte* RowArena::allocate(std::size_t bytes) {
  in_use_ += bytes;
  if (bytes > largest_in_page) {
    std::unique_ptr<std::byte[]> owned{new std::byte[bytes]};
    std::byte* const row = owned.get();
    large_.emplace(row, std::move(owned));
    return row;
  }
  const std::size_t of_class = size_class(bytes);
  if (of_class < free_.size() && !free_[of_class].empty()) {
    std::byte* const row = free_[of_class].back();
    free_[of_class].pop_back();
    return row;
  }
  const std::size_t size = class_bytes(of_class);
  if (left_ < size) {
    page_bytes_ = std::max(std::min(page_bytes, page_bytes_ == 0 ? first_page_bytes : page_bytes_ * 2), size);
    pages_.emplace_back(new std::byte[page_bytes_]);
    next_ = pages_.back().get();
    left_ = page_bytes_;
  }
  std::byte* const row = next_;
  next_ += size;
  left_ -= size;
  return row;
}

void RowArena::free(std::byte* row, std::size_t bytes) {
  in_use_ -= bytes;
  if (bytes > largest_in_page) {
    large_.erase(row);
    return;
  }
  const std::size_t of_class = size_class(bytes);
  if (of_class >= free_.size()) free_.resize(of_class + 1);
  free_[of_class].push_back(row);
}

void rows_with_key(const Batch& batch, std::span<const std::size_t> key_fields, std::vector<std::uint32_t>& with_key,
                   std::vector<std::uint32_t>& without_key) {
  with_key.clear();
  without_key.clear();
  const auto may_lack = [&](std::size_t field) {
    const Column& column = batch.column(field);
    return column.has_nulls() || column.type.kind() == TypeKind::float64;
  };
  if (std::none_of(key_fields.begin(), key_fields.end(), may_lack)) {
    with_key.resize(batch.rows());
    std::iota(with_key.begin(), with_key.end(), 0U);
    return;
  }
  for (std::uint32_t row = 0; row < batch.rows(); ++row) {
    const bool has = std::all_of(key_fields.begin(), key_fields.end(), [&](std::size_t field) {
      const Column& column = batch.column(field);
      return !column.is_null(row) && (column.type.kind() != TypeKind::float64 || !std::isnan(column.as<double>()[row]));
    });
    (has ? with_key : without_key).push_back(row);
  }
}

}  // namespace dataflow::joins

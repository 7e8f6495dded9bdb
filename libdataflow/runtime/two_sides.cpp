#include "libdataflow/runtime/two_sides.hpp"

#include <algorithm>
#include <cassert>

#include "libdataflow/expressions/compare_rows.hpp"
#include "serialization/cpu.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dataflow {

namespace {

/// Of a list of rows, which are written eight at a time.
constexpr std::size_t room_behind_rows = 8;

#if defined(__x86_64__)
/// Writes rows whose hash is below `upper` behind those of the first side, the others behind those of the second, eight
/// at a time; returns how many are done.
[[gnu::target("avx2")]] std::uint32_t put_eights_on_sides(const std::uint64_t* hashes, std::uint64_t upper,
                                                          std::uint32_t rows, std::uint32_t*& first,
                                                          std::uint32_t*& second) {
  std::uint32_t row = 0;
  for (; row + 8 <= rows; row += 8) {
    const unsigned mask = expr::avx2::mask_of_eight<std::uint64_t, std::greater_equal<>>(hashes + row, upper);
    first = expr::avx2::put_rows(mask ^ 0xFFU, row, first);
    second = expr::avx2::put_rows(mask, row, second);
  }
  return row;
}

/// A mask for each eight rows; returns how many rows of those are on the second side.
[[gnu::target("avx512f,popcnt")]] std::uint32_t masks_of_eights(const std::uint64_t* hashes, std::uint64_t upper,
                                                                std::size_t eights, std::uint8_t* masks) {
  const __m512i wanted = _mm512_set1_epi64(static_cast<std::int64_t>(upper));
  std::uint32_t second = 0;
  for (std::size_t i = 0; i < eights; ++i) {
    masks[i] = _mm512_cmpge_epu64_mask(_mm512_loadu_si512(hashes + 8 * i), wanted);
    second += static_cast<std::uint32_t>(__builtin_popcount(masks[i]));
  }
  return second;
}

/// Values of eight bytes, eight at a time: 56 bytes more are written behind each side.
[[gnu::target("avx512f,popcnt")]] void split_eights(const std::uint64_t* values, const std::uint8_t* masks,
                                                    std::size_t eights, std::uint64_t*& first, std::uint64_t*& second) {
  for (std::size_t i = 0; i < eights; ++i) {
    const __m512i eight = _mm512_loadu_si512(values + 8 * i);
    const unsigned mask = masks[i];
    _mm512_storeu_si512(first, _mm512_maskz_compress_epi64(static_cast<__mmask8>(~mask), eight));
    _mm512_storeu_si512(second, _mm512_maskz_compress_epi64(static_cast<__mmask8>(mask), eight));
    const int on_second = __builtin_popcount(mask);
    first += 8 - on_second;
    second += on_second;
  }
}
#endif

constexpr std::size_t written_behind = 64;

}  // namespace

void TwoSides::choose(std::span<const std::uint64_t> hashes, std::uint64_t upper) {
  hashes_ = hashes;
  upper_ = upper;
  listed_ = false;
#if defined(__x86_64__)
  if (cpu::has_avx512()) {
    const std::size_t eights = hashes.size() / 8;
    masks_.resize(std::max(masks_.size(), eights));
    sizes_[1] = masks_of_eights(hashes.data(), upper, eights, masks_.data());
    for (std::size_t row = eights * 8; row < hashes.size(); ++row) sizes_[1] += hashes[row] >= upper ? 1 : 0;
    sizes_[0] = static_cast<std::uint32_t>(hashes.size()) - sizes_[1];
    return;
  }
#endif
  list_rows();
}

/// Where to stays in registers: a number that was stored for the row before could not be loaded at once. Every side's
/// list has room for all rows, so that a row costs one store and no question.
void TwoSides::list_rows() {
  const auto rows = static_cast<std::uint32_t>(hashes_.size());
  for (auto& list : lists_) list.resize(std::max(list.size(), rows + room_behind_rows));
  std::uint32_t* first = lists_[0].data();
  std::uint32_t* second = lists_[1].data();
  std::uint32_t row = 0;
#if defined(__x86_64__)
  if (cpu::has_avx2()) row = put_eights_on_sides(hashes_.data(), upper_, rows, first, second);
#endif
  for (; row < rows; ++row) {
    *first = *second = row;
    const bool is_second = hashes_[row] >= upper_;
    first += is_second ? 0 : 1;
    second += is_second ? 1 : 0;
  }
  sizes_[0] = static_cast<std::uint32_t>(first - lists_[0].data());
  sizes_[1] = rows - sizes_[0];
  listed_ = true;
}

std::span<const std::uint32_t> TwoSides::list(std::size_t side) {
  if (!listed_) list_rows();
  return {lists_[side].data(), sizes_[side]};
}

TwoSides::Columns TwoSides::split(const Column& column) {
#if defined(__x86_64__)
  if (cpu::has_avx512() && !column.has_nulls() && column.type.width() == sizeof(std::uint64_t)) {
    std::array<GrowingBuffer, 2> sides;
    for (std::size_t side = 0; side < 2; ++side) {
      sides[side].reserve(sizes_[side] * sizeof(std::uint64_t) + written_behind);
      sides[side].resize(sizes_[side] * sizeof(std::uint64_t));
    }
    const auto* values = column.values.as<std::uint64_t>();
    auto* first = sides[0].as<std::uint64_t>();
    auto* second = sides[1].as<std::uint64_t>();
    const std::size_t eights = hashes_.size() / 8;
    split_eights(values, masks_.data(), eights, first, second);
    for (std::size_t row = eights * 8; row < hashes_.size(); ++row) {
      (hashes_[row] >= upper_ ? *second++ : *first++) = values[row];
    }
    std::array<std::shared_ptr<Column>, 2> made;
    for (std::size_t side = 0; side < 2; ++side) {
      made[side] = std::make_shared<Column>();
      made[side]->type = column.type;
      made[side]->rows = sizes_[side];
      made[side]->values = sides[side].freeze();
    }
    return {std::move(made[0]), std::move(made[1])};
  }
#endif
  if (is_unread(column)) return {unread_column(column.type, sizes_[0]), unread_column(column.type, sizes_[1])};
  return {gather(column, list(0)), gather(column, list(1))};
}

std::pair<BatchPtr, BatchPtr> TwoSides::split(const Batch& batch) {
  assert(batch.rows() == hashes_.size());
  if (!batch.kinds().empty()) return {batch.select_rows(list(0)), batch.select_rows(list(1))};
  std::vector<ColumnPtr> first;
  std::vector<ColumnPtr> second;
  first.reserve(batch.columns().size());
  second.reserve(batch.columns().size());
  Columns times;
  for (const ColumnPtr& column : batch.columns()) {
    Columns sides = split(*column);
    if (column == batch.timestamps()) times = sides;  // the event time is a field: one copy for both
    first.push_back(std::move(sides.first));
    second.push_back(std::move(sides.second));
  }
  if (batch.has_event_time() && times.first == nullptr) times = split(*batch.timestamps());
  return {std::make_shared<const Batch>(batch.schema(), sizes_[0], std::move(first), std::move(times.first)),
          std::make_shared<const Batch>(batch.schema(), sizes_[1], std::move(second), std::move(times.second))};
}

}  // namespace dataflow

#include "libdataflow/ranking/cutoff.hpp"

#include <cstring>
#include <limits>

#include "serialization/cpu.hpp"

namespace dataflow {

namespace {

constexpr std::uint32_t rows_in_a_block = 64;
constexpr std::int64_t anything = std::numeric_limits<std::int64_t>::max();

/// Whether one of a block's values, turned, is at most `most`.
bool any_in_block(const std::int64_t* values, std::int64_t turn, std::int64_t most) {
  bool any = false;
  for (std::uint32_t i = 0; i < rows_in_a_block; ++i) any |= (values[i] ^ turn) <= most;
  return any;
}

#if defined(__x86_64__)
/// The same four at a time: of eight bytes SSE2 compares none.
[[gnu::target("avx2")]] bool any_in_block_avx2(const std::int64_t* values, std::int64_t turn, std::int64_t most) {
  using Four = std::int64_t __attribute__((vector_size(32)));
  Four any{};
  for (std::uint32_t i = 0; i < rows_in_a_block; i += 4) {
    __builtin_prefetch(values + i + 128);  // the processor reads ahead within a page only
    Four four;
    std::memcpy(&four, values + i, sizeof four);
    any |= (four ^ turn) <= most;
  }
  return (any[0] | any[1] | any[2] | any[3]) != 0;
}
#endif

}  // namespace

Cutoff::Cutoff(const std::vector<SortField>& order, const RowLimit& limit)
    : limit_{limit},
      equal_enter_{order.size() > 1 || limit.with_ties},
      turn_{order.front().descending ? ~std::int64_t{0} : 0},
      most_{anything} {}

bool Cutoff::knows(const Column& column) {
  return column.type.width() == sizeof(std::int64_t) && column.type.kind() != TypeKind::float64 &&
         !column.has_nulls() && !is_unread(column);
}

void Cutoff::set(const RankedRows* kept) {
  set(std::nullopt);
  if (kept == nullptr || kept->rows.size() < limit_.rows) return;
  // A byte that says whether there is a value, and the value: see sort_key.hpp.
  const std::string_view order = kept->rows[limit_.rows - 1].order();
  const bool has_value = (order.front() & 1) != (turn_ & 1);
  if (!has_value) return;
  set(static_cast<std::int64_t>(last_sort_number(order.substr(0, 9))) ^ std::numeric_limits<std::int64_t>::min());
}

void Cutoff::set(std::optional<std::int64_t> last) {
  most_ = last.value_or(anything);
  if (last && !equal_enter_ && most_ != std::numeric_limits<std::int64_t>::min()) --most_;
}

std::uint32_t Cutoff::next(const Column& column, std::uint32_t row, std::uint32_t end) const {
  const std::int64_t* const values = column.values.as<std::int64_t>();
  const auto enters = [&](std::uint32_t i) { return (values[i] ^ turn_) <= most_; };
  if (row == end || enters(row)) return row;
#if defined(__x86_64__)
  const auto any_in = cpu::has_avx2() ? any_in_block_avx2 : any_in_block;
#else
  const auto any_in = any_in_block;
#endif
  while (end - row >= rows_in_a_block) {
    if (any_in(values + row, turn_, most_)) break;
    row += rows_in_a_block;
  }
  while (row != end && !enters(row)) ++row;
  return row;
}

}  // namespace dataflow

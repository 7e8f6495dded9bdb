#include <doctest/doctest.h>

#include <limits>
#include <random>
#include <vector>

#include "libdataflow/expressions/compare_rows.hpp"
#include "serialization/cpu.hpp"

using namespace dataflow::expr;

namespace {

template <class T, class Compare>
void check_against_scalar(const std::vector<T>& values, T wanted, const std::vector<std::uint8_t>& valid) {
  for (const std::uint8_t* bits : {static_cast<const std::uint8_t*>(nullptr), valid.data()}) {
    for (const std::size_t rows : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{9},
                                   std::size_t{64}, values.size()}) {
      std::vector<std::uint32_t> fast(rows + 8);
      std::vector<std::uint32_t> plain(rows + 8);
      const auto count = static_cast<std::uint32_t>(rows);
      fast.resize(kept_rows(values.data(), wanted, bits, count, fast.data(), Compare{}));
      plain.resize(kept_rows_scalar(values.data(), wanted, bits, 0, count, plain.data(), Compare{}));
      REQUIRE(fast == plain);
    }
  }
}

#if defined(__x86_64__)
template <class T, class Compare>
void check_flags(const std::vector<T>& values, T wanted) {
  if (!dataflow::cpu::has_avx2()) return;
  for (std::uint32_t rows = 0; rows < 40; ++rows) {
    std::vector<std::uint8_t> flags(rows + 1, 7);
    avx2::flags_of_rows(values.data(), wanted, rows, flags.data(), Compare{});
    for (std::uint32_t row = 0; row < rows; ++row) REQUIRE(flags[row] == (Compare{}(values[row], wanted) ? 1 : 0));
    REQUIRE(flags[rows] == 7);
  }
}
#endif

template <class T>
void check_all_comparisons(const std::vector<T>& values, T wanted, const std::vector<std::uint8_t>& valid) {
  check_against_scalar<T, std::equal_to<>>(values, wanted, valid);
  check_against_scalar<T, std::not_equal_to<>>(values, wanted, valid);
  check_against_scalar<T, std::less<>>(values, wanted, valid);
  check_against_scalar<T, std::less_equal<>>(values, wanted, valid);
  check_against_scalar<T, std::greater<>>(values, wanted, valid);
  check_against_scalar<T, std::greater_equal<>>(values, wanted, valid);
#if defined(__x86_64__)
  check_flags<T, std::equal_to<>>(values, wanted);
  check_flags<T, std::not_equal_to<>>(values, wanted);
  check_flags<T, std::less<>>(values, wanted);
  check_flags<T, std::less_equal<>>(values, wanted);
  check_flags<T, std::greater<>>(values, wanted);
  check_flags<T, std::greater_equal<>>(values, wanted);
#endif
}

}  // namespace

TEST_CASE("eight rows at a time are kept or dropped like one at a time, NULLs, NaN and tails included") {
  std::mt19937_64 random{7};
  constexpr std::size_t rows = 1003;
  std::vector<double> reals(rows);
  std::vector<std::int64_t> longs(rows);
  std::vector<std::int32_t> ints(rows);
  std::vector<std::uint8_t> valid(rows / 8 + 1);
  const double awkward[] = {
      0.0, -0.0, 1.5, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -3.0};
  for (std::size_t i = 0; i < rows; ++i) {
    reals[i] = awkward[random() % 6];
    longs[i] = static_cast<std::int64_t>(random() % 5) - 2;
    ints[i] = static_cast<std::int32_t>(random() % 5) - 2;
  }
  for (std::uint8_t& byte : valid) byte = static_cast<std::uint8_t>(random());
  for (const double wanted : awkward) check_all_comparisons(reals, wanted, valid);
  for (const std::int64_t wanted : {-2, 0, 1}) check_all_comparisons(longs, wanted, valid);
  for (const std::int32_t wanted : {-2, 0, 1}) check_all_comparisons(ints, wanted, valid);
}

TEST_CASE("the rows of flags, whatever their number and whatever stands behind them") {
  std::mt19937_64 random{8};
  for (std::uint32_t count = 0; count < 200; ++count) {
    std::vector<std::uint8_t> flags(count + 32, 1);  // those behind are not looked at
    for (std::uint32_t i = 0; i < count; ++i) flags[i] = static_cast<std::uint8_t>(random() % 2);
    std::vector<std::uint32_t> fast(count + 8);
    std::vector<std::uint32_t> expected;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (flags[i] == 1) expected.push_back(1000 + i);
    }
    fast.resize(rows_of_flags(flags.data(), count, 1000, fast.data()));
    REQUIRE(fast == expected);
    fast.resize(count + 8);
    fast.resize(rows_of_flags_scalar(flags.data(), count, 1000, fast.data()));
    REQUIRE(fast == expected);
  }
}

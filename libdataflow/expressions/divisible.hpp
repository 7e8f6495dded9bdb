#pragma once
// Whether numbers are multiples of one that is the same for all of them, for which no quotient is needed: an odd number
// has an inverse modulo 2^64, and its multiples are what the inverse takes to 0, 1, 2 ...; for an even one its twos
// must be gone after that (Granlund, Montgomery, "Division by invariant integers using multiplication", PLDI 1994,
// section 9). On processors with AVX2, chosen when the program runs, a quarter of the time of a remainder (benchmark
// nexmark_q2).

#include <bit>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "libdataflow/expressions/compare_rows.hpp"
#include "serialization/cpu.hpp"

namespace dataflow::expr {

template <class T>
class DivisibleBy {
 public:
  /// Not 0.
  explicit DivisibleBy(T divisor) {
    const Bits by = magnitude(divisor);
    assert(by != 0);
    twos_ = std::countr_zero(by);
    most_ = static_cast<Bits>(~Bits{0} / by);
    const Bits odd = by >> twos_;
    inverse_ = odd;  // of the lowest three bits; each step doubles how many are right
    for (int bits = 3; bits < std::numeric_limits<Bits>::digits; bits *= 2) inverse_ *= 2 - odd * inverse_;
  }

  [[nodiscard]] bool operator()(T x) const { return std::rotr(magnitude(x) * inverse_, twos_) <= most_; }

  /// Writes for each row whether its number is a multiple, or `negated`: is none: 1 or 0.
  void test(const T* numbers, std::uint32_t rows, bool negated, std::uint8_t* out) const {
    std::uint32_t row = 0;
#if defined(__x86_64__)
    if (cpu::has_avx2()) row = test_eights(numbers, rows, negated, out);
#endif
    for (; row < rows; ++row) out[row] = (*this)(numbers[row]) != negated ? 1 : 0;
  }

 private:
  using Bits = std::make_unsigned_t<T>;
  static Bits magnitude(T x) {
    return x < 0 ? Bits{0} - static_cast<Bits>(x) : static_cast<Bits>(x);
  }

#if defined(__x86_64__)
  typedef T Lanes __attribute__((vector_size(32)));        // NOLINT(modernize-use-using): as in compare_rows.hpp
  typedef Bits BitLanes __attribute__((vector_size(32)));  // NOLINT(modernize-use-using)

  /// All ones where the number is a multiple.
  [[gnu::target("avx2"), gnu::always_inline]] inline Lanes multiples(const T* numbers) const {
    Lanes x;
    std::memcpy(&x, numbers, 32);
    const Lanes sign = x < Lanes{};  // all ones for what is negative
    const auto product = reinterpret_cast<BitLanes>((x ^ sign) - sign) * inverse_;
    const int left = (std::numeric_limits<Bits>::digits - twos_) % std::numeric_limits<Bits>::digits;
    return (product >> twos_ | product << left) <= most_ - BitLanes{};
  }

  /// Rows of the first ones that are done.
  [[gnu::target("avx2")]] std::uint32_t test_eights(const T* numbers, std::uint32_t rows, bool negated,
                                                    std::uint8_t* out) const {
    const unsigned flip = negated ? 0xFFU : 0U;
    std::uint32_t row = 0;
    for (; row + 8 <= rows; row += 8) {
      __builtin_prefetch(numbers + row + 128);  // the processor reads ahead within a page only
      unsigned mask;
      if constexpr (sizeof(T) == 4) {
        mask = static_cast<unsigned>(_mm256_movemask_ps(reinterpret_cast<__m256>(multiples(numbers + row))));
      } else {
        const auto low = reinterpret_cast<__m256d>(multiples(numbers + row));
        const auto high = reinterpret_cast<__m256d>(multiples(numbers + row + 4));
        mask = static_cast<unsigned>(_mm256_movemask_pd(low)) | static_cast<unsigned>(_mm256_movemask_pd(high)) << 4;
      }
      avx2::put_flags(mask ^ flip, out + row);
    }
    return row;
  }
#endif

  int twos_ = 0;
  Bits most_ = 0;  ///< the largest quotient
  Bits inverse_ = 0;
};

}  // namespace dataflow::expr

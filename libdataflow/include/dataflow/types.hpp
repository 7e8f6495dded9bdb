#pragma once
// Field types that C++ has no type of its own for: raw bytes and 64-bit decimals.

#include <compare>
#include <cstdint>
#include <string>

#include "serialization/time.hpp"

namespace dataflow {

/// Raw bytes, not text: base64 in JSON.
struct Bytes {
  std::string data;
  friend auto operator<=>(const Bytes&, const Bytes&) = default;
};

/// A number with `Scale` digits after the point, kept exactly as a 64-bit integer: Decimal<10, 2>{19.99} is 1999.
/// Sums and differences are exact; products are for double or the expression language.
template <int Precision, int Scale>
class Decimal {
 public:
  static_assert(Precision >= 1 && Precision <= 18 && Scale >= 0 && Scale <= Precision,
                "a decimal has 1 to 18 digits, and no more of them after the point than in all");

  constexpr Decimal() = default;
  /// The nearest decimal, half away from zero.
  constexpr explicit Decimal(double value)
      : unscaled_{static_cast<std::int64_t>(value * static_cast<double>(unit()) + (value < 0 ? -0.5 : 0.5))} {}
  static constexpr Decimal from_unscaled(std::int64_t unscaled) {
    Decimal result;
    result.unscaled_ = unscaled;
    return result;
  }

  [[nodiscard]] constexpr std::int64_t unscaled() const { return unscaled_; }
  [[nodiscard]] constexpr double to_double() const {
    return static_cast<double>(unscaled_) / static_cast<double>(unit());
  }

  friend constexpr auto operator<=>(const Decimal&, const Decimal&) = default;
  friend constexpr Decimal operator+(Decimal a, Decimal b) { return from_unscaled(a.unscaled_ + b.unscaled_); }
  friend constexpr Decimal operator-(Decimal a, Decimal b) { return from_unscaled(a.unscaled_ - b.unscaled_); }

 private:
  static constexpr std::int64_t unit() {
    std::int64_t u = 1;
    for (int i = 0; i < Scale; ++i) u *= 10;
    return u;
  }
  std::int64_t unscaled_ = 0;
};

}  // namespace dataflow

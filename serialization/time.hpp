#pragma once
// Time as the engine counts it: signed 64-bit microseconds since the Unix epoch, UTC.

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "serialization/result.hpp"

namespace dataflow {

using Duration = std::chrono::microseconds;

/// A point in time. Implicit from a chrono duration since the epoch, so that tests may write `6min`.
struct Timestamp {
  std::int64_t micros = 0;

  constexpr Timestamp() = default;
  constexpr explicit Timestamp(std::int64_t micros_since_epoch) : micros{micros_since_epoch} {}
  template <class Rep, class Period>
  constexpr Timestamp(std::chrono::duration<Rep, Period> since_epoch)  // NOLINT(google-explicit-constructor)
      : micros{std::chrono::duration_cast<Duration>(since_epoch).count()} {}

  /// Before every record: the watermark of an input that has not spoken.
  static constexpr Timestamp min() { return Timestamp{std::numeric_limits<std::int64_t>::min()}; }
  /// Beyond all time: the watermark with which a bounded input ends.
  static constexpr Timestamp max() { return Timestamp{std::numeric_limits<std::int64_t>::max()}; }

  friend constexpr auto operator<=>(const Timestamp&, const Timestamp&) = default;
  friend constexpr Timestamp operator+(Timestamp t, Duration d) { return Timestamp{t.micros + d.count()}; }
  /// A template, so that `t - 10s` is not also the difference to a Timestamp made from 10s.
  template <class Rep, class Period>
  friend constexpr Timestamp operator-(Timestamp t, std::chrono::duration<Rep, Period> d) {
    return Timestamp{t.micros - std::chrono::duration_cast<Duration>(d).count()};
  }
  friend constexpr Duration operator-(Timestamp a, Timestamp b) { return Duration{a.micros - b.micros}; }
};

/// `2010-01-01T01:00:00Z`, with `.123` or `.123456` when there is a fraction. Years outside of 0001 to 9999 have ISO
/// 8601's expanded form, a sign and at least four digits: `+10000-01-01T00:00:00Z`, `-0001-12-31T00:00:00Z`.
std::string to_iso8601(Timestamp t);
/// Appends what to_iso8601 returns to `out` without allocating a string of its own.
void append_iso8601(Timestamp t, std::string& out);

/// Reads ISO 8601 / RFC 3339: date, or date and time separated by `T` or a space, seconds and their
/// fraction optional, zone `Z`, `+hh:mm`, `-hhmm` or none (UTC); years as above. Surplus fraction digits are cut.
/// Errors: malformed_data naming the text.
Result<Timestamp> parse_iso8601(std::string_view text);

/// Reads `"250ms" "10s" "5m" "1h" "1d"` (also `us`); a sign is allowed (`"-10m"`).
/// Errors: invalid_argument with the accepted units.
Result<Duration> parse_duration(std::string_view text);
/// The shortest exact form in the largest unit that divides it: `90s`, `1h`, `0s`.
std::string to_string(Duration d);

}  // namespace dataflow

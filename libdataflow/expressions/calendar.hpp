#pragma once
// Timestamps as dates: parts, truncation, and Java's date patterns (DateTimeFormatter), which Flink uses too.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace dataflow::expr {

/// A timestamp taken apart, UTC.
struct CivilTime {
  std::chrono::year_month_day date;
  std::chrono::sys_days day;
  std::int64_t micros_of_day = 0;

  /// Nothing outside of the years 1 to 9999.
  static std::optional<CivilTime> from_micros(std::int64_t micros);
  [[nodiscard]] std::int64_t to_micros() const;
};

/// Whether `micros` is one of the `length` microseconds from `start` on.
inline bool is_within(std::int64_t micros, std::int64_t start, std::int64_t length) {
  return micros >= start &&
         static_cast<std::uint64_t>(micros) - static_cast<std::uint64_t>(start) < static_cast<std::uint64_t>(length);
}

/// Takes timestamps apart that come after each other: those of the day before cost no calendar.
class CivilTimes {
 public:
  /// As CivilTime::from_micros; valid until the next call.
  [[nodiscard]] const CivilTime* at(std::int64_t micros);

 private:
  std::optional<CivilTime> last_;
  std::int64_t start_ = 0;  ///< of the last one's day
};

enum class TimePart : std::uint8_t {
  microsecond,
  millisecond,
  second,
  minute,
  hour,
  day,
  week,
  month,
  quarter,
  year,
  day_of_week,      ///< 0 is Sunday
  iso_day_of_week,  ///< 1 is Monday
  day_of_year,
  epoch,  ///< whole seconds since 1970
};

/// `hour`, `dow`, ...: case-insensitive.
std::optional<TimePart> time_part_named(std::string_view name);
/// Units that date_trunc takes are those up to year.
inline bool is_unit(TimePart part) {
  return part <= TimePart::year;
}
/// For messages: the names of all parts, or of the units only.
std::string time_part_list(bool units_only);

/// As EXTRACT: second and smaller are of the minute's second (millisecond: 0 to 59999), week is ISO 8601's.
std::int64_t extract_part(TimePart part, const CivilTime& time);
/// The start of the unit that holds `time`.
std::int64_t truncate(TimePart unit, const CivilTime& time);

/// A prepared pattern such as `yyyy-MM-dd HH:mm:ss.SSS`. Letters: y M d D H h m s S a E X x Z; 'quoted' text and other
/// characters stand for themselves.
class TimePattern {
 public:
  /// Errors: what is wrong with the pattern.
  static tl::expected<TimePattern, std::string> parse(std::string_view pattern);

  void format(const CivilTime& time, std::string& out) const;
  /// Timestamps that agree when they are divided by so many microseconds, rounding down, have the same text.
  [[nodiscard]] std::int64_t resolution_micros() const;
  /// Microseconds since the epoch of text in this pattern; nothing when it does not fit. What the pattern does not
  /// name is the start of 1970.
  [[nodiscard]] std::optional<std::int64_t> read(std::string_view text) const;

 private:
  struct Element {
    char letter;       ///< 0: literal text
    unsigned count;    ///< how often the letter stands there
    std::string text;  ///< of a literal
  };
  std::vector<Element> elements_;
};

}  // namespace dataflow::expr

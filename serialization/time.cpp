// Reading and writing of time. Both run once a row when CSV is read or JSON printed, so digits are handled by hand:
// no stream, no locale, no allocation but the output's own.
// Calendar arithmetic: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (days_from_civil and
// civil_from_days), https://howardhinnant.github.io/date_algorithms.html

#include "serialization/time.hpp"

#include <charconv>
#include <cstring>

namespace dataflow {
namespace {

constexpr std::int64_t micros_per_second = 1'000'000;
constexpr std::int64_t seconds_per_day = 86'400;
constexpr std::int64_t micros_per_day = micros_per_second * seconds_per_day;

/// Days since the Unix epoch of a proleptic Gregorian date; month 1 to 12.
constexpr std::int64_t days_from_civil(std::int64_t year, unsigned month, unsigned day) {
  year -= month <= 2;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto year_of_era = static_cast<unsigned>(year - era * 400);
  const unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + static_cast<std::int64_t>(day_of_era) - 719'468;
}

struct CivilDate {
  std::int64_t year;
  unsigned month;
  unsigned day;
};

constexpr CivilDate civil_from_days(std::int64_t days) {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const auto day_of_era = static_cast<unsigned>(days - era * 146'097);
  const unsigned year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned shifted_month = (5 * day_of_year + 2) / 153;
  const unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  return {static_cast<std::int64_t>(year_of_era) + era * 400 + (month <= 2), month,
          day_of_year - (153 * shifted_month + 2) / 5 + 1};
}

constexpr std::int64_t first_micros = days_from_civil(1, 1, 1) * micros_per_day;
constexpr std::int64_t end_micros = days_from_civil(10'000, 1, 1) * micros_per_day;

constexpr unsigned days_in_month(std::int64_t year, unsigned month) {
  constexpr unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

char* put_two(char* at, unsigned n) {
  at[0] = static_cast<char>('0' + n / 10);
  at[1] = static_cast<char>('0' + n % 10);
  return at + 2;
}

/// The year of ISO 8601's expanded form: a sign, then four digits or more.
char* put_expanded_year(char* at, std::int64_t year) {
  *at++ = year < 0 ? '-' : '+';
  const std::int64_t digits = year < 0 ? -year : year;
  for (std::int64_t least = 1'000; least > digits && least > 1; least /= 10) *at++ = '0';
  return std::to_chars(at, at + 6, digits).ptr;
}

/// Reads a text from the left; each step says whether it found what it wanted.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : at_{text.data()}, end_{text.data() + text.size()} {}

  [[nodiscard]] bool done() const { return at_ == end_; }
  [[nodiscard]] char peek() const { return at_ == end_ ? '\0' : *at_; }
  void skip() { ++at_; }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool digit(unsigned& out) {
    const auto d = static_cast<unsigned>(static_cast<unsigned char>(peek())) - '0';
    if (at_ == end_ || d > 9) return false;
    out = d;
    ++at_;
    return true;
  }
  bool two_digits(unsigned& out) {
    unsigned tens = 0;
    unsigned ones = 0;
    if (!digit(tens) || !digit(ones)) return false;
    out = tens * 10 + ones;
    return true;
  }

 private:
  const char* at_;
  const char* end_;
};

/// Four digits; behind a sign, ISO 8601's expanded form, up to six. The year 0 is `+0000`: without a sign it is what
/// programs write for no date.
bool parse_year(Cursor& in, std::int64_t& year) {
  unsigned high = 0;
  unsigned low = 0;
  const char sign = in.peek();
  const bool expanded = sign == '+' || sign == '-';
  if (expanded) in.skip();
  if (!in.two_digits(high) || !in.two_digits(low)) return false;
  year = high * 100 + low;
  if (!expanded) return year != 0;
  unsigned digit = 0;
  for (int more = 0; more < 2 && in.digit(digit); ++more) year = year * 10 + digit;
  if (sign == '-') year = -year;
  return year != 0 || sign == '+';
}

bool parse_date(Cursor& in, std::int64_t& days) {
  std::int64_t year = 0;
  unsigned month = 0;
  unsigned day = 0;
  if (!parse_year(in, year) || !in.take('-') || !in.two_digits(month) || !in.take('-') || !in.two_digits(day))
    return false;
  if (month - 1 > 11 || day == 0 || day > days_in_month(year, month)) return false;
  days = days_from_civil(year, month, day);
  return true;
}

/// `hh:mm`, then `:ss` and its fraction if they are there; microseconds of the day.
bool parse_time_of_day(Cursor& in, std::int64_t& micros) {
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  std::int64_t fraction = 0;
  if (!in.two_digits(hour) || !in.take(':') || !in.two_digits(minute)) return false;
  if (in.take(':')) {
    if (!in.two_digits(second)) return false;
    if (in.take('.')) {
      unsigned digit = 0;
      if (!in.digit(digit)) return false;
      std::int64_t unit = 100'000;
      do {
        fraction += digit * unit;
        unit /= 10;
      } while (in.digit(digit));
    }
  }
  if (hour > 23 || minute > 59 || second > 59) return false;
  micros = (hour * 3'600 + minute * 60 + second) * micros_per_second + fraction;
  return true;
}

/// `Z`, `+hh:mm`, `-hhmm`, `+hh` or nothing; what must be subtracted to get UTC.
bool parse_zone(Cursor& in, std::int64_t& offset_micros) {
  offset_micros = 0;
  if (in.done()) return true;
  const char sign = in.peek();
  in.skip();
  if (sign == 'Z' || sign == 'z') return true;
  if (sign != '+' && sign != '-') return false;
  unsigned hours = 0;
  unsigned minutes = 0;
  if (!in.two_digits(hours)) return false;
  if (in.take(':') ? !in.two_digits(minutes) : !in.done() && !in.two_digits(minutes)) return false;
  if (hours > 23 || minutes > 59) return false;
  offset_micros = (hours * 60 + minutes) * 60 * micros_per_second;
  if (sign == '-') offset_micros = -offset_micros;
  return true;
}

/// Adds up what was read; false when 64 bits do not hold it, which takes years beyond 290,000.
bool total(std::int64_t days, std::int64_t micros_of_day, std::int64_t offset, std::int64_t& micros) {
  // The first day that 64 bits hold begins before they do.
  if (days < 0) {
    ++days;
    micros_of_day -= micros_per_day;
  }
  return !__builtin_mul_overflow(days, micros_per_day, &micros) &&
         !__builtin_add_overflow(micros, micros_of_day, &micros) && !__builtin_sub_overflow(micros, offset, &micros);
}

struct Unit {
  std::string_view name;
  std::int64_t micros;
};
/// From the largest down, so that to_string finds the largest that divides first.
constexpr Unit units[] = {
    {"d", micros_per_day},
    {"h", 3'600 * micros_per_second},
    {"m", 60 * micros_per_second},
    {"s", micros_per_second},
    {"ms", 1'000},
    {"us", 1},
};

}  // namespace

void append_iso8601(Timestamp t, std::string& out) {
  char text[31];
  std::int64_t days = t.micros / micros_per_day;
  std::int64_t rest = t.micros % micros_per_day;
  if (rest < 0) {
    rest += micros_per_day;
    --days;
  }
  const CivilDate date = civil_from_days(days);
  const auto second_of_day = static_cast<unsigned>(rest / micros_per_second);
  const auto fraction = static_cast<unsigned>(rest % micros_per_second);
  char* at = text;
  if (t.micros >= first_micros && t.micros < end_micros) [[likely]] {
    at = put_two(at, static_cast<unsigned>(date.year) / 100);
    at = put_two(at, static_cast<unsigned>(date.year) % 100);
  } else {
    at = put_expanded_year(at, date.year);
  }
  *at++ = '-';
  at = put_two(at, date.month);
  *at++ = '-';
  at = put_two(at, date.day);
  *at++ = 'T';
  at = put_two(at, second_of_day / 3'600);
  *at++ = ':';
  at = put_two(at, second_of_day / 60 % 60);
  *at++ = ':';
  at = put_two(at, second_of_day % 60);
  if (fraction != 0) {
    *at++ = '.';
    at = put_two(at, fraction / 10'000);
    const unsigned low = fraction % 1'000;
    *at++ = static_cast<char>('0' + fraction / 1'000 % 10);
    if (low != 0) {
      *at++ = static_cast<char>('0' + low / 100);
      at = put_two(at, low % 100);
    }
  }
  *at++ = 'Z';
  out.append(text, at);
}

std::string to_iso8601(Timestamp t) {
  std::string out;
  append_iso8601(t, out);
  return out;
}

Result<Timestamp> parse_iso8601(std::string_view text) {
  Cursor in{text};
  std::int64_t days = 0;
  std::int64_t micros = 0;
  std::int64_t offset = 0;
  bool good = parse_date(in, days);
  if (good && !in.done()) {
    const char separator = in.peek();
    in.skip();
    good = (separator == 'T' || separator == 't' || separator == ' ') && parse_time_of_day(in, micros) &&
           parse_zone(in, offset) && in.done();
  }
  Timestamp t;
  if (good && total(days, micros, offset, t.micros)) return t;
  constexpr std::size_t shown = 64;
  return fail(ErrorCode::malformed_data, "'" + std::string{text.substr(0, shown)} + (text.size() > shown ? "..." : "") +
                                             "' is no timestamp such as 2010-01-31T01:00:00Z");
}

Result<Duration> parse_duration(std::string_view text) {
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
    negative = rest.front() == '-';
    rest.remove_prefix(1);
  }
  std::uint64_t count = 0;
  const auto [end, problem] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
  const std::string_view unit_name = rest.substr(static_cast<std::size_t>(end - rest.data()));
  for (const Unit& unit : units) {
    if (problem == std::errc::invalid_argument || unit.name != unit_name) continue;
    std::int64_t micros = 0;
    const bool too_long = problem == std::errc::result_out_of_range ||
                          count > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) ||
                          __builtin_mul_overflow(static_cast<std::int64_t>(count), unit.micros, &micros);
    if (too_long) return fail(ErrorCode::invalid_argument, "the duration '" + std::string{text} + "' is too long");
    return Duration{negative ? -micros : micros};
  }
  return fail(ErrorCode::invalid_argument, "'" + std::string{text} +
                                               "' is no duration: write a whole number and one of the units us, ms, "
                                               "s, m, h, d, such as \"250ms\" or \"1h\"");
}

std::string to_string(Duration d) {
  const std::int64_t micros = d.count();
  if (micros == 0) return "0s";
  for (const Unit& unit : units)
    if (micros % unit.micros == 0) return std::to_string(micros / unit.micros) + std::string{unit.name};
  return std::to_string(micros) + "us";
}

}  // namespace dataflow

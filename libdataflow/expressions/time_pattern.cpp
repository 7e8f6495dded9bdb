// Java's date patterns: formatting and reading.

#include <algorithm>
#include <array>

#include "libdataflow/expressions/calendar.hpp"
#include "libdataflow/expressions/token.hpp"

namespace dataflow::expr {

using namespace std::chrono;

namespace {

constexpr std::array month_names = {"January", "February", "March",     "April",   "May",      "June",
                                    "July",    "August",   "September", "October", "November", "December"};
constexpr std::array day_names = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr std::size_t short_name = 3;

void append_number(std::int64_t number, unsigned digits, std::string& out) {
  const std::string text = std::to_string(number);
  if (text.size() < digits) out.append(digits - text.size(), '0');
  out += text;
}

/// Reads from the front of a text.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_{text} {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  bool literal(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  /// `least` to `most` digits.
  std::optional<std::int64_t> digits(std::size_t least, std::size_t most) {
    std::size_t count = 0;
    std::int64_t value = 0;
    while (count < most && count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9') {
      value = value * 10 + (rest_[count++] - '0');
    }
    if (count < least) return std::nullopt;
    rest_.remove_prefix(count);
    return value;
  }
  /// One of the names, whole or its first three letters; its index.
  template <std::size_t N>
  std::optional<std::int64_t> name(const std::array<const char*, N>& names, bool whole) {
    for (std::size_t i = 0; i < N; ++i) {
      const std::string_view wanted = std::string_view{names[i]}.substr(0, whole ? std::string_view::npos : short_name);
      if (same_word(rest_.substr(0, wanted.size()), wanted)) {
        rest_.remove_prefix(wanted.size());
        return static_cast<std::int64_t>(i);
      }
    }
    return std::nullopt;
  }
  /// `Z`, `+hh`, `+hhmm` or `+hh:mm`, in minutes.
  std::optional<std::int64_t> zone() {
    if (literal("Z") || literal("z")) return 0;
    const bool negative = rest_.starts_with('-');
    if (!literal("+") && !literal("-")) return std::nullopt;
    const auto hours = digits(2, 2);
    if (!hours) return std::nullopt;
    const bool colon = literal(":");
    const auto minutes = digits(colon ? 2 : 0, 2);
    if (!minutes || *hours > 18 || *minutes > 59) return std::nullopt;
    const std::int64_t all = *hours * 60 + *minutes;
    return negative ? -all : all;
  }

 private:
  std::string_view rest_;
};

/// What has been read so far.
struct Fields {
  std::int64_t year = 1970, month = 1, day = 1, day_of_year = 0, hour = 0, minute = 0, second = 0, micros = 0, zone = 0;
  bool twelve_hours = false;
  bool afternoon = false;
};

std::optional<std::int64_t> fraction(Cursor& cursor, unsigned count) {
  auto value = cursor.digits(count, count);
  for (; value && count < 6; ++count) *value *= 10;
  for (; value && count > 6; --count) *value /= 10;
  return value;
}

bool set(std::int64_t& field, std::optional<std::int64_t> value, std::int64_t least, std::int64_t most) {
  if (!value || *value < least || *value > most) return false;
  field = *value;
  return true;
}

bool read_half(Cursor& cursor, Fields& fields) {
  static constexpr std::array<const char*, 2> halves = {"AM", "PM"};
  const auto half = cursor.name(halves, true);
  fields.afternoon = half == 1;
  return half.has_value();
}

bool read_year(Cursor& cursor, unsigned count, Fields& fields) {
  if (count != 2) return set(fields.year, cursor.digits(count == 4 ? 4 : 1, 4), 1, 9999);
  const auto two = cursor.digits(2, 2);
  return set(fields.year, two ? std::optional{2000 + *two} : std::nullopt, 2000, 2099);
}

bool read_month(Cursor& cursor, unsigned count, Fields& fields) {
  if (count <= 2) return set(fields.month, cursor.digits(count, 2), 1, 12);
  const auto index = cursor.name(month_names, count > 3);
  return set(fields.month, index ? std::optional{*index + 1} : std::nullopt, 1, 12);
}

bool read_element(Cursor& cursor, char letter, unsigned count, Fields& fields) {
  switch (letter) {
    case 'y':
    case 'u': return read_year(cursor, count, fields);
    case 'M': return read_month(cursor, count, fields);
    case 'd': return set(fields.day, cursor.digits(count, 2), 1, 31);
    case 'D': return set(fields.day_of_year, cursor.digits(count, 3), 1, 366);
    case 'H': return set(fields.hour, cursor.digits(count, 2), 0, 23);
    case 'h': fields.twelve_hours = true; return set(fields.hour, cursor.digits(count, 2), 1, 12);
    case 'm': return set(fields.minute, cursor.digits(count, 2), 0, 59);
    case 's': return set(fields.second, cursor.digits(count, 2), 0, 59);
    case 'S': return set(fields.micros, fraction(cursor, count), 0, 999'999);
    case 'a': return read_half(cursor, fields);
    case 'E': return cursor.name(day_names, count > 3).has_value();
    default: return set(fields.zone, cursor.zone(), -18 * 60 - 59, 18 * 60 + 59);
  }
}

std::optional<std::int64_t> micros_of(const Fields& fields) {
  const year_month_day date = year{static_cast<int>(fields.year)} / month{static_cast<unsigned>(fields.month)} /
                              day{static_cast<unsigned>(fields.day)};
  if (!date.ok()) return std::nullopt;
  sys_days day_point{date};
  if (fields.day_of_year != 0) {
    day_point = sys_days{date.year() / January / 1} + days{fields.day_of_year - 1};
    if (year_month_day{day_point}.year() != date.year()) return std::nullopt;
  }
  std::int64_t hour = fields.hour;
  if (fields.twelve_hours) hour = hour % 12 + (fields.afternoon ? 12 : 0);
  const std::int64_t seconds = hour * 3600 + fields.minute * 60 + fields.second - fields.zone * 60;
  return (day_point.time_since_epoch().count() * 86'400 + seconds) * 1'000'000 + fields.micros;
}

unsigned most_letters(char letter) {
  switch (letter) {
    case 'y':
    case 'u':
    case 'M':
    case 'E': return 4;
    case 'd':
    case 'H':
    case 'h':
    case 'm':
    case 's': return 2;
    case 'D':
    case 'X':
    case 'x':
    case 'Z': return 3;
    case 'S': return 9;
    case 'a': return 1;
    default: return 0;
  }
}

std::string wrong_letter(char c, std::string_view what) {
  std::string message(1, c);
  message.insert(0, "the pattern letter ");
  return message.append(what);
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

tl::expected<TimePattern, std::string> TimePattern::parse(std::string_view pattern) {
  TimePattern result;
  const auto literal = [&](std::string_view text) {
    if (result.elements_.empty() || result.elements_.back().letter != 0) result.elements_.push_back({0, 0, {}});
    result.elements_.back().text += text;
  };
  for (std::size_t i = 0; i < pattern.size();) {
    const char c = pattern[i];
    if (c == '\'') {
      const std::size_t close = pattern.find('\'', i + 1);
      if (close == std::string_view::npos)
        return tl::unexpected(std::string{"the pattern has a quote without its end"});
      literal(close == i + 1 ? "'" : pattern.substr(i + 1, close - i - 1));
      i = close + 1;
      continue;
    }
    if (!is_letter(c)) {
      literal(pattern.substr(i++, 1));
      continue;
    }
    unsigned count = 0;
    while (i < pattern.size() && pattern[i] == c) ++i, ++count;
    const unsigned most = most_letters(c);
    if (most == 0) {
      return tl::unexpected(
          wrong_letter(c, " is unknown; there are y M d D H h m s S a E X x Z, and text in single quotes"));
    }
    if (count > most) return tl::unexpected(wrong_letter(c, " stands too often in a row"));
    result.elements_.push_back({c, count, {}});
  }
  return result;
}

void TimePattern::format(const CivilTime& time, std::string& out) const {
  const std::int64_t second_of_day = time.micros_of_day / 1'000'000;
  const std::int64_t micros = time.micros_of_day % 1'000'000;
  const std::int64_t hour = second_of_day / 3600;
  for (const auto& [letter, count, text] : elements_) {
    const auto year = static_cast<int>(time.date.year());
    const unsigned month = static_cast<unsigned>(time.date.month());
    switch (letter) {
      case 0: out += text; break;
      case 'y':
      case 'u': append_number(count == 2 ? year % 100 : year, count, out); break;
      case 'M':
        if (count <= 2) {
          append_number(month, count, out);
        } else {
          out += std::string_view{month_names[month - 1]}.substr(0, count == 3 ? short_name : std::string_view::npos);
        }
        break;
      case 'd': append_number(static_cast<unsigned>(time.date.day()), count, out); break;
      case 'D': append_number(extract_part(TimePart::day_of_year, time), count, out); break;
      case 'H': append_number(hour, count, out); break;
      case 'h': append_number((hour + 11) % 12 + 1, count, out); break;
      case 'm': append_number(second_of_day / 60 % 60, count, out); break;
      case 's': append_number(second_of_day % 60, count, out); break;
      case 'S': {
        std::string digits;
        append_number(micros, 6, digits);
        digits += "000";
        out += digits.substr(0, count);
        break;
      }
      case 'a': out += hour < 12 ? "AM" : "PM"; break;
      case 'E':
        out += std::string_view{day_names[weekday{time.day}.c_encoding()]}.substr(
            0, count <= 3 ? short_name : std::string_view::npos);
        break;
      case 'X': out += 'Z'; break;
      case 'x': out += count == 1 ? "+00" : count == 2 ? "+0000" : "+00:00"; break;
      default: out += "+0000";
    }
  }
}

std::int64_t TimePattern::resolution_micros() const {
  constexpr std::int64_t second = 1'000'000;
  std::int64_t finest = 86'400 * second;
  for (const Element& element : elements_) {
    switch (element.letter) {
      case 'S': return 1;
      case 's': finest = std::min(finest, second); break;
      case 'm': finest = std::min(finest, 60 * second); break;
      case 'H':
      case 'h':
      case 'a': finest = std::min(finest, 3600 * second); break;
      default: break;
    }
  }
  return finest;
}

std::optional<std::int64_t> TimePattern::read(std::string_view text) const {
  Cursor cursor{text};
  Fields fields;
  for (const auto& [letter, count, literal] : elements_) {
    const bool fits = letter == 0 ? cursor.literal(literal) : read_element(cursor, letter, count, fields);
    if (!fits) return std::nullopt;
  }
  return cursor.at_end() ? micros_of(fields) : std::nullopt;
}

}  // namespace dataflow::expr

#include "libdataflow/expressions/calendar.hpp"

#include <array>
#include <utility>

#include "libdataflow/expressions/token.hpp"

namespace dataflow::expr {

using namespace std::chrono;

namespace {

constexpr std::int64_t micros_per_second = 1'000'000;
constexpr std::int64_t micros_per_day = 86'400 * micros_per_second;

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

std::int64_t micros_of(sys_days day) {
  return day.time_since_epoch().count() * micros_per_day;
}

constexpr std::array parts = {
    std::pair<std::string_view, TimePart>{"microsecond", TimePart::microsecond},
    std::pair<std::string_view, TimePart>{"millisecond", TimePart::millisecond},
    std::pair<std::string_view, TimePart>{"second", TimePart::second},
    std::pair<std::string_view, TimePart>{"minute", TimePart::minute},
    std::pair<std::string_view, TimePart>{"hour", TimePart::hour},
    std::pair<std::string_view, TimePart>{"day", TimePart::day},
    std::pair<std::string_view, TimePart>{"week", TimePart::week},
    std::pair<std::string_view, TimePart>{"month", TimePart::month},
    std::pair<std::string_view, TimePart>{"quarter", TimePart::quarter},
    std::pair<std::string_view, TimePart>{"year", TimePart::year},
    std::pair<std::string_view, TimePart>{"dow", TimePart::day_of_week},
    std::pair<std::string_view, TimePart>{"isodow", TimePart::iso_day_of_week},
    std::pair<std::string_view, TimePart>{"doy", TimePart::day_of_year},
    std::pair<std::string_view, TimePart>{"epoch", TimePart::epoch},
};

sys_days monday_of(sys_days day) {
  return day - (weekday{day} - Monday);
}

/// ISO 8601: week 1 holds the year's first Thursday.
std::int64_t iso_week(sys_days day) {
  const sys_days thursday = monday_of(day) + days{3};
  const sys_days new_year = year_month_day{thursday}.year() / January / 1;
  return (thursday - new_year).count() / 7 + 1;
}

std::int64_t month_number(const CivilTime& time) {
  return static_cast<unsigned>(time.date.month());
}

std::int64_t day_of_year(const CivilTime& time) {
  return (time.day - sys_days{time.date.year() / January / 1}).count() + 1;
}

}  // namespace

std::optional<CivilTime> CivilTime::from_micros(std::int64_t micros) {
  constexpr std::int64_t first_day = sys_days{year{1} / January / 1}.time_since_epoch().count();
  constexpr std::int64_t last_day = sys_days{year{9999} / December / 31}.time_since_epoch().count();
  const std::int64_t days_since_epoch = floor_div(micros, micros_per_day);
  if (days_since_epoch < first_day || days_since_epoch > last_day) return std::nullopt;
  CivilTime time;
  time.day = sys_days{days{days_since_epoch}};
  time.date = year_month_day{time.day};
  time.micros_of_day = micros - days_since_epoch * micros_per_day;
  return time;
}

const CivilTime* CivilTimes::at(std::int64_t micros) {
  if (last_ && is_within(micros, start_, micros_per_day)) {
    last_->micros_of_day = micros - start_;
    return &*last_;
  }
  last_ = CivilTime::from_micros(micros);
  if (!last_) return nullptr;
  start_ = micros - last_->micros_of_day;
  return &*last_;
}

std::int64_t CivilTime::to_micros() const {
  return micros_of(day) + micros_of_day;
}

std::optional<TimePart> time_part_named(std::string_view name) {
  for (const auto& [known, part] : parts) {
    if (same_word(known, name)) return part;
  }
  return std::nullopt;
}

std::string time_part_list(bool units_only) {
  std::string list;
  for (const auto& [name, part] : parts) {
    if (!units_only || is_unit(part)) list += (list.empty() ? "" : " ") + std::string{name};
  }
  return list;
}

std::int64_t extract_part(TimePart part, const CivilTime& time) {
  const std::int64_t of_minute = time.micros_of_day % (60 * micros_per_second);
  switch (part) {
    case TimePart::microsecond: return of_minute;
    case TimePart::millisecond: return of_minute / 1000;
    case TimePart::second: return of_minute / micros_per_second;
    case TimePart::minute: return time.micros_of_day / (60 * micros_per_second) % 60;
    case TimePart::hour: return time.micros_of_day / (3600 * micros_per_second);
    case TimePart::day: return static_cast<unsigned>(time.date.day());
    case TimePart::week: return iso_week(time.day);
    case TimePart::month: return month_number(time);
    case TimePart::quarter: return (month_number(time) + 2) / 3;
    case TimePart::year: return static_cast<int>(time.date.year());
    case TimePart::day_of_week: return weekday{time.day}.c_encoding();
    case TimePart::iso_day_of_week: return weekday{time.day}.iso_encoding();
    case TimePart::day_of_year: return day_of_year(time);
    case TimePart::epoch: return floor_div(time.to_micros(), micros_per_second);
  }
  return 0;
}

std::int64_t truncate(TimePart unit, const CivilTime& time) {
  const auto down_to = [&](std::int64_t micros) { return micros_of(time.day) + time.micros_of_day / micros * micros; };
  switch (unit) {
    case TimePart::millisecond: return down_to(1000);
    case TimePart::second: return down_to(micros_per_second);
    case TimePart::minute: return down_to(60 * micros_per_second);
    case TimePart::hour: return down_to(3600 * micros_per_second);
    case TimePart::day: return micros_of(time.day);
    case TimePart::week: return micros_of(monday_of(time.day));
    case TimePart::month: return micros_of(time.date.year() / time.date.month() / 1);
    case TimePart::quarter: {
      const auto first = static_cast<unsigned>((month_number(time) - 1) / 3 * 3 + 1);
      return micros_of(time.date.year() / month{first} / 1);
    }
    case TimePart::year: return micros_of(time.date.year() / January / 1);
    default: return time.to_micros();
  }
}

}  // namespace dataflow::expr

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "libdataflow/expressions/arithmetic.hpp"
#include "libdataflow/expressions/calendar.hpp"
#include "libdataflow/expressions/registry.hpp"
#include "libdataflow/expressions/rowwise.hpp"
#include "serialization/time.hpp"

namespace dataflow::expr {

namespace {

using Text = std::string_view;
using Bound = tl::expected<Kernel, ArgumentError>;
using Micros = std::int64_t;

constexpr const char* out_of_calendar = "the timestamp is outside of the years 1 to 9999";

/// The part that a constant argument names; `units_only`: those to which a timestamp can be cut.
tl::expected<TimePart, ArgumentError> part_of(const Binding& call, bool units_only) {
  const auto name = call.constant_text(0);
  const auto part = name ? time_part_named(*name) : std::nullopt;
  if (part && (!units_only || is_unit(*part))) return *part;
  return tl::unexpected(ArgumentError{0, (name ? "no part of time \"" + *name + "\"; there are "
                                               : std::string{"the part of time must be a literal, one of "}) +
                                             time_part_list(units_only)});
}

Bound extract(const Binding& call) {
  const auto part = part_of(call, false);
  if (!part) return tl::unexpected(part.error());
  return try_rows<std::int64_t, Text, Micros>(
      [part = *part, times = CivilTimes{}](RowResult<std::int64_t>& out, Text, Micros micros) mutable {
        const CivilTime* const time = times.at(micros);
        if (time == nullptr) return out.fail(out_of_calendar);
        out.set(extract_part(part, *time));
      });
}

Bound date_trunc(const Binding& call) {
  const auto unit = part_of(call, true);
  if (!unit) return tl::unexpected(unit.error());
  return try_rows<Micros, Text, Micros>(
      [unit = *unit, times = CivilTimes{}](RowResult<Micros>& out, Text, Micros micros) mutable {
        const CivilTime* const time = times.at(micros);
        if (time == nullptr) return out.fail(out_of_calendar);
        out.set(truncate(unit, *time));
      });
}

/// The pattern in argument 1, which must be a literal.
tl::expected<TimePattern, ArgumentError> pattern_of(const Binding& call) {
  const auto text = call.constant_text(1);
  if (!text) return tl::unexpected(ArgumentError{1, "the pattern must be a literal, e.g. 'yyyy-MM-dd HH:mm:ss'"});
  auto pattern = TimePattern::parse(*text);
  if (!pattern) return tl::unexpected(ArgumentError{1, pattern.error()});
  return std::move(*pattern);
}

/// Formats timestamps that come after each other: one that the pattern cannot tell from the one before has its text.
class Formatter {
 public:
  explicit Formatter(std::shared_ptr<const TimePattern> pattern)
      : pattern_{std::move(pattern)}, resolution_{pattern_->resolution_micros()} {}

  void operator()(TextResult& out, Micros micros, Text) {
    if (!any_ || !is_within(micros, first_, resolution_)) {
      const CivilTime* const time = times_.at(micros);
      if (time == nullptr) return out.fail(out_of_calendar);
      text_.clear();
      pattern_->format(*time, text_);
      first_ = micros - time->micros_of_day % resolution_;
      any_ = true;
    }
    out.append(text_);
  }

 private:
  std::shared_ptr<const TimePattern> pattern_;
  std::int64_t resolution_;
  CivilTimes times_;
  std::string text_;  ///< of the timestamps from `first_` on, when there is any
  Micros first_ = 0;
  bool any_ = false;
};

/// A longer text is not made for all rows at once: it counts what it makes.
constexpr std::size_t longest_repeated = 64;

/// The column when all rows have the same text, as those of a batch mostly do that a pattern of days is for
/// (nexmark_q17); null when that is not known.
ColumnPtr one_text(const KernelCall& call, const TimePattern& pattern) {
  if (call.rows < 2 || !call.validity.empty() || call.arguments[0].constant) return nullptr;
  const auto times = call.arguments[0].column->as<Micros>();
  const auto first = CivilTime::from_micros(times[0]);
  if (!first) return nullptr;
  const std::int64_t length = pattern.resolution_micros();
  const Micros start = times[0] - first->micros_of_day % length;
  if (!is_within(times[call.rows - 1], start, length)) return nullptr;
  const auto is_other = [=](Micros time) { return !is_within(time, start, length); };
  if (std::any_of(times.begin(), times.end(), is_other)) return nullptr;
  std::string text;
  pattern.format(*first, text);
  if (text.size() > longest_repeated) return nullptr;
  return constant_column(storage_type(call.type), text, call.rows);
}

Bound date_format(const Binding& call) {
  auto found = pattern_of(call);
  if (!found) return tl::unexpected(found.error());
  const auto pattern = std::make_shared<const TimePattern>(std::move(*found));
  return [pattern, by_row = text_rows<Micros, Text>(Formatter{pattern})](KernelCall& rows) {
    ColumnPtr same = one_text(rows, *pattern);
    return same ? same : by_row(rows);
  };
}

std::string no_timestamp(Text text) {
  constexpr std::size_t longest = 60;
  return "'" + std::string{text.substr(0, longest)} + "' is not a timestamp";
}

Bound to_timestamp(const Binding& call) {
  auto found = pattern_of(call);
  if (!found) return tl::unexpected(found.error());
  return try_rows<Micros, Text, Text>([pattern = std::move(*found)](RowResult<Micros>& out, Text text, Text) {
    const auto micros = pattern.read(text);
    if (!micros) return out.fail(no_timestamp(text) + " in the given pattern");
    out.set(*micros);
  });
}

void iso_timestamp(RowResult<Micros>& out, Text text) {
  const auto time = parse_iso8601(text);
  if (!time) return out.fail(no_timestamp(text));
  out.set(time->micros);
}

std::int64_t to_millis(Micros micros) {
  return micros / 1000 - (micros % 1000 < 0 ? 1 : 0);
}

void from_millis(RowResult<Micros>& out, std::int64_t millis) {
  Micros micros = 0;
  if (__builtin_mul_overflow(millis, std::int64_t{1000}, &micros)) {
    return out.fail(number_text(millis) + " milliseconds are beyond timestamp");
  }
  out.set(micros);
}

}  // namespace

void add_time_functions(std::vector<Function>& table) {
  const Parameter t{"t", Accepts::timestamp};
  const Parameter s{"s", Accepts::string};
  table.push_back({"extract",
                   "time",
                   "A part of a timestamp, written extract(part FROM t): " + time_part_list(false) + ".",
                   "extract(hour FROM TIMESTAMP '2010-07-01T13:45:00') = 13",
                   {{{{"part", Accepts::string}, t}, Kind::int64, extract}}});
  table.push_back(
      {"date_trunc",
       "time",
       "The start of the unit that holds the timestamp: " + time_part_list(true) + ". Weeks start on Monday.",
       "date_trunc('hour', TIMESTAMP '2010-07-01T13:45:00') = TIMESTAMP '2010-07-01T13:00:00'",
       {{{{"unit", Accepts::string}, t}, Kind::timestamp, date_trunc}}});
  table.push_back({"date_format",
                   "time",
                   "As text in a pattern of Java's: y M d D H h m s S a E X Z, 'text' in quotes.",
                   "date_format(TIMESTAMP '2010-07-01T13:45:00', 'dd.MM.yyyy HH:mm') = '01.07.2010 13:45'",
                   {{{t, {"pattern", Accepts::string}}, Kind::string, date_format}}});
  table.push_back({"to_timestamp",
                   "time",
                   "Reads ISO 8601, or text in a pattern of Java's; an error when it does not fit.",
                   "to_timestamp('01.07.2010', 'dd.MM.yyyy') = TIMESTAMP '2010-07-01'",
                   {{{s}, Kind::timestamp, always(try_rows<Micros, Text>(iso_timestamp))},
                    {{s, {"pattern", Accepts::string}}, Kind::timestamp, to_timestamp}}});
  table.push_back({"epoch_ms",
                   "time",
                   "Milliseconds since 1970 of a timestamp, the milliseconds of an interval, or the timestamp of "
                   "milliseconds.",
                   "epoch_ms(TIMESTAMP '1970-01-01T00:00:01') = 1000",
                   {{{{"ms", Accepts::int64}}, Kind::timestamp, always(try_rows<Micros, std::int64_t>(from_millis))},
                    {{{"i", Accepts::interval}}, Kind::int64, always(map_rows<std::int64_t, Micros>(to_millis))},
                    {{t}, Kind::int64, always(map_rows<std::int64_t, Micros>(to_millis))}}});
}

}  // namespace dataflow::expr

// The calendar against the standard library's own, over all of its years.

#include <doctest/doctest.h>

#include <chrono>

#include "serialization/time.hpp"
#include "tests/support/random_batches.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

TEST_CASE("every day of the years 1 to 9999 is written as the standard library has it and read back") {
  using namespace std::chrono;
  const sys_days first{year{1} / 1 / 1};
  const sys_days end{year{10000} / 1 / 1};
  std::size_t wrong = 0;
  std::string text;
  for (sys_days day = first; day < end; day += days{1}) {
    const year_month_day date{day};
    char expected[32];
    std::snprintf(expected, sizeof expected, "%04d-%02u-%02uT00:00:00Z", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
    const Timestamp t{duration_cast<microseconds>(day.time_since_epoch()).count()};
    text.clear();
    append_iso8601(t, text);
    const auto back = parse_iso8601(text);
    wrong += text != expected || !back || *back != t;
  }
  CHECK(wrong == 0);
}

TEST_CASE("any microsecond is read back from its text") {
  RandomBatches random{7};
  constexpr std::int64_t first = -62'135'596'800'000'000;
  constexpr std::uint64_t span = 315'537'897'600'000'000;
  for (int i = 0; i < 100'000; ++i) {
    const Timestamp t{first + static_cast<std::int64_t>(random.below(span))};
    const auto back = parse_iso8601(to_iso8601(t));
    REQUIRE(back.has_value());
    REQUIRE(*back == t);
  }
  for (int i = 0; i < 100'000; ++i) {
    const Timestamp t{random.whole()};
    const auto back = parse_iso8601(to_iso8601(t));
    REQUIRE_MESSAGE(back.has_value(), to_iso8601(t));
    REQUIRE(*back == t);
  }
}

TEST_CASE("any duration is read back from its text") {
  RandomBatches random{8};
  for (int i = 0; i < 10'000; ++i) {
    const std::int64_t micros = random.whole() / static_cast<std::int64_t>(1 + random.below(1'000'000'000));
    const Duration d{random.one_in(2) ? micros : micros / 3'600'000'000 * 3'600'000'000};
    if (d.count() == std::numeric_limits<std::int64_t>::min()) continue;  // its magnitude is no int64
    const auto back = parse_duration(to_string(d));
    REQUIRE_MESSAGE(back.has_value(), to_string(d));
    CHECK(*back == d);
  }
}

TEST_CASE("one changed character never makes a date without a calendar day") {
  RandomBatches random{9};
  for (int i = 0; i < 100'000; ++i) {
    std::string text = "2024-02-29T23:59:59.123456+01:30";
    text[random.below(text.size())] = static_cast<char>(random.below(128));
    if (const auto t = parse_iso8601(text)) {
      const auto again = parse_iso8601(to_iso8601(*t));
      REQUIRE(again.has_value());
      CHECK(*again == *t);
    }
  }
}

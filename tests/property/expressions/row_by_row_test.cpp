// What a kernel keeps from row to row (a day taken apart, a divisor prepared, the text of the second before) must not
// be seen: a batch gives what each of its rows gives alone.

#include <doctest/doctest.h>

#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/seeds.hpp"

namespace dataflow {

namespace {

using testing_support::Row;

SchemaPtr input() {
  static const SchemaPtr schema = make_schema({{"t", TypeKind::timestamp},
                                               {"n", TypeKind::int64},
                                               {"i", TypeKind::int32},
                                               {"d", DataType::decimal(18, 3)},
                                               {"s", TypeKind::string}});
  return schema;
}

constexpr const char* texts[] = {
    "date_format(t, 'yyyy-MM-dd')",
    "date_format(t, 'HH:mm')",
    "date_format(t, 'h a, EEE D')",
    "date_format(t, 'ss.SSS')",
    "date_format(t, 'HH:mm:ss')",
    "extract(HOUR FROM t)",
    "extract(DOY FROM t)",
    "extract(EPOCH FROM t)",
    "date_trunc('hour', t)",
    "date_trunc('month', t)",
    "n % 123",
    "n / 123",
    "n % (-7)",
    "n / (-7)",
    "n % 2",
    "n / 9223372036854775807",
    "i % 100",
    "i / (-3)",
    "d * 2",
    "d * 12.34",
    "d + 0.1",
    "d - 1000000",
    "length(s)",
    "replace(s, 'c', '')",
    "split_part(s, '/', 2)",
    "split_part(s, 'ab', 2)",
};

struct Case {
  explicit Case(std::uint64_t seed) : random{seed} {}

  std::mt19937_64 random;
  bool nulls = pick(4) != 0;
  bool steady = pick(4) == 0;  ///< all timestamps are near each other

  std::uint64_t pick(std::uint64_t below) { return random() % below; }

  std::int64_t number() {
    switch (pick(4)) {
      case 0: return static_cast<std::int64_t>(pick(1000)) - 500;
      case 1: return std::numeric_limits<std::int64_t>::max() - static_cast<std::int64_t>(pick(2));
      case 2: return std::numeric_limits<std::int64_t>::min() + static_cast<std::int64_t>(pick(2));
      default: return static_cast<std::int64_t>(random());
    }
  }

  /// Near the one before, mostly; sometimes far, also before 1970 and outside of the calendar.
  std::int64_t time(std::int64_t before) {
    constexpr std::int64_t day = 86'400'000'000;
    if (steady) return before + static_cast<std::int64_t>(pick(20'000));
    switch (pick(8)) {
      case 0: return static_cast<std::int64_t>(pick(4)) * day - 2 * day;
      case 1: return before - static_cast<std::int64_t>(pick(2'000'000));
      case 2: return number();
      default: return before + static_cast<std::int64_t>(pick(pick(2) == 0 ? 2000 : 4'000'000'000));
    }
  }

  std::string text() {
    std::string s;
    for (std::uint64_t n = pick(30); n-- > 0;) s += "abc/d"[pick(5)];
    if (pick(5) == 0) s += "ü";
    return s;
  }

  void run() {
    std::vector<Row> rows;
    std::int64_t now = 1'400'000'000'000'000;
    for (std::uint64_t n = 1 + pick(40); n-- > 0;) {
      now = time(now);
      Row row{now, number(), static_cast<std::int64_t>(static_cast<std::int32_t>(random())),
              static_cast<std::int64_t>(random() % 1'000'000'000'000'000'000) - 500'000'000'000'000'000, text()};
      for (Value& value : row) {
        if (nulls && pick(10) == 0) value = Value{};
      }
      rows.push_back(row);
      if (now > 3'000'000'000'000'000 || now < 0) now = 1'400'000'000'000'000;
    }
    for (const std::string expression_text : texts) {
      CAPTURE(expression_text);
      const auto expression = Expression::compile(expression_text, *input());
      REQUIRE(expression.has_value());
      EvalContext context;
      const EvalResult all = expression->evaluate(*testing_support::make_batch(input(), rows), context);
      std::map<std::uint32_t, std::string> errors;
      for (const RowError& error : all.errors) errors.emplace(error.row, error.message);
      for (std::uint32_t i = 0; i < rows.size(); ++i) {
        CAPTURE(i);
        const EvalResult alone =
            expression->evaluate(*testing_support::make_batch(input(), std::vector<Row>{rows[i]}), context);
        REQUIRE(errors.contains(i) == !alone.errors.empty());
        if (!alone.errors.empty()) {
          CHECK(errors[i] == alone.errors.front().message);
        } else {
          CHECK(all.column->value(i) == alone.column->value(0));
        }
      }
    }
  }
};

}  // namespace

TEST_CASE("a batch gives what each of its rows gives alone") {
  for (const std::uint64_t seed : testing_support::seeds(200)) {
    CAPTURE(seed);
    Case{seed}.run();
  }
}

}  // namespace dataflow

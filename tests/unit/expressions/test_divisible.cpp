// `x % n = 0` is computed without the remainder: it must be what the remainder says.

#include <limits>
#include <random>
#include <vector>

#include "tests/unit/expressions/fixture.hpp"

using namespace dataflow;
using namespace dataflow::expression_tests;

namespace {

/// Extremes, small numbers, and numbers of every size with multiples of `divisor` among them.
template <class T>
std::vector<T> numbers_around(T divisor) {
  std::vector<T> numbers{std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
  for (int i = -20; i <= 20; ++i) numbers.push_back(static_cast<T>(i));
  std::mt19937_64 random{17};
  for (int i = 0; i < 400; ++i) {
    const T number = static_cast<T>(static_cast<T>(random()) >> (random() % std::numeric_limits<T>::digits));
    numbers.push_back(number);
    numbers.push_back(number / divisor * divisor);
  }
  return numbers;
}

/// Both conditions of each number.
template <class T>
std::string conditions(const std::string& remainder, TypeKind kind, const std::vector<T>& numbers) {
  const SchemaPtr schema = make_schema({{"x", kind}});
  BatchBuilder builder{schema};
  for (const T number : numbers) {
    builder.column(0).append(number);
    builder.end_row();
  }
  const BatchPtr batch = builder.finish();
  std::string lines;
  for (const char* condition : {" = 0", " <> 0"}) {
    const auto expression = Expression::compile(remainder + condition, *schema);
    REQUIRE(expression.has_value());
    EvalContext context;
    lines += to_line(expression->evaluate(*batch, context)) + '\n';
  }
  return lines;
}

template <class T>
void check_divisor(T divisor, TypeKind kind, const std::string& cast_to) {
  CAPTURE(divisor);
  const std::string remainder = "x % CAST('" + std::to_string(divisor) + "' AS " + cast_to + ")";
  const std::vector<T> numbers = numbers_around(divisor);
  std::string is_zero;
  std::string is_not;
  for (const T number : numbers) {
    const bool zero = divisor == -1 || number % divisor == 0;
    is_zero += std::string{is_zero.empty() ? "" : " "} + (zero ? "true" : "false");
    is_not += std::string{is_not.empty() ? "" : " "} + (zero ? "false" : "true");
  }
  CHECK(conditions(remainder, kind, numbers) == is_zero + '\n' + is_not + '\n');
}

}  // namespace

TEST_CASE("whether a remainder is zero, for divisors of all kinds") {
  for (const std::int64_t divisor :
       {std::int64_t{1}, std::int64_t{-1}, std::int64_t{2}, std::int64_t{-2}, std::int64_t{3}, std::int64_t{6},
        std::int64_t{123}, std::int64_t{-123}, std::int64_t{1024}, std::int64_t{1'000'000'007}, std::int64_t{3} << 60,
        std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    check_divisor(divisor, TypeKind::int64, "int64");
  }
  for (const std::int32_t divisor : {1, -1, 2, 7, 96, -96, 65'536, std::numeric_limits<std::int32_t>::max(),
                                     std::numeric_limits<std::int32_t>::min()}) {
    check_divisor(divisor, TypeKind::int32, "int32");
  }
}

TEST_CASE("whether a remainder is zero, beside NULLs, errors and other types") {
  check_all({
      {"n % 5 = 0", "true false NULL false"},
      {"n % 5 <> 0", "false true NULL true"},
      {"0 = i % 2", "false true NULL false"},
      {"i % 2 = 0", "false true NULL false"},
      {"n % 0 = 0", "! ! NULL !"},
      {"(n + 1) % 11 = 0", "true false NULL !"},
      {"n % 5 = 1", "false false NULL false"},
      {"n % NULL = 0", "NULL NULL NULL NULL"},
      {"n % count = 0", "true false NULL false"},
      {"d % 5 = 0", "false false NULL false"},
      {"x % 1 = 0", "false false NULL true"},
      {"n % 3 <> 0 AND n % 5 = 0", "true false NULL false"},
  });
}

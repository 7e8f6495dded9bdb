#include "tests/unit/expressions/fixture.hpp"

using namespace dataflow;
using namespace dataflow::expression_tests;

TEST_CASE("operators bind as in SQL") {
  check_all({
      {"1 + 2 * 3", "7 7 7 7"},
      {"(1 + 2) * 3", "9 9 9 9"},
      {"10 - 4 - 3", "3 3 3 3"},
      {"100 / 10 / 5", "2 2 2 2"},
      {"-2 * -3", "6 6 6 6"},
      {"2 - -3", "5 5 5 5"},
      {"1 + 1 = 2 AND NOT 1 > 2", "true true true true"},
      {"TRUE OR FALSE AND FALSE", "true true true true"},
      {"NOT FALSE AND FALSE", "false false false false"},
      {"1 = 1 IS NULL", "false false false false"},
      {"1 + 1 BETWEEN 1 + 0 AND 1 + 2", "true true true true"},
      {"'a' || 'b' = 'ab'", "true true true true"},
      {"NOT 1 IN (2)", "true true true true"},
      {"'a' || 'b' LIKE 'a%'", "true true true true"},
      {"5 % 3 * 2", "4 4 4 4"},
      {"1::string || '2'", "\"12\" \"12\" \"12\" \"12\""},
      {"-1::string", "0+10: a sign needs a number, this is string"},
      {"1 -- a comment\n + /* and /* nested */ another */ 1", "2 2 2 2"},
  });
}

TEST_CASE("words that are no keywords may name columns, quoted or not") {
  check_all({
      {"count", "1 2 3 4"},
      {"\"end\"", "5 6 7 8"},
      {"mixed", "7 8 9 10"},
      {"\"Mixed\"", "7 8 9 10"},
      {"twin + \"TWIN\"", "3 3 3 3"},
      {"left.id", "3 3 3 3"},
      {"readings.count", "1 2 3 4"},
      {"I", "1 -2 NULL 2147483647"},
      {"end", "0+3: end is a keyword here, not a value (a column of this name is written \"end\")"},
      {"\"mixed\"", "0+7: no column \"mixed\" in \"readings\" (did you mean \"Mixed\"?)"},
      {"Twin", "0+4: \"Twin\" may be \"twin\" or \"TWIN\" (write the name exactly, or in double quotes)"},
  });
  const Schema names{{{"min", TypeKind::int64},
                      {"timestamp", TypeKind::timestamp},
                      {"date", TypeKind::timestamp},
                      {"value", TypeKind::int64},
                      {"interval", TypeKind::int64},
                      {"cast", TypeKind::int64},
                      {"filter", TypeKind::int64},
                      {"position", TypeKind::int64}}};
  for (const Field& field : names.fields()) {
    CAPTURE(field.name);
    CHECK(Expression::compile(field.name, names).has_value());
    CHECK(Expression::compile(field.name + " IS NULL OR " + field.name + " = " + field.name, names).has_value());
  }
  CHECK(Expression::compile("timestamp > TIMESTAMP '2010-01-01'", names).has_value());
  CHECK(Expression::compile("date - date < INTERVAL '1' DAY AND min(min) > 0", names).error().message ==
        "min is an aggregate: it has no value for a single row");
}

TEST_CASE("an unknown column is named with its place and the nearest one") {
  CHECK(evaluated("temprature > 25") ==
        "0+10: no column \"temprature\" in \"readings\" (did you mean \"temperature\"?)");
  CHECK(evaluated("1 + temprature") ==
        "4+10: no column \"temprature\" in \"readings\" (did you mean \"temperature\"?)");
  const auto without_name = Expression::compile("b OR temprature > 25", *fixture()->schema());
  REQUIRE(!without_name);
  CHECK(without_name.error().message == "no column \"temprature\" in the input");
  CHECK(without_name.error().offset == 5);
  CHECK(without_name.error().length == 10);
  const Schema small{{{"a", TypeKind::int64}, {"b", TypeKind::int64}}};
  CHECK(Expression::compile("pressure", small).error().suggestion == "it has a, b");
}

TEST_CASE("mistakes in the text are shown where they are") {
  check_all({
      {"", "0+0: the expression is empty"},
      {"  -- nothing", "0+12: the expression is empty"},
      {"1 +", "3+0: the expression ends where a value is expected"},
      {"(1", "2+0: the expression ends where a closing parenthesis is expected"},
      {"1 2", "2+1: unexpected 2 after the expression"},
      {"i == 1", "3+1: expected a value, found ="},
      {"i = 1 = 2", "6+1: comparisons cannot be chained (write a < b AND b < c)"},
      {"'open", "0+5: this text has no closing quote"},
      {"\"open", "0+5: this name has no closing double quote"},
      {"1 /* open", "2+2: this comment has no end (close it with */)"},
      {"12abc", "0+5: this is neither a number nor a name (names that start with a digit need double quotes)"},
      {"i # 1", "2+1: unexpected character #"},
      {"`i`", "0+1: unexpected character ` (write names in double quotes)"},
      {"99999999999999999999",
       "0+20: this integer does not fit into 64 bits (with a point or an exponent it is a float64)"},
      {"1e999", "0+5: this number is beyond the range of float64"},
      {"i IN ()", "6+1: expected a value, found )"},
      {"CASE 1 END", "7+3: expected WHEN, found END"},
      {"NULL", "0+4: the type of this NULL is not known (write CAST(NULL AS type))"},
      {"i AND b", "0+1: each side of AND must be a bool, this is int32 (compare it, e.g. with > 0)"},
      {"NOT s", "4+1: the operand of NOT must be a bool, this is string"},
      {"s + 1", "0+5: + cannot be used on string and int64 (texts are joined with ||)"},
      {"s > 1", "0+5: the sides of the comparison have the types string and int64 (CAST one of them)"},
      {"i.", "2+0: the expression ends where a column name after the point is expected"},
      {"i IS 5", "5+1: expected NULL, TRUE, FALSE or DISTINCT FROM, found 5"},
  });
  CHECK(evaluated("\xff") == "0+1: the text is not valid UTF-8");
}

TEST_CASE("nesting and length have limits, and long flat expressions are fine") {
  const std::string deep = std::string(300, '(') + "1" + std::string(300, ')');
  CHECK(evaluated(deep) == "200+1: the expression is nested deeper than 200 levels");
  CHECK(evaluated(std::string(150, '(') + "1" + std::string(150, ')')) == "1 1 1 1");
  CHECK(evaluated(std::string(500, '-') + "1").find("levels") == std::string::npos);  // a comment
  std::string minuses;
  for (int i = 0; i < 300; ++i) minuses += "- ";
  CHECK(evaluated(minuses + "i").find("nested deeper") != std::string::npos);
  std::string chain = "count";
  for (int i = 0; i < 350; ++i) chain += " + 1";
  CHECK(evaluated(chain) == "351 352 353 354");
  for (int i = 0; i < 100; ++i) chain += " + 1";
  CHECK(evaluated(chain).find("more than 400 levels") != std::string::npos);
  std::string list = "n IN (10";
  for (int i = 0; i < 5000; ++i) list += "," + std::to_string(i + 100);
  CHECK(evaluated(list + ")") == "true false NULL false");
  std::string columns = "n IN (count";
  for (int i = 0; i < 3000; ++i) columns += ",count";
  CHECK(evaluated(columns + ")") == "false false NULL false");
  CHECK(evaluated(std::string(70'000, ' ')).find("64 KiB") != std::string::npos);
  // Each level doubles the work if the operand were computed twice.
  std::string between = "n";
  for (int i = 0; i < 60; ++i) between = "(" + between + " BETWEEN 0 AND 5)::int64";
  CHECK(evaluated(between) == "1 1 NULL 1");
}

#include "tests/unit/expressions/fixture.hpp"

using namespace dataflow;
using namespace dataflow::expression_tests;

TEST_CASE("CASE takes the first branch whose condition is TRUE") {
  check_all({
      {"CASE WHEN i > 0 THEN 'plus' WHEN i < 0 THEN 'minus' END", "\"plus\" \"minus\" NULL \"plus\""},
      {"CASE WHEN i > 0 THEN 'plus' ELSE 'rest' END", "\"plus\" \"rest\" \"rest\" \"plus\""},
      {"CASE i WHEN 1 THEN 'one' WHEN -2 THEN 'minus two' ELSE 'other' END",
       "\"one\" \"minus two\" \"other\" \"other\""},
      {"CASE i + 0 WHEN 1 THEN 10 WHEN NULL THEN 20 END", "10 NULL NULL NULL"},
      {"CASE WHEN b THEN i ELSE n END", "1 -3 NULL 2147483647"},
      {"CASE WHEN b THEN i ELSE 2.5 END", "1.0 2.5 2.5 2147483647.0"},
      {"CASE WHEN b THEN t ELSE '2000-01-01' END",
       "\"2010-07-01T13:45:30.123456Z\" \"2000-01-01T00:00:00Z\" \"2000-01-01T00:00:00Z\" \"2012-02-29T00:00:00Z\""},
      {"CASE WHEN TRUE THEN 1 ELSE 2 END", "1 1 1 1"},
      {"CASE WHEN b THEN NULL ELSE 1 END", "NULL 1 1 NULL"},
      {"CASE WHEN b THEN b ELSE count > 2 END", "true false true true"},
      {"CASE WHEN b THEN 1 ELSE 'a' END",
       "0+31: the results of CASE have the types int64 and string (CAST one of them)"},
      {"CASE WHEN i THEN 1 END", "10+1: a condition of CASE must be a bool, this is int32 (compare it, e.g. with > 0)"},
  });
}

TEST_CASE("only the chosen branch can fail") {
  check_all({
      {"CASE WHEN i = 1 THEN 0 ELSE 7 / (i - 1) END", "0 -2 NULL 0"},
      {"CASE WHEN 7 / (i - 1) < 0 THEN 'a' ELSE 'b' END", "! \"a\" \"b\" \"b\""},
      {"CASE WHEN i = 1 THEN 'x' WHEN 7 / (i - 1) < 0 THEN 'a' ELSE 'b' END", "\"x\" \"a\" \"b\" \"b\""},
      {"CASE WHEN b THEN 1 / 0 ELSE 1 END", "! 1 1 !"},
      {"if(i = 1, 0, 7 / (i - 1))", "0 -2 NULL 0"},
      {"if(b, 1, 1 / 0)", "1 ! ! 1"},
      {"coalesce(n, 1 / 0)", "10 -3 ! 9223372036854775807"},
      {"coalesce(n + 1, 5)", "11 -2 5 !"},
  });
}

TEST_CASE("a branch is computed for the rows that take it, and what is around it cannot tell") {
  check_all({
      {"CASE WHEN b THEN replace(s, 'r', 'x') ELSE coalesce(s || '!', 'none') END",
       "\"stxeam\" \"Zürich!\" \"none\" \"\""},
      {"CASE WHEN i > 0 THEN CASE WHEN n = 10 THEN upper(s) ELSE lower(s) END ELSE s || '?' END",
       "\"STREAM\" \"Zürich?\" NULL \"\""},
      {"CASE WHEN b THEN (n + 1) IS NULL ELSE TRUE END", "false true true !"},
      {"coalesce(CASE WHEN b THEN s || '1' END, s || '2', 'none')", "\"stream1\" \"Zürich2\" \"none\" \"1\""},
      {"CASE WHEN b THEN nullif(s || 'x', 'x') ELSE regexp_extract(s, 'r(.)', 1) END", "\"streamx\" \"i\" NULL NULL"},
  });
}

TEST_CASE("a call that stands in several places is the same in each, whichever rows it is computed for first") {
  check_all({
      {"CASE WHEN length(s) > 6 THEN 'long' WHEN length(s) > 1 THEN 'short' ELSE 'none' END",
       "\"short\" \"short\" \"none\" \"none\""},
      {"CASE WHEN b THEN upper(s) ELSE upper(s) || upper(s) END", "\"STREAM\" \"ZÜRICHZÜRICH\" NULL \"\""},
      {"coalesce(CASE WHEN b THEN lower(s) END, lower(s), 'none')", "\"stream\" \"zürich\" \"none\" \"\""},
      {"length(substring(s, 1, 2)) + length(substring(s, 1, 3))", "5 5 NULL 0"},
      {"CASE WHEN b THEN 0 ELSE epoch_ms(to_timestamp(s, 'yyyy')) - epoch_ms(to_timestamp(s, 'yyyy')) END",
       "0 ! NULL 0"},
  });
}

TEST_CASE("coalesce, nullif and if") {
  check_all({
      {"coalesce(i, 0)", "1 -2 0 2147483647"},
      {"coalesce(i, n, 5)", "1 -2 5 2147483647"},
      {"coalesce(s, 'none')", "\"stream\" \"Zürich\" \"none\" \"\""},
      {"coalesce(NULL, NULL, x)", "1.5 -2.25 NULL 0.0"},
      {"coalesce(CAST(NULL AS int64))", "NULL NULL NULL NULL"},
      {"nullif(i, 1)", "NULL -2 NULL 2147483647"},
      {"nullif(s, '')", "\"stream\" \"Zürich\" NULL NULL"},
      {"nullif(n / (n - 10), 0)", "! NULL NULL 1"},
      {"if(b, 'yes', 'no')", "\"yes\" \"no\" \"no\" \"yes\""},
      {"if(b, i, 0.5)", "1.0 0.5 0.5 2147483647.0"},
      {"greatest(i, 0)", "1 0 NULL 2147483647"},
      {"greatest(x, i, 1)", "1.5 1.0 NULL 2147483647.0"},
      {"least(i, 0)", "0 -2 NULL 0"},
      {"least(s, 'm')", "\"m\" \"Zürich\" NULL \"\""},
      {"greatest(t, '2011-01-01')", "\"2011-01-01T00:00:00Z\" \"2011-01-01T00:00:00Z\" NULL \"2012-02-29T00:00:00Z\""},
      {"if(i, 1, 2)", "3+1: the condition of if must be a bool, this is int32 (compare it, e.g. with > 0)"},
      {"coalesce()", "0+10: coalesce cannot take 0 arguments (it is coalesce(x T, ...) -> T)"},
      {"nullif(i)", "0+9: nullif cannot take 1 arguments (it is nullif(x T, y T) -> T)"},
  });
}

TEST_CASE("CAST converts, fails for what does not fit, and TRY_CAST gives NULL there") {
  check_all({
      {"CAST(n AS int32)", "10 -3 NULL !"},
      {"TRY_CAST(n AS int32)", "10 -3 NULL NULL"},
      {"CAST(x AS int64)", "1 -2 NULL 0"},
      {"CAST(d AS int32)", "12 0 NULL 999999"},
      {"CAST(i AS float64)", "1.0 -2.0 NULL 2147483647.0"},
      {"CAST(x AS decimal(5,1))", "1.5 -2.3 NULL 0.0"},
      {"CAST(d AS decimal(4,2))", "12.34 -0.50 NULL !"},
      {"CAST(d AS decimal(8,1))", "12.3 -0.5 NULL 1000000.0"},
      {"CAST(n AS decimal(5,2))", "10.00 -3.00 NULL !"},
      {"CAST(i AS string)", "\"1\" \"-2\" NULL \"2147483647\""},
      {"CAST(x AS string)", "\"1.5\" \"-2.25\" NULL \"0.0\""},
      {"CAST(d AS string)", "\"12.34\" \"-0.50\" NULL \"999999.99\""},
      {"CAST(b AS string)", "\"true\" \"false\" NULL \"true\""},
      {"CAST(t AS string)", "\"2010-07-01T13:45:30.123456Z\" \"1969-12-31T23:59:59Z\" NULL \"2012-02-29T00:00:00Z\""},
      {"CAST(b AS int32)", "1 0 NULL 1"},
      {"CAST(i AS bool)", "true true NULL true"},
      {"CAST(' 12 ' AS int32)", "12 12 12 12"},
      {"CAST('12.5' AS int64)", "! ! ! !"},
      {"TRY_CAST('12.5' AS int64)", "NULL NULL NULL NULL"},
      {"CAST('12.5' AS decimal(4,2))", "12.50 12.50 12.50 12.50"},
      {"CAST('1e3' AS float64)", "1000.0 1000.0 1000.0 1000.0"},
      {"CAST('yes' AS bool)", "true true true true"},
      {"CAST('2010-07-01' AS timestamp)",
       "\"2010-07-01T00:00:00Z\" \"2010-07-01T00:00:00Z\" \"2010-07-01T00:00:00Z\" \"2010-07-01T00:00:00Z\""},
      {"CAST(y AS string)", "\"ab\" ! NULL \"\""},
      {"CAST(s AS bytes)", "\"c3RyZWFt\" \"WsO8cmljaA==\" NULL \"\""},
      {"CAST(NULL AS int64)", "NULL NULL NULL NULL"},
      {"i::string || 'x'", "\"1x\" \"-2x\" NULL \"2147483647x\""},
      {"CAST(i AS varchar)", "\"1\" \"-2\" NULL \"2147483647\""},
      {"CAST(i AS double precision)", "1.0 -2.0 NULL 2147483647.0"},
      {"TRY_CAST(1 / 0 AS string)", "! ! ! !"},
      {"CAST(1e19 AS int64)", "! ! ! !"},
      {"CAST(9223372036854775807.0 AS int64)", "! ! ! !"},
      {"CAST(-9.223372036854775808e18 AS int64) < 0", "true true true true"},
      {"CAST(1e300 * 1e300 AS string)", "\"Infinity\" \"Infinity\" \"Infinity\" \"Infinity\""},
      {"CAST(1e300 * 1e300 AS int64)", "! ! ! !"},
      {"CAST(t AS int64)",
       "0+16: no cast from timestamp to int64 (epoch_ms(x) turns a timestamp into milliseconds and back)"},
      {"CAST(i AS text(5))", "10+7: string has no parameters"},
      {"CAST(i AS strin)", "10+5: no type \"strin\" (did you mean string?)"},
      {"CAST(i AS decimal(20,2))",
       "10+13: a decimal has 1 to 18 digits, of which at most all stand after the point (e.g. decimal(10,2))"},
  });
  CHECK(row_error("CAST(n AS int32)", 3) == "9223372036854775807 does not fit into int32");
  CHECK(row_error("CAST(s AS int64)", 0) == "'stream' is not an int64");
}

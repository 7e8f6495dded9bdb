#include "tests/unit/expressions/fixture.hpp"

using namespace dataflow;
using namespace dataflow::expression_tests;

TEST_CASE("the example of every function is TRUE") {
  const std::vector<FunctionDoc> docs = function_docs();
  CHECK(docs.size() > 50);
  EvalContext context;
  for (const FunctionDoc& doc : docs) {
    CAPTURE(doc.name);
    CHECK(!doc.help.empty());
    CHECK(!doc.signatures.empty());
    if (doc.group == "aggregate") continue;
    const auto expression = Expression::compile(doc.example, *fixture()->schema());
    if (!expression) FAIL_CHECK(doc.example << ": " << expression.error().message);
    if (!expression) continue;
    const EvalResult result = expression->evaluate(*fixture(), context);
    CHECK(result.errors.empty());
    CHECK(result.column->value(0) == Value{true});
  }
}

TEST_CASE("functions of numbers") {
  check_all({
      {"abs(i)", "1 2 NULL 2147483647"},
      {"abs(d)", "12.34 0.50 NULL 999999.99"},
      {"abs(x)", "1.5 2.25 NULL 0.0"},
      {"abs(-9223372036854775808)", "! ! ! !"},
      {"ceil(x)", "2.0 -2.0 NULL 0.0"},
      {"ceil(d)", "13 0 NULL 1000000"},
      {"floor(x)", "1.0 -3.0 NULL 0.0"},
      {"floor(d)", "12 -1 NULL 999999"},
      {"floor(n)", "10 -3 NULL 9223372036854775807"},
      {"round(x)", "2.0 -2.0 NULL 0.0"},
      {"round(d)", "12 -1 NULL 1000000"},
      {"round(d, 1)", "12.30 -0.50 NULL 1000000.00"},
      {"round(x, 1)", "1.5 -2.3 NULL 0.0"},
      {"round(n, -1)", "10 0 NULL !"},
      {"round(i, -2)", "0 0 NULL 2147483600"},
      {"round(2.675e0, 2)", "2.68 2.68 2.68 2.68"},
      {"sqrt(x)", "1.224744871391589 ! NULL 0.0"},
      {"exp(x * 0)", "1.0 1.0 NULL 1.0"},
      {"ln(x * 0 + 1)", "0.0 0.0 NULL 0.0"},
      {"ln(x)", "0.4054651081081644 ! NULL !"},
      {"log(2, 8)", "3.0 3.0 3.0 3.0"},
      {"log(x)", "0.4054651081081644 ! NULL !"},
      {"log(1, 8)", "! ! ! !"},
      {"power(i, 2)", "1.0 4.0 NULL 4.6116860141324206e+18"},
      {"power(x, 0.5)", "1.224744871391589 ! NULL 0.0"},
      {"power(x, -1)", "0.6666666666666666 -0.4444444444444444 NULL !"},
      {"sign(x)", "1 -1 NULL 0"},
      {"sign(d)", "1 -1 NULL 1"},
      {"mod(d, 5)", "2.34 -0.50 NULL 4.99"},
  });
  CHECK(row_error("sqrt(x)", 1) == "sqrt(-2.25) is not defined");
}

TEST_CASE("functions of text count characters, not bytes") {
  check_all({
      {"lower(s)", "\"stream\" \"zürich\" NULL \"\""},
      {"upper(s)", "\"STREAM\" \"ZÜRICH\" NULL \"\""},
      {"length(s)", "6 6 NULL 0"},
      {"length(y)", "2 1 NULL 0"},
      {"trim('  a b ')", "\"a b\" \"a b\" \"a b\" \"a b\""},
      {"trim(BOTH 'üZ' FROM s)", "\"stream\" \"rich\" NULL \"\""},
      {"trim(LEADING 's' FROM s)", "\"tream\" \"Zürich\" NULL \"\""},
      {"trim(TRAILING 'mh' FROM s)", "\"strea\" \"Züric\" NULL \"\""},
      {"trim('x' FROM 'xax')", "\"a\" \"a\" \"a\" \"a\""},
      {"ltrim('  a ')", "\"a \" \"a \" \"a \" \"a \""},
      {"rtrim('aüü', 'ü')", "\"a\" \"a\" \"a\" \"a\""},
      {"substring(s, 2)", "\"tream\" \"ürich\" NULL \"\""},
      {"substring(s, 2, 3)", "\"tre\" \"üri\" NULL \"\""},
      {"substring(s FROM 2 FOR 3)", "\"tre\" \"üri\" NULL \"\""},
      {"substring(s FROM 2)", "\"tream\" \"ürich\" NULL \"\""},
      {"substring(s, 0, 3)", "\"st\" \"Zü\" NULL \"\""},
      {"substring(s, -5)", "\"stream\" \"Zürich\" NULL \"\""},
      {"substring(s, 100, 5)", "\"\" \"\" NULL \"\""},
      {"substring(s, 2, -1)", "! ! NULL !"},
      {"substring(s, 2, 9223372036854775807)", "\"tream\" \"ürich\" NULL \"\""},
      {"position('r' IN s)", "3 3 NULL 0"},
      {"position(s, 'ch')", "0 5 NULL 0"},
      {"position('' IN s)", "1 1 NULL 1"},
      {"replace(s, 'r', 'RR')", "\"stRReam\" \"ZüRRich\" NULL \"\""},
      {"replace(s, '', 'x')", "\"stream\" \"Zürich\" NULL \"\""},
      {"split_part('a/b/c', '/', i)", "\"a\" \"b\" NULL \"\""},
      {"split_part('a/b/c', '/', -1)", "\"c\" \"c\" \"c\" \"c\""},
      {"split_part('a/b/c', '/', 0)", "! ! ! !"},
      {"split_part(s, '', 1)", "\"stream\" \"Zürich\" NULL \"\""},
      {"concat('<', s, '>')", "\"<stream>\" \"<Zürich>\" NULL \"<>\""},
      {"starts_with(s, 'str')", "true false NULL false"},
      {"ends_with(s, 'ich')", "false true NULL false"},
      {"ends_with(s, '')", "true true NULL true"},
  });
}

TEST_CASE("regular expressions") {
  check_all({
      {"regexp_like(s, '^s.*m$')", "true false NULL false"},
      {"regexp_like(s, 'ü')", "false true NULL false"},
      {"regexp_extract(s, 'r(.)')", "\"re\" \"ri\" NULL NULL"},
      {"regexp_extract(s, 'r(.)', 1)", "\"e\" \"i\" NULL NULL"},
      {"regexp_extract(s, '(x)?r', 1)", "NULL NULL NULL NULL"},
      {"regexp_extract('GET /a 503', '([A-Z]+) ([^ ]+) ([0-9]+)', 3)", "\"503\" \"503\" \"503\" \"503\""},
      {"regexp_replace(s, '[aeiou]', '*')", "\"str**m\" \"Zür*ch\" NULL \"\""},
      {"regexp_replace(s, '(.)r', 'r$1')", "\"srteam\" \"Zrüich\" NULL \"\""},
      {"regexp_replace(s, '(.)r', '\\1\\1')", "\"stteam\" \"Züüich\" NULL \"\""},
      {"regexp_replace('abc', 'x*', '-')", "\"-a-b-c-\" \"-a-b-c-\" \"-a-b-c-\" \"-a-b-c-\""},
      {"regexp_replace('é', '', '-')", "\"-é-\" \"-é-\" \"-é-\" \"-é-\""},
      {"length(regexp_replace('zürich', 'x*', '-'))", "13 13 13 13"},
      {"regexp_replace('a', 'a', '\\$')", "\"$\" \"$\" \"$\" \"$\""},
      {"regexp_like('aa', coalesce(s, 'a+'))", "false false true true"},
      {"regexp_like(s, '(')", "15+3: this is no regular expression: missing ): ("},
      {"regexp_extract(s, 'a(b)', 2)", "26+1: the regular expression has 1 groups"},
      {"regexp_like('a', s || '(')", "! ! NULL !"},
  });
}

TEST_CASE("functions of time") {
  check_all({
      {"extract(hour FROM t)", "13 23 NULL 0"},
      {"extract(YEAR FROM t)", "2010 1969 NULL 2012"},
      {"extract(month FROM t)", "7 12 NULL 2"},
      {"extract(day FROM t)", "1 31 NULL 29"},
      {"extract(minute FROM t)", "45 59 NULL 0"},
      {"extract(second FROM t)", "30 59 NULL 0"},
      {"extract(millisecond FROM t)", "30123 59000 NULL 0"},
      {"extract(microsecond FROM t)", "30123456 59000000 NULL 0"},
      {"extract(quarter FROM t)", "3 4 NULL 1"},
      {"extract(week FROM t)", "26 1 NULL 9"},
      {"extract(dow FROM t)", "4 3 NULL 3"},
      {"extract(isodow FROM DATE '2012-03-04')", "7 7 7 7"},
      {"extract(doy FROM t)", "182 365 NULL 60"},
      {"extract(epoch FROM t)", "1277991930 -1 NULL 1330473600"},
      {"date_trunc('hour', t)", "\"2010-07-01T13:00:00Z\" \"1969-12-31T23:00:00Z\" NULL \"2012-02-29T00:00:00Z\""},
      {"date_trunc('month', t)", "\"2010-07-01T00:00:00Z\" \"1969-12-01T00:00:00Z\" NULL \"2012-02-01T00:00:00Z\""},
      {"date_trunc('week', t)", "\"2010-06-28T00:00:00Z\" \"1969-12-29T00:00:00Z\" NULL \"2012-02-27T00:00:00Z\""},
      {"date_trunc('quarter', t)", "\"2010-07-01T00:00:00Z\" \"1969-10-01T00:00:00Z\" NULL \"2012-01-01T00:00:00Z\""},
      {"date_trunc('second', t)", "\"2010-07-01T13:45:30Z\" \"1969-12-31T23:59:59Z\" NULL \"2012-02-29T00:00:00Z\""},
      {"date_format(t, 'yyyy-MM-dd HH:mm:ss.SSS')",
       "\"2010-07-01 13:45:30.123\" \"1969-12-31 23:59:59.000\" NULL \"2012-02-29 00:00:00.000\""},
      {"date_format(t, 'd. MMMM yy, h:mm a')",
       "\"1. July 10, 1:45 PM\" \"31. December 69, 11:59 PM\" NULL \"29. February 12, 12:00 AM\""},
      {"date_format(t, 'EEE ''at'' D')", "\"Thu at 182\" \"Wed at 365\" NULL \"Wed at 60\""},
      {"to_timestamp('2010-07-01T13:45:30+02:00')",
       "\"2010-07-01T11:45:30Z\" \"2010-07-01T11:45:30Z\" \"2010-07-01T11:45:30Z\" \"2010-07-01T11:45:30Z\""},
      {"to_timestamp('10/Oct/2000:13:55:36 -0700', 'dd/MMM/yyyy:HH:mm:ss Z') = '2000-10-10T20:55:36'",
       "true true true true"},
      {"to_timestamp('1:05 PM', 'h:mm a') = '1970-01-01T13:05:00'", "true true true true"},
      {"to_timestamp('2011-02-29', 'yyyy-MM-dd')", "! ! ! !"},
      {"to_timestamp(s)", "! ! NULL !"},
      {"to_timestamp(s, 'yyyy')", "! ! NULL !"},
      {"epoch_ms(t)", "1277991930123 -1000 NULL 1330473600000"},
      {"epoch_ms(i * 1000)", "\"1970-01-01T00:00:01Z\" \"1969-12-31T23:59:58Z\" NULL \"2038-01-19T03:14:07Z\""},
      {"epoch_ms(n)", "\"1970-01-01T00:00:00.010Z\" \"1969-12-31T23:59:59.997Z\" NULL !"},
      {"extract(age FROM t)",
       "8+3: no part of time \"age\"; there are microsecond millisecond second minute hour day week "
       "month quarter year dow isodow doy epoch"},
      {"date_trunc(s, t)",
       "11+1: the part of time must be a literal, one of microsecond millisecond second minute hour day "
       "week month quarter year"},
      {"date_format(t, 'yyyy-MM-ddTHH')",
       "15+15: the pattern letter T is unknown; there are y M d D H h m s S a E X x Z, and text in single quotes"},
  });
}

TEST_CASE("hashes are the same everywhere") {
  check_all({
      {"md5('abc')",
       "\"900150983cd24fb0d6963f7d28e17f72\" \"900150983cd24fb0d6963f7d28e17f72\" \"900150983cd24fb0d6963f7d28e17f72\" "
       "\"900150983cd24fb0d6963f7d28e17f72\""},
      {"md5(s) IS NULL", "false false true false"},
      {"sha256('abc') = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'", "true true true true"},
      {"md5(y) = md5(s)", "false false NULL true"},
      {"hash(i) = hash(CAST(i AS int64))", "true true true true"},
      {"hash(i, s) = hash(i, 'stream')", "true false false false"},
      {"hash(i) IS NULL", "false false false false"},
      {"hash(1 / 0)", "! ! ! !"},
  });
}

TEST_CASE("JSON in text") {
  check_all({
      {"json_value('{\"a\": {\"b\": [1, \"two\", true, null, 2.5]}}', '$.a.b[1]')", "\"two\" \"two\" \"two\" \"two\""},
      {"json_value('{\"a\": {\"b\": [1, \"two\"]}}', '$.a.b[0]')", "\"1\" \"1\" \"1\" \"1\""},
      {"json_value('{\"a b\": true}', '$[''a b'']')", "\"true\" \"true\" \"true\" \"true\""},
      {"json_value('{\"id\": 7, \"big\": 123456789012345678901234567890}', '$.id')", "\"7\" \"7\" \"7\" \"7\""},
      {"json_value('{\"id\": [7, 1e400 ], \"s\": \"x\"}', '$.id[1]')", "\"1e400\" \"1e400\" \"1e400\" \"1e400\""},
      {"json_value('{\"id\": [7, 1e400 ], \"s\": \"x\\\"01\"}', '$.s')",
       "\"x\\\"01\" \"x\\\"01\" \"x\\\"01\" \"x\\\"01\""},
      {"json_value('{\"id\": 7, \"wrong\": 01}', '$.id')", "NULL NULL NULL NULL"},
      {"json_exists('{\"a\": null, \"big\": 1e999}', '$.a')", "true true true true"},
      {"json_exists('{\"a\": null, \"big\": 1e999}', '$.b')", "false false false false"},
      {"json_value('[2.5]', '$[0]')", "\"2.5\" \"2.5\" \"2.5\" \"2.5\""},
      {"json_value('{\"a\": [1]}', '$.a')", "NULL NULL NULL NULL"},
      {"json_value('{\"a\": null}', '$.a')", "NULL NULL NULL NULL"},
      {"json_value(s, '$.a')", "NULL NULL NULL NULL"},
      {"json_value('{\"a\": \"x\\ny\"}', '$.a')", "\"x\\ny\" \"x\\ny\" \"x\\ny\" \"x\\ny\""},
      {"json_value('5', '$')", "\"5\" \"5\" \"5\" \"5\""},
      {"json_exists('{\"a\": null}', '$.a')", "true true true true"},
      {"json_exists('{\"a\": null}', '$.b')", "false false false false"},
      {"json_exists(s, '$')", "false false NULL false"},
      {"json_value(s, 'a.b')", "14+5: the path must be a literal such as '$.user.tags[0]' or '$[''a b'']'"},
      {"json_value(s, s)", "14+1: the path must be a literal such as '$.user.tags[0]' or '$[''a b'']'"},
  });
}

TEST_CASE("a call with wrong arguments says what the function takes") {
  check_all({
      {"lower(i)", "0+7: lower cannot take (int32) (it is lower(s string) -> string)"},
      {"abs()", "0+3: abs cannot take () (it is abs(x number) -> the type of the first argument)"},
      {"substring(s, 1, 2, 3)",
       "0+20: substring cannot take (string, int64, int64, int64) (it is substring(s string, start int64) -> string or "
       "substring(s string, start int64, count int64) -> string)"},
      {"lenght(s)", "0+6: no function \"lenght\" (did you mean length?)"},
      {"sum(i)",
       "0+6: sum is an aggregate: it has no value for a single row (aggregates belong into the aggregate = { "
       "... } of a window)"},
      {"lower(*)", "0+8: * is for aggregates, lower is none"},
      {"lower(DISTINCT s)", "0+17: DISTINCT is for aggregates, lower is none"},
      {"date_trunc('hour', 'x')", "19+3: this text is not a timestamp (e.g. '2010-01-01T12:30:00')"},
      {"LOWER(s) = Lower(s)", "true true NULL true"},
  });
}

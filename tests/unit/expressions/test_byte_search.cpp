#include "libdataflow/expressions/byte_search.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "tests/support/batches.hpp"

using namespace dataflow;

namespace {

/// Of few different bytes, so that each occurs often; some are no ASCII, and no valid UTF-8 either.
std::string random_text(std::mt19937& random, std::string_view bytes) {
  std::string text(random() % 70, ' ');
  for (char& c : text) c = bytes[random() % bytes.size()];
  return text;
}

std::vector<std::string> parts_of(const std::string& text, char separator) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

TEST_CASE("parts, counts and ASCII are found as by looking at one byte after the other") {
  std::mt19937 random{7};
  for (int round = 0; round < 2000; ++round) {
    const std::string text = random_text(random, round % 2 == 0 ? "//abc" : "/abcdefgh\xC3\xA9");
    CAPTURE(text);
    const std::vector<std::string> parts = parts_of(text, '/');
    for (std::size_t part = 1; part <= parts.size() + 2; ++part) {
      const std::string expected = part <= parts.size() ? parts[part - 1] : "";
      REQUIRE(expr::nth_part(text, '/', static_cast<std::int64_t>(part)) == expected);
    }
    REQUIRE(expr::count_byte(text, '/') == parts.size() - 1);
    const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) >= 0; });
    REQUIRE(expr::is_ascii(text) == ascii);
  }
}

TEST_CASE("the length of a text with something replaced is that of the text that replace makes") {
  const SchemaPtr schema = make_schema({{"s", TypeKind::string}});
  std::mt19937 random{8};
  EvalContext context;
  for (const std::string_view alphabet : {std::string_view{"abc"}, std::string_view{"ab\xC3\xA9"}}) {
    std::vector<testing_support::Row> rows(1, testing_support::Row{Value{}});
    for (int i = 0; i < 300; ++i) rows.push_back({Value{random_text(random, alphabet)}});
    const BatchPtr batch = testing_support::make_batch(schema, rows);
    for (const std::string arguments :
         {"s, 'a', ''", "s, 'ab', ''", "s, 'aba', 'b'", "s, 'é', 'e'", "s, 'a', 'bb'", "s, '', 'a'"}) {
      CAPTURE(arguments);
      const auto at_once = Expression::compile("length(replace(" + arguments + "))", *schema);
      const auto in_steps = Expression::compile("length('' || replace(" + arguments + "))", *schema);
      const EvalResult got = at_once->evaluate(*batch, context);
      const EvalResult expected = in_steps->evaluate(*batch, context);
      REQUIRE(got.column->is_null(0));
      for (std::uint32_t row = 1; row < batch->rows(); ++row) {
        REQUIRE(got.column->value(row) == expected.column->value(row));
      }
    }
  }
}

// Numbers read in words of eight bytes, against the library that reads every spelling.

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "libdataflow/formats/field_text.hpp"

namespace dataflow::text {
namespace {

/// As in a decoder's window: something, anything, stands behind the number.
struct Padded {
  std::string bytes;
  std::size_t size;
  Padded(std::string text, std::string_view behind) : bytes{std::move(text)}, size{bytes.size()} {
    bytes += behind;
    bytes += "\n.5,7.,90";
  }
  [[nodiscard]] std::string_view text() const { return std::string_view{bytes}.substr(0, size); }
};

}  // namespace

TEST_CASE("a float read in one word is the one that the library reads, and refused where the library refuses") {
  std::mt19937_64 random{20261129};
  const std::string_view alphabet = "0123456789012345678901234567890123456789..-+e ,x";
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    for (std::size_t left = random() % 12; left > 0; --left) text += alphabet[random() % alphabet.size()];
    const Padded padded{text, i % 2 == 0 ? "," : "9.9"};
    double slow = 0;
    double fast = 0;
    const bool is_number = parse_float64_slow(text, slow);
    CAPTURE(text);
    REQUIRE(parse_float64_padded(padded.text(), fast) == is_number);
    if (is_number) REQUIRE(fast == slow);
  }
}

TEST_CASE("floats of every place of the point") {
  for (const char* text :
       {"1", "12345678", "1.5", "0.1", "1234.567", "123456.7", "-0.25", "-1234567", "-12345.67", "99999.99"}) {
    double slow = 0;
    double fast = 0;
    CAPTURE(text);
    REQUIRE(parse_float64_slow(text, slow));
    REQUIRE(parse_float64_padded(Padded{text, ","}.text(), fast));
    CHECK(fast == slow);
  }
  double out = 0;
  for (const char* text : {"", ".", "1.2.3", "-", "--1", "1,5"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_float64_padded(Padded{text, "5"}.text(), out));
  }
}

}  // namespace dataflow::text

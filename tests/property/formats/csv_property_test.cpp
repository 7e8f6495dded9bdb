// Random tables written as CSV with random quoting and line ends are read back equal to a simple reference, whatever
// the chunks, batches and splits they are read in.

#include <doctest/doctest.h>

#include "tests/property/formats/random_tables.hpp"
#include "tests/support/seeds.hpp"

using namespace dataflow;
using namespace dataflow::testing;

namespace {

/// One field as CSV may write it.
std::string csv_field(const std::optional<std::string>& value, bool text, std::mt19937_64& random) {
  if (!value) return "";
  const bool needs = value->find_first_of(",\"\r\n") != std::string::npos || (text && value->empty());
  if (!needs && random() % 3 != 0) return *value;
  std::string quoted = "\"";
  for (const char c : *value) quoted += c == '"' ? std::string{"\"\""} : std::string{c};
  return quoted + "\"";
}

std::string write_csv(const Table& table, std::mt19937_64& random) {
  std::string out = random() % 2 == 0 ? "\xEF\xBB\xBF" : "";
  const std::string line_end = random() % 2 == 0 ? "\n" : "\r\n";
  for (std::size_t f = 0; f < table.fields.size(); ++f) out += (f == 0 ? "" : ",") + table.fields[f].field.name;
  out += line_end;
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    if (random() % 40 == 0 && table.fields.size() > 1) out += line_end;  // a blank line is no record
    for (std::size_t f = 0; f < table.fields.size(); ++f) {
      if (f != 0) out += ',';
      out += csv_field(table.rows[r][f], table.fields[f].field.type.kind() == TypeKind::string, random);
    }
    if (r + 1 < table.rows.size() || random() % 2 == 0 || table.rows[r].back() == std::nullopt) out += line_end;
  }
  return out;
}

}  // namespace

TEST_CASE("random tables survive CSV at every chunk, batch and split size") {
  for (const std::uint64_t seed : testing_support::seeds(150)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const Table table = random_table(random);
    const std::string text = write_csv(table, random);
    check_all_ways({TextFormat::csv, table.fields}, text, expected_rows(table), random);
  }
}

TEST_CASE("random bytes are read the same in all ways, malformed records included") {
  constexpr std::string_view alphabet = "ab1,,\n\n\"\"\"\r ;\xC3\xA9\xFF";
  for (const std::uint64_t seed : testing_support::seeds(300)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    std::string text = "a,b\n";
    for (std::size_t n = random() % 300; n > 0; --n) text += alphabet[random() % alphabet.size()];
    check_consistent(
        {TextFormat::csv, {SourceField{Field{"a", TypeKind::string}}, SourceField{Field{"b", TypeKind::int64}}}}, text,
        random);
  }
}

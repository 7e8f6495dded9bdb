// Random tables written as JSON lines are read back equal to a simple reference, whatever the chunks, batches and
// splits they are read in.

#include <doctest/doctest.h>

#include "serialization/value.hpp"
#include "tests/property/formats/random_tables.hpp"
#include "tests/support/seeds.hpp"

using namespace dataflow;
using namespace dataflow::testing;

namespace {

std::string write_json(const Table& table, std::mt19937_64& random) {
  std::string out;
  for (const auto& row : table.rows) {
    std::vector<std::string> members;
    for (std::size_t f = 0; f < table.fields.size(); ++f) {
      std::string member;
      append_json_string(table.fields[f].field.name, member);
      member += random() % 2 == 0 ? ":" : " : ";
      if (!row[f]) {
        if (random() % 2 == 0) continue;  // missing is NULL too
        member += "null";
      } else if (table.fields[f].field.type.kind() == TypeKind::string ||
                 table.fields[f].field.type.kind() == TypeKind::timestamp) {
        append_json_string(*row[f], member);
      } else {
        member += *row[f];
      }
      members.push_back(member);
    }
    if (random() % 3 == 0) members.emplace_back("\"extra\":{\"a\":[1,\"}\",{}]}");
    std::shuffle(members.begin(), members.end(), random);
    out += "{";
    for (std::size_t i = 0; i < members.size(); ++i)
      out += (i == 0 ? "" : random() % 2 == 0 ? "," : " , ") + members[i];
    out += random() % 4 == 0 ? "}\r\n" : "}\n";
    if (random() % 20 == 0) out += "  \n";
  }
  if (random() % 2 == 0 && out.ends_with("}\n")) out.pop_back();
  return out;
}

}  // namespace

TEST_CASE("random tables survive JSON lines at every chunk, batch and split size") {
  for (const std::uint64_t seed : testing_support::seeds(150)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const Table table = random_table(random);
    const std::string text = write_json(table, random);
    check_all_ways({TextFormat::json, table.fields}, text, expected_rows(table), random);
  }
}

TEST_CASE("damaged JSON lines are read the same in all ways") {
  constexpr std::string_view alphabet = "{}[]:,\"\\1a \n\xFF";
  for (const std::uint64_t seed : testing_support::seeds(300)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const Table table = random_table(random);
    std::string text = write_json(table, random);
    for (std::size_t n = 1 + random() % 10; n > 0 && !text.empty(); --n) {
      text[random() % text.size()] = alphabet[random() % alphabet.size()];
    }
    check_consistent({TextFormat::json, table.fields}, text, random);
  }
}

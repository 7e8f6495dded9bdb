#pragma once
// Random tables as texts, and the ways in which a source may read the file that they are written to.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "libdataflow/sources/csv_cut.hpp"
#include "libdataflow/sources/record_reader.hpp"
#include "serialization/value.hpp"

namespace dataflow::testing {

/// Values as their canonical text; nothing is NULL.
struct Table {
  std::vector<SourceField> fields;
  std::vector<std::vector<std::optional<std::string>>> rows;
};

inline std::string random_value(TypeKind kind, std::mt19937_64& random) {
  switch (kind) {
    case TypeKind::boolean: return random() % 2 == 0 ? "true" : "false";
    case TypeKind::int32: return std::to_string(static_cast<std::int32_t>(random()));
    case TypeKind::int64: {
      const auto value = static_cast<std::int64_t>(random());
      return std::to_string(random() % 2 == 0 ? value : value % 1000);
    }
    case TypeKind::float64:
      return std::to_string(static_cast<std::int64_t>(random() % 2000) - 1000) + "." +
             std::to_string(random() % 8 * 125);
    case TypeKind::timestamp:
      return "20" + std::to_string(10 + random() % 90) + "-0" + std::to_string(1 + random() % 9) + "-" +
             std::to_string(10 + random() % 19) + "T" + std::to_string(10 + random() % 14) +
             ":30:" + std::to_string(10 + random() % 50) + "Z";
    default: {
      static const std::vector<std::string> pieces = {"a",
                                                      "bc",
                                                      ",",
                                                      "\"",
                                                      "\n",
                                                      "\r\n",
                                                      " ",
                                                      "\xC3\xA4",
                                                      "\xF0\x9F\x98\x80",
                                                      "\t",
                                                      "x,y",
                                                      "\"\"",
                                                      "0123456789abcdefghij"};
      std::string text;
      for (std::size_t n = random() % 6; n > 0; --n) text += pieces[random() % pieces.size()];
      return text;
    }
  }
}

inline Table random_table(std::mt19937_64& random) {
  constexpr TypeKind kinds[] = {TypeKind::boolean, TypeKind::int32,     TypeKind::int64,
                                TypeKind::float64, TypeKind::timestamp, TypeKind::string};
  Table table;
  for (std::size_t f = 0, count = 1 + random() % 6; f < count; ++f) {
    table.fields.push_back(SourceField{Field{"f" + std::to_string(f), kinds[random() % 6]}});
  }
  table.rows.resize(random() % 60);
  for (auto& row : table.rows) {
    for (const SourceField& field : table.fields) {
      row.push_back(random() % 8 == 0 ? std::nullopt : std::optional{random_value(field.field.type.kind(), random)});
    }
  }
  return table;
}

/// The table as JSON lines, made from the texts alone.
inline std::string expected_rows(const Table& table) {
  std::string out;
  for (const auto& row : table.rows) {
    for (std::size_t f = 0; f < table.fields.size(); ++f) {
      out += f == 0 ? "{" : ",";
      append_json_string(table.fields[f].field.name, out);
      out += ':';
      const TypeKind kind = table.fields[f].field.type.kind();
      if (!row[f]) {
        out += "null";
      } else if (kind == TypeKind::string || kind == TypeKind::timestamp) {
        append_json_string(*row[f], out);
      } else if (kind == TypeKind::float64) {
        append_json_double(std::stod(*row[f]), out);
      } else {
        out += *row[f];
      }
    }
    out += "}\n";
  }
  return out;
}

/// A text given in pieces of random size, now and then none.
class ChoppyStream final : public ByteStream {
 public:
  ChoppyStream(std::string_view text, std::size_t largest, std::uint64_t seed)
      : text_{text}, largest_{largest}, random_{seed} {}
  Result<Read> read(char* into, std::size_t capacity) override {
    if (text_.empty()) return Read{0, true};
    if (random_() % 5 == 0) return Read{};
    const std::size_t bytes = std::min({text_.size(), capacity, 1 + random_() % largest_});
    std::memcpy(into, text_.data(), bytes);
    text_.remove_prefix(bytes);
    return Read{bytes, false};
  }

 private:
  std::string_view text_;
  std::size_t largest_;
  std::mt19937_64 random_;
};

struct ReadBack final : SourceOutput {
  void emit(BatchPtr batch, std::string_view) override {
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      append_row_json(*batch, row, rows);
      rows += '\n';
    }
  }
  void malformed(std::string_view raw, std::string_view error, std::string_view position) override {
    errors += std::string{raw} + "|" + std::string{error} + (with_positions ? "|" + std::string{position} : "") + "\n";
  }
  [[nodiscard]] bool full() const override { return false; }
  [[nodiscard]] std::uint32_t batch_rows() const override { return most_rows; }

  std::string rows;
  std::string errors;
  std::uint32_t most_rows = max_batch_rows;
  bool with_positions = true;
};

inline void read_into(const DecoderOptions& options, std::unique_ptr<ByteStream> stream, std::uint64_t first_byte,
                      std::string_view head, std::size_t read_size, ReadBack& out) {
  RecordReader reader{
      std::move(stream), make_decoder(options), {.name = "t", .first_byte = first_byte, .read_size = read_size}};
  if (first_byte != 0) {
    ChoppyStream beginning{head, 7, 1};
    REQUIRE(reader.start_from(beginning));
  }
  for (;;) {
    const auto step = reader.poll(out, "t");
    REQUIRE(step);
    if (*step == RecordReader::Step::end) return;
  }
}

/// Where splits of about `size` bytes end: by the quoting of everything before, as the file source does it.
inline std::vector<std::size_t> cuts(const DecoderOptions& options, std::string_view text, std::size_t size) {
  std::vector<std::size_t> found{0};
  CsvQuoteScan scan{options.delimiter};
  std::size_t scanned = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  for (std::size_t at = size; at < text.size(); at = found.back() + size) {
    if (options.format == TextFormat::csv) {
      if (at - 1 > scanned) {
        scan.pass(text.substr(scanned, at - 1 - scanned));
        scanned = at - 1;
      }
      const std::size_t used = scan.pass_to_row_end(text.substr(scanned));
      if (used == CsvQuoteScan::npos) break;
      scanned += used;
    } else {
      const std::size_t newline = text.find('\n', at - 1);
      if (newline == std::string_view::npos) break;
      scanned = newline + 1;
    }
    if (scanned >= text.size()) break;
    found.push_back(scanned);
  }
  found.push_back(text.size());
  return found;
}

/// Reads in one go, in chunks, in small batches and in splits: each gives the same rows and errors.
inline ReadBack check_consistent(const DecoderOptions& options, const std::string& text, std::mt19937_64& random) {
  ReadBack whole;
  read_into(options, std::make_unique<ChoppyStream>(text, text.size() + 1, 1), 0, {}, 1 << 16, whole);
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{3}, std::size_t{64}, 1 + random() % 200}) {
    CAPTURE(chunk);
    ReadBack pieces;
    pieces.most_rows = 1 + static_cast<std::uint32_t>(random() % 10);
    read_into(options, std::make_unique<ChoppyStream>(text, chunk, random()), 0, {}, 1 + random() % 100, pieces);
    CHECK(pieces.rows == whole.rows);
    CHECK(pieces.errors == whole.errors);
  }
  // The positions of splits are in bytes: compared without.
  ReadBack unplaced;
  unplaced.with_positions = false;
  read_into(options, std::make_unique<ChoppyStream>(text, text.size() + 1, 1), 0, {}, 1 << 16, unplaced);
  for (const std::size_t size : {std::size_t{5}, std::size_t{40}, 1 + random() % 300}) {
    CAPTURE(size);
    ReadBack split;
    split.with_positions = false;
    const std::vector<std::size_t> ends = cuts(options, text, size);
    for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
      const std::string_view part = std::string_view{text}.substr(ends[i], ends[i + 1] - ends[i]);
      read_into(options, std::make_unique<ChoppyStream>(part, 50, random()), ends[i], text, 64, split);
    }
    CHECK(split.rows == unplaced.rows);
    CHECK(split.errors == unplaced.errors);
  }
  return whole;
}

inline void check_all_ways(const DecoderOptions& options, const std::string& text, const std::string& expected,
                           std::mt19937_64& random) {
  const ReadBack whole = check_consistent(options, text, random);
  CHECK(whole.errors == "");
  CHECK(whole.rows == expected);
}

}  // namespace dataflow::testing

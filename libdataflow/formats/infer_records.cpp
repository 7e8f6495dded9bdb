#include "libdataflow/formats/infer_records.hpp"

#include <simdjson.h>
#include <algorithm>
#include <cctype>
#include <set>

#include "libdataflow/formats/csv_decoder.hpp"
#include "libdataflow/formats/field_text.hpp"
#include "libdataflow/formats/record_decoder.hpp"

namespace dataflow {

namespace {

constexpr std::uint32_t most_records = 1000;

/// `2010-01-01...`: what parse_iso8601 takes beyond that (a bare year, say) is too likely something else.
bool looks_like_date(std::string_view text) {
  return text.size() >= 10 && text[4] == '-' && text[7] == '-' && text::is_digit(text[0]);
}

Error first_record_too_long() {
  return {ErrorCode::malformed_data,
          "the first record does not end within the first 4 MiB, which is as far as infer looks; put a smaller one in "
          "front, or write the schema by hand"};
}

}  // namespace

Status check_is_text(std::string_view text, bool cut) {
  std::size_t line_number = 0;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    const bool last = newline == std::string_view::npos;
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(last ? text.size() : newline + 1);
    ++line_number;
    if (line.find('\0') != std::string_view::npos) {
      return fail(ErrorCode::malformed_data,
                  "line " + std::to_string(line_number) +
                      " has a NUL byte: this is binary data or UTF-16; infer reads CSV and JSON lines in UTF-8");
    }
    if ((last && cut) || simdjson::validate_utf8(line.data(), line.size())) continue;
    return fail(
        ErrorCode::malformed_data,
        "line " + std::to_string(line_number) +
            " is not UTF-8; if it is text in another encoding, `iconv -f latin1 -t utf8` or the like converts it");
  }
  return {};
}

void SeenField::see(std::string_view text) {
  ++values;
  std::int64_t integer = 0;
  double number = 0;
  bool flag = false;
  // A leading zero is a code or a telephone number, which as an integer would lose it.
  const bool code = text.size() > 1 && text[0] == '0' && text::is_digit(text[1]);
  if (!code && text::parse_int64(text, integer)) {
    ++integers;
    least = std::min(least, integer);
    greatest = std::max(greatest, integer);
  }
  const bool word = !text.empty() && std::isalpha(static_cast<unsigned char>(text.back())) != 0;
  if (!code && !word && text::parse_float64(text, number)) ++numbers;
  if (text.size() > 1 && text::parse_bool(text, flag)) ++booleans;
  if (looks_like_date(text) && text::parse_timestamp_slow(text, integer)) ++timestamps;
}

Result<SeenFields> look_at_csv(std::string_view text, bool cut) {
  const std::string_view header = text.substr(0, text.find('\n'));
  SeenFields seen;
  std::ptrdiff_t most = 0;
  for (const char candidate : {',', ';', '\t', '|'}) {
    const std::ptrdiff_t count = std::count(header.begin(), header.end(), candidate);
    if (count > most) {
      seen.delimiter = candidate;
      most = count;
    }
  }
  std::string padded{text};
  if (!cut && !padded.ends_with('\n')) padded += '\n';
  const std::size_t size = padded.size();
  padded.append(decode_padding, '\0');
  const std::string_view window{padded.data(), size};

  // The header alone first, then all of its columns as text.
  DecoderOptions options{TextFormat::csv, {}, seen.delimiter};
  CsvDecoder names{options};
  const auto started = names.start(window, !cut);
  if (!started) return fail(started.error());
  if (!*started) return fail(ErrorCode::malformed_data, "the header does not end within 4 MiB");
  std::set<std::string> unique;
  for (const std::string& name : names.header()) {
    const std::string column = "column " + std::to_string(options.fields.size() + 1);
    if (name.empty()) {
      return fail(ErrorCode::malformed_data,
                  "the header (line 1) has no name for " + column + "; give it one: columns are matched by name");
    }
    if (!unique.insert(name).second) {
      return fail(ErrorCode::malformed_data, "the header (line 1) has the name \"" + name + "\" again for " + column +
                                                 "; give it another: columns are matched by name");
    }
    options.fields.push_back({Field{name, TypeKind::bytes}});
    seen.fields.push_back({name});
  }
  CsvDecoder decoder{options};
  std::size_t at = **decoder.start(window, !cut);
  while (seen.rows < most_records && at < size) {
    const DecodedRecords decoded =
        decoder.decode(window.substr(at), !cut, most_records - static_cast<std::uint32_t>(seen.rows));
    if (decoded.consumed == 0) break;
    at += decoded.consumed;
    if (!decoded.batch) continue;
    seen.rows += decoded.batch->rows();
    for (std::size_t field = 0; field < seen.fields.size(); ++field) {
      const Column& column = decoded.batch->column(field);
      for (std::uint32_t row = 0; row < column.rows; ++row) {
        if (!column.is_null(row)) seen.fields[field].see(column.text(row));
      }
    }
  }
  if (seen.rows == 0 && cut) return fail(first_record_too_long());
  return seen;
}

namespace {

SeenField& field_named(SeenFields& seen, std::string_view name) {
  for (SeenField& field : seen.fields) {
    if (field.name == name) return field;
  }
  return seen.fields.emplace_back(SeenField{std::string{name}});
}

void see_member(SeenField& field, const simdjson::dom::element& value) {
  switch (value.type()) {
    case simdjson::dom::element_type::NULL_VALUE: break;
    case simdjson::dom::element_type::STRING: {
      field.see(value.get_string().value_unsafe());
      // Text that is a date everywhere is still proposed as a timestamp.
      field.quoted_text = true;
      break;
    }
    case simdjson::dom::element_type::ARRAY:
    case simdjson::dom::element_type::OBJECT: ++field.values; break;
    default: field.see(simdjson::to_string(value));
  }
}

/// `line` with integers of 19 digits and more as floats: simdjson's tree holds none beyond 64 bits, but a source reads
/// them, as text or rounded.
std::string with_long_integers_as_floats(std::string_view line) {
  constexpr std::size_t long_integer = 19;
  std::string out;
  bool in_string = false;
  for (std::size_t at = 0; at < line.size();) {
    std::size_t end = at + 1;
    if (in_string && line[at] == '\\') {
      end = std::min(at + 2, line.size());
    } else if (line[at] == '"') {
      in_string = !in_string;
    } else if (!in_string && text::is_digit(line[at])) {
      end = std::min(line.find_first_of(",]} \t\r", at), line.size());
    }
    const std::string_view piece = line.substr(at, end - at);
    out += piece;
    if (piece.size() >= long_integer && std::all_of(piece.begin(), piece.end(), text::is_digit)) out += "e0";
    at = end;
  }
  return out;
}

}  // namespace

Result<SeenFields> look_at_json(std::string_view text, bool cut) {
  SeenFields seen;
  simdjson::dom::parser parser;
  std::size_t line_number = 0;
  while (!text.empty() && seen.rows < most_records) {
    const std::size_t newline = text.find('\n');
    if (newline == std::string_view::npos && cut) break;
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    ++line_number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    simdjson::dom::object object;
    auto error = parser.parse(line.data(), line.size()).get_object().get(object);
    if (error == simdjson::NUMBER_ERROR) {
      error = parser.parse(with_long_integers_as_floats(line)).get_object().get(object);
    }
    if (error && seen.rows == 0) {
      return fail(ErrorCode::malformed_data, "line " + std::to_string(line_number) + " is not a JSON object (" +
                                                 simdjson::error_message(error) +
                                                 "); json is one object a line, without line ends inside");
    }
    if (error) continue;
    ++seen.rows;
    for (const auto member : object) see_member(field_named(seen, member.key), member.value);
  }
  if (seen.rows == 0 && cut) return fail(first_record_too_long());
  if (seen.fields.empty()) return fail(ErrorCode::malformed_data, "no object in it has a member");
  return seen;
}

}  // namespace dataflow

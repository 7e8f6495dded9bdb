#include "libdataflow/formats/json_decoder.hpp"

#include <simdjson.h>
#include <bit>
#include <cmath>
#include <cstring>

#include "libdataflow/formats/field_text.hpp"
#include "libdataflow/formats/json_text.hpp"

namespace dataflow {

namespace {

/// JSON takes about twice the room of the rows in it.
constexpr std::size_t max_block_bytes = 2 * max_batch_bytes;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

/// Compares eight bytes at a time; both sides are readable up to the next multiple of eight.
inline bool same_bytes(const char* a, const char* b, std::size_t size) {
  std::uint64_t x = 0;
  std::uint64_t y = 0;
  for (; size >= 8; size -= 8, a += 8, b += 8) {
    std::memcpy(&x, a, 8);
    std::memcpy(&y, b, 8);
    if (x != y) return false;
  }
  if (size == 0) return true;
  std::memcpy(&x, a, 8);
  std::memcpy(&y, b, 8);
  return ((x ^ y) << (64 - 8 * size)) == 0;
}

std::string describe(simdjson::error_code error) {
  switch (error) {
    case simdjson::UTF8_ERROR: return "the line is not valid UTF-8";
    case simdjson::UNCLOSED_STRING: return "a string is not closed";
    case simdjson::UNESCAPED_CHARS: return "a string contains a control character that must be escaped";
    default: return simdjson::error_message(error);
  }
}

}  // namespace

/// Positions of the tokens of one block: each `{ } [ ] , :`, and the first byte of each string, number and word.
struct JsonDecoder::Tokens {
  simdjson::dom::parser parser;
  const char* block = nullptr;
  const std::uint32_t* positions = nullptr;
  std::size_t count = 0;
  std::size_t at = 0;
  std::uint32_t line_end = 0;  ///< tokens from here on belong to other lines

  simdjson::error_code index(std::string_view text) {
    // Grown in powers of two, so that blocks of about one size allocate once.
    if (parser.capacity() < text.size()) {
      if (const auto error = parser.allocate(std::bit_ceil(text.size()))) return error;
    }
    auto& stage = *parser.implementation;
    const auto error =
        stage.stage1(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), simdjson::stage1_mode::regular);
    block = text.data();
    positions = stage.structural_indexes.get();
    count = error ? 0 : stage.n_structural_indexes;
    at = 0;
    return error;
  }

  [[nodiscard]] bool more() const { return at < count && positions[at] < line_end; }
  /// The current token's first byte; a newline, which is no token, at the end of the line.
  [[nodiscard]] char peek() const { return more() ? block[positions[at]] : '\n'; }
  /// The text from the current token to the next, without blanks behind it.
  [[nodiscard]] std::string_view scalar() const {
    const std::uint32_t start = positions[at];
    std::uint32_t end = at + 1 < count ? std::min(positions[at + 1], line_end) : line_end;
    while (end > start && is_blank(block[end - 1])) --end;
    return {block + start, end - start};
  }
  /// The text of the object or array at the cursor, which moves behind it; empty when it is not closed.
  std::string_view skip_nested() {
    const std::uint32_t start = positions[at];
    std::size_t depth = 0;
    for (; more(); ++at) {
      const char c = block[positions[at]];
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth == 0) return {block + start, positions[at++] + 1 - start};
    }
    return {};
  }
};

namespace {

std::vector<SourceField> read_fields(const DecoderOptions& options) {
  std::vector<SourceField> fields;
  for (std::size_t i = 0; i < options.fields.size(); ++i) {
    if (options.reads(i)) fields.push_back(options.fields[i]);
  }
  return fields;
}

}  // namespace

JsonDecoder::JsonDecoder(const DecoderOptions& options)
    : schema_{schema_of(options.fields)},
      fields_{read_fields(options)},
      tokens_{std::make_unique<Tokens>()},
      rows_{schema_of(fields_)},
      seen_(fields_.size(), 0) {
  std::size_t next = 0;
  for (std::size_t i = 0; i < options.fields.size(); ++i) places_.push_back(options.reads(i) ? next++ : no_field);
}

/// The rows that were decoded under the whole schema.
BatchPtr JsonDecoder::finish_batch() {
  const BatchPtr decoded = rows_.finish();
  if (fields_.size() == places_.size()) return decoded->with_columns(schema_, decoded->columns());
  std::vector<ColumnPtr> columns;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    columns.push_back(places_[i] == no_field ? unread_column((*schema_)[i].type, decoded->rows())
                                             : decoded->columns()[places_[i]]);
  }
  return decoded->with_columns(schema_, std::move(columns));
}

JsonDecoder::~JsonDecoder() = default;

Result<std::optional<std::size_t>> JsonDecoder::start(std::string_view window, bool last) {
  return byte_order_mark(window, last);
}

DecodedRecords JsonDecoder::decode(std::string_view window, bool, std::uint32_t max_rows) {
  DecodedRecords result;
  line_ends_.clear();
  while (line_ends_.size() < max_rows && (result.consumed == 0 || result.consumed < max_block_bytes)) {
    const auto* newline =
        static_cast<const char*>(std::memchr(window.data() + result.consumed, '\n', window.size() - result.consumed));
    if (newline == nullptr) break;
    const auto end = static_cast<std::size_t>(newline - window.data());
    line_ends_.push_back(end);
    result.consumed = end + 1;
  }
  if (line_ends_.empty()) return result;
  decode_lines(window, 0, line_ends_.size(), result);
  if (!rows_.empty()) result.batch = finish_batch();
  return result;
}

/// Decodes the lines [first, last) of line_ends_, at least one.
void JsonDecoder::decode_lines(std::string_view window, std::size_t first, std::size_t last, DecodedRecords& result) {
  const std::size_t begin = first == 0 ? 0 : line_ends_[first - 1] + 1;
  const simdjson::error_code error = tokens_->index(window.substr(begin, line_ends_[last - 1] + 1 - begin));
  if (error == simdjson::EMPTY) return;
  if (error && last - first == 1) {
    result.malformed.push_back(
        {begin, text::without_return(window.substr(begin, line_ends_[first] - begin)), describe(error)});
    return;
  }
  if (error) {
    const std::size_t middle = first + (last - first) / 2;
    decode_lines(window, first, middle, result);
    decode_lines(window, middle, last, result);
    return;
  }
  std::size_t line_start = begin;
  for (std::size_t line = first; line < last; ++line) {
    const std::size_t line_end = line_ends_[line];
    tokens_->line_end = static_cast<std::uint32_t>(line_end - begin);
    if (tokens_->more()) {
      if (decode_object(*tokens_)) {
        rows_.end_row();
      } else {
        rows_.abandon_row();
        result.malformed.push_back(
            {line_start, text::without_return(window.substr(line_start, line_end - line_start)), error_});
        while (tokens_->more()) ++tokens_->at;
      }
    }
    line_start = line_end + 1;
  }
}

bool JsonDecoder::mistake(std::string message) {
  error_ = std::move(message);
  return false;
}

bool JsonDecoder::wrong_type(std::size_t field, std::string_view value) {
  std::string message = describe_bad_value(fields_[field], value);
  return mistake(std::move(message));
}

bool JsonDecoder::decode_object(Tokens& tokens) {
  if (tokens.peek() != '{') return mistake("the line is not a JSON object");
  ++tokens.at;
  ++objects_;
  if (tokens.peek() == '}') {
    ++tokens.at;
  } else {
    for (std::size_t place = 0;; ++place) {
      const MemberEnd end = decode_member(tokens, place);
      if (end == MemberEnd::wrong) return false;
      if (end == MemberEnd::brace) break;
    }
  }
  if (tokens.more()) return mistake("text behind the object: a line must hold one object only");
  for (std::size_t field = 0; field < fields_.size(); ++field) {
    if (seen_[field] != objects_) rows_.column(field).append_null();
  }
  return true;
}

/// Reads the member at the cursor, which moves behind the comma or brace that ends it. Objects of one file mostly have
/// their members in the same order and spelling: a member with the name that was at this place before, no blanks in
/// front of its colon, and no object or array for its value is four tokens, recognised here without looking at each.
inline JsonDecoder::MemberEnd JsonDecoder::decode_member(Tokens& tokens, std::size_t place) {
  const std::uint32_t* const at = tokens.positions + tokens.at;  // name, colon, value, end
  if (place >= guesses_.size() || tokens.at + 3 >= tokens.count || at[3] >= tokens.line_end) [[unlikely]] {
    return decode_any_member(tokens, place);
  }
  const Guess& guess = guesses_[place];
  const char* const value = tokens.block + at[2];
  const char end = tokens.block[at[3]];
  const bool plain = at[1] + 1 - at[0] == guess.size &&
                     same_bytes(guess.name.data(), tokens.block + at[0], guess.size) && (end == ',' || end == '}') &&
                     *value != '{' && *value != '[' && *value != ',' && *value != ':' && *value != ']' && *value != '}';
  if (!plain) [[unlikely]]
    return decode_any_member(tokens, place);
  if (guess.field != no_field) {
    std::size_t size = at[3] - at[2];
    while (is_blank(value[size - 1])) --size;  // ends at the value's first byte, which is no blank
    if (!append_plain({value, size}, guess.field)) return MemberEnd::wrong;
  }
  tokens.at += 4;
  return end == ',' ? MemberEnd::comma : MemberEnd::brace;
}

/// decode_member for every spelling, and for those that are wrong.
JsonDecoder::MemberEnd JsonDecoder::decode_any_member(Tokens& tokens, std::size_t place) {
  const auto wrong = [this](std::string message) {
    mistake(std::move(message));
    return MemberEnd::wrong;
  };
  if (tokens.peek() != '"') {
    return wrong(tokens.more() ? "expected a member name in quotes" : "the object is not closed on its line");
  }
  const std::string_view name = tokens.scalar();
  ++tokens.at;
  if (name.size() < 2 || name.back() != '"' || tokens.peek() != ':') {
    return wrong("expected a colon behind the member name " + excerpt(name));
  }
  ++tokens.at;
  if (!tokens.more()) return wrong("the object is not closed on its line");
  if (!append_member(tokens, search_field(name.substr(1, name.size() - 2), place))) return MemberEnd::wrong;
  const char next = tokens.peek();
  if (next == '\n') return wrong("the object is not closed on its line");
  ++tokens.at;
  if (next == '}') return MemberEnd::brace;
  if (next != ',') return wrong("expected a comma or } behind the member " + excerpt(name));
  return MemberEnd::comma;
}

/// The field that a member belongs to, which is the guess for this place from now on.
std::size_t JsonDecoder::search_field(std::string_view raw_name, std::size_t place) {
  std::string_view name = raw_name;
  if (name.find('\\') != std::string_view::npos) {
    scratch_.clear();
    // A name that cannot be unescaped is no field's name.
    if (text::unescape_json(raw_name, scratch_)) name = scratch_;
  }
  std::size_t field = no_field;
  for (std::size_t i = 0; i < fields_.size() && field == no_field; ++i) {
    if (fields_[i].field.name == name) field = i;
  }
  constexpr std::size_t most_guesses = 256;
  if (place < most_guesses) {
    if (place >= guesses_.size()) guesses_.resize(place + 1);
    Guess& guess = guesses_[place];
    guess.name.assign("\"").append(raw_name).append("\":");
    guess.size = guess.name.size();
    guess.name.append(8, '\0');
    guess.field = field;
  }
  return field;
}

/// Converts or skips the value at the cursor.
bool JsonDecoder::append_member(Tokens& tokens, std::size_t field) {
  const char first = tokens.peek();
  if (first == '{' || first == '[') {
    const std::string_view nested = tokens.skip_nested();
    if (nested.empty()) return mistake("the object is not closed on its line");
    if (field == no_field) return true;
    if (!first_of_object(field)) return false;
    if (fields_[field].field.type.kind() != TypeKind::string) return wrong_type(field, nested);
    rows_.column(field).append_text(nested);
    return true;
  }
  if (first == ',' || first == '}' || first == ':' || first == ']') return mistake("expected a value behind a colon");
  const std::string_view token = tokens.scalar();
  ++tokens.at;
  return field == no_field || append_plain(token, field);
}

/// Notes that the object has this field; a mistake when it has had it before.
inline bool JsonDecoder::first_of_object(std::size_t field) {
  if (seen_[field] == objects_) return mistake("the member \"" + fields_[field].field.name + "\" is there twice");
  seen_[field] = objects_;
  return true;
}

/// Converts a value that is no object or array.
inline bool JsonDecoder::append_plain(std::string_view token, std::size_t field) {
  if (!first_of_object(field)) return false;
  if (token.front() == '"') {
    if (token.size() < 2 || token.back() != '"') return mistake("expected a comma or } behind " + excerpt(token));
    return append_string(token.substr(1, token.size() - 2), field);
  }
  return append_scalar(token, field);
}

bool JsonDecoder::append_string(std::string_view raw, std::size_t field) {
  std::string_view value = raw;
  if (std::memchr(raw.data(), '\\', raw.size()) != nullptr) {
    scratch_.clear();
    if (!text::unescape_json(raw, scratch_)) {
      return mistake("field \"" + fields_[field].field.name + "\" has an invalid escape: " + excerpt(raw));
    }
    value = scratch_;
  }
  ColumnBuilder& column = rows_.column(field);
  const DataType& type = fields_[field].field.type;
  std::int64_t number = 0;
  switch (type.kind()) {
    case TypeKind::string: column.append_text(value); return true;
    case TypeKind::timestamp:
      if (fields_[field].timestamp_encoding != TimestampEncoding::iso8601) return wrong_type(field, value);
      if (!text::parse_iso(value, number)) return wrong_type(field, value);
      column.append_int64(number);
      return true;
    case TypeKind::decimal:
      if (!text::parse_decimal(value, type, number)) return wrong_type(field, value);
      column.append_int64(number);
      return true;
    case TypeKind::bytes: {
      std::string decoded;
      if (!text::decode_base64(value, decoded)) {
        return mistake("field \"" + fields_[field].field.name + "\" is not base64: " + excerpt(value));
      }
      column.append_text(decoded);
      return true;
    }
    default: return wrong_type(field, value);
  }
}

bool JsonDecoder::append_scalar(std::string_view token, std::size_t field) {
  if (token.front() == '-' || text::is_digit(token.front())) return append_number(token, field);
  ColumnBuilder& column = rows_.column(field);
  if (token == "null") {
    column.append_null();
    return true;
  }
  const bool is_true = token == "true";
  if (!is_true && token != "false") return mistake("not a JSON value: " + excerpt(token));
  const TypeKind kind = fields_[field].field.type.kind();
  if (kind == TypeKind::string) {
    column.append_text(token);
    return true;
  }
  if (kind != TypeKind::boolean) return wrong_type(field, token);
  column.append_bool(is_true);
  return true;
}

namespace {

/// `-01`, which other readers take for a number.
inline bool leading_zero(std::string_view token) {
  const std::size_t sign = token.front() == '-' ? 1 : 0;
  return token.size() > sign + 1 && token[sign] == '0' && text::is_digit(token[sign + 1]);
}

/// A JSON number as an int64 when its value is exactly integral: 12, -3, 1.0, 1e3.
bool integral_number(std::string_view token, std::int64_t& out) {
  if (!leading_zero(token) && text::parse_int64_padded(token, out)) return true;
  if (!text::is_json_number(token)) return false;
  double value = 0;
  if (token.find_first_of(".eE") == std::string_view::npos) return text::parse_int64(token, out);
  if (!text::parse_float64(token, value)) return false;
  // Beyond 2^53 a double no longer tells which integer was written.
  if (value != std::floor(value) || std::abs(value) > 9007199254740992.0) return false;
  out = static_cast<std::int64_t>(value);
  return true;
}

}  // namespace

bool JsonDecoder::append_number(std::string_view token, std::size_t field) {
  ColumnBuilder& column = rows_.column(field);
  const DataType& type = fields_[field].field.type;
  std::int64_t integer = 0;
  switch (type.kind()) {
    case TypeKind::float64: {
      double value = 0;
      const bool plain =
          !leading_zero(token) && (text::parse_short_float64(token, value) || text::parse_plain_float64(token, value));
      if (!plain && (!text::is_json_number(token) || !text::parse_float64_slow(token, value))) {
        return wrong_type(field, token);
      }
      column.append_float64(value);
      return true;
    }
    case TypeKind::int64:
      if (!integral_number(token, integer)) return wrong_type(field, token);
      column.append_int64(integer);
      return true;
    case TypeKind::int32:
      if (!integral_number(token, integer) || integer < INT32_MIN || integer > INT32_MAX) {
        return wrong_type(field, token);
      }
      column.append_int32(static_cast<std::int32_t>(integer));
      return true;
    case TypeKind::decimal:
      if (!text::is_json_number(token) || !text::parse_decimal(token, type, integer)) return wrong_type(field, token);
      column.append_int64(integer);
      return true;
    case TypeKind::timestamp: {
      const TimestampEncoding encoding = fields_[field].timestamp_encoding;
      std::int64_t micros = 0;
      if (encoding == TimestampEncoding::iso8601 || !integral_number(token, integer) ||
          !text::epoch_to_micros(integer, encoding, micros)) {
        return wrong_type(field, token);
      }
      column.append_int64(micros);
      return true;
    }
    case TypeKind::string:
      if (!text::is_json_number(token)) return mistake("not a JSON value: " + excerpt(token));
      column.append_text(token);
      return true;
    default: return wrong_type(field, token);
  }
}

}  // namespace dataflow

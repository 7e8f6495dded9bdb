#include "libdataflow/formats/csv_decoder.hpp"

#include <simdjson.h>
#include <algorithm>
#include <cassert>

#include "libdataflow/formats/field_text.hpp"

namespace dataflow {

namespace {

bool reads_text(const DecoderOptions& options) {
  for (std::size_t i = 0; i < options.fields.size(); ++i) {
    if (options.reads(i) && options.fields[i].field.type.is_variable_width()) return true;
  }
  return false;
}

/// Bits of a validity bitmap, made when the first NULL is met.
class Validity {
 public:
  explicit Validity(std::size_t rows) : rows_{rows} {}
  void set_null(std::size_t row) {
    if (bits_.size() == 0) {
      bits_.resize(bitmap_bytes(rows_));
      std::memset(bits_.data(), 0xFF, bits_.size());
      if (rows_ % 8 != 0) bits_.as<std::uint8_t>()[rows_ / 8] = static_cast<std::uint8_t>((1U << (rows_ % 8)) - 1);
    }
    clear_bit(bits_.as<std::uint8_t>(), row);
  }
  Buffer freeze() { return bits_.size() == 0 ? Buffer{} : bits_.freeze(); }

 private:
  std::size_t rows_;
  GrowingBuffer bits_;
};

}  // namespace

// With text columns a block is about a batch's bytes; numbers take less room than their text.
CsvDecoder::CsvDecoder(const DecoderOptions& options)
    : options_{options},
      schema_{schema_of(options.fields)},
      max_block_bytes_{reads_text(options) ? max_batch_bytes : 2 * max_batch_bytes},
      index_{options.delimiter} {}

Result<std::optional<std::size_t>> CsvDecoder::start(std::string_view window, bool last) {
  const std::optional<std::size_t> mark = byte_order_mark(window, last);
  if (!mark) return std::optional<std::size_t>{};
  const std::string_view text = window.substr(*mark);
  if (last && text.find_first_not_of("\r\n") == std::string_view::npos) return window.size();

  header_.clear();
  std::size_t at = 0;
  for (bool done = false; !done;) {
    // One field: its raw text up to the delimiter or newline outside of quotes.
    const bool quoted = at < text.size() && text[at] == '"';
    bool inside = false;
    std::size_t end = at;
    for (; end < text.size(); ++end) {
      if (text[end] == '"') inside ^= quoted;
      if (!inside && (text[end] == options_.delimiter || text[end] == '\n')) break;
    }
    if (end == text.size()) {
      if (!last) return std::optional<std::size_t>{};
      return fail(ErrorCode::malformed_data, "the header (line 1) has a quote that is never closed");
    }
    done = text[end] == '\n';
    std::string_view name = text.substr(at, end - at);
    if (done) name = text::without_return(name);
    if (quoted && !unquote(name)) {
      return fail(ErrorCode::malformed_data, "the header (line 1) has text behind a closing quote: " + excerpt(name));
    }
    header_.emplace_back(quoted ? name : text::trimmed(name));
    at = end + 1;
  }
  if (Status matched = match_header(); !matched) return fail(matched.error());
  return std::optional<std::size_t>{*mark + at};
}

Status CsvDecoder::match_header() {
  columns_.clear();
  for (const SourceField& field : options_.fields) {
    const auto found = std::find(header_.begin(), header_.end(), field.field.name);
    if (found == header_.end()) {
      std::string names;
      for (const std::string& name : header_) names += (names.empty() ? "" : ", ") + name;
      return fail(ErrorCode::malformed_data, "the header has no column \"" + field.field.name + "\"; it has: " + names +
                                                 "; correct the source's schema, which matches columns by name");
    }
    if (std::find(found + 1, header_.end(), field.field.name) != header_.end()) {
      return fail(ErrorCode::malformed_data, "the header has the column \"" + field.field.name + "\" twice");
    }
    columns_.push_back(static_cast<std::size_t>(found - header_.begin()));
  }
  return {};
}

DecodedRecords CsvDecoder::decode(std::string_view window, bool last, std::uint32_t max_rows) {
  DecodedRecords result;
  if (window.empty()) return result;
  assert(!header_.empty());
  index_.build(window, header_.size(), max_rows, max_block_bytes_);
  result.consumed = index_.consumed();
  if (result.consumed == 0) {
    if (!last) return result;
    // The window ends with a newline, so only an open quote can keep it from being rows.
    result.consumed = window.size();
    result.malformed.push_back({0, text::without_return(window.substr(0, window.size() - 1)),
                                "a quote is opened and not closed until the end of the data"});
    return result;
  }
  for (const RaggedRow& row : index_.ragged()) {
    const std::string expected = std::to_string(header_.size());
    result.malformed.push_back(
        {row.start, text::without_return(window.substr(row.start, row.end - row.start)),
         std::to_string(row.fields) + (row.fields == 1 ? " field" : " fields") + " where the header has " + expected});
  }
  if (index_.rows() == 0) return result;

  bad_rows_.clear();
  std::vector<ColumnPtr> columns;
  columns.reserve(options_.fields.size());
  for (std::size_t field = 0; field < options_.fields.size(); ++field) columns.push_back(convert(window, field));
  result.batch = std::make_shared<Batch>(schema_, static_cast<std::uint32_t>(index_.rows()), std::move(columns));
  if (!bad_rows_.empty()) drop_bad_rows(window, result);
  if (!bad_rows_.empty() && !index_.ragged().empty()) {
    std::stable_sort(result.malformed.begin(), result.malformed.end(),
                     [](const MalformedRecord& a, const MalformedRecord& b) { return a.offset < b.offset; });
  }
  return result;
}

/// Takes the rows of bad_rows_ out of the batch and reports each once, with its first field's error.
void CsvDecoder::drop_bad_rows(std::string_view window, DecodedRecords& result) {
  std::stable_sort(bad_rows_.begin(), bad_rows_.end(), [](const BadRow& a, const BadRow& b) { return a.row < b.row; });
  std::vector<std::uint32_t> good;
  auto bad = bad_rows_.begin();
  for (std::uint32_t row = 0; row < index_.rows(); ++row) {
    if (bad == bad_rows_.end() || bad->row != row) {
      good.push_back(row);
      continue;
    }
    const std::size_t start = index_.row_start(row);
    result.malformed.push_back(
        {start, text::without_return(window.substr(start, index_.row_end(row) - start)), std::move(bad->error)});
    while (bad != bad_rows_.end() && bad->row == row) ++bad;
  }
  result.batch = good.empty() ? nullptr : result.batch->select_rows(good);
}

/// Calls `take(row, text)` with a column's raw text in every row.
template <class Take>
void CsvDecoder::for_each_field(std::string_view window, std::size_t column, Take take) const {
  const char* const data = window.data();
  const std::size_t rows = index_.rows();
  const std::size_t stride = index_.fields();
  const std::uint32_t* end = index_.ends() + column;
  const bool last = column + 1 == stride;
  for (std::size_t row = 0; row < rows; ++row, end += stride) {
    const std::size_t start = column == 0 ? index_.row_start(row) : end[-1] + 1UL;
    std::size_t size = *end - start;
    if (last && size > 0 && data[*end - 1] == '\r') --size;
    take(row, std::string_view{data + start, size});
  }
}

/// `text` begins with a quote: takes the quotes off. False when something follows the closing one.
bool CsvDecoder::unquote(std::string_view& text) {
  if (text.size() < 2 || text.back() != '"') return false;
  const std::string_view inner = text.substr(1, text.size() - 2);
  std::size_t quote = inner.find('"');
  if (quote == std::string_view::npos) {
    text = inner;
    return true;
  }
  scratch_.clear();
  std::size_t from = 0;
  for (; quote != std::string_view::npos; quote = inner.find('"', from)) {
    if (quote + 1 == inner.size() || inner[quote + 1] != '"') return false;
    scratch_.append(inner, from, quote + 1 - from);
    from = quote + 2;
  }
  scratch_.append(inner, from);
  const std::size_t size = scratch_.size();
  scratch_.append(decode_padding, '\0');  // as behind the window
  text = std::string_view{scratch_}.substr(0, size);
  return true;
}

void CsvDecoder::bad_quotes(std::size_t row, std::size_t field) {
  bad_rows_.push_back({static_cast<std::uint32_t>(row),
                       "field \"" + options_.fields[field].field.name + "\" has text behind its closing quote"});
}

ColumnPtr CsvDecoder::convert(std::string_view window, std::size_t field) {
  const SourceField& f = options_.fields[field];
  if (!options_.reads(field)) return unread_column(f.field.type, static_cast<std::uint32_t>(index_.rows()));
  switch (f.field.type.kind()) {
    case TypeKind::boolean:
      return convert_fixed<std::uint8_t>(window, field, [](std::string_view text, std::uint8_t& out) {
        bool value = false;
        if (!text::parse_bool(text, value)) return false;
        out = static_cast<std::uint8_t>(value);
        return true;
      });
    case TypeKind::int32:
      return convert_fixed<std::int32_t>(
          window, field, [](std::string_view text, std::int32_t& out) { return text::parse_int32_padded(text, out); });
    case TypeKind::int64:
      return convert_fixed<std::int64_t>(
          window, field, [](std::string_view text, std::int64_t& out) { return text::parse_int64_padded(text, out); });
    case TypeKind::float64:
      return convert_fixed<double>(
          window, field, [](std::string_view text, double& out) { return text::parse_float64_padded(text, out); });
    case TypeKind::decimal:
      return convert_fixed<std::int64_t>(window, field, [&f](std::string_view text, std::int64_t& out) {
        return text::parse_decimal(text, f.field.type, out);
      });
    case TypeKind::timestamp:
      if (f.timestamp_encoding == TimestampEncoding::iso8601) {
        return convert_fixed<std::int64_t>(
            window, field, [](std::string_view text, std::int64_t& out) { return text::parse_iso(text, out); });
      }
      return convert_fixed<std::int64_t>(window, field, [&f](std::string_view text, std::int64_t& out) {
        return text::parse_epoch_padded(text, f.timestamp_encoding, out);
      });
    default: return convert_text(window, field);
  }
}

template <class T, class Parse>
ColumnPtr CsvDecoder::convert_fixed(std::string_view window, std::size_t field, Parse parse) {
  const std::size_t rows = index_.rows();
  const bool quotes = index_.quotes();
  GrowingBuffer values;
  values.resize(rows * sizeof(T));
  T* const out = values.as<T>();
  Validity validity{rows};
  for_each_field(window, columns_[field], [&](std::size_t row, std::string_view text) {
    if (!text.empty() && parse(text, out[row])) [[likely]] {
      return;
    }
    if (quotes && !text.empty() && text.front() == '"') {
      if (!unquote(text)) {
        bad_quotes(row, field);
        text = {};
      } else if (!text.empty() && parse(text, out[row])) {
        return;
      }
    }
    out[row] = T{};
    validity.set_null(row);
    if (!text.empty())
      bad_rows_.push_back({static_cast<std::uint32_t>(row), describe_bad_value(options_.fields[field], text)});
  });
  return std::make_shared<Column>(Column{
      options_.fields[field].field.type, static_cast<std::uint32_t>(rows), values.freeze(), {}, validity.freeze()});
}

ColumnPtr CsvDecoder::convert_text(std::string_view window, std::size_t field) {
  // Short fields are copied as 16 bytes whatever their length; decode_padding makes the source readable.
  constexpr std::size_t over_copy = 16;
  const std::size_t rows = index_.rows();
  const bool quotes = index_.quotes();
  GrowingBuffer offsets;
  offsets.resize((rows + 1) * sizeof(std::uint32_t));
  std::uint32_t* const ends = offsets.as<std::uint32_t>();
  ends[0] = 0;
  GrowingBuffer values{16 * rows + over_copy};
  std::size_t size = 0;
  Validity validity{rows};
  for_each_field(window, columns_[field], [&](std::size_t row, std::string_view text) {
    if (text.empty()) {
      validity.set_null(row);
    } else if (quotes && text.front() == '"') {
      if (!unquote(text)) {
        bad_quotes(row, field);
        text = {};
      }
    }
    if (size + text.size() + over_copy > values.capacity()) {
      values.resize(size);
      values.reserve(std::max(2 * values.capacity(), size + text.size() + over_copy));
    }
    std::byte* const to = values.data() + size;
    if (text.size() <= over_copy) {
      std::memcpy(to, text.data() == nullptr ? window.data() : text.data(), over_copy);
    } else {
      std::memcpy(to, text.data(), text.size());
    }
    size += text.size();
    ends[row + 1] = static_cast<std::uint32_t>(size);
  });
  values.resize(size);
  auto made = std::make_shared<Column>(Column{options_.fields[field].field.type, static_cast<std::uint32_t>(rows),
                                              values.freeze(), offsets.freeze(), validity.freeze()});
  if (made->type.kind() == TypeKind::string) check_utf8(*made, field);
  return made;
}

// One pass over the whole column; only when it fails is every row looked at. A valid whole still needs each row to
// begin at a character: two broken neighbours may make a whole one together.
void CsvDecoder::check_utf8(const Column& column, std::size_t field) {
  const std::uint32_t* const ends = column.offset_data();
  const char* const bytes = column.values.as<char>();
  bool valid = simdjson::validate_utf8(bytes, column.values.size());
  for (std::size_t row = 0; valid && row < column.rows; ++row) {
    valid = ends[row] == column.values.size() || (static_cast<unsigned char>(bytes[ends[row]]) & 0xC0) != 0x80;
  }
  if (valid) return;
  for (std::uint32_t row = 0; row < column.rows; ++row) {
    const std::string_view text = column.text(row);
    if (!simdjson::validate_utf8(text.data(), text.size())) {
      bad_rows_.push_back({row, "field \"" + options_.fields[field].field.name +
                                    "\" is not valid UTF-8; declare it as bytes to read it as it is"});
    }
  }
}

}  // namespace dataflow

#include "libdataflow/formats/infer.hpp"

#include <algorithm>
#include <cctype>

#include "libdataflow/formats/field_text.hpp"
#include "libdataflow/formats/infer_records.hpp"
#include "libdataflow/sources/byte_stream.hpp"

namespace dataflow {

namespace {

constexpr std::size_t most_bytes = 4U << 20;

/// Seconds from 1990 to 2100: numbers in this range may be times.
constexpr std::int64_t earliest_s = 631'152'000;
constexpr std::int64_t latest_s = 4'102'444'800;

std::string lower(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

/// How much a field's name sounds like the time of the record: 0 not at all.
int time_likeness(std::string_view name) {
  const std::string n = lower(name);
  for (const std::string_view word : {"event_time", "eventtime", "timestamp", "datetime", "time", "ts", "date"}) {
    if (n == word) return 4;
  }
  for (const std::string_view end : {"_time", "_ts", "_at", "_timestamp", "_date", "_ms", "_us"}) {
    if (n.ends_with(end)) return n.find("updated") != std::string::npos ? 2 : 3;
  }
  for (const std::string_view part : {"time", "date"}) {
    if (n.find(part) != std::string::npos) return n.find("updated") != std::string::npos ? 1 : 2;
  }
  return 0;
}

/// The unit in which all numbers from `least` to `greatest` are times between 1990 and 2100, if any.
std::optional<TimestampEncoding> epoch_unit(std::int64_t least, std::int64_t greatest) {
  std::int64_t factor = 1;
  for (const auto unit : {TimestampEncoding::epoch_s, TimestampEncoding::epoch_ms, TimestampEncoding::epoch_us}) {
    if (least >= earliest_s * factor && greatest <= latest_s * factor) return unit;
    factor *= 1000;
  }
  return std::nullopt;
}

/// The narrowest type that holds everything seen.
SourceField propose(const SeenField& seen) {
  SourceField field{Field{seen.name, TypeKind::string}};
  const bool plain = !seen.quoted_text && seen.values > 0;
  if (seen.values > 0 && seen.timestamps == seen.values) {
    field.field.type = TypeKind::timestamp;
  } else if (plain && seen.integers == seen.values) {
    field.field.type = TypeKind::int64;
    const auto unit = epoch_unit(seen.least, seen.greatest);
    if (unit && time_likeness(seen.name) > 0) {
      field.field.type = TypeKind::timestamp;
      field.timestamp_encoding = *unit;
    }
  } else if (plain && seen.numbers == seen.values) {
    field.field.type = TypeKind::float64;
  } else if (plain && seen.booleans == seen.values) {
    field.field.type = TypeKind::boolean;
  }
  return field;
}

/// A record without its time would be refused, so that only fields with a value in every record come into question.
std::optional<std::size_t> likely_event_time(const std::vector<SourceField>& fields, const SeenFields& seen) {
  std::optional<std::size_t> best;
  int best_likeness = -1;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].field.type.kind() != TypeKind::timestamp || seen.fields[i].values < seen.rows) continue;
    const int likeness = time_likeness(fields[i].field.name);
    if (likeness > best_likeness) {
      best = i;
      best_likeness = likeness;
    }
  }
  return best;
}

/// `[ {` and the like; a header such as `[date],[value]` is none.
bool begins_array(std::string_view text) {
  if (!text.starts_with('[')) return false;
  const std::size_t next = text.find_first_not_of(" \t\r\n", 1);
  return next == std::string_view::npos || std::string_view{"{[]\"-"}.find(text[next]) != std::string_view::npos ||
         text::is_digit(text[next]);
}

/// The first bytes of a file, decompressed; `cut` when there are more.
Result<std::string> read_beginning(const std::string& path, bool& cut) {
  Result<FileHandle> file = open_to_read(path);
  if (!file) return fail(file.error());
  const auto stream = decompress(file_range(std::move(*file), 0, to_end_of_file), compression_of(path));
  std::string text;
  cut = true;
  while (text.size() < most_bytes) {
    const std::size_t size = text.size();
    text.resize(size + 256 * 1024);
    const Result<ByteStream::Read> got = stream->read(text.data() + size, text.size() - size);
    if (!got) return fail(got.error().within(path));
    text.resize(size + got->bytes);
    if (got->end) {
      cut = false;
      break;
    }
  }
  return text;
}

}  // namespace

Result<InferredSchema> infer_schema(const std::string& path) {
  bool cut = false;
  const Result<std::string> text = read_beginning(path, cut);
  if (!text) return fail(text.error());
  Result<InferredSchema> inferred = infer_schema(*text, cut);
  if (!inferred) return fail(inferred.error().within(path));
  return inferred;
}

Result<InferredSchema> infer_schema(std::string_view text, bool cut) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return fail(ErrorCode::malformed_data, "there is nothing in it to infer from");
  if (Status is_text = check_is_text(text, cut); !is_text) return fail(is_text.error());
  if (begins_array(text.substr(first))) {
    return fail(
        ErrorCode::malformed_data,
        "this is a JSON array; a source reads an object a line, which `jq -c '.[]' FILE > FILE.jsonl` makes of it");
  }
  InferredSchema schema;
  schema.format = text[first] == '{' ? TextFormat::json : TextFormat::csv;
  const Result<SeenFields> seen = schema.format == TextFormat::json ? look_at_json(text, cut) : look_at_csv(text, cut);
  if (!seen) return fail(seen.error());
  schema.delimiter = seen->delimiter;
  schema.rows = seen->rows;
  for (const SeenField& field : seen->fields) schema.fields.push_back(propose(field));
  schema.event_time = likely_event_time(schema.fields, *seen);
  return schema;
}

std::string schema_type_name(const SourceField& field) {
  if (field.field.type.kind() != TypeKind::timestamp) return to_string(field.field.type);
  switch (field.timestamp_encoding) {
    case TimestampEncoding::iso8601: return "timestamp";
    case TimestampEncoding::epoch_s: return "timestamp_s";
    case TimestampEncoding::epoch_ms: return "timestamp_ms";
    case TimestampEncoding::epoch_us: return "timestamp_us";
  }
  return "timestamp";
}

}  // namespace dataflow

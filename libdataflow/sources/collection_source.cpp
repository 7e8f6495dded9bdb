#include "libdataflow/sources/collection_source.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "libdataflow/formats/field_text.hpp"
#include "libdataflow/formats/json_text.hpp"
#include "libdataflow/sources/decoder_settings.hpp"
#include "libdataflow/sources/source_types.hpp"
#include "libdataflow/sources/split_position.hpp"
#include "libdataflow/topology/did_you_mean.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

namespace {

using Batches = std::shared_ptr<const std::vector<BatchPtr>>;

class CollectionEnumerator final : public SplitEnumerator {
 public:
  explicit CollectionEnumerator(std::size_t splits) : splits_{splits} {}

  Status open(std::uint32_t) override { return {}; }

  Result<Next> next(std::uint32_t, Timestamp) override {
    Next found;
    if (next_ == splits_) return found;
    const std::string number = std::to_string(next_++);
    found.kind = Next::Kind::split;
    found.split = {"rows " + number, number};
    return found;
  }

  [[nodiscard]] Result<std::string> snapshot() const override { return "1 " + std::to_string(next_); }
  Status restore(std::string_view snapshot) override {
    const auto numbers = text::parse_position<2>(snapshot);
    if (!numbers || (*numbers)[0] != 1 || (*numbers)[1] > splits_) {
      return fail(ErrorCode::invalid_argument, "the collection has fewer rows than it had");
    }
    next_ = (*numbers)[1];
    return {};
  }

 private:
  std::size_t splits_;
  std::size_t next_ = 0;
};

class CollectionReader final : public SourceReader {
 public:
  explicit CollectionReader(Batches batches) : batches_{std::move(batches)} {}

  Status start_split(const Split& split) override {
    split_ = split.id;
    std::int64_t index = 0;
    if (!text::parse_int64(split.description, index) || index < 0 ||
        static_cast<std::size_t>(index) >= batches_->size()) {
      return fail(ErrorCode::internal, "a collection has no split " + split.description);
    }
    batch_ = (*batches_)[static_cast<std::size_t>(index)];
    row_ = 0;
    rows_before_ = 0;
    for (std::int64_t i = 0; i < index; ++i) rows_before_ += (*batches_)[static_cast<std::size_t>(i)]->rows();
    return {};
  }

  Result<SourceStep> poll(SourceOutput& out) override {
    SourceStep step;
    step.kind = SourceStep::Kind::split_end;
    if (!batch_) return step;
    const std::uint32_t rows = std::min(std::max(out.batch_rows(), 1U), batch_->rows() - row_);
    if (rows == batch_->rows()) {
      out.emit(batch_, split_);
    } else if (rows > 0) {
      std::vector<std::uint32_t> indices(rows);
      std::iota(indices.begin(), indices.end(), row_);
      out.emit(batch_->select_rows(indices), split_);
    }
    row_ += rows;
    if (row_ == batch_->rows()) {
      batch_ = nullptr;
    } else {
      step.kind = SourceStep::Kind::more;
    }
    return step;
  }

  [[nodiscard]] Result<std::string> split_position() const override { return "1 " + std::to_string(row_); }
  Status resume_split(const Split& split, std::string_view position) override {
    if (Status started = start_split(split); !started) return started;
    const auto numbers = text::parse_position<2>(position);
    if (!numbers || (*numbers)[0] != 1 || (*numbers)[1] > batch_->rows()) {
      return fail(ErrorCode::invalid_argument, "the collection has fewer rows than it had");
    }
    row_ = static_cast<std::uint32_t>((*numbers)[1]);
    return {};
  }

  [[nodiscard]] std::string position() const override { return "row " + std::to_string(rows_before_ + row_ + 1); }
  RecordPlace place_of(std::uint32_t row) override { return {"row " + std::to_string(rows_before_ + row_ + row + 1)}; }

 private:
  Batches batches_;
  std::string split_;
  BatchPtr batch_;
  std::uint64_t rows_before_ = 0;  ///< in the batches of earlier splits
  std::uint32_t row_ = 0;
};

class CollectionSource final : public SourceFactory {
 public:
  explicit CollectionSource(std::vector<BatchPtr> batches)
      : batches_{std::make_shared<const std::vector<BatchPtr>>(std::move(batches))} {}

  [[nodiscard]] std::unique_ptr<SplitEnumerator> create_enumerator() const override {
    return std::make_unique<CollectionEnumerator>(batches_->size());
  }
  [[nodiscard]] std::unique_ptr<SourceReader> create_reader() const override {
    return std::make_unique<CollectionReader>(batches_);
  }
  [[nodiscard]] bool bounded() const override { return true; }
  [[nodiscard]] std::optional<std::uint32_t> max_readers() const override {
    return static_cast<std::uint32_t>(std::max<std::size_t>(batches_->size(), 1));
  }

 private:
  Batches batches_;
};

/// A value as TOML gives it, made a value of the field's type; false when it is none.
bool convert(const Value& given, const SourceField& field, Value& out) {
  out = given;
  if (is_null(given)) return true;
  const DataType& type = field.field.type;
  const auto* whole = std::get_if<std::int64_t>(&given);
  const auto* real = std::get_if<double>(&given);
  const auto* written = std::get_if<std::string>(&given);
  std::int64_t number = 0;
  switch (type.kind()) {
    case TypeKind::boolean: return std::holds_alternative<bool>(given);
    case TypeKind::int32: return whole != nullptr && *whole >= INT32_MIN && *whole <= INT32_MAX;
    case TypeKind::int64: return whole != nullptr;
    case TypeKind::float64:
      if (whole != nullptr) out = static_cast<double>(*whole);
      return whole != nullptr || real != nullptr;
    case TypeKind::decimal: {
      // The shortest text that reads back as the double is what the user wrote, up to 15 digits.
      std::string text = whole != nullptr ? std::to_string(*whole) : written != nullptr ? *written : std::string{};
      if (real != nullptr) append_json_double(*real, text);
      if (!text::parse_decimal(text, type, number)) return false;
      out = number;
      return true;
    }
    case TypeKind::timestamp: {
      const bool iso = field.timestamp_encoding == TimestampEncoding::iso8601;
      if (written != nullptr && iso && text::parse_iso(*written, number)) {
        out = number;
        return true;
      }
      if (whole == nullptr || iso || !text::epoch_to_micros(*whole, field.timestamp_encoding, number)) return false;
      out = number;
      return true;
    }
    case TypeKind::string: return written != nullptr;
    case TypeKind::bytes: {
      std::string bytes;
      if (written == nullptr || !text::decode_base64(*written, bytes)) return false;
      out = bytes;
      return true;
    }
    default: return false;
  }
}

std::string as_written(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (std::holds_alternative<bool>(value)) return std::get<bool>(value) ? "true" : "false";
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return std::to_string(*whole);
  std::string out;
  if (const auto* real = std::get_if<double>(&value)) append_json_double(*real, out);
  return out;
}

/// Row `number` (from 1) in the schema's order; mistakes go to the builder at the value.
bool convert_row(NodeBuilder& builder, const RowLiteral& row, std::size_t number, std::vector<Value>& values) {
  const std::vector<SourceField>& fields = builder.source_schema();
  values.assign(fields.size(), Value{});
  bool good = true;
  for (const auto& [name, given] : row.members) {
    const auto field = std::find_if(fields.begin(), fields.end(),
                                    [&name = name](const SourceField& f) { return f.field.name == name; });
    const std::string where = "row " + std::to_string(number) + ": ";
    const std::string path = "rows." + std::to_string(number - 1) + "." + name;
    if (field == fields.end()) {
      std::vector<std::string> known;
      for (const SourceField& f : fields) known.push_back(f.field.name);
      builder.name_error(path, where + "the schema has no field \"" + name + "\"", did_you_mean(name, known));
      good = false;
    } else if (!convert(given, *field, values[static_cast<std::size_t>(field - fields.begin())])) {
      builder.error(path, where + describe_bad_value(*field, as_written(given)));
      good = false;
    }
  }
  return good;
}

void build_collection(NodeBuilder& builder) {
  if (builder.source_schema().empty()) {
    builder.error("rows", "a collection needs a schema", "schema = { name = \"string\", value = \"int64\" }");
    return;
  }
  const SchemaPtr schema = schema_of(builder.source_schema());
  std::vector<BatchPtr> batches;
  BatchBuilder rows{schema};
  std::vector<Value> values;
  bool good = true;
  std::size_t number = 0;
  for (const RowLiteral& row : builder.settings().rows("rows")) {
    if (!convert_row(builder, row, ++number, values)) {
      good = false;
      continue;
    }
    rows.append_row(values);
    if (rows.full()) batches.push_back(rows.finish());
  }
  if (!good) return;
  if (!rows.empty()) batches.push_back(rows.finish());
  builder.node().details = std::to_string(number) + (number == 1 ? " row" : " rows");
  set_source(builder, schema, make_collection_source(std::move(batches)));
}

}  // namespace

SourceFactoryPtr make_collection_source(std::vector<BatchPtr> batches) {
  return std::make_shared<CollectionSource>(std::move(batches));
}

NodeType collection_source_type() {
  return {
      .name = "collection",
      .role = NodeRole::source,
      .summary = "Rows that are written down in the topology itself.",
      .options = {{.name = "rows",
                   .kind = OptionKind::rows,
                   .help = "The rows; a field that a row leaves out is NULL. Timestamps are ISO 8601 text, bytes are "
                           "base64.",
                   .example = "[ { sensor = \"a\", temperature = 22.5 }, { sensor = \"b\" } ]",
                   .required = true}},
      .example =
          "[sources.readings]\ntype   = \"collection\"\nschema = { sensor = \"string\", temperature = "
          "\"float64\" }\nrows   = [ { sensor = \"a\", temperature = 22.5 }, { sensor = \"b\" } ]\n",
      .build = build_collection};
}

}  // namespace dataflow

#include "libdataflow/formats/row_encoder.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "serialization/time.hpp"
#include "serialization/value.hpp"

namespace dataflow {

std::string_view to_string(OutputFormat format) {
  switch (format) {
    case OutputFormat::json: return "json";
    case OutputFormat::csv: return "csv";
    case OutputFormat::table: return "table";
  }
  return "?";
}

std::string_view to_string(RowKind kind) {
  switch (kind) {
    case RowKind::insert: return "+I";
    case RowKind::update_before: return "-U";
    case RowKind::update_after: return "+U";
    case RowKind::remove: return "-D";
  }
  return "?";
}

namespace {

void append_int(std::int64_t value, std::string& out) {
  char digits[24];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  out.append(digits, end);
}

/// A value without quotes: numbers, true and false, timestamps as ISO 8601. The row is not NULL.
void append_fixed(const Column& column, std::size_t row, std::string& out) {
  switch (column.type.kind()) {
    case TypeKind::boolean: out += column.values.as<std::uint8_t>()[row] != 0 ? "true" : "false"; break;
    case TypeKind::int32: append_int(column.values.as<std::int32_t>()[row], out); break;
    case TypeKind::float64: append_json_double(column.values.as<double>()[row], out); break;
    case TypeKind::decimal: append_decimal(column.values.as<std::int64_t>()[row], column.type.scale(), out); break;
    case TypeKind::timestamp: append_iso8601(Timestamp{column.values.as<std::int64_t>()[row]}, out); break;
    default: append_int(column.values.as<std::int64_t>()[row], out);
  }
}

class JsonEncoder final : public RowEncoder {
 public:
  JsonEncoder(const Schema& schema, bool changelog) : changelog_{changelog} {
    for (const Field& field : schema.fields()) {
      std::string& name = names_.emplace_back();
      append_json_string(field.name, name);
      name += ':';
    }
  }

  void begin(std::string&) override {}

  void encode(const Batch& batch, std::string& out) override {
    const bool kinds = changelog_ || !batch.kinds().empty();
    for (std::uint32_t row = 0; row < batch.rows(); ++row) {
      out += '{';
      bool first = true;
      if (kinds) {
        out += "\"op\":\"";
        out += to_string(batch.kind(row));
        out += '"';
        first = false;
      }
      for (std::size_t field = 0; field < names_.size(); ++field) {
        if (!first) out += ',';
        first = false;
        out += names_[field];
        append_cell(batch.column(field), row, out);
      }
      out += "}\n";
    }
  }

 private:
  static void append_cell(const Column& column, std::uint32_t row, std::string& out) {
    if (column.is_null(row)) {
      out += "null";
      return;
    }
    switch (column.type.kind()) {
      case TypeKind::string: append_json_string(column.text(row), out); break;
      case TypeKind::bytes:
        out += '"';
        append_base64(column.text(row), out);
        out += '"';
        break;
      case TypeKind::timestamp:
        out += '"';
        append_fixed(column, row, out);
        out += '"';
        break;
      default: append_fixed(column, row, out);
    }
  }

  bool changelog_;
  std::vector<std::string> names_;  ///< with quotes and colon
};

/// As CsvDecoder reads it: NULL is an empty field, an empty text a quoted one, bytes are as they are.
class CsvEncoder final : public RowEncoder {
 public:
  CsvEncoder(SchemaPtr schema, bool changelog) : schema_{std::move(schema)}, changelog_{changelog} {}

  void begin(std::string& out) override {
    if (changelog_) out += "op,";
    for (std::size_t field = 0; field < schema_->size(); ++field) {
      if (field != 0) out += ',';
      append_text((*schema_)[field].name, out);
    }
    out += '\n';
  }

  void encode(const Batch& batch, std::string& out) override {
    for (std::uint32_t row = 0; row < batch.rows(); ++row) {
      if (changelog_) {
        out += to_string(batch.kind(row));
        out += ',';
      }
      for (std::size_t field = 0; field < schema_->size(); ++field) {
        if (field != 0) out += ',';
        const Column& column = batch.column(field);
        if (column.is_null(row)) continue;
        if (column.type.is_variable_width()) {
          append_text(column.text(row), out);
        } else {
          append_number(column, row, out);
        }
      }
      out += '\n';
    }
  }

 private:
  static void append_text(std::string_view text, std::string& out) {
    if (!text.empty() && text.find_first_of(",\"\r\n") == std::string_view::npos) {
      out += text;
      return;
    }
    out += '"';
    for (std::size_t from = 0; from < text.size();) {
      const std::size_t quote = text.find('"', from);
      const std::size_t end = quote == std::string_view::npos ? text.size() : quote + 1;
      out += text.substr(from, end - from);
      if (quote != std::string_view::npos) out += '"';
      from = end;
    }
    out += '"';
  }

  /// JSON has no NaN and infinities; CSV has.
  static void append_number(const Column& column, std::uint32_t row, std::string& out) {
    if (column.type.kind() == TypeKind::float64) {
      const double value = column.values.as<double>()[row];
      if (!(value - value == 0)) {
        out += value != value ? "nan" : value > 0 ? "inf" : "-inf";
        return;
      }
    }
    append_fixed(column, row, out);
  }

  SchemaPtr schema_;
  bool changelog_;
};

/// Columns side by side, numbers to the right. The heading waits for the first batch, whose widths it needs.
class TableEncoder final : public RowEncoder {
 public:
  TableEncoder(SchemaPtr schema, bool changelog) : schema_{std::move(schema)}, changelog_{changelog} {}

  void begin(std::string&) override {}

  void encode(const Batch& batch, std::string& out) override {
    cells_.clear();
    for (std::uint32_t row = 0; row < batch.rows(); ++row) {
      if (changelog_) cells_.emplace_back(to_string(batch.kind(row)));
      for (std::size_t field = 0; field < schema_->size(); ++field) cells_.push_back(cell(batch.column(field), row));
    }
    if (widths_.empty()) append_heading(out);
    const std::size_t columns = widths_.size();
    for (std::size_t at = 0; at < cells_.size(); at += columns) {
      for (std::size_t i = 0; i < columns; ++i) append_padded(cells_[at + i], i, out);
    }
  }

 private:
  static std::string cell(const Column& column, std::uint32_t row) {
    std::string text;
    if (column.is_null(row)) return "NULL";
    if (column.type.kind() == TypeKind::bytes) {
      append_base64(column.text(row), text);
    } else if (column.type.kind() == TypeKind::string) {
      text = column.text(row);
      std::replace_if(
          text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
    } else {
      append_fixed(column, row, text);
    }
    return text;
  }

  /// Code points, which is near enough to columns on a terminal.
  static std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  }

  void append_heading(std::string& out) {
    std::vector<std::string> names;
    if (changelog_) names.emplace_back("op");
    for (const Field& field : schema_->fields()) names.push_back(field.name);
    for (const std::string& name : names) widths_.push_back(width(name));
    for (std::size_t at = 0; at < cells_.size(); ++at) {
      std::size_t& widest = widths_[at % widths_.size()];
      widest = std::max(widest, width(cells_[at]));
    }
    for (std::size_t i = 0; i < names.size(); ++i) append_padded(names[i], i, out);
    for (std::size_t i = 0; i < names.size(); ++i) append_padded(std::string(widths_[i], '-'), i, out);
  }

  void append_padded(const std::string& text, std::size_t column, std::string& out) const {
    const std::size_t fill = widths_[column] - std::min(widths_[column], width(text));
    const bool last = column + 1 == widths_.size();
    const bool right = column >= changelog_ && (*schema_)[column - changelog_].type.is_numeric();
    if (right) out.append(fill, ' ');
    out += text;
    if (!right && !last) out.append(fill, ' ');
    out += last ? "\n" : "  ";
  }

  SchemaPtr schema_;
  std::size_t changelog_;  ///< columns before the schema's: 0 or 1
  std::vector<std::size_t> widths_;
  std::vector<std::string> cells_;
};

}  // namespace

std::unique_ptr<RowEncoder> make_encoder(OutputFormat format, SchemaPtr schema, bool changelog) {
  switch (format) {
    case OutputFormat::json: return std::make_unique<JsonEncoder>(*schema, changelog);
    case OutputFormat::csv: return std::make_unique<CsvEncoder>(std::move(schema), changelog);
    case OutputFormat::table: return std::make_unique<TableEncoder>(std::move(schema), changelog);
  }
  return nullptr;
}

}  // namespace dataflow

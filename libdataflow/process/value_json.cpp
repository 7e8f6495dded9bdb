#include "libdataflow/process/value_json.hpp"

#include <bit>

#include <nlohmann/json.hpp>

#include "dataflow/codec.hpp"

namespace dataflow {

namespace {

using nlohmann::json;

/// Types nest as deeply as a program's; those of a damaged savepoint do not.
constexpr int most_levels = 64;

class ValueReader {
 public:
  explicit ValueReader(std::string_view bytes) : in_{bytes} {}

  /// Appends the next value. False when it is of no known type.
  bool read(const json& type, std::string& out, int level = 0) {
    if (level > most_levels) return false;
    if (type.is_string()) return read_plain(type.get_ref<const std::string&>(), out);
    if (!type.is_object() || type.size() != 1) return false;
    const std::string& form = type.begin().key();
    const json& of = type.begin().value();
    if (form == "optional") {
      if (in_.fixed<std::uint8_t>() != 0) return read(of, out, level + 1);
      out += "null";
      return true;
    }
    if (form == "list") return read_list(of, out, level);
    if (form == "decimal" && of.is_array() && of.size() == 2) return read_decimal(of, out);
    if (form == "map" && of.is_array() && of.size() == 2) return read_map(of, out, level);
    if (form == "pair" && of.is_array() && of.size() == 2) {
      out += "[";
      if (!read(of[0], out, level + 1)) return false;
      out += ",";
      if (!read(of[1], out, level + 1)) return false;
      out += "]";
      return true;
    }
    return form == "record" && of.is_array() && read_record(of, out, level);
  }
  [[nodiscard]] bool whole() const { return in_.ok() && in_.at_end(); }

 private:
  bool read_plain(const std::string& type, std::string& out) {
    if (type == "string") return append_json_string(in_.text(), out), true;
    if (type == "bytes") return append_json(TypeKind::bytes, Value{std::string{in_.text()}}, out), true;
    if (type == "bool") return out += in_.fixed<std::uint8_t>() != 0 ? "true" : "false", true;
    if (type == "timestamp") return append_json(TypeKind::timestamp, Value{in_.fixed<std::int64_t>()}, out), true;
    if (type == "float64") return append_json_double(in_.fixed<double>(), out), true;
    if (type == "float32") return append_json_double(in_.fixed<float>(), out), true;
    if (type == "int64") return out += std::to_string(in_.fixed<std::int64_t>()), true;
    if (type == "int32") return out += std::to_string(in_.fixed<std::int32_t>()), true;
    if (type == "int16") return out += std::to_string(in_.fixed<std::int16_t>()), true;
    if (type == "int8") return out += std::to_string(in_.fixed<std::int8_t>()), true;
    if (type == "uint64") return out += std::to_string(in_.fixed<std::uint64_t>()), true;
    if (type == "uint32") return out += std::to_string(in_.fixed<std::uint32_t>()), true;
    if (type == "uint16") return out += std::to_string(in_.fixed<std::uint16_t>()), true;
    if (type == "uint8") return out += std::to_string(in_.fixed<std::uint8_t>()), true;
    return false;
  }
  bool read_decimal(const json& of, std::string& out) {
    if (!of[0].is_number_unsigned() || !of[1].is_number_unsigned()) return false;
    append_json(DataType::decimal(of[0].get<std::uint8_t>(), of[1].get<std::uint8_t>()),
                Value{in_.fixed<std::int64_t>()}, out);
    return true;
  }
  bool read_list(const json& of, std::string& out, int level) {
    out += "[";
    const auto count = in_.fixed<std::uint32_t>();
    for (std::uint32_t i = 0; i < count && in_.ok(); ++i) {
      if (i != 0) out += ",";
      if (!read(of, out, level + 1)) return false;
    }
    out += "]";
    return true;
  }
  bool read_map(const json& of, std::string& out, int level) {
    const bool named = of[0] == "string";
    out += named ? "{" : "[";
    const auto count = in_.fixed<std::uint32_t>();
    for (std::uint32_t i = 0; i < count && in_.ok(); ++i) {
      if (i != 0) out += ",";
      if (!named) out += "[";
      if (!read(of[0], out, level + 1)) return false;
      out += named ? ":" : ",";
      if (!read(of[1], out, level + 1)) return false;
      if (!named) out += "]";
    }
    out += named ? "}" : "]";
    return true;
  }
  bool read_record(const json& fields, std::string& out, int level) {
    out += "{";
    for (const json& field : fields) {
      if (!field.is_array() || field.size() != 2 || !field[0].is_string()) return false;
      if (out.back() != '{') out += ",";
      append_json_string(field[0].get_ref<const std::string&>(), out);
      out += ":";
      if (!read(field[1], out, level + 1)) return false;
    }
    out += "}";
    return true;
  }

  ByteReader in_;
};

}  // namespace

std::optional<std::string> value_to_json(std::string_view type, std::string_view bytes) {
  const json parsed = json::parse(type, nullptr, false);
  if (parsed.is_discarded()) return std::nullopt;
  ValueReader reader{bytes};
  std::string out;
  if (!reader.read(parsed, out) || !reader.whole()) return std::nullopt;
  return out;
}

}  // namespace dataflow

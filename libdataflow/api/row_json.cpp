// One row from JSON: messages to operators and keys that are asked for. For rare, small texts.

#include <nlohmann/json.hpp>

#include "dataflow/rows.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

namespace {

using Json = nlohmann::json;

Result<Value> value_from_json(const DataType& type, const Json& json) {
  if (json.is_null()) return Value{};
  const auto refuse = [&] {
    return fail(ErrorCode::invalid_argument, "must be " + to_string(type) + ", this is " + json.dump());
  };
  switch (type.kind()) {
    case TypeKind::boolean:
      if (!json.is_boolean()) return refuse();
      return Value{json.get<bool>()};
    case TypeKind::int32:
    case TypeKind::int64: {
      if (!json.is_number_integer()) return refuse();
      const auto number = json.get<std::int64_t>();
      if (type.kind() == TypeKind::int32 && number != static_cast<std::int32_t>(number)) return refuse();
      return Value{number};
    }
    case TypeKind::float64:
      if (!json.is_number()) return refuse();
      return Value{json.get<double>()};
    case TypeKind::decimal: {
      if (!json.is_number()) return refuse();
      double scaled = json.get<double>();
      for (int i = 0; i < type.scale(); ++i) scaled *= 10;
      return Value{static_cast<std::int64_t>(scaled + (scaled < 0 ? -0.5 : 0.5))};
    }
    case TypeKind::string:
    case TypeKind::bytes:
      if (!json.is_string()) return refuse();
      return Value{json.get<std::string>()};
    case TypeKind::timestamp: {
      if (!json.is_string()) return refuse();
      const auto time = parse_iso8601(json.get<std::string>());
      if (!time) return refuse();
      return Value{time->micros};
    }
    case TypeKind::array:
    case TypeKind::map:
    case TypeKind::row: break;
  }
  return refuse();
}

}  // namespace

Result<BatchPtr> row_from_json(const SchemaPtr& schema, std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    return fail(ErrorCode::invalid_argument, "this is not JSON: " + std::string{text});
  }
  const bool bare = schema->size() == 1 && (*schema)[0].name == "value" && !json.is_object();
  if (!bare && !json.is_object()) {
    return fail(ErrorCode::invalid_argument, "this must be an object with the members " + to_string(*schema));
  }
  if (json.is_object()) {
    for (const auto& member : json.items()) {
      if (!schema->find(member.key())) {
        return fail(ErrorCode::invalid_argument,
                    "there is no member \"" + member.key() + "\", but " + to_string(*schema));
      }
    }
  }
  std::vector<Value> row;
  for (const Field& field : schema->fields()) {
    const Json* at = &json;
    if (!bare) {
      const auto found = json.find(field.name);
      if (found == json.end()) {
        row.emplace_back();
        continue;
      }
      at = &*found;
    }
    auto value = value_from_json(field.type, *at);
    if (!value) return fail(value.error().within("\"" + field.name + "\""));
    row.push_back(std::move(*value));
  }
  BatchBuilder builder{schema, 1};
  builder.append_row(row);
  return builder.finish();
}

Status require_members(const Batch& row, std::span<const MemberUse> members, std::string_view record_name) {
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (members[i].optional || !row.column(i).is_null(0)) continue;
    const std::string name{members[i].name};
    if (members.size() == 1 && record_name == name) return fail(ErrorCode::invalid_argument, "null is no value");
    return fail(ErrorCode::invalid_argument, "\"" + name + "\" is missing: " + std::string{record_name} +
                                                 " must have it, " + to_string(row.column(i).type) + " and not null");
  }
  return {};
}

Status refuse_members(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || json.empty()) return {};
  return fail(ErrorCode::invalid_argument,
              "there is no key \"" + json.begin().key() + "\": the function takes no settings");
}

}  // namespace dataflow

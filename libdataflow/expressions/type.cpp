#include "libdataflow/expressions/type.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "libdataflow/expressions/token.hpp"

namespace dataflow::expr {

namespace {

constexpr std::array names = {
    std::pair<std::string_view, Kind>{"bool", Kind::boolean},
    std::pair<std::string_view, Kind>{"boolean", Kind::boolean},
    std::pair<std::string_view, Kind>{"int32", Kind::int32},
    std::pair<std::string_view, Kind>{"int", Kind::int32},
    std::pair<std::string_view, Kind>{"integer", Kind::int32},
    std::pair<std::string_view, Kind>{"int64", Kind::int64},
    std::pair<std::string_view, Kind>{"bigint", Kind::int64},
    std::pair<std::string_view, Kind>{"float64", Kind::float64},
    std::pair<std::string_view, Kind>{"double", Kind::float64},
    std::pair<std::string_view, Kind>{"decimal", Kind::decimal},
    std::pair<std::string_view, Kind>{"numeric", Kind::decimal},
    std::pair<std::string_view, Kind>{"string", Kind::string},
    std::pair<std::string_view, Kind>{"varchar", Kind::string},
    std::pair<std::string_view, Kind>{"text", Kind::string},
    std::pair<std::string_view, Kind>{"bytes", Kind::bytes},
    std::pair<std::string_view, Kind>{"varbinary", Kind::bytes},
    std::pair<std::string_view, Kind>{"timestamp", Kind::timestamp},
};

}  // namespace

std::string to_string(Type type) {
  switch (type.kind) {
    case Kind::null: return "NULL";
    case Kind::boolean: return "bool";
    case Kind::int32: return "int32";
    case Kind::int64: return "int64";
    case Kind::decimal: return "decimal(" + std::to_string(type.precision) + "," + std::to_string(type.scale) + ")";
    case Kind::float64: return "float64";
    case Kind::string: return "string";
    case Kind::bytes: return "bytes";
    case Kind::timestamp: return "timestamp";
    case Kind::interval: return "interval";
  }
  return "?";
}

std::optional<Type> from_data_type(const DataType& type) {
  switch (type.kind()) {
    case TypeKind::boolean: return Kind::boolean;
    case TypeKind::int32: return Kind::int32;
    case TypeKind::int64: return Kind::int64;
    case TypeKind::float64: return Kind::float64;
    case TypeKind::decimal: return Type::decimal(type.precision(), type.scale());
    case TypeKind::string: return Kind::string;
    case TypeKind::bytes: return Kind::bytes;
    case TypeKind::timestamp: return Kind::timestamp;
    case TypeKind::array:
    case TypeKind::map:
    case TypeKind::row: return std::nullopt;
  }
  return std::nullopt;
}

DataType storage_type(Type type) {
  switch (type.kind) {
    case Kind::boolean: return TypeKind::boolean;
    case Kind::int32: return TypeKind::int32;
    case Kind::int64:
    case Kind::interval: return TypeKind::int64;
    case Kind::decimal: return DataType::decimal(type.precision, type.scale);
    case Kind::float64: return TypeKind::float64;
    case Kind::null:
    case Kind::string: return TypeKind::string;
    case Kind::bytes: return TypeKind::bytes;
    case Kind::timestamp: return TypeKind::timestamp;
  }
  return TypeKind::string;
}

Type as_decimal(Type type) {
  if (type.kind == Kind::int32) return Type::decimal(10, 0);
  if (type.kind == Kind::int64) return Type::decimal(max_decimal_digits, 0);
  return type;
}

std::optional<Type> common_type(Type a, Type b) {
  if (a == b) return a;
  if (a.kind == Kind::null) return b;
  if (b.kind == Kind::null) return a;
  if (!a.is_numeric() || !b.is_numeric()) return std::nullopt;
  if (a.kind != Kind::decimal && b.kind != Kind::decimal) return a.kind < b.kind ? b : a;
  if (a.kind == Kind::float64 || b.kind == Kind::float64) return Kind::float64;
  const Type x = as_decimal(a);
  const Type y = as_decimal(b);
  const unsigned scale = std::max(x.scale, y.scale);
  const unsigned whole = std::max(x.precision - x.scale, y.precision - y.scale);
  return Type::decimal(whole + scale, scale);
}

std::optional<Type> type_named(std::string_view name) {
  for (const auto& [known, kind] : names) {
    if (same_word(known, name)) return Type{kind};
  }
  return std::nullopt;
}

const std::vector<std::string>& type_names() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> list;
    for (const auto& entry : names) list.emplace_back(entry.first);
    return list;
  }();
  return all;
}

}  // namespace dataflow::expr

#include "serialization/schema.hpp"

#include <cassert>
#include <unordered_set>

namespace dataflow {

namespace {
[[maybe_unused]] bool names_are_unique(const std::vector<Field>& fields) {
  std::unordered_set<std::string_view> seen;
  for (const Field& field : fields)
    if (!seen.insert(field.name).second) return false;
  return true;
}
}  // namespace

Schema::Schema(std::vector<Field> fields) : fields_{std::move(fields)} {
  assert(names_are_unique(fields_));
}

std::optional<std::size_t> Schema::find(std::string_view name) const {
  for (std::size_t i = 0; i < fields_.size(); ++i)
    if (fields_[i].name == name) return i;
  return std::nullopt;
}

std::string to_string(const Schema& schema) {
  if (schema.size() == 0) return "{ }";
  std::string text = "{ ";
  for (std::size_t i = 0; i < schema.size(); ++i) {
    if (i != 0) text += ", ";
    text += schema[i].name;
    text += ' ';
    text += to_string(schema[i].type);
  }
  return text += " }";
}

}  // namespace dataflow

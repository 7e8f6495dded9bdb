#include "libdataflow/topology/field_list.hpp"

#include <algorithm>
#include <string>

namespace dataflow {

std::optional<std::vector<std::size_t>> read_field_list(NodeBuilder& builder, std::string_view option) {
  std::vector<std::size_t> fields;
  if (!builder.settings().has(option)) return fields;
  bool good = true;
  const std::vector<std::string> names = builder.settings().text_list(option);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto field = builder.field(option, names[i]);
    if (field && std::find(fields.begin(), fields.end(), *field) != fields.end()) {
      builder.error(std::string{option} + "." + std::to_string(i), "\"" + names[i] + "\" is there twice");
      good = false;
    }
    good = good && field;
    if (field) fields.push_back(*field);
  }
  return good ? std::optional{std::move(fields)} : std::nullopt;
}

}  // namespace dataflow

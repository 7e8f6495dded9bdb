#include "libdataflow/operators/keyed_input.hpp"

#include <string>

#include "libdataflow/topology/field_list.hpp"

namespace dataflow {

bool check_append_only(NodeBuilder& builder, std::string_view what) {
  const InputInfo& input = builder.inputs()[0];
  if (input.changelog == ChangelogMode::append_only) return true;
  builder.error("input", std::string{what} + " takes only rows that are never taken back; \"" + input.name +
                             "\" is a changelog (" + std::string{to_string(input.changelog)} + ")");
  return false;
}

std::optional<std::vector<std::size_t>> read_key_fields(NodeBuilder& builder) {
  return read_field_list(builder, "key_by");
}

bool read_ttl(NodeBuilder& builder, std::optional<Duration>& ttl) {
  if (!builder.settings().has("ttl")) {
    if (builder.job().state.ttl) ttl = builder.job().state.ttl;
    return true;
  }
  ttl = builder.settings().duration("ttl");
  if (ttl->count() > 0) return true;
  builder.error("ttl", "must be more than nothing");
  return false;
}

std::string ttl_details(const std::optional<Duration>& ttl) {
  return ttl ? ", forgotten after " + to_string(*ttl) : std::string{};
}

void send_by_key(NodeBuilder& builder, const std::vector<std::size_t>& key_fields) {
  if (key_fields.empty()) {
    builder.node().max_parallelism = 1;
  } else {
    builder.key_by(key_fields);
  }
}

}  // namespace dataflow

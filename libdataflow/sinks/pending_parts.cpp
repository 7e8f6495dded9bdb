#include "libdataflow/sinks/pending_parts.hpp"

#include <memory>

#include "serialization/builder.hpp"

namespace dataflow {

const SchemaPtr& PendingParts::schema() {
  static const SchemaPtr schema = make_schema({{"epoch", TypeKind::int64}, {"path", TypeKind::string}});
  return schema;
}

CapturedStatePtr PendingParts::snapshot() {
  auto state = std::make_unique<CopiedState>();
  BatchBuilder rows{schema()};
  for (const auto& [epoch, paths] : of_epoch_) {
    last_listed_ = epoch;
    for (const std::string& path : paths) {
      rows.column(0).append_int64(static_cast<std::int64_t>(epoch));
      rows.column(1).append_text(path);
      rows.end_row();
    }
  }
  state->begin({table, StateKind::list, 1, schema()});
  if (!rows.empty()) state->add(rows.finish());
  return state;
}

}  // namespace dataflow

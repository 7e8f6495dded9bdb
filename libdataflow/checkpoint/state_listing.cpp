#include "libdataflow/checkpoint/state_listing.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "serialization/column.hpp"
#include "serialization/value.hpp"

namespace dataflow {

namespace {

/// Column and the JSON that its cell has to be.
using KeyFilter = std::vector<std::pair<std::size_t, nlohmann::json>>;

Result<KeyFilter> parse_key(const std::string& key_json, const Schema& schema) {
  KeyFilter filter;
  if (key_json.empty()) return filter;
  const auto key = nlohmann::json::parse(key_json, nullptr, false);
  if (key.is_discarded()) {
    return fail(ErrorCode::invalid_argument, "the key is not JSON: " + key_json + "; a text has quotes: '\"abc\"'");
  }
  if (!key.is_object()) {
    filter.emplace_back(0, key);
    return filter;
  }
  for (const auto& [name, value] : key.items()) {
    const auto column = schema.find(name);
    if (!column) {
      return fail(ErrorCode::invalid_argument, "the state has no column \"" + name + "\"; it is " + to_string(schema));
    }
    filter.emplace_back(*column, value);
  }
  return filter;
}

bool matches(const Batch& rows, std::uint32_t row, const KeyFilter& filter) {
  return std::all_of(filter.begin(), filter.end(), [&](const auto& wanted) {
    std::string cell;
    append_json(rows.column(wanted.first), row, cell);
    return nlohmann::json::parse(cell, nullptr, false) == wanted.second;
  });
}

std::string row_as_json(const Batch& rows, std::uint32_t row, const StateQuery& query) {
  std::string out = "{";
  for (std::size_t i = 0; i < rows.schema()->fields().size(); ++i) {
    if (i > 0) out += ",";
    append_json_string((*rows.schema())[i].name, out);
    out += ":";
    const Column& column = rows.column(i);
    const bool bytes = column.type.kind() == TypeKind::bytes && !column.is_null(row) && query.read_bytes != nullptr;
    const auto value = bytes ? query.read_bytes((*rows.schema())[i].name, column.text(row)) : std::nullopt;
    if (value) {
      out += *value;
    } else {
      append_json(column, row, out);
    }
  }
  return out + "}";
}

template <class Names>
std::string join(const Names& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + std::string{name};
  return out.empty() ? "nothing" : out;
}

}  // namespace

std::vector<OperatorSummary> list_state(const CheckpointMetadata& metadata) {
  std::vector<OperatorSummary> operators;
  for (const CheckpointMetadata::Operator& op : metadata.operators) {
    OperatorSummary summary{.uid = op.uid,
                            .parallelism = static_cast<std::uint32_t>(op.subtasks.size()),
                            .enumerator = op.enumerator.has_value(),
                            .states = {}};
    std::map<std::string, StateSummary> states;
    std::map<std::string, std::set<std::uint32_t>> groups;
    for (const auto& subtask : op.subtasks) {
      for (const StateTable& table : subtask.tables) {
        StateSummary& state = states[table.description.name];
        state.description = table.description;
        state.in_store |= !table.store.empty();
        for (const StoredFileEntry& file : table.store) state.bytes += file.bytes;
        const auto add = [&](const std::vector<StateBlock>& blocks) {
          for (const StateBlock& block : blocks) {
            state.rows += block.rows;
            state.bytes += block.length;
            if (table.description.kind == StateKind::keyed) groups[table.description.name].insert(block.key_group);
          }
        };
        add(table.blocks);
        for (const StateSegment& segment : table.segments) add(segment.blocks);
      }
    }
    for (auto& [name, state] : states) {
      state.key_groups = static_cast<std::uint32_t>(groups[name].size());
      summary.bytes += state.bytes;
      summary.states.push_back(std::move(state));
    }
    operators.push_back(std::move(summary));
  }
  return operators;
}

Status show_state(const RestoredCheckpoint& checkpoint, const StateQuery& query,
                  const std::function<void(const std::string& row)>& visit) {
  const CheckpointMetadata& metadata = checkpoint.metadata();
  if (metadata.find(query.op) == nullptr) {
    std::vector<std::string> uids;
    for (const auto& op : metadata.operators) uids.push_back(op.uid);
    return fail(ErrorCode::not_found,
                "there is no state of an operator \"" + query.op + "\"; there is of: " + join(uids));
  }
  const auto reader = checkpoint.reader_of_all(query.op);
  const StateDescription* const description = reader->find(query.state);
  if (description == nullptr) {
    std::vector<std::string> names;
    for (const StateDescription* one : reader->states()) names.push_back(one->name);
    return fail(ErrorCode::not_found,
                "\"" + query.op + "\" has no state \"" + query.state + "\"; it has: " + join(names));
  }
  const auto filter = parse_key(query.key_json, *description->schema);
  if (!filter) return fail(filter.error());
  std::uint64_t shown = 0;
  return reader->read(query.state, description->schema, [&](std::uint32_t, const BatchPtr& rows) -> Status {
    for (std::uint32_t row = 0; row < rows->rows() && shown < query.limit; ++row) {
      if (!matches(*rows, row, *filter)) continue;
      visit(row_as_json(*rows, row, query));
      ++shown;
    }
    return {};
  });
}

}  // namespace dataflow

#include "libdataflow/joins/join_spec.hpp"

#include <algorithm>
#include <set>

namespace dataflow::joins {

namespace {

/// Fields of one side that are used, without its keys.
std::set<std::size_t> fields_beside_keys(const JoinSpec& spec, std::size_t side) {
  std::set<std::size_t> used;
  const std::size_t first = side == left_input ? 0 : spec.left_fields();
  const std::size_t fields = spec.sides[side].schema->size();
  const auto use = [&](const Expression& expression) {
    for (const std::size_t field : expression.fields_used()) {
      if (field >= first && field < first + fields) used.insert(field - first);
    }
  };
  if (spec.sides[side].meets_until) used.insert(*spec.sides[side].meets_until);
  if (spec.sides[side].compared_by) used.insert(*spec.sides[side].compared_by);
  if (spec.condition) use(*spec.condition);
  for (const Expression& output : spec.outputs) use(output);
  for (const std::size_t key : spec.sides[side].keys) used.erase(key);
  return used;
}

}  // namespace

FieldUse fields_used(const JoinSpec& spec, std::size_t side) {
  const auto others = fields_beside_keys(spec, side);
  FieldUse use;
  use.reads = spec.sides[side].keys;
  use.reads.insert(use.reads.end(), others.begin(), others.end());
  if (const auto late = spec.late_outputs[side]) use.passing_outputs = {*late};
  return use;
}

std::vector<std::vector<std::size_t>> keys_in_output(const JoinSpec& spec) {
  std::vector<std::vector<std::size_t>> found;
  for (const std::size_t side : {left_input, right_input}) {
    if (gives_unmatched(spec.kind, other(side))) continue;  // NULL then, on this side
    std::vector<std::size_t> fields;
    for (const std::size_t key : spec.sides[side].keys) {
      const std::size_t in_pair = side == left_input ? key : spec.left_fields() + key;
      const auto output = std::find_if(spec.outputs.begin(), spec.outputs.end(),
                                       [&](const Expression& e) { return e.as_field() == in_pair; });
      if (output == spec.outputs.end()) break;
      fields.push_back(static_cast<std::size_t>(output - spec.outputs.begin()));
    }
    if (fields.size() == spec.sides[side].keys.size()) found.push_back(std::move(fields));
  }
  return found;
}

PackedLayout layout_of(const JoinSpec& spec, std::size_t side) {
  const JoinSide& of = spec.sides[side];
  const auto others = fields_beside_keys(spec, side);
  std::vector<std::size_t> stored = of.keys;
  stored.insert(stored.end(), others.begin(), others.end());
  return {*of.schema, std::move(stored), of.keys.size()};
}

}  // namespace dataflow::joins

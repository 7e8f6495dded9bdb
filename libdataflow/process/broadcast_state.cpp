// Broadcast state in checkpoints: the table "broadcast" has a row for each entry of each declared state, as its Codecs
// write it. All subtasks have the same, so that a restore reads that of one.

#include <algorithm>
#include <set>
#include <stdexcept>

#include "dataflow/broadcast.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

namespace {

constexpr const char* broadcast_table = "broadcast";

const SchemaPtr& broadcast_schema() {
  static const SchemaPtr schema = make_schema(
      {{"state", TypeKind::string}, {"type", TypeKind::string}, {"key", TypeKind::bytes}, {"value", TypeKind::bytes}});
  return schema;
}

/// Rows that are captured by copying them, in front of what a function's keys have.
class CapturedBroadcast final : public CapturedState {
 public:
  CapturedBroadcast(std::vector<BatchPtr> rows, CapturedStatePtr of_function)
      : rows_{std::move(rows)}, of_function_{std::move(of_function)} {}
  Status write(StateWriter& writer) override {
    if (Status begun = writer.begin({broadcast_table, StateKind::broadcast, 1, broadcast_schema()}); !begun) {
      return begun;
    }
    for (const BatchPtr& rows : rows_) {
      if (Status added = writer.add(0, rows); !added) return added;
    }
    return of_function_ ? of_function_->write(writer) : Status{};
  }

 private:
  std::vector<BatchPtr> rows_;
  CapturedStatePtr of_function_;
};

}  // namespace

BroadcastStateBase::BroadcastStateBase(BroadcastOwner* owner, std::string name)
    : owner_{owner}, name_{std::move(name)} {
  owner_->broadcast_states_.push_back(this);
}

void BroadcastStateBase::refuse_change() const {
  throw std::logic_error{"the broadcast state \"" + name_ +
                         "\" was changed outside of process_broadcast: the other subtasks, which must have the same, "
                         "would not know"};
}

Status BroadcastTable::check() const {
  std::set<std::string_view> names;
  for (const BroadcastStateBase* state : owner_.broadcast_states_) {
    if (names.insert(state->name()).second) continue;
    return fail(ErrorCode::invalid_argument, "two broadcast states are named \"" + state->name() + "\"");
  }
  return {};
}

CapturedStatePtr BroadcastTable::snapshot(CapturedStatePtr of_function) const {
  std::vector<BatchPtr> batches;
  BatchBuilder rows{broadcast_schema()};
  for (const BroadcastStateBase* state : owner_.broadcast_states_) {
    const std::string type = state->type();
    for (const auto& [key, value] : state->encode()) {
      rows.column(0).append_text(state->name());
      rows.column(1).append_text(type);
      rows.column(2).append_text(key);
      rows.column(3).append_text(value);
      rows.end_row();
      if (rows.full()) batches.push_back(rows.finish());
    }
  }
  if (!rows.empty()) batches.push_back(rows.finish());
  return std::make_unique<CapturedBroadcast>(std::move(batches), std::move(of_function));
}

Status BroadcastTable::restore(StateReader& state) {
  return state.read(broadcast_table, broadcast_schema(), [this](std::uint32_t, const BatchPtr& rows) -> Status {
    for (std::uint32_t row = 0; row < rows->rows(); ++row) {
      const std::string name{rows->column(0).text(row)};
      const auto at = std::find_if(owner_.broadcast_states_.begin(), owner_.broadcast_states_.end(),
                                   [&](const BroadcastStateBase* s) { return s->name() == name; });
      if (at == owner_.broadcast_states_.end()) {
        return fail(ErrorCode::invalid_argument,
                    "the snapshot has a broadcast state \"" + name + "\", which the function does not declare");
      }
      if ((*at)->type() != rows->column(1).text(row)) {
        return fail(ErrorCode::invalid_argument, "the broadcast state \"" + name + "\" is " +
                                                     std::string{rows->column(1).text(row)} +
                                                     ", and it is declared as " + (*at)->type() +
                                                     "; give the new one another name, or set the type back");
      }
      if ((*at)->decode(rows->column(2).text(row), rows->column(3).text(row))) continue;
      return fail(ErrorCode::malformed_data, "an entry of the broadcast state \"" + name + "\" cannot be read");
    }
    return {};
  });
}

std::optional<std::string> BroadcastTable::query(std::string_view state) const {
  for (const BroadcastStateBase* declared : owner_.broadcast_states_) {
    if (declared->name() == state) return declared->json();
  }
  return std::nullopt;
}

}  // namespace dataflow

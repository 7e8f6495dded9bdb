// The common half of window operators' checkpoints: the tables "groups" and "clock".
//
// After a change of parallelism a subtask takes the furthest clock of all. They do not differ where it matters: every
// subtask of a keyed operator has had the same watermarks before a barrier.

#include <algorithm>

#include "libdataflow/windows/window_operator.hpp"

namespace dataflow::windows {

namespace {

constexpr const char* groups_table = "groups";
constexpr const char* clock_table = "clock";

const SchemaPtr& clock_schema() {
  static const SchemaPtr schema = make_schema({{"subtask", TypeKind::int64},
                                               {"window", TypeKind::string},
                                               {"progress", TypeKind::timestamp},
                                               {"sequence", TypeKind::int64},
                                               {"early_at", TypeKind::timestamp},  // NULL: no early results to come
                                               {"a", TypeKind::int64},             // what the kind keeps; else NULL
                                               {"b", TypeKind::int64},
                                               {"c", TypeKind::int64}});
  return schema;
}
constexpr std::size_t first_clock = 5;
constexpr std::size_t most_clocks = 3;

/// What must not change for the state to be of use.
std::string identity(const WindowSpec& spec) {
  std::string text = "kind " + std::to_string(static_cast<int>(spec.kind));
  for (const Duration d : {spec.size, spec.slide, spec.gap, spec.step, spec.offset}) text += " " + to_string(d);
  text += " count " + std::to_string(spec.count);
  return text + (spec.time == TimeDomain::event ? " event" : " processing");
}

/// The clock is copied, the groups are frozen: they are read while the operator goes on.
class CapturedWindows final : public CapturedState {
 public:
  GroupFormPtr form;
  BatchPtr clock;
  std::vector<FrozenGroupsPtr> groups;

  Status write(StateWriter& writer) override {
    if (Status begun = writer.begin({clock_table, StateKind::union_all, 1, clock_schema()}); !begun) return begun;
    if (Status added = writer.add(0, clock); !added) return added;
    if (Status begun = writer.begin({groups_table, StateKind::keyed, 1, form->schema.schema()}); !begun) return begun;
    GroupSaver saver{*form, writer};
    for (FrozenGroupsPtr& frozen : groups) {
      if (Status saved = frozen->save(saver); !saved) return saved;
      frozen.reset();
    }
    return saver.finish();
  }
};

}  // namespace

const GroupFormPtr& WindowOperator::form() {
  if (form_ == nullptr) {
    form_ = std::make_shared<const GroupForm>(
        GroupForm{GroupSchema{*input_, spec_.key_fields, saved_numbers(), aggregation_},
                  KeyReader{*input_, spec_.key_fields}, Aggregation{spec_.aggregates}, context_->max_parallelism()});
  }
  return form_;
}

Result<std::unique_ptr<StoredGroups>> WindowOperator::open_stored_groups(StoredGroups::Marks marks) {
  const StateBackendPtr backend = context_->state_backend();
  if (!backend || spec_.key_fields.empty()) return std::unique_ptr<StoredGroups>{};
  return StoredGroups::open(backend, form(), marks);
}

Result<CapturedStatePtr> WindowOperator::snapshot() {
  if (Status settled = settle(); !settled) return fail(settled.error());
  auto state = std::make_unique<CapturedWindows>();
  state->form = form();
  BatchBuilder clock{clock_schema()};
  clock.column(0).append_int64(context_->subtask());
  clock.column(1).append_text(identity(spec_));
  clock.column(2).append_int64(progress_);
  clock.column(3).append_int64(static_cast<std::int64_t>(sequence_));
  clock.column(4).append(early_at_ ? Value{early_at_->micros} : Value{});
  const std::vector<std::int64_t> clocks = saved_clocks();
  for (std::size_t i = 0; i < most_clocks; ++i) {
    clock.column(first_clock + i).append(i < clocks.size() ? Value{clocks[i]} : Value{});
  }
  clock.end_row();
  state->clock = clock.finish();
  freeze_groups(form_, state->groups);
  return state;
}

Status WindowOperator::restore_clock(StateReader& state) {
  std::vector<std::int64_t> clocks(saved_clocks().size(), first_micros);
  const std::string expected = identity(spec_);
  bool any = false;
  Status read = state.read(clock_table, clock_schema(), [&](std::uint32_t, const BatchPtr& rows) -> Status {
    for (std::uint32_t row = 0; row < rows->rows(); ++row) {
      const auto number = [&](std::size_t column) { return rows->column(column).as<std::int64_t>()[row]; };
      if (rows->column(1).text(row) != expected) {
        return fail(ErrorCode::invalid_argument,
                    "the window has another kind or size than when its state was written; give it another uid to "
                    "begin anew, or set it back");
      }
      if (state.same_parallelism() && number(0) != context_->subtask()) continue;
      any = true;
      progress_ = std::max(progress_, number(2));
      sequence_ = std::max(sequence_, static_cast<std::uint64_t>(number(3)));
      if (spec_.early && !rows->column(4).is_null(row)) {
        early_at_ = std::min(early_at_.value_or(Timestamp::max()), Timestamp{number(4)});
      }
      for (std::size_t i = 0; i < clocks.size(); ++i) {
        if (!rows->column(first_clock + i).is_null(row)) clocks[i] = std::max(clocks[i], number(first_clock + i));
      }
    }
    return {};
  });
  if (read && any) load_clocks(clocks);
  return read;
}

Status WindowOperator::restore(StateReader& state) {
  if (Status clock = restore_clock(state); !clock) return clock;
  const GroupSchema schema{*input_, spec_.key_fields, saved_numbers(), aggregation_};
  if (const StateDescription* written = state.find(groups_table)) {
    if (Status same = schema.check_keys(*written->schema); !same) return same;
  }
  KeyReader keys{*schema.schema(), schema.key_columns()};
  const Status read = state.read(groups_table, schema.schema(), [&](std::uint32_t, const BatchPtr& rows) -> Status {
    return load_groups({*rows, keys.read(*rows), schema, aggregation_});
  });
  return read ? loaded() : read;
}

}  // namespace dataflow::windows

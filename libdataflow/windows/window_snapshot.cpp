// The common half of window operators' checkpoints: the tables "groups" and "clock". What an operator has in a store is
// a table of its own in the checkpoints of a running job, "stored_groups", with the same columns. No group is in both.
//
// After a change of parallelism a subtask takes the furthest clock of all. They do not differ where it matters: every
// subtask of a keyed operator has had the same watermarks before a barrier.

#include <algorithm>

#include "libdataflow/windows/window_operator.hpp"

namespace dataflow::windows {

namespace {

constexpr const char* groups_table = "groups";
constexpr const char* stored_groups_table = "stored_groups";
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

/// The clock is copied, the groups are frozen, the store is sealed: all are read while the operator goes on.
class CapturedWindows final : public CapturedState {
 public:
  GroupFormPtr form;
  BatchPtr clock;
  std::vector<FrozenGroupsPtr> groups;
  SealedStorePtr sealed;  ///< null: nothing is in a store

  ~CapturedWindows() override {
    if (sealed != nullptr) sealed->abandon();
  }

  Status write(StateWriter& writer) override {
    // First: until then the operator's changes wait in memory.
    if (sealed && writer.takes_stores()) {
      const StateDescription stored{stored_groups_table, StateKind::keyed, 1, form->schema.schema()};
      if (Status written = sealed->write_files(writer, stored); !written) return written;
    }
    if (Status begun = writer.begin({clock_table, StateKind::union_all, 1, clock_schema()}); !begun) return begun;
    if (Status added = writer.add(0, clock); !added) return added;
    if (Status begun = writer.begin({groups_table, StateKind::keyed, 1, form->schema.schema()}); !begun) return begun;
    GroupSaver saver{*form, writer};
    for (FrozenGroupsPtr& frozen : groups) {
      if (Status saved = frozen->save(saver); !saved) return saved;
      frozen.reset();
    }
    if (Status saved = saver.finish(); !saved || !sealed || writer.takes_stores()) return saved;
    return sealed->write_rows(writer, {form->schema.schema(), form->schema.keys()}, form->max_parallelism);
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

Result<std::unique_ptr<StoredGroups>> WindowOperator::open_stored_groups() {
  const StateBackendPtr backend = context_->state_backend();
  if (!backend || spec_.key_fields.empty()) return std::unique_ptr<StoredGroups>{};
  return StoredGroups::open(backend, form());
}

Result<CapturedStatePtr> WindowOperator::snapshot() {
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
  if (StoredGroups* stored = stored_groups()) {
    auto sealed = stored->seal();
    if (!sealed) return fail(sealed.error());
    state->sealed = std::move(*sealed);
  }
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
  for (const char* table : {groups_table, stored_groups_table}) {
    const StateDescription* written = state.find(table);
    if (written == nullptr) continue;
    if (Status same = schema.check_keys(*written->schema); !same) return same;
  }
  Result<bool> as_store = false;
  if (StoredGroups* stored = stored_groups()) as_store = stored->restore(state, stored_groups_table);
  if (!as_store) return fail(as_store.error());
  if (Status restored = *as_store ? stored_groups_restored() : Status{}; !restored) return restored;
  KeyReader keys{*schema.schema(), schema.key_columns()};
  for (const char* table : {groups_table, stored_groups_table}) {
    if (*as_store && table == stored_groups_table) continue;
    Status read = state.read(table, schema.schema(), [&](std::uint32_t, const BatchPtr& rows) -> Status {
      return load_groups({*rows, keys.read(*rows), schema, aggregation_});
    });
    if (!read) return read;
  }
  return loaded();
}

}  // namespace dataflow::windows

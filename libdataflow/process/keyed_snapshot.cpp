// A process function's state in checkpoints: the table "values" has a row for each key with state, a column for each
// key field and each declared state (what its Codec wrote, NULL when the key has no value), and, with a TTL, when it
// was written (of a state whose values are rows, a column for each of their fields); the table "timers" has a row for
// each timer. A function without key has one row of a list: it can be given back to as many subtasks only.

#include <algorithm>
#include <numeric>
#include <optional>

#include "dataflow/codec.hpp"
#include "libdataflow/process/keyed_runtime_impl.hpp"

namespace dataflow {

namespace {

constexpr const char* values_table = "values";
constexpr const char* timers_table = "timers";
constexpr const char* types_table = "$types";  // the engine's own
constexpr std::string_view state_prefix = "state:";
constexpr std::string_view row_prefix = "row:";
constexpr std::string_view written_prefix = "written:";

const SchemaPtr& types_schema() {
  static const SchemaPtr schema = make_schema({{"state", TypeKind::string}, {"type", TypeKind::string}});
  return schema;
}

void append_integer(const DataType& type, std::int64_t value, ColumnBuilder& column) {
  switch (type.kind()) {
    case TypeKind::boolean: return column.append_bool(value != 0);
    case TypeKind::int32: return column.append_int32(static_cast<std::int32_t>(value));
    default: return column.append_int64(value);
  }
}

/// Keys, states and timers, frozen: what is read while the function goes on.
class CapturedKeys final : public CapturedState {
 public:
  KeyShape shape = KeyShape::none;
  std::vector<DataType> types;
  SchemaPtr values_schema;
  SchemaPtr timers_schema;
  std::uint32_t max_parallelism = 0;
  FrozenKeys keys;
  std::vector<std::unique_ptr<FrozenState>> states;
  std::vector<StoredForm> forms;  ///< of the states
  FrozenTimers event_timers;
  FrozenTimers processing_timers;
  BatchPtr types_of_values;                ///< null: of none
  FrozenLaterEntriesPtr event_later;       ///< null: there are none
  FrozenLaterEntriesPtr processing_later;  ///< likewise
  SealedChangesPtr sealed;                 ///< null: all state is frozen here

  ~CapturedKeys() override {
    if (sealed != nullptr) sealed->abandon();
  }

  Status write(StateWriter& writer) override {
    if (types_of_values != nullptr) {
      if (Status begun = writer.begin({types_table, StateKind::broadcast, 1, types_schema()}); !begun) return begun;
      if (Status added = writer.add(0, types_of_values); !added) return added;
    }
    const StateKind kind = shape == KeyShape::none ? StateKind::list : StateKind::keyed;
    if (sealed) {
      if (Status stored = write_store(writer); !stored) return stored;
      if (Status begun = writer.begin({timers_table, kind, 1, timers_schema}); !begun) return begun;
      return write_timers(writer);
    }
    if (Status begun = writer.begin({values_table, kind, 1, values_schema}); !begun) return begun;
    if (Status written = write_values(writer); !written) return written;
    states.clear();
    if (Status begun = writer.begin({timers_table, kind, 1, timers_schema}); !begun) return begun;
    return write_timers(writer);
  }

 private:
  /// Rows on their way: by key group, or, of a function without key, as they are.
  class Rows {
   public:
    Rows(const CapturedKeys& captured, const SchemaPtr& schema, StateWriter& writer)
        : builder{schema}, writer_{writer} {
      if (captured.shape == KeyShape::none) return;
      std::vector<std::size_t> fields(captured.types.size());
      std::iota(fields.begin(), fields.end(), std::size_t{0});
      groups_.emplace(writer, std::move(fields), captured.max_parallelism);
    }
    Status end_row() {
      builder.end_row();
      return builder.full() ? give() : Status{};
    }
    Status finish() {
      if (Status given = give(); !given) return given;
      return groups_ ? groups_->finish() : Status{};
    }
    BatchBuilder builder;

   private:
    Status give() {
      if (builder.empty()) return {};
      return groups_ ? groups_->add(builder.finish()) : writer_.add(0, builder.finish());
    }
    StateWriter& writer_;
    std::optional<KeyGroupWriter> groups_;
  };

  /// As the store's files, or, for what is to outlive the job, as rows.
  Status write_store(StateWriter& writer) const {
    const StateDescription description{values_table, StateKind::keyed, 1, values_schema};
    if (writer.takes_stores()) return sealed->write_files(writer, description);
    if (Status begun = writer.begin(description); !begun) return begun;
    return sealed->write_rows(writer, {values_schema, types.size()}, max_parallelism);
  }

  void append_key(std::uint32_t slot, BatchBuilder& rows) const {
    const bool integer = shape == KeyShape::integer;
    const bool text = shape == KeyShape::text || shape == KeyShape::composite;
    append_key(integer ? keys.integer(slot) : 0, text ? keys.text(slot) : std::string_view{}, rows);
  }
  void append_key(std::int64_t integer, std::string_view text, BatchBuilder& rows) const {
    switch (shape) {
      case KeyShape::none: return;
      case KeyShape::integer: return append_integer(types[0], integer, rows.column(0));
      case KeyShape::text: return rows.column(0).append_text(text);
      case KeyShape::composite: break;
    }
    ByteReader in{text};
    for (std::size_t i = 0; i < types.size(); ++i) read_key_field(in, types[i], rows.column(i));
  }

  /// Those with a value of any state, in the order of their keys: equal states give equal bytes.
  [[nodiscard]] std::vector<std::uint32_t> slots_in_order() const {
    std::vector<std::uint32_t> slots;
    std::string value;
    for (std::uint32_t slot = 0; slot < keys.slots(); ++slot) {
      value.clear();
      const bool any = std::any_of(states.begin(), states.end(), [&](const auto& s) { return s->encode(slot, value); });
      if (any) slots.push_back(slot);
    }
    std::sort(slots.begin(), slots.end(), [this](std::uint32_t a, std::uint32_t b) { return keys.before(a, b); });
    return slots;
  }

  Status write_values(StateWriter& writer) const {
    Rows rows{*this, values_schema, writer};
    std::string value;
    for (const std::uint32_t slot : slots_in_order()) {
      if (forms.front().many_rows) {
        if (Status written = write_rows(slot, rows); !written) return written;
        continue;
      }
      append_key(slot, rows.builder);
      std::size_t column = types.size();
      for (std::size_t i = 0; i < states.size(); ++i) {
        value.clear();
        const bool has_value = states[i]->encode(slot, value);
        if (forms[i].row) {
          StoredFields fields{value};  // of a key without row all are cut off, and so NULL
          for (const Field& field : forms[i].row->fields()) fields.read(field.type, rows.builder.column(column++));
        } else {
          ColumnBuilder& bytes = rows.builder.column(column++);
          has_value ? bytes.append_text(value) : bytes.append_null();
        }
        const auto at = has_value ? states[i]->written_at(slot) : std::nullopt;
        ColumnBuilder& written = rows.builder.column(column++);
        at ? written.append_int64(*at) : written.append_null();
      }
      if (Status ended = rows.end_row(); !ended) return ended;
    }
    return rows.finish();
  }

  /// Of a key that has several.
  Status write_rows(std::uint32_t slot, Rows& rows) const {
    std::string value;
    states.front()->encode(slot, value);
    const auto at = states.front()->written_at(slot);
    for (StoredFields fields{value}; !fields.at_end();) {
      append_key(slot, rows.builder);
      std::size_t column = types.size();
      for (const Field& field : forms.front().row->fields()) fields.read(field.type, rows.builder.column(column++));
      at ? rows.builder.column(column).append_int64(*at) : rows.builder.column(column).append_null();
      if (Status ended = rows.end_row(); !ended) return ended;
    }
    return {};
  }

  Status write_timers(StateWriter& writer) const {
    Rows rows{*this, timers_schema, writer};
    const auto end_row = [&](bool processing, Timestamp time, std::string_view name) {
      rows.builder.column(types.size()).append_bool(processing);
      rows.builder.column(types.size() + 1).append_int64(time.micros);
      rows.builder.column(types.size() + 2).append_text(name);
      return rows.end_row();
    };
    for (const bool processing : {false, true}) {
      const FrozenTimers& next = processing ? processing_timers : event_timers;
      Status written = next.for_each([&](const KeyTimer& timer, const std::string& name) {
        append_key(timer.slot, rows.builder);
        return end_row(processing, timer.time, name);
      });
      if (!written) return written;
      const auto& later = processing ? processing_later : event_later;
      if (later == nullptr) continue;
      Status rest = later->for_each([&](std::string_view key, std::string_view value) {
        const LaterTimer timer = LaterTimer::read(key, value);
        append_key(timer.integer, timer.text, rows.builder);
        return end_row(processing, timer.time, timer.name);
      });
      if (!rest) return rest;
    }
    return rows.finish();
  }
};

}  // namespace

std::vector<Field> KeyedRuntime::key_columns() const {
  std::vector<Field> fields;
  for (std::size_t i = 0; i < impl_->types.size(); ++i) {
    fields.push_back({"key" + std::to_string(i + 1), impl_->types[i]});
  }
  return fields;
}

SchemaPtr KeyedRuntime::values_schema() const {
  std::vector<Field> fields = key_columns();
  for (const StateBase* state : owner_.states_) {
    if (const SchemaPtr row = state->row_schema()) {
      for (const Field& field : row->fields()) {
        fields.push_back({std::string{row_prefix} + field.name, field.type});
      }
    } else {
      fields.push_back({std::string{state_prefix} + state->name(), TypeKind::bytes});
    }
    fields.push_back({std::string{written_prefix} + state->name(), TypeKind::timestamp});
  }
  // A function may have timers and no state; a table has a column.
  if (fields.empty()) fields.push_back({"nothing", TypeKind::bytes});
  return make_schema(std::move(fields));
}

SchemaPtr KeyedRuntime::timers_schema() const {
  std::vector<Field> fields = key_columns();
  fields.push_back({"processing_time", TypeKind::boolean});
  fields.push_back({"time", TypeKind::timestamp});
  fields.push_back({"name", TypeKind::string});
  return make_schema(std::move(fields));
}

Result<CapturedStatePtr> KeyedRuntime::snapshot(std::uint32_t max_parallelism) {
  auto captured = std::make_unique<CapturedKeys>();
  for (StateBase* state : owner_.states_) {
    if (!state->storable()) {
      return fail(ErrorCode::unsupported, "the state \"" + state->name() +
                                              "\" cannot be in a checkpoint: declare its type with DATAFLOW_RECORD");
    }
    if (impl_->cache) continue;
    captured->states.push_back(state->freeze());
    captured->forms.emplace_back(*state);
  }
  if (impl_->cache) {
    auto sealed = impl_->cache->seal();
    if (!sealed) return fail(sealed.error());
    captured->sealed = std::move(*sealed);
    auto event_later = impl_->event_later->freeze();
    if (!event_later) return fail(event_later.error());
    captured->event_later = std::move(*event_later);
    auto processing_later = impl_->processing_later->freeze();
    if (!processing_later) return fail(processing_later.error());
    captured->processing_later = std::move(*processing_later);
  }
  BatchBuilder types{types_schema()};
  for (const StateBase* state : owner_.states_) {
    const std::string type = state->value_type();
    if (type == "null") continue;
    types.column(0).append_text(state->name());
    types.column(1).append_text(type);
    types.end_row();
  }
  if (!types.empty()) captured->types_of_values = types.finish();
  captured->shape = shape_;
  captured->types = impl_->types;
  captured->values_schema = values_schema();
  captured->timers_schema = timers_schema();
  captured->max_parallelism = max_parallelism;
  captured->keys = impl_->keys.freeze();
  captured->event_timers = impl_->event_timers.freeze();
  captured->processing_timers = impl_->processing_timers.freeze();
  return captured;
}

/// The slot of the key in a table's row, made the current one.
std::uint32_t KeyedRuntime::slot_of_row(const Batch& rows, std::uint32_t row) {
  std::uint32_t slot = 0;
  switch (shape_) {
    case KeyShape::none: break;
    case KeyShape::integer: slot = impl_->keys.slot_of_integer(integer_cell(rows.column(0), row)); break;
    case KeyShape::text: slot = impl_->keys.slot_of_text(rows.column(0).text(row)); break;
    case KeyShape::composite: {
      std::string key;
      for (std::size_t i = 0; i < impl_->types.size(); ++i) append_key_field(rows.column(i), row, key);
      slot = impl_->keys.slot_of_text(key);
    }
  }
  take_into_use(slot);
  owner_.slot_ = slot;
  return slot;
}

Status KeyedRuntime::check_declared(const StateDescription& written) const {
  for (const Field& field : written.schema->fields()) {
    if (!field.name.starts_with(state_prefix)) continue;
    const std::string_view name = std::string_view{field.name}.substr(state_prefix.size());
    const bool declared = std::any_of(owner_.states_.begin(), owner_.states_.end(),
                                      [&](const StateBase* state) { return state->name() == name; });
    if (!declared) {
      return fail(ErrorCode::invalid_argument,
                  "the snapshot has a state \"" + std::string{name} + "\", which the function does not declare");
    }
  }
  const auto keys_of = [](const Schema& schema) {
    return std::count_if(schema.fields().begin(), schema.fields().end(),
                         [](const Field& field) { return field.name.starts_with("key"); });
  };
  if (keys_of(*written.schema) != static_cast<std::ptrdiff_t>(impl_->types.size())) {
    return fail(ErrorCode::invalid_argument, "the function was keyed by another number of fields");
  }
  return {};
}

/// What a value's bytes are is not in them: read as another type they would be other values.
Status KeyedRuntime::check_types(StateReader& state) const {
  return state.read(types_table, types_schema(), [this](std::uint32_t, const BatchPtr& rows) -> Status {
    for (std::uint32_t row = 0; row < rows->rows(); ++row) {
      const std::string_view name = rows->column(0).text(row);
      const std::string_view written = rows->column(1).text(row);
      for (const StateBase* declared : owner_.states_) {
        if (declared->name() != name || declared->value_type() == written) continue;
        return fail(ErrorCode::invalid_argument, "the values of the state \"" + std::string{name} + "\" are " +
                                                     std::string{written} + ", and it is declared as " +
                                                     declared->value_type() +
                                                     "; give the new ones another name, or set the type back");
      }
    }
    return {};
  });
}

Status KeyedRuntime::restore_values(const Batch& rows, const std::string& what) {
  const std::size_t keys = impl_->types.size();
  std::string stored;
  for (std::uint32_t row = 0; row < rows.rows(); ++row) {
    const std::uint32_t slot = slot_of_row(rows, row);
    if (shape_ == KeyShape::none && owner_.uses_[0] != 0) {
      return fail(ErrorCode::invalid_argument, what +
                                                   " of a function without key can only be given back to as many "
                                                   "subtasks: set its parallelism back");
    }
    std::size_t column = keys;
    for (StateBase* state : owner_.states_) {
      const SchemaPtr fields = state->row_schema();
      const std::size_t first = column;
      column += fields ? fields->size() : 1;
      const Column& written = rows.column(column++);
      if (rows.column(first).is_null(row)) continue;
      stored.clear();
      for (std::size_t i = 0; fields && i < fields->size(); ++i) {
        append_stored_field(rows.column(first + i), row, stored);
      }
      if (!state->decode(slot, fields ? std::string_view{stored} : rows.column(first).text(row))) {
        return fail(ErrorCode::malformed_data, "the value of \"" + state->name() + "\" has another type");
      }
      if (!written.is_null(row)) state->set_written_at(slot, written.as<std::int64_t>()[row]);
    }
  }
  return {};
}

Status KeyedRuntime::restore_timers(const Batch& rows, std::uint32_t group) {
  const std::size_t keys = impl_->types.size();
  for (std::uint32_t row = 0; row < rows.rows(); ++row) {
    const std::uint32_t slot = slot_of_row(rows, row);
    if (impl_->cache) impl_->cache->set_group(slot, group);
    const bool processing = rows.column(keys).as<std::uint8_t>()[row] != 0;
    set_timer(processing ? TimerDomain::processing_time : TimerDomain::event_time,
              Timestamp{rows.column(keys + 1).as<std::int64_t>()[row]}, rows.column(keys + 2).text(row));
    if (impl_->cache) impl_->cache->release_unused(slot);  // when the timer is not in memory
  }
  for (const TimerDomain domain : {TimerDomain::event_time, TimerDomain::processing_time}) {
    if (Status balanced = balance_timers(domain); !balanced) return balanced;
  }
  return {};
}

Status KeyedRuntime::restore(StateReader& state) {
  for (const char* name : {values_table, timers_table}) {
    const StateDescription* written = state.find(name);
    if (written == nullptr) continue;
    if (Status declared = check_declared(*written); !declared) return declared;
  }
  if (Status same = check_types(state); !same) return same;
  if (impl_->cache) {
    const bool many_rows = owner_.states_.front()->many_rows();
    Status stored = impl_->cache->restore(state, {values_schema(), impl_->types.size(), many_rows});
    if (!stored) return stored;
    return state.read(timers_table, timers_schema(),
                      [this](std::uint32_t group, const BatchPtr& rows) { return restore_timers(*rows, group); });
  }
  Status values = state.read(values_table, values_schema(), [this](std::uint32_t, const BatchPtr& rows) {
    return restore_values(*rows, "the state");
  });
  if (!values) return values;
  return state.read(timers_table, timers_schema(),
                    [this](std::uint32_t group, const BatchPtr& rows) { return restore_timers(*rows, group); });
}

}  // namespace dataflow

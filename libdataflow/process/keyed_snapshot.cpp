// A process function's state in checkpoints: the table "values" has a row for each key with state, a column for each
// key field and each declared state (what its Codec wrote, NULL when the key has no value), and, with a TTL, when it
// was written; the table "timers" has a row for each timer. A function without key has one row of a list: it can be
// given back to as many subtasks only.

#include <algorithm>

#include "dataflow/codec.hpp"
#include "libdataflow/process/keyed_runtime_impl.hpp"

namespace dataflow {

namespace {

constexpr const char* values_table = "values";
constexpr const char* timers_table = "timers";
constexpr std::string_view state_prefix = "state:";
constexpr std::string_view written_prefix = "written:";

/// One field of a composite key, as KeyTable wrote it.
void read_field(ByteReader& in, const DataType& type, ColumnBuilder& column) {
  if (in.fixed<std::uint8_t>() == 0) return column.append_null();
  if (type.is_variable_width()) return column.append_text(in.text());
  switch (type.kind()) {
    case TypeKind::boolean: return column.append_bool(in.fixed<std::uint8_t>() != 0);
    case TypeKind::int32: return column.append_int32(in.fixed<std::int32_t>());
    case TypeKind::float64: return column.append_float64(in.fixed<double>());
    default: return column.append_int64(in.fixed<std::int64_t>());
  }
}

void append_integer(const DataType& type, std::int64_t value, ColumnBuilder& column) {
  switch (type.kind()) {
    case TypeKind::boolean: return column.append_bool(value != 0);
    case TypeKind::int32: return column.append_int32(static_cast<std::int32_t>(value));
    default: return column.append_int64(value);
  }
}

}  // namespace

std::vector<Field> KeyedRuntime::key_columns() const {
  std::vector<Field> fields;
  for (std::size_t i = 0; i < impl_->types.size(); ++i) {
    fields.push_back({"key" + std::to_string(i + 1), impl_->types[i]});
  }
  return fields;
}

void KeyedRuntime::append_key(std::uint32_t slot, BatchBuilder& rows) const {
  switch (shape_) {
    case KeyShape::none: return;
    case KeyShape::integer: return append_integer(impl_->types[0], integer_key(slot), rows.column(0));
    case KeyShape::text: return rows.column(0).append_text(text_key(slot));
    case KeyShape::composite: break;
  }
  ByteReader in{text_key(slot)};
  for (std::size_t i = 0; i < impl_->types.size(); ++i) read_field(in, impl_->types[i], rows.column(i));
}

SchemaPtr KeyedRuntime::values_schema() const {
  std::vector<Field> fields = key_columns();
  for (const StateBase* state : owner_.states_) {
    fields.push_back({std::string{state_prefix} + state->name(), TypeKind::bytes});
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

Result<CapturedStatePtr> KeyedRuntime::snapshot(std::uint32_t max_parallelism) const {
  for (const StateBase* state : owner_.states_) {
    if (state->storable()) continue;
    return fail(ErrorCode::unsupported,
                "the state \"" + state->name() + "\" cannot be in a checkpoint: declare its type with DATAFLOW_RECORD");
  }
  auto captured = std::make_unique<CopiedState>();
  const std::size_t keys = impl_->types.size();
  const StateKind kind = shape_ == KeyShape::none ? StateKind::list : StateKind::keyed;
  std::vector<std::size_t> key_fields(keys);
  for (std::size_t i = 0; i < keys; ++i) key_fields[i] = i;
  const auto add = [&](BatchBuilder& rows) {
    if (rows.empty()) return;
    if (kind == StateKind::list) {
      captured->add(rows.finish());
    } else {
      captured->add_keyed(rows.finish(), key_fields, max_parallelism);
    }
  };

  BatchBuilder values{values_schema()};
  captured->begin({values_table, kind, 1, values.schema()});
  std::string value;
  std::vector<std::uint32_t> slots = owner_.states_.empty() ? std::vector<std::uint32_t>{} : impl_->keys.in_order();
  for (const std::uint32_t slot : slots) {
    append_key(slot, values);
    bool any = false;
    for (std::size_t i = 0; i < owner_.states_.size(); ++i) {
      const StateBase* state = owner_.states_[i];
      ColumnBuilder& bytes = values.column(keys + 2 * i);
      ColumnBuilder& written = values.column(keys + 2 * i + 1);
      value.clear();
      const bool has_value = state->encode(slot, value);
      any |= has_value;
      has_value ? bytes.append_text(value) : bytes.append_null();
      const auto at = has_value ? state->written_at(slot) : std::nullopt;
      at ? written.append_int64(*at) : written.append_null();
    }
    if (any) {
      values.end_row();
    } else {
      values.abandon_row();
    }
    if (values.full()) add(values);
  }
  add(values);

  BatchBuilder timers{timers_schema()};
  captured->begin({timers_table, kind, 1, timers.schema()});
  for (const TimerDomain domain : {TimerDomain::event_time, TimerDomain::processing_time}) {
    const TimerQueue& queue = impl_->timers(domain);
    for (const KeyTimer& timer : queue.all()) {
      append_key(timer.slot, timers);
      timers.column(keys).append_bool(domain == TimerDomain::processing_time);
      timers.column(keys + 1).append_int64(timer.time.micros);
      timers.column(keys + 2).append_text(queue.name(timer));
      timers.end_row();
      if (timers.full()) add(timers);
    }
  }
  add(timers);
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
  owner_.uses_.resize(std::max<std::size_t>(impl_->keys.slots(), 1));
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

Status KeyedRuntime::restore_values(const Batch& rows, const std::string& what) {
  const std::size_t keys = impl_->types.size();
  for (std::uint32_t row = 0; row < rows.rows(); ++row) {
    const std::uint32_t slot = slot_of_row(rows, row);
    if (shape_ == KeyShape::none && owner_.uses_[0] != 0) {
      return fail(ErrorCode::invalid_argument, what +
                                                   " of a function without key can only be given back to as many "
                                                   "subtasks: set its parallelism back");
    }
    for (std::size_t i = 0; i < owner_.states_.size(); ++i) {
      const Column& value = rows.column(keys + 2 * i);
      const Column& written = rows.column(keys + 2 * i + 1);
      if (value.is_null(row)) continue;
      StateBase* state = owner_.states_[i];
      if (!state->decode(slot, value.text(row))) {
        return fail(ErrorCode::malformed_data, "the value of \"" + state->name() + "\" has another type");
      }
      if (!written.is_null(row)) state->set_written_at(slot, written.as<std::int64_t>()[row]);
    }
  }
  return {};
}

Status KeyedRuntime::restore_timers(const Batch& rows) {
  const std::size_t keys = impl_->types.size();
  for (std::uint32_t row = 0; row < rows.rows(); ++row) {
    slot_of_row(rows, row);
    const bool processing = rows.column(keys).as<std::uint8_t>()[row] != 0;
    set_timer(processing ? TimerDomain::processing_time : TimerDomain::event_time,
              Timestamp{rows.column(keys + 1).as<std::int64_t>()[row]}, rows.column(keys + 2).text(row));
  }
  return {};
}

Status KeyedRuntime::restore(StateReader& state) {
  for (const char* name : {values_table, timers_table}) {
    const StateDescription* written = state.find(name);
    if (written == nullptr) continue;
    if (Status declared = check_declared(*written); !declared) return declared;
  }
  const Status values = state.read(values_table, values_schema(), [this](std::uint32_t, const BatchPtr& rows) {
    return restore_values(*rows, "the state");
  });
  if (!values) return values;
  return state.read(timers_table, timers_schema(),
                    [this](std::uint32_t, const BatchPtr& rows) { return restore_timers(*rows); });
}

}  // namespace dataflow

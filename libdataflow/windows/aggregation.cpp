#include "libdataflow/windows/aggregation.hpp"

#include <algorithm>
#include <cassert>

#include "libdataflow/state/stored_table.hpp"

namespace dataflow::windows {

Aggregation::Aggregation(const std::vector<WindowAggregate>& aggregates) {
  for (const WindowAggregate& aggregate : aggregates) {
    std::vector<std::size_t> calls;
    std::vector<Field> fields;
    for (const AggregateCall& call : aggregate.expression.calls) {
      fields.push_back({"$" + std::to_string(calls.size()), call.result_type});
      calls.push_back(add_call(call));
    }
    outputs_.push_back({aggregate.name, aggregate.expression.result, std::move(calls), make_schema(std::move(fields))});
  }
  std::size_t offset = 0;
  for (Call& call : calls_) {
    call.accumulator->place(offset);
    offset += call.accumulator->state_bytes();
    if (call.accumulator->owns_memory()) owners_.push_back(call.accumulator.get());
  }
  initial_.resize(offset);
  for (const Call& call : calls_) call.accumulator->init(initial_.data() + call.accumulator->offset());
}

/// Equal expressions are evaluated once.
std::optional<std::size_t> Aggregation::add_input(const std::optional<Expression>& expression) {
  if (!expression) return std::nullopt;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (inputs_[i].expression.text() == expression->text() && inputs_[i].expression.type() == expression->type())
      return i;
  }
  inputs_.push_back({*expression, {}});
  return inputs_.size() - 1;
}

std::size_t Aggregation::add_call(const AggregateCall& call) {
  calls_.push_back({call, make_accumulator(call), add_input(call.argument), add_input(call.filter)});
  return calls_.size() - 1;
}

void Aggregation::load(const Batch& batch, Timestamp processing_time) {
  loaded_states_ = nullptr;
  eval_.processing_time = processing_time;
  for (Input& input : inputs_) {
    input.value.clear();
    input.value.push_back(input.expression.evaluate(batch, eval_));
  }
}

bool Aggregation::combines() const {
  return owners_.empty() && std::none_of(calls_.begin(), calls_.end(),
                                         [](const Call& call) { return call.accumulator->depends_on_order(); });
}

void Aggregation::load_states(const std::byte* first, std::size_t width) {
  loaded_states_ = first;
  loaded_width_ = width;
}

std::vector<RowError> Aggregation::failed_records() const {
  std::vector<RowError> failed;
  const auto add = [&](const Call& call, const RowError& error) {
    failed.push_back({error.row, call.description.text + ": " + error.message});
  };
  for (const Call& call : calls_) {
    const EvalResult* const filter = call.filter ? &inputs_[*call.filter].value.front() : nullptr;
    if (filter != nullptr) {
      for (const RowError& error : filter->errors) add(call, error);
    }
    if (!call.argument) continue;
    for (const RowError& error : inputs_[*call.argument].value.front().errors) {
      const bool dropped = filter != nullptr &&
                           (filter->column->is_null(error.row) || filter->column->as<std::uint8_t>()[error.row] == 0);
      if (!dropped) add(call, error);
    }
  }
  std::stable_sort(failed.begin(), failed.end(), [](const RowError& x, const RowError& y) { return x.row < y.row; });
  failed.erase(
      std::unique(failed.begin(), failed.end(), [](const RowError& x, const RowError& y) { return x.row == y.row; }),
      failed.end());
  return failed;
}

Status Aggregation::fold_call(const Call& call, const StateRows& all, Fold fold) {
  StateRows records = all;
  const auto choose = [&](auto&& keep) {
    std::size_t n = 0;
    chosen_states_.resize(std::max(chosen_states_.size(), records.count));
    chosen_rows_.resize(std::max(chosen_rows_.size(), records.count));
    records.for_each([&](std::byte* states, std::size_t row) {
      chosen_states_[n] = states;
      chosen_rows_[n] = static_cast<std::uint32_t>(row);
      n += keep(row) ? 1 : 0;
    });
    records.states = chosen_states_.data();
    records.rows = chosen_rows_.data();
    records.count = n;
  };
  if (call.filter) {
    // Without a branch: whether a record passes cannot be foreseen.
    const Column& pass = *inputs_[*call.filter].value.front().column;
    const std::uint8_t* values = pass.as<std::uint8_t>().data();
    if (pass.has_nulls()) {
      choose([values, bits = pass.validity_bits()](std::size_t row) { return (values[row] != 0) & bit_at(bits, row); });
    } else {
      choose([values](std::size_t row) { return values[row] != 0; });
    }
  }
  const Column* argument = nullptr;
  if (call.argument) {
    argument = inputs_[*call.argument].value.front().column.get();
    if (argument->has_nulls()) {
      choose([bits = argument->validity_bits()](std::size_t row) { return bit_at(bits, row); });
    }
  }
  if ((*call.accumulator.*fold)(records, argument)) return {};
  return overflow(call);
}

Status Aggregation::overflow(const Call& call) {
  return fail(ErrorCode::arithmetic, call.description.text + " overflows " + to_string(call.description.result_type) +
                                         "; cast its argument to float64, or use a smaller window");
}

Status Aggregation::update(const StateRows& records) {
  if (loaded_states_ != nullptr) return merge_loaded(records);
  for (const Call& call : calls_) {
    if (auto status = fold_call(call, records, &Accumulator::update); !status) return status;
  }
  return {};
}

Status Aggregation::merge_loaded(const StateRows& rows) {
  merged_from_.resize(std::max(merged_from_.size(), rows.count));
  const std::byte** to = merged_from_.data();
  rows.for_each([&](std::byte*, std::size_t row) { *to++ = loaded_states_ + row * loaded_width_; });
  return merge(rows.states, merged_from_.data(), rows.count);
}

std::optional<std::string> Aggregation::irrevocable() const {
  for (const Call& call : calls_) {
    if (!call.accumulator->can_retract()) return call.description.text;
  }
  return std::nullopt;
}

Status Aggregation::retract(const StateRows& records) {
  for (const Call& call : calls_) {
    if (auto status = fold_call(call, records, &Accumulator::retract); !status) return status;
  }
  return {};
}

Status Aggregation::merge(std::byte* const* into, const std::byte* const* from, std::size_t count) const {
  for (const Call& call : calls_) {
    if (!call.accumulator->merge(into, from, count)) return overflow(call);
  }
  return {};
}

namespace {

/// In front of every saved state: a version, and the type of what is aggregated.
constexpr std::size_t saved_header_bytes = 4;
constexpr char saved_version = 1;

void append_header(const DataType& argument, std::string& out) {
  out += saved_version;
  out += static_cast<char>(argument.kind());
  out += static_cast<char>(argument.precision());
  out += static_cast<char>(argument.scale());
}

DataType argument_type(const AggregateCall& call) {
  return call.argument ? call.argument->type() : DataType{TypeKind::boolean};
}

}  // namespace

std::vector<Field> Aggregation::saved_fields() const {
  std::vector<Field> fields;
  for (const Call& call : calls_) {
    std::string name = "agg:" + call.description.text;
    // A call that two output columns make has two states.
    const auto same = std::count_if(fields.begin(), fields.end(),
                                    [&](const Field& f) { return f.name == name || f.name.starts_with(name + "#"); });
    if (same != 0) name += "#" + std::to_string(same + 1);
    fields.push_back({std::move(name), TypeKind::bytes});
  }
  return fields;
}

void Aggregation::save(const std::byte* states, ColumnBuilder* const* columns) const {
  std::string bytes;
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    bytes.clear();
    append_header(argument_type(calls_[i].description), bytes);
    calls_[i].accumulator->save(states, bytes);
    columns[i]->append_text(bytes);
  }
}

Status Aggregation::load(const Batch& saved, std::size_t first, std::uint32_t row, std::byte* states) const {
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    const Column& column = saved.column(first + i);
    if (column.is_null(row)) continue;
    if (Status loaded = load_call(calls_[i], column.text(row), states); !loaded) return loaded;
  }
  return {};
}

Status Aggregation::load_call(const Call& call, std::string_view saved, std::byte* states) {
  std::string header;
  append_header(argument_type(call.description), header);
  if (saved.size() < saved_header_bytes || saved[0] != saved_version) {
    return fail(ErrorCode::malformed_data, call.description.text + ": its state has an unknown format");
  }
  if (saved.substr(0, saved_header_bytes) != header) {
    return fail(ErrorCode::invalid_argument, call.description.text + " was computed over another type than " +
                                                 to_string(argument_type(call.description)) +
                                                 "; give the window another uid to begin anew");
  }
  if (call.accumulator->load(saved.substr(saved_header_bytes), states)) return {};
  return fail(ErrorCode::malformed_data, call.description.text + ": its state is damaged");
}

std::optional<DataType> Aggregation::saved_argument_type(std::string_view saved) {
  if (saved.size() < saved_header_bytes || saved[0] != saved_version) return std::nullopt;
  const auto kind = static_cast<TypeKind>(saved[1]);
  if (kind == TypeKind::decimal) {
    return DataType::decimal(static_cast<std::uint8_t>(saved[2]), static_cast<std::uint8_t>(saved[3]));
  }
  return DataType{kind};
}

void Aggregation::save(const std::byte* states, std::string& out) const {
  for (const Call& call : calls_) {
    out += '\1';
    const std::size_t at = out.size();
    out.append(sizeof(std::uint32_t), '\0');
    append_header(argument_type(call.description), out);
    call.accumulator->save(states, out);
    const auto length = static_cast<std::uint32_t>(out.size() - at - sizeof(std::uint32_t));
    std::memcpy(out.data() + at, &length, sizeof length);
  }
}

Status Aggregation::load(std::string_view saved, std::byte* states) const {
  StoredFields fields{saved};
  for (const Call& call : calls_) {
    const auto bytes = fields.text();
    if (!fields.ok()) return fail(ErrorCode::malformed_data, "the states of a group are damaged");
    if (!bytes) continue;
    if (Status loaded = load_call(call, *bytes, states); !loaded) return loaded;
  }
  return {};
}

void Aggregation::reset(std::byte* states) const {
  release(states);
  std::memcpy(states, initial_.data(), initial_.size());
}

void Aggregation::release(std::byte* states) const {
  for (const Accumulator* owner : owners_) owner->release(states);
}

void Aggregation::own_copy(std::byte* states) const {
  std::string bytes;
  for (const Accumulator* owner : owners_) {
    bytes.clear();
    owner->save(states, bytes);
    owner->init(states + owner->offset());
    const bool same = owner->load(bytes, states);
    assert(same);
    static_cast<void>(same);
  }
}

ColumnPtr Aggregation::call_results(const AggregateCall& description, const Accumulator& accumulator,
                                    std::span<const std::byte* const> states,
                                    std::map<std::uint32_t, std::string>& errors) {
  ColumnBuilder all{description.result_type, states.size()};
  if (accumulator.append_results(states.data(), states.size(), all)) return all.finish();
  // One by one, to know which.
  ColumnBuilder good{description.result_type, states.size()};
  for (std::uint32_t row = 0; row < states.size(); ++row) {
    ColumnBuilder alone{description.result_type, 1};
    if (accumulator.append_results(&states[row], 1, alone)) {
      static_cast<void>(accumulator.append_results(&states[row], 1, good));
      continue;
    }
    good.append_null();
    errors.try_emplace(row, description.text + " does not fit " + to_string(description.result_type) +
                                "; cast its argument to float64, or use a smaller window");
  }
  return good.finish();
}

Aggregation::Results Aggregation::results(std::span<const std::byte* const> states, Timestamp processing_time) {
  eval_.processing_time = processing_time;
  Results results;
  std::map<std::uint32_t, std::string> errors;  // by row: the first
  for (const OutputColumn& output : outputs_) {
    std::vector<ColumnPtr> values;
    for (const std::size_t i : output.calls) {
      values.push_back(call_results(calls_[i].description, *calls_[i].accumulator, states, errors));
    }
    if (const auto field = output.result.as_field()) {
      results.columns.push_back(values[*field]);
      continue;
    }
    const Batch batch{output.schema, static_cast<std::uint32_t>(states.size()), std::move(values)};
    EvalResult result = output.result.evaluate(batch, eval_);
    for (const RowError& error : result.errors) {
      errors.try_emplace(error.row, "aggregate \"" + output.name + "\": " + error.message);
    }
    results.columns.push_back(std::move(result.column));
  }
  for (auto& [row, message] : errors) results.errors.push_back({row, std::move(message)});
  return results;
}

}  // namespace dataflow::windows

#include "libdataflow/ranking/top_operator.hpp"

#include "libdataflow/state/state_backend.hpp"

namespace dataflow {

namespace {

/// Its name says what else must be the same for the state to be of use.
std::string name_of_state(const TopSpec& spec, const Schema& input) {
  std::string name = "top";
  for (const std::size_t field : spec.key_fields) name += "," + input[field].name;
  return name;
}

/// The rows of a table: the input's fields, then when it was, its number, and when the key was seen last.
SchemaPtr rows_schema(const Schema& input, const std::string& prefix, const std::string& seen) {
  std::vector<Field> fields;
  for (const Field& field : input.fields()) fields.push_back({prefix + field.name, field.type});
  fields.push_back({prefix + "top.event_time", TypeKind::timestamp});
  fields.push_back({prefix + "top.sequence", TypeKind::int64});
  fields.push_back({seen, TypeKind::timestamp});
  return make_schema(std::move(fields));
}

}  // namespace

Top::Top(const TopSpec& spec, SchemaPtr input)
    : spec_{spec},
      input_{std::move(input)},
      form_{*input_, spec_.order},
      kept_{name_of_state(spec_, *input_), form_, spec_},
      runtime_{kept_, spec_.key_fields, key_types(), KeyShape::composite},
      results_{top_output_schema(spec_, *input_)} {}

std::vector<DataType> Top::key_types() const {
  std::vector<DataType> types;
  for (const std::size_t field : spec_.key_fields) types.push_back((*input_)[field].type);
  return types;
}

Status Top::open(OperatorContext& context) {
  context_ = &context;
  runtime_.set_now(context.now());
  const StateBackendPtr backend = context.state_backend();
  in_store_ = backend != nullptr;
  return backend ? runtime_.use_backend(backend, context.max_parallelism()) : Status{};
}

Result<CapturedStatePtr> Top::snapshot() {
  runtime_.set_now(context_->now());
  return runtime_.snapshot(context_->max_parallelism());
}

Status Top::restore(StateReader& state) {
  const std::string& name = kept_.rows.name();
  const StateDescription* const written = state.find("values");
  if (written != nullptr && !written->schema->find("written:" + name)) {
    return fail(ErrorCode::invalid_argument,
                "the top had another key: \"" + name + "\" is not in its state; give it another uid to begin anew");
  }
  runtime_.set_now(context_->now());
  if (Status restored = restore_groups(state); !restored) return restored;
  // As it was written before it could be in a store.
  return read_rows(state, "rows", rows_schema(*input_, "", "top.seen"), &Top::take_in);
}

Status Top::read_rows(StateReader& state, Use use) {
  return read_rows(state, "values", rows_schema(*input_, "row:", "written:" + kept_.rows.name()), use);
}

/// Calls `use` for each row, with its key selected.
Status Top::read_rows(StateReader& state, const char* table, const SchemaPtr& schema, Use use) {
  return state.read(table, schema, [&](std::uint32_t, const BatchPtr& rows) -> Status {
    const auto slots = runtime_.begin_batch(*rows, context_->now());  // the key's fields are where the input has them
    if (!slots) return fail(slots.error());
    for (std::uint32_t row = 0; row < rows->rows(); ++row) {
      runtime_.select((*slots)[row]);
      (this->*use)(*rows, row);
    }
    return runtime_.end_batch();
  });
}

void Top::take_in(const Batch& rows, std::uint32_t row) {
  entering(rows, row);
  const std::size_t own = input_->size();
  const Timestamp time{rows.column(own).as<std::int64_t>()[row]};
  const auto number = static_cast<std::uint64_t>(rows.column(own + 1).as<std::int64_t>()[row]);
  const Column& seen = rows.column(own + 2);
  fields_.clear();
  form_.append_fields(rows, row, time, number, fields_);
  kept_.rows.decode(runtime_.slot(), fields_);
  if (!seen.is_null(row)) kept_.rows.set_written_at(runtime_.slot(), seen.as<std::int64_t>()[row]);
}

Top::Placed Top::place(const Batch& batch, std::uint32_t row) {
  RankedState& state = kept_.rows;
  const RankedRows* const before = state.get();
  // Only rows of one key are compared: each key counts its own.
  const std::uint64_t number = before == nullptr ? 0 : before->next_number;
  form_.order_of(batch, row, number, order_);
  const std::size_t rank = before == nullptr ? 0 : before->rank_of(order_);
  const RowLimit limit = limit_of(spec_);
  if (before != nullptr && !before->lets_in(rank, order_, limit)) {
    state.touch();
    return {};
  }
  RankedRows& kept = state.put();
  kept.next_number = number + 1;
  Placed placed{&kept, rank, {}};
  if (const std::size_t beyond = kept.first_beyond(rank, limit); beyond != kept.rows.size()) {
    placed.dropped = std::move(kept.rows.back());
    kept.rows.resize(beyond);
  }
  RankedRow& entered = *kept.rows.emplace(kept.rows.begin() + static_cast<std::ptrdiff_t>(rank));
  entered.order_bytes = static_cast<std::uint32_t>(order_.size());
  form_.append_fields(batch, row, batch.timestamp(row), number, order_);
  entered.bytes = order_;
  return placed;
}

void Top::add_removed(const RankedRow& row) {
  const Timestamp time = form_.restore(row, results_);
  end_result(time, has_time_, RowKind::remove);
}

void Top::add_result(const RankedRow& row, std::size_t rank, RowKind kind) {
  const Timestamp time = form_.restore(row, results_);
  if (!spec_.rank.empty()) results_.column(input_->size()).append_int64(static_cast<std::int64_t>(rank) + 1);
  // Rows of a checkpoint behind which none came have their time, too.
  end_result(time, has_time_ || time != Timestamp::min(), kind);
}

void Top::end_result(Timestamp time, bool has_time, RowKind kind) {
  if (has_time) {
    results_.end_row(time, kind);
  } else {
    results_.end_row(kind);
  }
}

}  // namespace dataflow

// window(...).aggregate<R>(pieces...): the pieces become a WindowSpec for the built-in window operators, whose result
// columns are then put into R's order.

#include <algorithm>

#include "dataflow/plan.hpp"
#include "libdataflow/api/adapted_operator.hpp"
#include "libdataflow/operators/combines_input.hpp"
#include "libdataflow/operators/keeps_keys.hpp"
#include "libdataflow/windows/window_type.hpp"

namespace dataflow {

namespace {

/// The columns `fields` under another schema.
class ArrangedColumns final : public BatchAdapter {
 public:
  ArrangedColumns(const std::vector<std::size_t>& fields, SchemaPtr schema)
      : fields_{fields}, schema_{std::move(schema)} {}
  Result<BatchPtr> adapt(const BatchPtr& batch) override {
    std::vector<ColumnPtr> columns;
    columns.reserve(fields_.size());
    for (const std::size_t field : fields_) columns.push_back(batch->columns()[field]);
    return batch->with_columns(schema_, std::move(columns));
  }

 private:
  const std::vector<std::size_t>& fields_;
  SchemaPtr schema_;
};

class ArrangedWindowFactory final : public OperatorFactory, public CombinesInput, public KeepsKeys {
 public:
  ArrangedWindowFactory(OperatorFactoryPtr window, std::vector<std::size_t> fields, SchemaPtr schema)
      : window_{std::move(window)}, fields_{std::move(fields)}, schema_{std::move(schema)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<AdaptedOperator>(window_->create(), std::make_unique<ArrangedColumns>(fields_, schema_));
  }
  [[nodiscard]] std::optional<FieldUse> field_use() const override { return window_->field_use(); }
  [[nodiscard]] std::vector<std::vector<std::size_t>> keys_in_output() const override {
    const auto* window = dynamic_cast<const KeepsKeys*>(window_.get());
    std::vector<std::vector<std::size_t>> keys;
    if (window != nullptr) keys = window->keys_in_output();
    for (std::vector<std::size_t>& key : keys) {
      for (std::size_t& field : key) {
        const auto arranged = std::find(fields_.begin(), fields_.end(), field);
        if (arranged == fields_.end()) return {};
        field = static_cast<std::size_t>(arranged - fields_.begin());
      }
    }
    return keys;
  }
  [[nodiscard]] std::optional<Combiner> combiner(Duration keeps_for) const override {
    const auto* window = dynamic_cast<const CombinesInput*>(window_.get());
    return window != nullptr ? window->combiner(keeps_for) : std::nullopt;
  }

 private:
  OperatorFactoryPtr window_;
  std::vector<std::size_t> fields_;
  SchemaPtr schema_;
};

/// Translates the pieces; collects the mistakes.
class Pieces {
 public:
  Pieces(Plan& plan, const StreamInfo& stream, const RecordInfo& input, std::span<const std::uint16_t> positions,
         const RecordInfo& result, const Plan::Place& where)
      : plan_{plan},
        stream_{stream},
        input_{input},
        positions_{positions},
        result_{result},
        where_{where},
        filled_(result.schema->size(), false) {}

  /// Adds the aggregates to the spec. Nothing when there are mistakes.
  std::optional<std::vector<std::string>> translate(std::span<const AggregatePiece> pieces, WindowSpec& spec) {
    names_.resize(result_.schema->size());
    for (const AggregatePiece& piece : pieces) add(piece, spec);
    for (std::size_t i = 0; i < filled_.size(); ++i) {
      if (!filled_[i]) mistake("no piece fills \"" + (*result_.schema)[i].name + "\" of " + std::string{result_.name});
    }
    return good_ ? std::optional{std::move(names_)} : std::nullopt;
  }

 private:
  void mistake(std::string message) {
    good_ = false;
    plan_.mistake(where_, std::move(message));
  }

  void add(const AggregatePiece& piece, WindowSpec& spec) {
    if (piece.output_field >= filled_.size()) {
      return mistake("a piece fills a member that DATAFLOW_RECORD(" + std::string{result_.name} +
                     ", ...) does not name");
    }
    const Field& out = (*result_.schema)[piece.output_field];
    if (filled_[piece.output_field]) return mistake("two pieces fill \"" + out.name + "\"");
    filled_[piece.output_field] = true;
    switch (piece.kind) {
      case AggregatePiece::Kind::key: return add_key(piece, out);
      case AggregatePiece::Kind::window_start:
      case AggregatePiece::Kind::window_end:
        if (!has_window_bounds(spec.kind)) return mistake("count and global windows have neither start nor end");
        names_[piece.output_field] = piece.kind == AggregatePiece::Kind::window_start ? "window_start" : "window_end";
        return;
      case AggregatePiece::Kind::call: return add_call(piece, out, spec);
    }
  }

  void add_key(const AggregatePiece& piece, const Field& out) {
    if (next_key_ == stream_.key_fields.size()) return mistake("there are more key(...) pieces than keys");
    const Field& key = (*stream_.schema)[stream_.key_fields[next_key_++]];
    check_type(key.type, out, "the key");
    names_[piece.output_field] = key.name;
  }

  void add_call(const AggregatePiece& piece, const Field& out, WindowSpec& spec) {
    std::string text = piece.function + "(";
    if (piece.input_field != SIZE_MAX) {
      if (piece.input_field >= positions_.size()) {
        return mistake("a piece reads a member that DATAFLOW_RECORD(" + std::string{input_.name} +
                       ", ...) does not name");
      }
      text += "\"" + (*stream_.schema)[positions_[piece.input_field]].name + "\"";
    }
    text += ")";
    auto compiled = compile_aggregate(text, *stream_.schema);
    if (!compiled) return mistake(text + ": " + compiled.error().message);
    check_type(compiled->result.type(), out, text);
    // Apart from the names of keys and bounds.
    const std::string name = "$" + out.name;
    names_[piece.output_field] = name;
    spec.aggregates.push_back({name, std::move(*compiled)});
  }

  void check_type(const DataType& type, const Field& out, const std::string& what) {
    if (type == out.type) return;
    mistake(what + " is " + to_string(type) + ", but \"" + out.name + "\" of " + std::string{result_.name} + " is " +
            to_string(out.type));
  }

  Plan& plan_;
  const StreamInfo& stream_;
  const RecordInfo& input_;
  std::span<const std::uint16_t> positions_;
  const RecordInfo& result_;
  const Plan::Place& where_;
  std::vector<bool> filled_;
  std::vector<std::string> names_;  ///< for each field of the result, of the window's column
  std::size_t next_key_ = 0;
  bool good_ = true;
};

}  // namespace

NodeId add_piecewise_window(Plan& plan, const StreamInfo& stream, WindowDraft window, const RecordInfo& input,
                            std::span<const std::uint16_t> positions, std::span<const AggregatePiece> pieces,
                            const RecordInfo& result, const Plan::Place& where) {
  bool good = check_window_draft(plan, stream, window);
  if (auto status = check_window(window.spec); !status && status.error().code() == ErrorCode::unsupported) {
    plan.mistake(window.where, status.error().message());
    good = false;
  }
  window.spec.key_fields = stream.key_fields;
  const auto names = Pieces{plan, stream, input, positions, result, where}.translate(pieces, window.spec);
  good = good && names.has_value();

  NodeDraft draft{.type = "window", .stateful = true};
  draft.keyed = !stream.key_fields.empty();
  draft.single = !draft.keyed;
  draft.outputs = {{.name = {},
                    .schema = result.schema,
                    .event_time = window_results_have_time(window.spec.kind, window.spec.time, stream.event_time),
                    .changelog = stream.changelog},
                   {.name = window.late_output,
                    .schema = stream.schema,
                    .event_time = stream.event_time,
                    .changelog = stream.changelog}};
  draft.sorted_in_batch = growth_when_sorted(window.spec);
  if (good) {
    const auto schema = window_output_schema(window.spec, *stream.schema);
    if (schema) {
      std::vector<std::size_t> fields;
      for (const std::string& name : *names) fields.push_back(*(*schema)->find(name));
      draft.factory = std::make_shared<ArrangedWindowFactory>(
          make_window_operator(std::move(window.spec), stream.schema), std::move(fields), result.schema);
    } else {
      plan.mistake(where, schema.error().message());
    }
  }
  return plan.add(std::move(draft), &stream, where);
}

}  // namespace dataflow

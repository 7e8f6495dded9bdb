#include "libdataflow/operators/filter.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "libdataflow/operators/operator_types.hpp"
#include "libdataflow/operators/row_errors.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

namespace {

/// The condition that a message has set, and the one of the job that it took the place of. Every subtask has the same.
constexpr const char* condition_table = "condition";

const SchemaPtr& condition_schema() {
  static const SchemaPtr schema = make_schema({{"set", TypeKind::string}, {"instead_of", TypeKind::string}});
  return schema;
}

class Filter final : public Operator {
 public:
  Filter(Expression where, SchemaPtr input, RowErrors errors, std::vector<std::size_t> not_copied)
      : where_{std::move(where)},
        planned_{where_.text()},
        input_{std::move(input)},
        errors_{errors},
        not_copied_{std::move(not_copied)} {}

  Status open(OperatorContext& context) override {
    context_ = &context;
    errors_.open(context);
    filtered_ = &context.counter("filtered");
    return {};
  }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    selected_.clear();
    failed_.clear();
    eval_.processing_time = context_->now();
    newest_ = batch;
    if (unchecked_) use_unchecked();
    where_.select(*batch, eval_, selected_, failed_);
    if (auto status = errors_.handle(*batch, failed_, out); !status) return fail(status.error());
    filtered_->add(batch->rows() - selected_.size() - failed_.size());
    if (selected_.size() == batch->rows()) {
      out.emit(without_unread(batch));  // nothing was filtered: the columns themselves go on
    } else if (!selected_.empty()) {
      out.emit(without_unread(batch)->select_rows(selected_));
    }
    return Step::done;
  }

  Result<std::string> receive(std::string_view message, std::string_view json) override {
    if (message != "set") return Operator::receive(message, json);
    const auto settings = nlohmann::json::parse(json, nullptr, false);
    const bool understood =
        settings.is_object() && settings.size() == 1 && settings.contains("where") && settings["where"].is_string();
    if (!understood) return fail(ErrorCode::invalid_argument, "a filter is set by {\"where\": \"a condition\"}");
    auto where = compile(settings["where"]);
    if (!where) return fail(where.error());
    if (!newest_) {
      unchecked_ = std::move(*where);
      return settings.dump();
    }
    if (const auto missing = first_unread(*where)) {
      return fail(ErrorCode::invalid_argument,
                  "nothing in the running job reads \"" + (*input_)[*missing].name +
                      "\" from here on, so it is left out; submit the job with the new condition");
    }
    where_ = std::move(*where);
    return settings.dump();
  }

  Result<CapturedStatePtr> snapshot() override {
    auto state = std::make_unique<CopiedState>();
    state->begin({condition_table, StateKind::broadcast, 1, condition_schema()});
    const std::string& now = unchecked_ ? unchecked_->text() : where_.text();
    if (now != planned_) {
      BatchBuilder rows{condition_schema()};
      rows.column(0).append_text(now);
      rows.column(1).append_text(planned_);
      rows.end_row();
      state->add(rows.finish());
    }
    return state;
  }

  /// A job with another condition than the one that was changed begins with its own.
  Status restore(StateReader& state) override {
    return state.read(condition_table, condition_schema(), [&](std::uint32_t, const BatchPtr& rows) -> Status {
      for (std::uint32_t row = 0; row < rows->rows(); ++row) {
        if (rows->column(1).text(row) != planned_) continue;
        auto where = compile(std::string{rows->column(0).text(row)});
        if (!where) return fail(where.error().within("the condition that a message has set"));
        unchecked_ = std::move(*where);
      }
      return {};
    });
  }

 private:
  /// The batch without the values that nobody reads of the rows that pass: they need not be copied (benchmark
  /// nexmark_q8). Every batch, so that a filter behind this one knows by any of them what it may be set to read.
  [[nodiscard]] BatchPtr without_unread(const BatchPtr& batch) const {
    const auto has_none_of_it = [&](std::size_t field) { return is_unread(batch->column(field)); };
    if (std::all_of(not_copied_.begin(), not_copied_.end(), has_none_of_it)) return batch;  // the source left it out
    std::vector<ColumnPtr> columns = batch->columns();
    for (const std::size_t field : not_copied_) {
      columns[field] = unread_column(columns[field]->type, batch->rows());
    }
    return batch->with_columns(batch->schema(), std::move(columns));
  }

  [[nodiscard]] Result<Expression> compile(const std::string& text) const {
    auto where = Expression::compile(text, *input_);
    if (!where) {
      const std::string& suggestion = where.error().suggestion;
      return fail(ErrorCode::invalid_argument, where.error().message + (suggestion.empty() ? "" : "; " + suggestion));
    }
    if (where->type().kind() != TypeKind::boolean) {
      return fail(ErrorCode::invalid_argument, "a condition must be bool, this is " + to_string(where->type()));
    }
    return std::move(*where);
  }

  /// The job may have been planned without fields that its first condition does not read.
  [[nodiscard]] std::optional<std::size_t> first_unread(const Expression& where) const {
    for (const std::size_t field : where.fields_used()) {
      if (is_unread(newest_->column(field))) return field;
    }
    return std::nullopt;
  }

  /// One that came before the first record. Where the job does not decode what it reads, the condition stays what it
  /// is, and that is counted.
  void use_unchecked() {
    if (first_unread(*unchecked_)) {
      context_->counter("conditions_ignored").add(1);
    } else {
      where_ = std::move(*unchecked_);
    }
    unchecked_.reset();
  }

  Expression where_;
  std::string planned_;  ///< the job's condition
  SchemaPtr input_;
  RowErrors errors_;
  std::vector<std::size_t> not_copied_;  ///< fields
  OperatorContext* context_ = nullptr;
  std::optional<Expression> unchecked_;  ///< set before there was a record to see whether its fields are decoded
  Counter* filtered_ = nullptr;
  EvalContext eval_;
  BatchPtr newest_;                      ///< shows which fields are decoded
  std::vector<std::uint32_t> selected_;  // scratch, kept for its capacity
  std::vector<RowError> failed_;
};

class FilterFactory final : public OperatorFactory {
 public:
  FilterFactory(Expression where, SchemaPtr input, RowErrors errors)
      : where_{std::move(where)}, input_{std::move(input)}, errors_{errors} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<Filter>(where_, input_, errors_, not_copied_);
  }
  void copy_only(const std::vector<bool>& fields) {
    not_copied_.clear();
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (!fields[i]) not_copied_.push_back(i);
    }
  }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    if (errors_.hands_on()) return std::nullopt;
    return FieldUse{.reads = where_.fields_used(), .passing_outputs = {0}};
  }

 private:
  Expression where_;
  SchemaPtr input_;
  RowErrors errors_;
  std::vector<std::size_t> not_copied_;  ///< fields
};

void build_filter(NodeBuilder& builder) {
  const std::string text = builder.settings().text("where");
  const auto where = builder.compile("where", text);
  if (!where) return;
  if (where->type().kind() != TypeKind::boolean) {
    builder.error("where", "a condition must be bool, this is " + to_string(where->type()));
    return;
  }
  const InputInfo& input = builder.inputs()[0];
  StreamNode& node = builder.node();
  node.details = text;
  node.outputs = {{.schema = input.schema, .event_time = input.event_time, .changelog = input.changelog}};
  declare_error_output(builder);
  node.factory = make_filter(*where, input.schema, parse_error_policy(builder.settings().text("on_error")));
}

}  // namespace

OperatorFactoryPtr make_filter(Expression where, SchemaPtr input, ErrorPolicy policy, std::size_t errors_output) {
  return std::make_shared<FilterFactory>(std::move(where), std::move(input), RowErrors{policy, errors_output});
}

OperatorFactoryPtr filter_for_readers(const OperatorFactory& filter, const std::vector<bool>& fields_read) {
  const auto* known = dynamic_cast<const FilterFactory*>(&filter);
  if (known == nullptr) return nullptr;
  auto copy = std::make_shared<FilterFactory>(*known);
  copy->copy_only(fields_read);
  return copy;
}

NodeType filter_type() {
  return {.name = "filter",
          .role = NodeRole::transform,
          .summary = "The rows for which a condition is true.",
          .options = {{.name = "where",
                       .kind = OptionKind::expression,
                       .help = "The condition; rows for which it is false or NULL are dropped.",
                       .example = "\"temperature > 25 AND city IS NOT NULL\"",
                       .required = true,
                       .changeable = true},
                      on_error_option()},
          .side_outputs = {},
          .example = "[operators.hot]\ntype  = \"filter\"\ninput = \"readings\"\nwhere = \"temperature > 25\"\n",
          .build = build_filter};
}

}  // namespace dataflow

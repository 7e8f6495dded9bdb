#include "libdataflow/operators/select.hpp"

#include <algorithm>
#include <iterator>

#include "libdataflow/operators/operator_types.hpp"
#include "libdataflow/operators/row_errors.hpp"

namespace dataflow {

namespace {

class Select final : public Operator {
 public:
  Select(std::vector<Expression> expressions, SchemaPtr output, RowErrors errors)
      : expressions_{std::move(expressions)}, output_{std::move(output)}, errors_{errors} {
    for (const Expression& expression : expressions_) passed_on_.push_back(expression.as_field());
  }

  Status open(OperatorContext& context) override {
    context_ = &context;
    errors_.open(context);
    return {};
  }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    eval_.processing_time = context_->now();
    std::vector<ColumnPtr> columns;
    columns.reserve(expressions_.size());
    std::vector<RowError> failed;
    for (std::size_t i = 0; i < expressions_.size(); ++i) {
      if (passed_on_[i]) {
        columns.push_back(batch->columns()[*passed_on_[i]]);
        continue;
      }
      EvalResult result = expressions_[i].evaluate(*batch, eval_);
      columns.push_back(std::move(result.column));
      if (!result.errors.empty()) merge(failed, std::move(result.errors));
    }
    BatchPtr selected = batch->with_columns(output_, std::move(columns));
    if (!failed.empty()) {
      if (auto status = errors_.handle(*batch, failed, out); !status) return fail(status.error());
      selected = selected->select_rows(rows_without_errors(batch->rows(), failed));
    }
    out.emit(std::move(selected));
    return Step::done;
  }

 private:
  /// Adds `more` to `failed`, ascending, one error a row (the first column's).
  static void merge(std::vector<RowError>& failed, std::vector<RowError> more) {
    std::vector<RowError> both;
    both.reserve(failed.size() + more.size());
    const auto by_row = [](const RowError& a, const RowError& b) { return a.row < b.row; };
    std::set_union(std::make_move_iterator(failed.begin()), std::make_move_iterator(failed.end()),
                   std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()), std::back_inserter(both),
                   by_row);
    failed = std::move(both);
  }

  std::vector<Expression> expressions_;
  std::vector<std::optional<std::size_t>> passed_on_;  ///< for each: the input's field, when it is no more than that
  SchemaPtr output_;
  RowErrors errors_;
  OperatorContext* context_ = nullptr;
  EvalContext eval_;
};

class SelectFactory final : public OperatorFactory {
 public:
  SelectFactory(std::vector<Expression> expressions, SchemaPtr output, RowErrors errors)
      : expressions_{std::move(expressions)}, output_{std::move(output)}, errors_{errors} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<Select>(expressions_, output_, errors_);
  }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    if (errors_.hands_on()) return std::nullopt;
    FieldUse use;
    for (const Expression& expression : expressions_) {
      for (const std::size_t field : expression.fields_used()) use.reads.push_back(field);
    }
    return use;
  }

 private:
  std::vector<Expression> expressions_;
  SchemaPtr output_;
  RowErrors errors_;
};

/// Collects a select's output fields and reports what is wrong with them.
class SelectPlan {
 public:
  explicit SelectPlan(NodeBuilder& builder) : builder_{builder}, input_{*builder.inputs()[0].schema} {}

  /// `fields = { out = "expr" }`: exactly these columns.
  void take_fields() {
    for (const auto& [name, text] : builder_.settings().text_table("fields")) set("fields." + name, name, text);
  }

  /// The input's columns, without those of `drop`, renamed by `rename`, with those of `add` replaced or appended.
  void take_input_with_changes() {
    const Settings& settings = builder_.settings();
    std::vector<bool> dropped(input_.size(), false);
    if (settings.has("drop")) {
      for (const std::string& name : settings.text_list("drop")) {
        if (const auto at = builder_.field("drop", name)) dropped[*at] = true;
      }
    }
    std::vector<std::string> names(input_.size());
    for (std::size_t i = 0; i < input_.size(); ++i) names[i] = input_[i].name;
    if (settings.has("rename")) {
      for (const auto& [old_name, new_name] : settings.text_table("rename")) {
        if (new_name.empty()) {
          failed_ = true;
          builder_.error("rename." + old_name, "the new name of \"" + old_name + "\" is empty");
        }
        if (const auto at = builder_.field("rename." + old_name, old_name)) names[*at] = new_name;
      }
    }
    for (std::size_t i = 0; i < input_.size(); ++i) {
      if (!dropped[i]) set("rename", names[i], quoted(input_[i].name));
    }
    if (settings.has("add")) {
      for (const auto& [name, text] : settings.text_table("add")) set("add." + name, name, text, Existing::replace);
    }
  }

  void finish() {
    if (failed_) return;
    if (fields_.empty()) {
      builder_.error("", "nothing is selected: every column is dropped");
      return;
    }
    const InputInfo& input = builder_.inputs()[0];
    StreamNode& node = builder_.node();
    const SchemaPtr output = make_schema(std::move(fields_));
    for (const Field& field : output->fields()) node.details += (node.details.empty() ? "" : ", ") + field.name;
    node.outputs = {{.schema = output, .event_time = input.event_time, .changelog = input.changelog}};
    declare_error_output(builder_);
    node.factory =
        make_select(std::move(expressions_), output, parse_error_policy(builder_.settings().text("on_error")));
  }

 private:
  enum class Existing : std::uint8_t { refuse, replace };

  static std::string quoted(const std::string& name) {
    std::string text = "\"";
    for (const char c : name) text += c == '"' ? std::string{"\"\""} : std::string{c};
    return text + '"';
  }

  void set(const std::string& path, const std::string& name, const std::string& text,
           Existing existing = Existing::refuse) {
    auto expression = builder_.compile(path, text);
    if (!expression) {
      failed_ = true;
      return;
    }
    const auto same = std::find_if(fields_.begin(), fields_.end(), [&](const Field& f) { return f.name == name; });
    if (same == fields_.end()) {
      fields_.push_back({name, expression->type()});
      expressions_.push_back(std::move(*expression));
    } else if (existing == Existing::replace) {
      same->type = expression->type();
      expressions_[static_cast<std::size_t>(same - fields_.begin())] = std::move(*expression);
    } else {
      failed_ = true;
      builder_.error(path, "two columns would be called \"" + name + "\"");
    }
  }

  NodeBuilder& builder_;
  const Schema& input_;
  std::vector<Field> fields_;
  std::vector<Expression> expressions_;
  bool failed_ = false;
};

void build_select(NodeBuilder& builder) {
  const Settings& settings = builder.settings();
  const bool changes = settings.has("add") || settings.has("drop") || settings.has("rename");
  if (settings.has("fields") == changes) {
    builder.error(changes ? "fields" : "",
                  "a select needs either `fields` (exactly these columns) or `add`, `drop`, `rename` (the input's "
                  "columns with changes)");
    return;
  }
  SelectPlan plan{builder};
  if (changes) {
    plan.take_input_with_changes();
  } else {
    plan.take_fields();
  }
  plan.finish();
}

}  // namespace

OperatorFactoryPtr make_select(std::vector<Expression> expressions, SchemaPtr output, ErrorPolicy policy,
                               std::size_t errors_output) {
  return std::make_shared<SelectFactory>(std::move(expressions), std::move(output), RowErrors{policy, errors_output});
}

NodeType select_type() {
  return {.name = "select",
          .role = NodeRole::transform,
          .summary = "New columns from expressions.",
          .options = {{.name = "fields",
                       .kind = OptionKind::text_table,
                       .help = "Exactly these columns, each an expression over the input's.",
                       .example = "{ city = \"upper(city)\", fahrenheit = \"temperature * 1.8 + 32\" }"},
                      {.name = "add",
                       .kind = OptionKind::text_table,
                       .help = "The input's columns and these; one with an existing name replaces it.",
                       .example = "{ fahrenheit = \"temperature * 1.8 + 32\" }"},
                      {.name = "drop",
                       .kind = OptionKind::text_list,
                       .help = "Columns of the input to leave out.",
                       .example = "[\"raw\"]"},
                      {.name = "rename",
                       .kind = OptionKind::text_table,
                       .help = "New names for columns of the input: old = \"new\".",
                       .example = "{ temp = \"temperature\" }"},
                      on_error_option()},
          .side_outputs = {},
          .example =
              "[operators.metric]\ntype   = \"select\"\ninput  = \"readings\"\nfields = { city = \"upper(city)\", "
              "celsius = \"(fahrenheit - 32) / 1.8\" }\n",
          .build = build_select};
}

}  // namespace dataflow

#include "libdataflow/operators/filter.hpp"

#include "libdataflow/operators/operator_types.hpp"
#include "libdataflow/operators/row_errors.hpp"

namespace dataflow {

namespace {

class Filter final : public Operator {
 public:
  Filter(Expression where, RowErrors errors) : where_{std::move(where)}, errors_{errors} {}

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
    where_.select(*batch, eval_, selected_, failed_);
    if (auto status = errors_.handle(*batch, failed_, out); !status) return fail(status.error());
    filtered_->add(batch->rows() - selected_.size() - failed_.size());
    if (selected_.size() == batch->rows()) {
      out.emit(batch);  // nothing was filtered: the batch itself goes on
    } else if (!selected_.empty()) {
      out.emit(batch->select_rows(selected_));
    }
    return Step::done;
  }

 private:
  Expression where_;
  RowErrors errors_;
  OperatorContext* context_ = nullptr;
  Counter* filtered_ = nullptr;
  EvalContext eval_;
  std::vector<std::uint32_t> selected_;  // scratch, kept for its capacity
  std::vector<RowError> failed_;
};

class FilterFactory final : public OperatorFactory {
 public:
  FilterFactory(Expression where, RowErrors errors) : where_{std::move(where)}, errors_{errors} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<Filter>(where_, errors_); }

 private:
  Expression where_;
  RowErrors errors_;
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
  node.factory = make_filter(*where, parse_error_policy(builder.settings().text("on_error")));
}

}  // namespace

OperatorFactoryPtr make_filter(Expression where, ErrorPolicy policy, std::size_t errors_output) {
  return std::make_shared<FilterFactory>(std::move(where), RowErrors{policy, errors_output});
}

NodeType filter_type() {
  return {.name = "filter",
          .role = NodeRole::transform,
          .summary = "The rows for which a condition is true.",
          .options = {{.name = "where",
                       .kind = OptionKind::expression,
                       .help = "The condition; rows for which it is false or NULL are dropped.",
                       .example = "\"temperature > 25 AND city IS NOT NULL\"",
                       .required = true},
                      on_error_option()},
          .side_outputs = {},
          .example = "[operators.hot]\ntype  = \"filter\"\ninput = \"readings\"\nwhere = \"temperature > 25\"\n",
          .build = build_filter};
}

}  // namespace dataflow

#include "libdataflow/operators/route.hpp"

#include "libdataflow/operators/operator_types.hpp"
#include "libdataflow/operators/row_errors.hpp"

namespace dataflow {

namespace {

class Route final : public Operator {
 public:
  Route(std::vector<Expression> routes, RowErrors errors) : routes_{std::move(routes)}, errors_{errors} {}

  Status open(OperatorContext& context) override {
    context_ = &context;
    errors_.open(context);
    return {};
  }

  /// Conditions are tried in order on the rows that none before them took.
  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    eval_.processing_time = context_->now();
    BatchPtr rest = batch;
    for (std::size_t i = 0; i < routes_.size() && rest->rows() != 0; ++i) {
      selected_.clear();
      failed_.clear();
      routes_[i].select(*rest, eval_, selected_, failed_);
      if (auto status = errors_.handle(*rest, failed_, out); !status) return fail(status.error());
      if (selected_.size() == rest->rows()) {
        out.emit(std::move(rest), i + 1);
        return Step::done;
      }
      if (selected_.empty() && failed_.empty()) continue;
      if (!selected_.empty()) out.emit(rest->select_rows(selected_), i + 1);
      rest = rest->select_rows(remaining(rest->rows()));
    }
    out.emit(std::move(rest), routes_.size() + 1);
    return Step::done;
  }

 private:
  /// Rows neither selected nor failed.
  std::vector<std::uint32_t> remaining(std::uint32_t rows) const {
    std::vector<std::uint32_t> others;
    std::size_t next_selected = 0;
    std::size_t next_failed = 0;
    for (std::uint32_t row = 0; row < rows; ++row) {
      if (next_selected < selected_.size() && selected_[next_selected] == row) {
        ++next_selected;
      } else if (next_failed < failed_.size() && failed_[next_failed].row == row) {
        ++next_failed;
      } else {
        others.push_back(row);
      }
    }
    return others;
  }

  std::vector<Expression> routes_;
  RowErrors errors_;
  OperatorContext* context_ = nullptr;
  EvalContext eval_;
  std::vector<std::uint32_t> selected_;  // scratch, kept for its capacity
  std::vector<RowError> failed_;
};

class RouteFactory final : public OperatorFactory {
 public:
  RouteFactory(std::vector<Expression> routes, RowErrors errors) : routes_{std::move(routes)}, errors_{errors} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<Route>(routes_, errors_); }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    if (errors_.hands_on()) return std::nullopt;
    FieldUse use;
    for (std::size_t i = 0; i < routes_.size(); ++i) {
      for (const std::size_t field : routes_[i].fields_used()) use.reads.push_back(field);
      use.passing_outputs.push_back(i + 1);
    }
    use.passing_outputs.push_back(routes_.size() + 1);
    return use;
  }

 private:
  std::vector<Expression> routes_;
  RowErrors errors_;
};

void build_route(NodeBuilder& builder) {
  const InputInfo& input = builder.inputs()[0];
  StreamNode& node = builder.node();
  const auto output = [&](std::string name) {
    return StreamOutput{std::move(name), input.schema, input.event_time, input.changelog};
  };
  node.outputs = {output("")};
  std::vector<Expression> routes;
  bool failed = false;
  for (const auto& [name, text] : builder.settings().text_table("routes")) {
    const std::string path = "routes." + name;
    if (name == "default" || name == "errors") {
      builder.error(path, "\"" + name + "\" is a route that exists already; call this one differently");
      failed = true;
      continue;
    }
    auto condition = builder.compile(path, text);
    if (condition && condition->type().kind() != TypeKind::boolean) {
      builder.error(path, "a condition must be bool, this is " + to_string(condition->type()));
      condition.reset();
    }
    failed |= !condition;
    node.outputs.push_back(output(name));
    node.details += (node.details.empty() ? "" : ", ") + name;
    if (condition) routes.push_back(std::move(*condition));
  }
  node.outputs.push_back(output("default"));
  declare_error_output(builder);
  if (!failed) node.factory = make_route(std::move(routes), parse_error_policy(builder.settings().text("on_error")));
}

}  // namespace

OperatorFactoryPtr make_route(std::vector<Expression> routes, ErrorPolicy policy) {
  const std::size_t errors_output = routes.size() + 2;
  return std::make_shared<RouteFactory>(std::move(routes), RowErrors{policy, errors_output});
}

NodeType route_type() {
  return {
      .name = "route",
      .role = NodeRole::transform,
      .summary = "Each row to the first condition that is true; the rest to NODE.default.",
      .options = {{.name = "routes",
                   .kind = OptionKind::text_table,
                   .help = "A condition for each side output, tried in order; NODE.NAME has its rows.",
                   .example = "{ big = \"amount > 1000\", small = \"amount < 1\" }",
                   .required = true},
                  on_error_option()},
      .side_outputs = {"default"},
      .example = "[operators.size]\ntype   = \"route\"\ninput  = \"payments\"\nroutes = { big = \"amount > 1000\" }\n",
      .build = build_route};
}

}  // namespace dataflow

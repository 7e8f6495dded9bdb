#include "libdataflow/expressions/checker.hpp"

#include <algorithm>

#include "libdataflow/expressions/arithmetic.hpp"
#include "libdataflow/expressions/cast.hpp"
#include "libdataflow/expressions/choose.hpp"
#include "libdataflow/expressions/logic.hpp"
#include "libdataflow/expressions/suggestion.hpp"

namespace dataflow::expr {

NodePtr make_call(Type type, std::vector<NodePtr> arguments, Kernel kernel, Nulls nulls) {
  const bool constant = std::all_of(arguments.begin(), arguments.end(), [](const NodePtr& n) { return n->constant(); });
  return fold(std::make_unique<CallNode>(type, std::move(arguments), std::move(kernel), nulls), constant);
}

NodePtr make_call(Type type, NodePtr argument, Kernel kernel, Nulls nulls) {
  std::vector<NodePtr> arguments;
  arguments.push_back(std::move(argument));
  return make_call(type, std::move(arguments), std::move(kernel), nulls);
}

NodePtr make_call(Type type, NodePtr left, NodePtr right, Kernel kernel, Nulls nulls) {
  std::vector<NodePtr> arguments;
  arguments.push_back(std::move(left));
  arguments.push_back(std::move(right));
  return make_call(type, std::move(arguments), std::move(kernel), nulls);
}

NodePtr make_logic(BinaryOperator op, NodePtr left, NodePtr right) {
  const bool deciding = op == BinaryOperator::logical_or;
  const auto decides = [deciding](const Vector& v) { return (Reader<bool>{v}[0]) == deciding; };
  for (NodePtr* node : {&left, &right}) {
    const Vector* value = (*node)->constant();
    if (value == nullptr || value->is_null_constant()) continue;
    if (decides(*value)) return std::move(*node);
    return node == &left ? std::move(right) : std::move(left);
  }
  const bool constant = left->constant() != nullptr && right->constant() != nullptr;
  const auto logic = deciding ? LogicNode::Operator::disjunction : LogicNode::Operator::conjunction;
  return fold(std::make_unique<LogicNode>(logic, std::move(left), std::move(right)), constant);
}

std::nullptr_t Checker::fail(Span span, std::string message, std::string suggestion) {
  if (!error_) error_ = ExpressionError{span.offset, span.length, std::move(message), std::move(suggestion)};
  return nullptr;
}

NodePtr Checker::check(const Syntax& syntax) {
  return std::visit([&](const auto& node) { return check(syntax, node); }, syntax.node);
}

NodePtr Checker::check_condition(const Syntax& syntax, std::string_view what) {
  NodePtr node = check(syntax);
  if (!node) return nullptr;
  if (node->type().kind == Kind::null) return convert(std::move(node), Kind::boolean);
  if (node->type().kind == Kind::boolean) return node;
  return fail(syntax.span, std::string{what} + " must be a bool, this is " + to_string(node->type()),
              node->type().is_numeric() ? "compare it, e.g. with > 0" : "");
}

NodePtr Checker::check(const Syntax&, const Literal& node) {
  return std::make_unique<ConstantNode>(node.type, node.value);
}

NodePtr Checker::check(const Syntax& syntax, const ColumnName& node) {
  std::string name;
  for (const Name& part : node.parts) name += (name.empty() ? "" : ".") + part.text;
  std::optional<std::size_t> index = input_.find(name);
  // `readings.temperature` is `temperature` of the input readings, unless a field has the whole name.
  std::string_view last = name;
  if (!index && node.parts.size() == 2 && !input_name_.empty() && node.parts[0].text == input_name_) {
    last = node.parts[1].text;
    index = input_.find(last);
  }
  const bool quoted = node.parts.back().quoted;
  for (std::size_t i = 0; !index && !quoted && i < input_.size(); ++i) {
    if (!same_word(input_[i].name, last)) continue;
    for (std::size_t j = i + 1; j < input_.size(); ++j) {
      if (!same_word(input_[j].name, last)) continue;
      return fail(syntax.span, "\"" + name + "\" may be \"" + input_[i].name + "\" or \"" + input_[j].name + "\"",
                  "write the name exactly, or in double quotes");
    }
    index = i;
  }
  if (!index) return unknown_column(syntax, std::string{last});
  const Field& field = input_[*index];
  const auto type = from_data_type(field.type);
  if (!type) {
    return fail(syntax.span, "column \"" + field.name + "\" is " + dataflow::to_string(field.type) +
                                 ", which expressions cannot use yet");
  }
  fields_.insert(*index);
  return std::make_unique<FieldNode>(*type, *index);
}

NodePtr Checker::unknown_column(const Syntax& syntax, const std::string& name) {
  std::vector<std::string> names;
  for (const Field& field : input_.fields()) names.push_back(field.name);
  const std::string near = nearest_name(name, names);
  const std::string where = input_name_.empty() ? "the input" : "\"" + input_name_ + "\"";
  std::string suggestion = near.empty() ? "" : "did you mean \"" + near + "\"?";
  constexpr std::size_t few = 12;
  if (near.empty() && !names.empty() && names.size() <= few) {
    suggestion = "it has";
    for (std::size_t i = 0; i < names.size(); ++i) suggestion += (i == 0 ? " " : ", ") + names[i];
  }
  return fail(syntax.span, "no column \"" + name + "\" in " + where, suggestion);
}

NodePtr Checker::check(const Syntax& syntax, const Unary& node) {
  if (node.op == UnaryOperator::logical_not) {
    NodePtr operand = check_condition(*node.operand, "the operand of NOT");
    return operand ? make_call(Kind::boolean, std::move(operand), not_kernel()) : nullptr;
  }
  NodePtr operand = check(*node.operand);
  if (!operand || operand->type().kind == Kind::null) return operand;
  const Type type = operand->type();
  if (!type.is_numeric() && type.kind != Kind::interval) {
    return fail(syntax.span, "a sign needs a number, this is " + to_string(type));
  }
  if (node.op == UnaryOperator::plus) return operand;
  return make_call(type, std::move(operand), negate_kernel(type));
}

NodePtr Checker::check(const Syntax& syntax, const Binary& node) {
  if (node.op == BinaryOperator::logical_and || node.op == BinaryOperator::logical_or) return logic(node);
  NodePtr left = check(*node.left);
  NodePtr right = left ? check(*node.right) : nullptr;
  if (!right) return nullptr;
  switch (node.op) {
    case BinaryOperator::add:
    case BinaryOperator::subtract:
    case BinaryOperator::multiply:
    case BinaryOperator::divide:
    case BinaryOperator::modulo: return arithmetic(syntax.span, node.op, std::move(left), std::move(right));
    case BinaryOperator::concat: return concatenation(node, std::move(left), std::move(right));
    case BinaryOperator::distinct_from:
    case BinaryOperator::not_distinct_from:
      return distinct(syntax.span, node.op, std::move(left), node.left->span, std::move(right), node.right->span);
    default:
      return comparison(syntax.span, node.op, std::move(left), node.left->span, std::move(right), node.right->span);
  }
}

NodePtr Checker::logic(const Binary& node) {
  const char* what = node.op == BinaryOperator::logical_and ? "each side of AND" : "each side of OR";
  NodePtr left = check_condition(*node.left, what);
  NodePtr right = left ? check_condition(*node.right, what) : nullptr;
  return right ? make_logic(node.op, std::move(left), std::move(right)) : nullptr;
}

NodePtr Checker::check(const Syntax&, const IsTest& node) {
  NodePtr operand = node.truth == Truth::null ? check(*node.operand)
                                              : check_condition(*node.operand, "the operand of IS TRUE or IS FALSE");
  return operand ? make_call(Kind::boolean, std::move(operand), is_kernel(node.truth, node.negated), Nulls::seen)
                 : nullptr;
}

Checker::Shared Checker::share(NodePtr node) {
  const Type type = node->type();
  if (const auto field = node->field()) {
    return {type, nullptr, [type, index = *field] { return std::make_unique<FieldNode>(type, index); }};
  }
  if (const Vector* value = node->constant()) {
    return {type, nullptr, [type, constant = *value] { return std::make_unique<ConstantNode>(type, constant); }};
  }
  return {type, std::move(node), [type, slot = lets_++] { return std::make_unique<LocalNode>(type, slot); }};
}

NodePtr Checker::unshare(Shared shared, NodePtr body) {
  if (!shared.value) return body;
  --lets_;
  return body ? std::make_unique<LetNode>(std::move(shared.value), std::move(body)) : nullptr;
}

NodePtr Checker::check(const Syntax& syntax, const Case& node) {
  std::optional<Shared> operand;
  if (node.operand) {
    NodePtr value = check(*node.operand);
    if (!value) return nullptr;
    operand = share(std::move(value));
  }
  std::vector<NodePtr> conditions;
  std::vector<NodePtr> values;
  std::vector<Span> spans;
  for (const auto& [when, then] : node.branches) {
    NodePtr condition;
    if (operand) {
      NodePtr value = check(*when);
      if (!value) return nullptr;
      condition = comparison(when->span, BinaryOperator::equal, operand->use(), node.operand->span, std::move(value),
                             when->span);
    } else {
      condition = check_condition(*when, "a condition of CASE");
    }
    if (!condition) return nullptr;
    conditions.push_back(std::move(condition));
    values.push_back(check(*then));
    if (!values.back()) return nullptr;
    spans.push_back(then->span);
  }
  values.push_back(node.otherwise ? check(*node.otherwise) : std::make_unique<ConstantNode>(Kind::null, Value{}));
  if (!values.back()) return nullptr;
  spans.push_back(node.otherwise ? node.otherwise->span : syntax.span);
  const auto type = unify(values, spans, syntax.span, "the results of CASE");
  if (!type) return nullptr;
  bool constant = values.back()->constant() != nullptr;
  std::vector<CaseNode::Branch> branches;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    constant = constant && conditions[i]->constant() != nullptr && values[i]->constant() != nullptr;
    branches.push_back({std::move(conditions[i]), std::move(values[i])});
  }
  NodePtr result = fold(std::make_unique<CaseNode>(*type, std::move(branches), std::move(values.back())), constant);
  return operand ? unshare(std::move(*operand), std::move(result)) : std::move(result);
}

NodePtr Checker::check(const Syntax& syntax, const Cast& node) {
  NodePtr operand = check(*node.operand);
  if (!operand) return nullptr;
  const Type from = operand->type();
  if (from == node.target || from.kind == Kind::null) return convert(std::move(operand), node.target);
  Kernel kernel = cast_kernel(from, node.target);
  if (!kernel) {
    const bool epoch = from.kind == Kind::timestamp || node.target.kind == Kind::timestamp;
    return fail(syntax.span, "no cast from " + to_string(from) + " to " + to_string(node.target),
                epoch ? "epoch_ms(x) turns a timestamp into milliseconds and back" : "");
  }
  return make_call(node.target, std::move(operand), node.or_null ? or_null(std::move(kernel)) : std::move(kernel));
}

}  // namespace dataflow::expr

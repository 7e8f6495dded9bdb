// Calls: which overload fits, what the arguments are widened to, and what to say when none does.

#include <algorithm>

#include "libdataflow/expressions/cast.hpp"
#include "libdataflow/expressions/checker.hpp"
#include "libdataflow/expressions/choose.hpp"
#include "libdataflow/expressions/comparison.hpp"
#include "libdataflow/expressions/suggestion.hpp"
#include "libdataflow/expressions/text_length.hpp"

namespace dataflow::expr {

namespace {

bool accepts(Accepts wanted, const Node& node) {
  const Type type = node.type();
  if (type.kind == Kind::null) return true;
  switch (wanted) {
    case Accepts::any:
    case Accepts::comparable: return true;
    case Accepts::boolean: return type.kind == Kind::boolean;
    case Accepts::integer:
    case Accepts::int64: return type.is_integer();
    case Accepts::number:
    case Accepts::float64: return type.is_numeric();
    case Accepts::decimal: return type.kind == Kind::decimal;
    case Accepts::string: return type.kind == Kind::string;
    case Accepts::bytes: return type.kind == Kind::bytes;
    case Accepts::timestamp:
      return type.kind == Kind::timestamp || (type.kind == Kind::string && node.constant() != nullptr);
    case Accepts::interval: return type.kind == Kind::interval;
  }
  return false;
}

/// The type that a bare NULL takes.
Type type_of_null(Accepts accepts) {
  switch (accepts) {
    case Accepts::boolean: return Kind::boolean;
    case Accepts::integer:
    case Accepts::int64:
    case Accepts::number: return Kind::int64;
    case Accepts::float64: return Kind::float64;
    case Accepts::decimal: return Type::decimal(max_decimal_digits, 0);
    case Accepts::bytes: return Kind::bytes;
    case Accepts::timestamp: return Kind::timestamp;
    case Accepts::interval: return Kind::interval;
    case Accepts::any:
    case Accepts::comparable:
    case Accepts::string: break;
  }
  return Kind::string;
}

const Parameter& parameter(const Overload& overload, std::size_t i) {
  return overload.parameters[std::min(i, overload.parameters.size() - 1)];
}

bool fits(const Overload& overload, std::span<const NodePtr> arguments) {
  const std::size_t most = overload.repeats ? arguments.size() : overload.parameters.size();
  if (arguments.size() + overload.optional < overload.parameters.size() || arguments.size() > most) return false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!accepts(parameter(overload, i).accepts, *arguments[i])) return false;
  }
  return true;
}

std::string signatures(const Function& function) {
  std::string text;
  for (const Overload& overload : function.overloads)
    text += (text.empty() ? "" : " or ") + signature(function, overload);
  return text;
}

}  // namespace

bool Checker::check_all(std::span<const SyntaxPtr> syntax, std::vector<NodePtr>& nodes) {
  for (const SyntaxPtr& item : syntax) {
    nodes.push_back(check(*item));
    if (!nodes.back()) return false;
  }
  return true;
}

NodePtr Checker::check(const Syntax& syntax, const Call& node) {
  if (is_aggregate(node.name.text)) {
    return fail(syntax.span, node.name.text + " is an aggregate: it has no value for a single row",
                "aggregates belong into the aggregate = { ... } of a window");
  }
  const Function* function = find_function(node.name.text);
  if (function == nullptr) return unknown_function(node);
  if (node.star || node.distinct || node.filter) {
    return fail(syntax.span, std::string{node.star       ? "*"
                                         : node.distinct ? "DISTINCT"
                                                         : "FILTER"} +
                                 " is for aggregates, " + function->name + " is none");
  }
  if (!function->overloads.front().bind) return special_call(syntax, node, *function);
  std::vector<NodePtr> arguments;
  if (!check_all(node.arguments, arguments)) return nullptr;
  for (const Overload& overload : function->overloads) {
    if (fits(overload, arguments)) return bind(syntax, node, *function, overload, std::move(arguments));
  }
  return wrong_arguments(node, *function, arguments);
}

ExpressionError no_such_function(const Name& name) {
  std::vector<std::string> names = aggregate_names();
  for (const Function& function : functions()) names.push_back(function.name);
  const std::string near = nearest_name(name.text, names);
  return {name.span.offset, name.span.length, "no function \"" + name.text + "\"",
          near.empty() ? "" : "did you mean " + near + "?"};
}

NodePtr Checker::unknown_function(const Call& node) {
  ExpressionError mistake = no_such_function(node.name);
  return fail(node.name.span, std::move(mistake.message), std::move(mistake.suggestion));
}

NodePtr Checker::wrong_arguments(const Call& node, const Function& function, std::span<const NodePtr> arguments) {
  std::string given;
  for (const NodePtr& argument : arguments) given += (given.empty() ? "" : ", ") + to_string(argument->type());
  Span span = node.name.span;
  if (!node.arguments.empty()) span = span.to(node.arguments.back()->span);
  return fail(span, function.name + " cannot take (" + given + ")", "it is " + signatures(function));
}

NodePtr Checker::widen(NodePtr node, Span span, Accepts accepts) {
  if (node->type().kind == Kind::null) return convert(std::move(node), type_of_null(accepts));
  if (accepts == Accepts::int64) return convert(std::move(node), Kind::int64);
  if (accepts == Accepts::float64) return convert(std::move(node), Kind::float64);
  if (accepts != Accepts::timestamp || node->type().kind == Kind::timestamp) return node;
  node = convert(std::move(node), Kind::timestamp);  // a string literal
  if (node->constant() != nullptr) return node;
  return fail(span, "this text is not a timestamp", "e.g. '2010-01-01T12:30:00'");
}

NodePtr fused_call(const Function& function, std::vector<NodePtr>& arguments) {
  CallNode* const inner = arguments.empty() ? nullptr : arguments.front()->call();
  if (inner == nullptr || function.name != "length" || inner->function() != "replace") return nullptr;
  const Binding binding{inner->arguments(), inner->type()};
  const auto from = binding.constant_text(1);
  const auto to = binding.constant_text(2);
  if (!from || !to) return nullptr;
  Kernel kernel = length_of_replaced(*from, *to);
  if (!kernel) return nullptr;
  return make_call(Kind::int64, std::move(inner->arguments().front()), std::move(kernel));
}

NodePtr Checker::bind(const Syntax& syntax, const Call& node, const Function& function, const Overload& overload,
                      std::vector<NodePtr> arguments) {
  std::vector<Span> spans;
  for (const SyntaxPtr& argument : node.arguments) spans.push_back(argument->span);
  // Arguments of comparable parameters get one type.
  std::vector<NodePtr> alike;
  std::vector<Span> alike_spans;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const Accepts wanted = parameter(overload, i).accepts;
    if (wanted == Accepts::comparable) {
      alike.push_back(std::move(arguments[i]));
      alike_spans.push_back(spans[i]);
      places.push_back(i);
      continue;
    }
    arguments[i] = widen(std::move(arguments[i]), spans[i], wanted);
    if (!arguments[i]) return nullptr;
  }
  if (!alike.empty()) {
    if (!unify(alike, alike_spans, syntax.span, "the arguments of " + node.name.text)) return nullptr;
    for (std::size_t i = 0; i < alike.size(); ++i) {
      arguments[places[i]] = widen(std::move(alike[i]), alike_spans[i], Accepts::comparable);
    }
  }
  std::vector<Type> types;
  for (const NodePtr& argument : arguments) types.push_back(argument->type());
  const Type result = overload.result.of(types);
  auto kernel = overload.bind({arguments, result});
  if (!kernel) {
    const std::size_t at = kernel.error().argument;
    return fail(at < spans.size() ? spans[at] : syntax.span, kernel.error().message);
  }
  if (NodePtr fused = fused_call(function, arguments)) return fused;
  NodePtr made = make_call(result, std::move(arguments), std::move(*kernel), overload.nulls);
  if (CallNode* const call = made->call()) {
    call->set_function(function.name);
    note_repeated(*call);
  }
  return made;
}

/// Equal calls share what they compute: the hour of a time that CASE compares several times.
void Checker::note_repeated(CallNode& call) {
  std::string identity;
  if (!call.append_identity(identity)) return;
  std::shared_ptr<Repeated>& same = repeated_[identity];
  if (!same) same = std::make_shared<Repeated>(Repeated{repeated_.size() - 1});
  ++same->uses;
  call.set_repeated(same);
}

NodePtr Checker::special_call(const Syntax& syntax, const Call& node, const Function& function) {
  const Overload& only = function.overloads.front();
  const std::size_t count = node.arguments.size();
  if (count < only.parameters.size() || (!only.repeats && count > only.parameters.size())) {
    return fail(syntax.span, function.name + " cannot take " + std::to_string(count) + " arguments",
                "it is " + signatures(function));
  }
  if (function.name == "now") return std::make_unique<NowNode>();
  if (function.name == "if") return if_call(syntax, node);
  if (function.name == "nullif") return nullif_call(syntax, node);
  if (function.name == "mod") {
    NodePtr left = check(*node.arguments[0]);
    NodePtr right = left ? check(*node.arguments[1]) : nullptr;
    return right ? arithmetic(syntax.span, BinaryOperator::modulo, std::move(left), std::move(right)) : nullptr;
  }
  return coalesce_call(syntax, node);
}

NodePtr Checker::if_call(const Syntax& syntax, const Call& node) {
  NodePtr condition = check_condition(*node.arguments[0], "the condition of if");
  if (!condition) return nullptr;
  std::vector<NodePtr> values;
  if (!check_all(std::span{node.arguments}.subspan(1), values)) return nullptr;
  const Span spans[] = {node.arguments[1]->span, node.arguments[2]->span};
  const auto type = unify(values, spans, syntax.span, "the results of if");
  if (!type) return nullptr;
  const bool constant =
      condition->constant() != nullptr && values[0]->constant() != nullptr && values[1]->constant() != nullptr;
  std::vector<CaseNode::Branch> branches;
  branches.push_back({std::move(condition), std::move(values[0])});
  return fold(std::make_unique<CaseNode>(*type, std::move(branches), std::move(values[1])), constant);
}

NodePtr Checker::nullif_call(const Syntax& syntax, const Call& node) {
  NodePtr value = check(*node.arguments[0]);
  if (!value) return nullptr;
  const Type type = value->type();
  const bool constant_value = value->constant() != nullptr;
  Shared shared = share(std::move(value));
  NodePtr other = check(*node.arguments[1]);
  if (!other) return nullptr;
  NodePtr equal = comparison(syntax.span, BinaryOperator::equal, shared.use(), node.arguments[0]->span,
                             std::move(other), node.arguments[1]->span);
  if (!equal) return nullptr;
  const bool constant = constant_value && equal->constant() != nullptr;
  std::vector<CaseNode::Branch> branches;
  branches.push_back({std::move(equal), std::make_unique<ConstantNode>(type, Value{})});
  NodePtr result = fold(std::make_unique<CaseNode>(type, std::move(branches), shared.use()), constant);
  return unshare(std::move(shared), std::move(result));
}

NodePtr Checker::coalesce_call(const Syntax& syntax, const Call& node) {
  std::vector<NodePtr> values;
  if (!check_all(node.arguments, values)) return nullptr;
  std::vector<Span> spans;
  for (const SyntaxPtr& argument : node.arguments) spans.push_back(argument->span);
  const auto type = unify(values, spans, syntax.span, "the arguments of coalesce");
  if (!type) return nullptr;
  const bool constant =
      std::all_of(values.begin(), values.end(), [](const NodePtr& n) { return n->constant() != nullptr; });
  return fold(std::make_unique<CoalesceNode>(*type, std::move(values)), constant);
}

}  // namespace dataflow::expr

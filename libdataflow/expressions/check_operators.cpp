// Types of operators: arithmetic, comparison, BETWEEN, IN, LIKE, ||.

#include <algorithm>

#include "libdataflow/expressions/arithmetic.hpp"
#include "libdataflow/expressions/cast.hpp"
#include "libdataflow/expressions/checker.hpp"
#include "libdataflow/expressions/choose.hpp"
#include "libdataflow/expressions/comparison.hpp"
#include "libdataflow/expressions/in_list.hpp"
#include "libdataflow/expressions/like.hpp"
#include "libdataflow/expressions/logic.hpp"
#include "libdataflow/expressions/rowwise.hpp"

namespace dataflow::expr {

namespace {

const char* symbol(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::add: return "+";
    case BinaryOperator::subtract: return "-";
    case BinaryOperator::multiply: return "*";
    case BinaryOperator::divide: return "/";
    case BinaryOperator::modulo: return "%";
    case BinaryOperator::concat: return "||";
    default: return "?";
  }
}

bool is_time(Type type) {
  return type.kind == Kind::timestamp || type.kind == Kind::interval;
}

/// A string literal beside a timestamp.
bool reads_as_timestamp(const Node& node) {
  return node.type().kind == Kind::string && node.constant() != nullptr;
}

/// The whole number that the node is.
std::optional<std::int64_t> constant_of(const Node& node) {
  const Vector* value = node.constant();
  if (value == nullptr || value->is_null_constant() || !node.type().is_integer()) return std::nullopt;
  return node.type().kind == Kind::int32 ? std::int64_t{value->column->as<std::int32_t>()[0]}
                                         : value->column->as<std::int64_t>()[0];
}

/// An int64 literal beside an int32 column is compared as int32 when it fits, which saves widening the column.
bool fits_int32(const Node& node) {
  const auto number = constant_of(node);
  return number && node.type().kind == Kind::int64 && *number == static_cast<std::int32_t>(*number);
}

/// `node` as `to` when it is a constant for which that is exact; else unchanged.
NodePtr exact_constant(NodePtr node, Type to) {
  if (node->constant() == nullptr || as_decimal(node->type()).scale > to.scale) return node;
  const Type type = node->type();
  const Vector original = *node->constant();
  NodePtr converted = convert(std::move(node), to);
  if (converted->constant() != nullptr) return converted;
  return std::make_unique<ConstantNode>(type, original);
}

/// `x % n = 0` and `x % n <> 0` as one node, for which nothing is divided; null when it is something else, and then
/// nothing is changed.
NodePtr divisibility(BinaryOperator op, Node& remainder, const Node& wanted) {
  CallNode* const call = remainder.call();
  const bool asks = op == BinaryOperator::equal || op == BinaryOperator::not_equal;
  if (!asks || call == nullptr || call->function() != symbol(BinaryOperator::modulo) || constant_of(wanted) != 0) {
    return nullptr;
  }
  const auto divisor = constant_of(*call->arguments()[1]);
  if (!remainder.type().is_integer() || !divisor || *divisor == 0) return nullptr;
  return make_call(Kind::boolean, std::move(call->arguments()[0]),
                   divisible_kernel(remainder.type().kind, *divisor, op == BinaryOperator::not_equal));
}

}  // namespace

std::optional<Type> Checker::unify(std::span<NodePtr> nodes, std::span<const Span> spans, Span span,
                                   std::string_view what) {
  Type type;
  for (const NodePtr& node : nodes) {
    if (node->type().kind == Kind::timestamp) type = Kind::timestamp;
  }
  for (const NodePtr& node : nodes) {
    if (type.kind == Kind::timestamp && reads_as_timestamp(*node)) continue;
    const auto common = common_type(type, node->type());
    if (!common) {
      fail(span, std::string{what} + " have the types " + to_string(type) + " and " + to_string(node->type()),
           "CAST one of them");
      return std::nullopt;
    }
    type = *common;
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const bool literal = type.kind == Kind::timestamp && reads_as_timestamp(*nodes[i]);
    nodes[i] = convert(std::move(nodes[i]), type);
    if (literal && nodes[i]->constant() == nullptr) {
      fail(spans[i], "this text is not a timestamp", "e.g. '2010-01-01T12:30:00'");
      return std::nullopt;
    }
  }
  return type;
}

NodePtr Checker::arithmetic(Span span, BinaryOperator op, NodePtr left, NodePtr right) {
  if (left->type().kind == Kind::null)
    left = convert(std::move(left), is_time(right->type()) ? Kind::interval : right->type());
  if (right->type().kind == Kind::null)
    right = convert(std::move(right), is_time(left->type()) ? Kind::interval : left->type());
  const Type a = left->type();
  const Type b = right->type();
  if (a.kind == Kind::null) return left;
  if (is_time(a) || is_time(b)) return time_arithmetic(span, op, std::move(left), std::move(right));
  if (!a.is_numeric() || !b.is_numeric()) {
    const bool text = op == BinaryOperator::add && (a.kind == Kind::string || b.kind == Kind::string);
    return fail(span, std::string{symbol(op)} + " cannot be used on " + to_string(a) + " and " + to_string(b),
                text ? "texts are joined with ||" : "");
  }
  const Type common = *common_type(a, b);
  if (common.kind != Kind::decimal) {
    NodePtr node = make_call(common, convert(std::move(left), common), convert(std::move(right), common),
                             arithmetic_kernel(op, common.kind));
    if (CallNode* call = node->call(); call != nullptr && op == BinaryOperator::modulo) call->set_function(symbol(op));
    return node;
  }
  const auto result = decimal_result(op, a, b);
  if (!result) {
    return fail(span, "the product would have more than 18 digits after the point", "round() or CAST an operand first");
  }
  if (a.kind == Kind::int32) left = convert(std::move(left), Kind::int64);
  if (b.kind == Kind::int32) right = convert(std::move(right), Kind::int64);
  return make_call(*result, std::move(left), std::move(right), decimal_kernel(op, a, b, *result));
}

NodePtr Checker::time_arithmetic(Span span, BinaryOperator op, NodePtr left, NodePtr right) {
  const Kind a = left->type().kind;
  const Kind b = right->type().kind;
  const bool sum = op == BinaryOperator::add;
  const bool difference = op == BinaryOperator::subtract;
  std::optional<Kind> result;
  if (a == Kind::timestamp && b == Kind::interval && (sum || difference)) result = Kind::timestamp;
  if (a == Kind::interval && b == Kind::timestamp && sum) result = Kind::timestamp;
  if (a == Kind::timestamp && b == Kind::timestamp && difference) result = Kind::interval;
  if (a == Kind::interval && b == Kind::interval && (sum || difference)) result = Kind::interval;
  if (result) return make_call(*result, std::move(left), std::move(right), arithmetic_kernel(op, *result));
  const bool scales = (a == Kind::interval && right->type().is_integer() &&
                       (op == BinaryOperator::multiply || op == BinaryOperator::divide)) ||
                      (left->type().is_integer() && b == Kind::interval && op == BinaryOperator::multiply);
  if (scales) {
    if (left->type().is_integer()) left = convert(std::move(left), Kind::int64);
    if (right->type().is_integer()) right = convert(std::move(right), Kind::int64);
    return make_call(Kind::interval, std::move(left), std::move(right), arithmetic_kernel(op, Kind::interval));
  }
  const bool number = left->type().is_numeric() || right->type().is_numeric();
  return fail(
      span,
      std::string{symbol(op)} + " cannot be used on " + to_string(left->type()) + " and " + to_string(right->type()),
      number ? "add an interval, e.g. INTERVAL '5' MINUTE" : "");
}

NodePtr Checker::concatenation(const Binary& node, NodePtr left, NodePtr right) {
  const auto type = common_type(left->type(), right->type());
  for (const auto& [side, syntax] : {std::pair{&left, &node.left}, std::pair{&right, &node.right}}) {
    const Type of = (*side)->type();
    if (of.kind != Kind::null && !of.is_text()) {
      return fail((*syntax)->span, "|| joins texts, this is " + to_string(of), "CAST(... AS string)");
    }
  }
  if (!type) return fail(node.left->span.to(node.right->span), "|| cannot join string and bytes", "CAST one of them");
  const Type joined = type->kind == Kind::null ? Type{Kind::string} : *type;
  return make_call(joined, convert(std::move(left), joined), convert(std::move(right), joined),
                   text_rows<std::string_view, std::string_view>(
                       [](TextResult& out, std::string_view a, std::string_view b) { out.append(a), out.append(b); }));
}

NodePtr Checker::comparison(Span span, BinaryOperator op, NodePtr left, Span left_span, NodePtr right,
                            Span right_span) {
  if (left->type().kind == Kind::int32 && fits_int32(*right)) right = convert(std::move(right), Kind::int32);
  if (right->type().kind == Kind::int32 && fits_int32(*left)) left = convert(std::move(left), Kind::int32);
  const Type a = left->type();
  const Type b = right->type();
  const auto common = common_type(a, b);
  if (common && common->kind == Kind::decimal && a.kind != Kind::null && b.kind != Kind::null) {
    if (a.kind == Kind::int32) left = convert(std::move(left), Kind::int64);
    if (b.kind == Kind::int32) right = convert(std::move(right), Kind::int64);
    if (a.kind == Kind::decimal) right = exact_constant(std::move(right), a);
    if (b.kind == Kind::decimal) left = exact_constant(std::move(left), b);
    const std::uint8_t left_scale = as_decimal(left->type()).scale;
    const std::uint8_t right_scale = as_decimal(right->type()).scale;
    if (left_scale == right_scale) return ordered(op, std::move(left), std::move(right));
    return make_call(Kind::boolean, std::move(left), std::move(right),
                     decimal_comparison_kernel(op, left_scale, right_scale));
  }
  NodePtr nodes[] = {std::move(left), std::move(right)};
  const Span spans[] = {left_span, right_span};
  if (!unify(nodes, spans, span, "the sides of the comparison")) return nullptr;
  return ordered(op, std::move(nodes[0]), std::move(nodes[1]));
}

/// Both sides are stored in the same way and can be compared as they lie.
NodePtr Checker::ordered(BinaryOperator op, NodePtr left, NodePtr right) {
  const auto constant = [](const Node& node) {
    return node.constant() != nullptr && !node.constant()->is_null_constant();
  };
  const Kind kind = left->type().kind;
  if (NodePtr node = divisibility(op, *left, *right)) return node;
  if (left->field() && constant(*right)) {
    return std::make_unique<FieldComparisonNode>(op, kind, *left->field(), *right->constant());
  }
  if (right->field() && constant(*left)) {
    return std::make_unique<FieldComparisonNode>(mirrored(op), kind, *right->field(), *left->constant());
  }
  return make_call(Kind::boolean, std::move(left), std::move(right), comparison_kernel(op, kind));
}

NodePtr Checker::distinct(Span span, BinaryOperator op, NodePtr left, Span left_span, NodePtr right, Span right_span) {
  NodePtr nodes[] = {std::move(left), std::move(right)};
  const Span spans[] = {left_span, right_span};
  const auto type = unify(nodes, spans, span, "the sides of IS DISTINCT FROM");
  if (!type) return nullptr;
  return make_call(Kind::boolean, std::move(nodes[0]), std::move(nodes[1]),
                   distinct_kernel(type->kind, op == BinaryOperator::not_distinct_from), Nulls::seen);
}

NodePtr Checker::check(const Syntax& syntax, const Between& node) {
  NodePtr value = check(*node.operand);
  if (!value) return nullptr;
  Shared operand = share(std::move(value));
  NodePtr low = check(*node.low);
  NodePtr high = low ? check(*node.high) : nullptr;
  if (!high) return nullptr;
  const Span span = node.operand->span;
  NodePtr above =
      comparison(syntax.span, BinaryOperator::greater_equal, operand.use(), span, std::move(low), node.low->span);
  NodePtr below =
      above ? comparison(syntax.span, BinaryOperator::less_equal, operand.use(), span, std::move(high), node.high->span)
            : nullptr;
  if (!below) return nullptr;
  NodePtr within = make_logic(BinaryOperator::logical_and, std::move(above), std::move(below));
  if (node.negated) within = make_call(Kind::boolean, std::move(within), not_kernel());
  return unshare(std::move(operand), std::move(within));
}

NodePtr Checker::any_of(Span span, Shared& operand, Span operand_span, std::vector<NodePtr> list,
                        std::span<const Span> spans) {
  // Comparisons joined by OR, as a balanced tree so that a long list is not a deep one.
  std::vector<NodePtr> level;
  for (std::size_t i = 0; i < list.size(); ++i) {
    level.push_back(comparison(span, BinaryOperator::equal, operand.use(), operand_span, std::move(list[i]), spans[i]));
    if (!level.back()) return nullptr;
  }
  while (level.size() > 1) {
    std::vector<NodePtr> next;
    for (std::size_t i = 0; i + 1 < level.size(); i += 2) {
      next.push_back(make_logic(BinaryOperator::logical_or, std::move(level[i]), std::move(level[i + 1])));
    }
    if (level.size() % 2 == 1) next.push_back(std::move(level.back()));
    level = std::move(next);
  }
  return std::move(level.front());
}

NodePtr Checker::check(const Syntax& syntax, const InList& node) {
  NodePtr value = check(*node.operand);
  if (!value) return nullptr;
  Shared operand = share(std::move(value));
  std::vector<NodePtr> list;
  if (!check_all(node.list, list)) return nullptr;
  std::vector<Span> spans;
  for (const SyntaxPtr& item : node.list) spans.push_back(item->span);
  const bool constants =
      std::all_of(list.begin(), list.end(), [](const NodePtr& n) { return n->constant() != nullptr; });
  // Beside a float64 an integer is rounded; each literal by itself may be compared exactly.
  const Kind asked_kind = operand.type.kind;
  const bool exact = asked_kind == Kind::float64 || std::none_of(list.begin(), list.end(), [](const NodePtr& n) {
                       return n->type().kind == Kind::float64;
                     });
  constexpr std::size_t few = 4;
  NodePtr result;
  if (constants && exact && list.size() > few) {
    std::vector<NodePtr> all;
    all.push_back(operand.use());
    for (NodePtr& item : list) all.push_back(std::move(item));
    spans.insert(spans.begin(), node.operand->span);
    if (!unify(all, spans, syntax.span, "the values of IN")) return nullptr;
    NodePtr asked = std::move(all.front());
    all.erase(all.begin());
    const Kind kind = asked->type().kind;
    result = make_call(Kind::boolean, std::move(asked), in_list_kernel(kind, all));
  } else {
    result = any_of(syntax.span, operand, node.operand->span, std::move(list), spans);
  }
  if (!result) return nullptr;
  if (node.negated) result = make_call(Kind::boolean, std::move(result), not_kernel());
  return unshare(std::move(operand), std::move(result));
}

NodePtr Checker::check(const Syntax&, const Like& node) {
  std::vector<NodePtr> arguments;
  for (const SyntaxPtr* part : {&node.operand, &node.pattern, &node.escape}) {
    if (!*part) continue;
    arguments.push_back(check(**part));
    if (!arguments.back()) return nullptr;
    const Type type = arguments.back()->type();
    if (type.kind == Kind::null) arguments.back() = convert(std::move(arguments.back()), Kind::string);
    if (type.kind != Kind::null && type.kind != Kind::string) {
      return fail((*part)->span, "LIKE needs a string, this is " + to_string(type));
    }
  }
  std::optional<char> escape;
  if (node.escape) {
    const Vector* value = arguments[2]->constant();
    if (value == nullptr || value->is_null_constant() || value->column->text(0).size() != 1) {
      return fail(node.escape->span, "ESCAPE needs a literal of one ASCII character");
    }
    escape = value->column->text(0)[0];
    arguments.pop_back();
  }
  const auto pattern = Binding{arguments, Kind::boolean}.constant_text(1);
  if (pattern) {
    if (const auto wrong = like_mistake(*pattern, escape)) return fail(node.pattern->span, *wrong);
  }
  return make_call(Kind::boolean, std::move(arguments), like_kernel(pattern, {escape, node.ignore_case, node.negated}));
}

}  // namespace dataflow::expr

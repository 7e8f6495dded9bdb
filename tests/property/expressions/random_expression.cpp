#include "tests/property/expressions/random_expression.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <optional>

namespace dataflow::expression_tests {

namespace {

using testing_support::RandomBatches;

bool is_null(const Cell& c) {
  return std::holds_alternative<Null>(c);
}
bool is_failure(const Cell& c) {
  return std::holds_alternative<Failure>(c);
}
bool is_true(const Cell& c) {
  return std::holds_alternative<bool>(c) && std::get<bool>(c);
}
bool is_false(const Cell& c) {
  return std::holds_alternative<bool>(c) && !std::get<bool>(c);
}
double number(const Cell& c) {
  return std::holds_alternative<double>(c) ? std::get<double>(c) : static_cast<double>(std::get<std::int64_t>(c));
}

/// The first failure, else the first NULL of the cells; nothing when all are values.
std::optional<Cell> unusable(std::initializer_list<const Cell*> cells) {
  for (const Cell* c : cells) {
    if (is_failure(*c)) return *c;
  }
  for (const Cell* c : cells) {
    if (is_null(*c)) return *c;
  }
  return std::nullopt;
}

Kind wider(Kind a, Kind b) {
  return static_cast<int>(a) < static_cast<int>(b) ? b : a;
}

/// -1, 0, 1, or 2 when a NaN makes them incomparable.
int compare(const Cell& a, const Cell& b) {
  if (std::holds_alternative<bool>(a)) return static_cast<int>(std::get<bool>(a)) - static_cast<int>(std::get<bool>(b));
  if (std::holds_alternative<std::int64_t>(a) && std::holds_alternative<std::int64_t>(b)) {
    const auto x = std::get<std::int64_t>(a);
    const auto y = std::get<std::int64_t>(b);
    return x < y ? -1 : x > y ? 1 : 0;
  }
  const double x = number(a);
  const double y = number(b);
  return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

/// A number as the wider of two kinds has it.
Cell widened(const Cell& c, Kind kind) {
  if (kind == Kind::float64 && std::holds_alternative<std::int64_t>(c)) return number(c);
  return c;
}

struct Leaf final : Tree {
  Kind leaf_kind;
  std::string sql;
  std::function<Cell(const Batch&, std::size_t)> value;
  [[nodiscard]] std::string text() const override { return sql; }
  [[nodiscard]] Cell evaluate(const Batch& batch, std::size_t row) const override { return value(batch, row); }
  [[nodiscard]] Kind kind() const override { return leaf_kind; }
};

struct Arithmetic final : Tree {
  char op;
  TreePtr left, right;
  [[nodiscard]] std::string text() const override { return "(" + left->text() + " " + op + " " + right->text() + ")"; }
  [[nodiscard]] Kind kind() const override { return wider(left->kind(), right->kind()); }
  [[nodiscard]] Cell evaluate(const Batch& batch, std::size_t row) const override {
    const Cell a = left->evaluate(batch, row);
    const Cell b = right->evaluate(batch, row);
    if (const auto cell = unusable({&a, &b})) return *cell;
    if (kind() == Kind::float64) return real(number(a), number(b));
    return whole(std::get<std::int64_t>(a), std::get<std::int64_t>(b));
  }
  [[nodiscard]] Cell real(double a, double b) const {
    switch (op) {
      case '+': return a + b;
      case '-': return a - b;
      case '*': return a * b;
      case '/': return b == 0 ? Cell{Failure{}} : Cell{a / b};
      default: return b == 0 ? Cell{Failure{}} : Cell{std::fmod(a, b)};
    }
  }
  [[nodiscard]] Cell whole(std::int64_t a, std::int64_t b) const {
    std::int64_t r = 0;
    bool failed = false;
    switch (op) {
      case '+': failed = __builtin_add_overflow(a, b, &r); break;
      case '-': failed = __builtin_sub_overflow(a, b, &r); break;
      case '*': failed = __builtin_mul_overflow(a, b, &r); break;
      default:
        if (b == 0) return Failure{};
        if (b == -1) {
          failed = op == '/' && __builtin_sub_overflow(std::int64_t{0}, a, &r);
          if (op == '%') r = 0;
        } else {
          r = op == '/' ? a / b : a % b;
        }
    }
    if (kind() == Kind::int32 && r != static_cast<std::int32_t>(r)) failed = true;
    return failed ? Cell{Failure{}} : Cell{r};
  }
};

struct Negation final : Tree {
  TreePtr operand;
  [[nodiscard]] std::string text() const override { return "(- " + operand->text() + ")"; }
  [[nodiscard]] Kind kind() const override { return operand->kind(); }
  [[nodiscard]] Cell evaluate(const Batch& batch, std::size_t row) const override {
    const Cell a = operand->evaluate(batch, row);
    if (!std::holds_alternative<std::int64_t>(a)) return std::holds_alternative<double>(a) ? Cell{-number(a)} : a;
    const auto x = std::get<std::int64_t>(a);
    const bool least = kind() == Kind::int32 ? x == std::numeric_limits<std::int32_t>::min()
                                             : x == std::numeric_limits<std::int64_t>::min();
    return least ? Cell{Failure{}} : Cell{-x};
  }
};

struct Comparison final : Tree {
  std::string op;
  TreePtr left, right;
  [[nodiscard]] std::string text() const override { return "(" + left->text() + " " + op + " " + right->text() + ")"; }
  [[nodiscard]] Kind kind() const override { return Kind::boolean; }
  [[nodiscard]] Cell evaluate(const Batch& batch, std::size_t row) const override {
    const Cell a = left->evaluate(batch, row);
    const Cell b = right->evaluate(batch, row);
    const bool negated = op == "IS NOT DISTINCT FROM";
    if (negated || op == "IS DISTINCT FROM") {
      if (is_failure(a) || is_failure(b)) return Failure{};
      const bool distinct = is_null(a) || is_null(b) ? is_null(a) != is_null(b) : compare(a, b) != 0;
      return distinct != negated;
    }
    if (const auto cell = unusable({&a, &b})) return *cell;
    const int order = compare(a, b);
    if (op == "=") return order == 0;
    if (op == "<>") return order != 0;
    if (op == "<") return order == -1;
    if (op == "<=") return order == -1 || order == 0;
    if (op == ">") return order == 1;
    return order == 1 || order == 0;
  }
};

Cell conjunction(const Cell& a, const Cell& b) {
  if (is_false(a) || is_false(b)) return false;
  if (const auto cell = unusable({&a, &b})) return *cell;
  return true;
}

Cell disjunction(const Cell& a, const Cell& b) {
  if (is_true(a) || is_true(b)) return true;
  if (const auto cell = unusable({&a, &b})) return *cell;
  return false;
}

Cell negation(const Cell& a) {
  return std::holds_alternative<bool>(a) ? Cell{!std::get<bool>(a)} : a;
}

struct Logic final : Tree {
  bool is_and;
  TreePtr left, right;
  [[nodiscard]] std::string text() const override {
    return "(" + left->text() + (is_and ? " AND " : " OR ") + right->text() + ")";
  }
  [[nodiscard]] Kind kind() const override { return Kind::boolean; }
  [[nodiscard]] Cell evaluate(const Batch& batch, std::size_t row) const override {
    const Cell a = left->evaluate(batch, row);
    const Cell b = right->evaluate(batch, row);
    return is_and ? conjunction(a, b) : disjunction(a, b);
  }
};

struct Not final : Tree {
  TreePtr operand;
  [[nodiscard]] std::string text() const override { return "(NOT " + operand->text() + ")"; }
  [[nodiscard]] Kind kind() const override { return Kind::boolean; }
  [[nodiscard]] Cell evaluate(const Batch& batch, std::size_t row) const override {
    return negation(operand->evaluate(batch, row));
  }
};

struct IsTest final : Tree {
  std::string test;  ///< "IS NULL", ...
  TreePtr operand;
  [[nodiscard]] std::string text() const override { return "(" + operand->text() + " " + test + ")"; }
  [[nodiscard]] Kind kind() const override { return Kind::boolean; }
  [[nodiscard]] Cell evaluate(const Batch& batch, std::size_t row) const override {
    const Cell a = operand->evaluate(batch, row);
    if (is_failure(a)) return a;
    if (test == "IS NULL") return is_null(a);
    if (test == "IS NOT NULL") return !is_null(a);
    if (test == "IS TRUE") return is_true(a);
    if (test == "IS NOT TRUE") return !is_true(a);
    if (test == "IS FALSE") return is_false(a);
    return !is_false(a);
  }
};

Cell equal(const Cell& a, const Cell& b) {
  if (const auto cell = unusable({&a, &b})) return *cell;
  return compare(a, b) == 0;
}

struct Membership final : Tree {
  bool negated;
  TreePtr operand;
  std::vector<TreePtr> list;
  [[nodiscard]] std::string text() const override {
    std::string sql = "(" + operand->text() + (negated ? " NOT IN (" : " IN (");
    for (std::size_t i = 0; i < list.size(); ++i) sql += (i == 0 ? "" : ", ") + list[i]->text();
    return sql + "))";
  }
  [[nodiscard]] Kind kind() const override { return Kind::boolean; }
  [[nodiscard]] Cell evaluate(const Batch& batch, std::size_t row) const override {
    const Cell a = operand->evaluate(batch, row);
    Cell found = false;
    for (const TreePtr& item : list) found = disjunction(found, equal(a, item->evaluate(batch, row)));
    return negated ? negation(found) : found;
  }
};

struct Range final : Tree {
  bool negated;
  TreePtr operand, low, high;
  [[nodiscard]] std::string text() const override {
    return "(" + operand->text() + (negated ? " NOT BETWEEN " : " BETWEEN ") + low->text() + " AND " + high->text() +
           ")";
  }
  [[nodiscard]] Kind kind() const override { return Kind::boolean; }
  [[nodiscard]] Cell evaluate(const Batch& batch, std::size_t row) const override {
    const Cell a = operand->evaluate(batch, row);
    const Cell b = low->evaluate(batch, row);
    const Cell c = high->evaluate(batch, row);
    const auto at_least = [](const Cell& x, const Cell& y) -> Cell {
      if (const auto cell = unusable({&x, &y})) return *cell;
      const int order = compare(x, y);
      return order == 1 || order == 0;
    };
    const Cell within = conjunction(at_least(a, b), at_least(c, a));
    return negated ? negation(within) : within;
  }
};

struct Case final : Tree {
  bool as_if;
  std::vector<std::pair<TreePtr, TreePtr>> branches;
  TreePtr otherwise;  ///< may be null
  Kind result;
  [[nodiscard]] std::string text() const override {
    if (as_if)
      return "if(" + branches[0].first->text() + ", " + branches[0].second->text() + ", " + otherwise->text() + ")";
    std::string sql = "(CASE";
    for (const auto& [when, then] : branches) sql += " WHEN " + when->text() + " THEN " + then->text();
    return sql + (otherwise ? " ELSE " + otherwise->text() : "") + " END)";
  }
  [[nodiscard]] Kind kind() const override { return result; }
  [[nodiscard]] Cell evaluate(const Batch& batch, std::size_t row) const override {
    for (const auto& [when, then] : branches) {
      const Cell condition = when->evaluate(batch, row);
      if (is_failure(condition)) return condition;
      if (is_true(condition)) return widened(then->evaluate(batch, row), result);
    }
    return otherwise ? widened(otherwise->evaluate(batch, row), result) : Cell{Null{}};
  }
};

struct Coalesce final : Tree {
  std::vector<TreePtr> list;
  Kind result;
  [[nodiscard]] std::string text() const override {
    std::string sql = "coalesce(";
    for (std::size_t i = 0; i < list.size(); ++i) sql += (i == 0 ? "" : ", ") + list[i]->text();
    return sql + ")";
  }
  [[nodiscard]] Kind kind() const override { return result; }
  [[nodiscard]] Cell evaluate(const Batch& batch, std::size_t row) const override {
    for (const TreePtr& item : list) {
      const Cell cell = item->evaluate(batch, row);
      if (!is_null(cell)) return widened(cell, result);
    }
    return Null{};
  }
};

struct NullIf final : Tree {
  TreePtr left, right;
  [[nodiscard]] std::string text() const override { return "nullif(" + left->text() + ", " + right->text() + ")"; }
  [[nodiscard]] Kind kind() const override { return left->kind(); }
  [[nodiscard]] Cell evaluate(const Batch& batch, std::size_t row) const override {
    const Cell a = left->evaluate(batch, row);
    const Cell same = equal(a, right->evaluate(batch, row));
    if (is_failure(same)) return same;
    return is_true(same) ? Cell{Null{}} : a;
  }
};

template <class Node>
TreePtr make(Node node) {
  return std::make_shared<const Node>(std::move(node));
}

TreePtr leaf(Kind kind, std::string sql, std::function<Cell(const Batch&, std::size_t)> value) {
  Leaf node;
  node.leaf_kind = kind;
  node.sql = std::move(sql);
  node.value = std::move(value);
  return make(std::move(node));
}

TreePtr column(RandomBatches& random, Kind kind) {
  const char* names[] = {"i", "n", "x", "b"};
  const std::size_t which = random.below(2);
  const std::size_t index = static_cast<std::size_t>(kind) * 2 + which;
  return leaf(kind, names[static_cast<std::size_t>(kind)] + std::to_string(which + 1),
              [index](const Batch& batch, std::size_t row) -> Cell {
                const Value value = batch.column(index).value(row);
                if (const auto* b = std::get_if<bool>(&value)) return *b;
                if (const auto* n = std::get_if<std::int64_t>(&value)) return *n;
                if (const auto* x = std::get_if<double>(&value)) return *x;
                return Null{};
              });
}

TreePtr constant(Kind kind, std::string sql, Cell cell) {
  return leaf(kind, std::move(sql), [cell](const Batch&, std::size_t) { return cell; });
}

TreePtr literal(RandomBatches& random, Kind kind) {
  if (random.one_in(6)) {
    const char* types[] = {"int32", "int64", "float64", "bool"};
    return constant(kind, std::string{"CAST(NULL AS "} + types[static_cast<std::size_t>(kind)] + ")", Null{});
  }
  switch (kind) {
    case Kind::boolean: {
      const bool value = random.one_in(2);
      return constant(kind, value ? "TRUE" : "FALSE", value);
    }
    case Kind::int32: {
      const auto value = static_cast<std::int64_t>(random.below(7)) - 3;
      return constant(kind, "CAST(" + std::to_string(value) + " AS int32)", value);
    }
    case Kind::int64: {
      const std::int64_t value = random.one_in(3) ? random.whole() : static_cast<std::int64_t>(random.below(7)) - 3;
      return constant(kind, std::to_string(value), value);
    }
    case Kind::float64: break;
  }
  const double value = (static_cast<double>(random.below(41)) - 20) / 4;
  return constant(kind, std::to_string(value) + "e0", value);
}

Kind numeric_up_to(RandomBatches& random, Kind most) {
  return static_cast<Kind>(random.below(static_cast<std::uint64_t>(most) + 1));
}

TreePtr chosen(RandomBatches& random, Kind kind, unsigned depth) {
  // One value has the kind itself, so that it is the common one; the others may be narrower.
  const auto narrower = [&] {
    return random_tree(random, kind == Kind::boolean ? kind : numeric_up_to(random, kind), depth - 1);
  };
  const TreePtr exact = random_tree(random, kind, depth - 1);
  switch (random.below(4)) {
    case 0: {
      Coalesce node;
      node.list = {narrower(), exact, narrower()};
      node.result = kind;
      return make(std::move(node));
    }
    case 1: {
      NullIf node;
      node.left = exact;
      node.right =
          kind == Kind::boolean ? narrower() : random_tree(random, numeric_up_to(random, Kind::float64), depth - 1);
      return make(std::move(node));
    }
    default: break;
  }
  Case node;
  node.as_if = random.one_in(3);
  node.result = kind;
  node.branches.emplace_back(random_tree(random, Kind::boolean, depth - 1), exact);
  if (!node.as_if && random.one_in(2)) {
    node.branches.emplace_back(random_tree(random, Kind::boolean, depth - 1), narrower());
  }
  if (node.as_if || random.one_in(2)) node.otherwise = narrower();
  return make(std::move(node));
}

TreePtr condition(RandomBatches& random, unsigned depth) {
  const auto sub = [&](Kind kind) { return random_tree(random, kind, depth - 1); };
  const auto any_number = [&] { return sub(numeric_up_to(random, Kind::float64)); };
  switch (random.below(6)) {
    case 0:
    case 1: {
      Logic node;
      node.is_and = random.one_in(2);
      node.left = sub(Kind::boolean);
      node.right = sub(Kind::boolean);
      return make(std::move(node));
    }
    case 2: {
      if (random.one_in(2)) {
        Not node;
        node.operand = sub(Kind::boolean);
        return make(std::move(node));
      }
      const char* tests[] = {"IS NULL", "IS NOT NULL", "IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE"};
      IsTest node;
      node.test = tests[random.below(6)];
      node.operand = sub(Kind::boolean);
      return make(std::move(node));
    }
    case 3: {
      Membership node;
      node.negated = random.one_in(2);
      node.operand = any_number();
      const bool literals = random.one_in(2);
      const std::size_t count = 1 + random.below(8);
      for (std::size_t i = 0; i < count; ++i) {
        const Kind kind = numeric_up_to(random, Kind::float64);
        node.list.push_back(literals ? literal(random, kind) : random_tree(random, kind, depth > 2 ? 1 : 0));
      }
      return make(std::move(node));
    }
    case 4: {
      Range node;
      node.negated = random.one_in(2);
      node.operand = any_number();
      node.low = any_number();
      node.high = any_number();
      return make(std::move(node));
    }
    default: break;
  }
  const char* operators[] = {"=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"};
  Comparison node;
  node.op = operators[random.below(8)];
  const bool booleans = random.one_in(5);
  node.left = booleans ? sub(Kind::boolean) : any_number();
  node.right = booleans ? sub(Kind::boolean) : any_number();
  return make(std::move(node));
}

TreePtr arithmetic(RandomBatches& random, Kind kind, unsigned depth) {
  if (random.one_in(8)) {
    Negation node;
    node.operand = random_tree(random, kind, depth - 1);
    return make(std::move(node));
  }
  Arithmetic node;
  node.op = "+-*/%"[random.below(5)];
  node.left = random_tree(random, kind, depth - 1);
  node.right = random_tree(random, numeric_up_to(random, kind), depth - 1);
  if (random.one_in(2)) std::swap(node.left, node.right);
  return make(std::move(node));
}

}  // namespace

SchemaPtr random_schema() {
  return make_schema({{"i1", TypeKind::int32},
                      {"i2", TypeKind::int32},
                      {"n1", TypeKind::int64},
                      {"n2", TypeKind::int64},
                      {"x1", TypeKind::float64},
                      {"x2", TypeKind::float64},
                      {"b1", TypeKind::boolean},
                      {"b2", TypeKind::boolean}});
}

BatchPtr random_batch(RandomBatches& random) {
  const SchemaPtr schema = random_schema();
  BatchBuilder builder{schema};
  const std::uint64_t rows = random.below(40);
  const bool nulls = !random.one_in(3);
  const bool small = random.one_in(2);
  for (std::uint64_t row = 0; row < rows; ++row) {
    std::vector<Value> values;
    for (const Field& field : schema->fields()) {
      const std::int64_t whole = small ? static_cast<std::int64_t>(random.below(7)) - 3 : random.whole();
      if (nulls && random.one_in(4)) {
        values.emplace_back();
      } else if (field.type == TypeKind::boolean) {
        values.emplace_back(random.one_in(2));
      } else if (field.type == TypeKind::float64) {
        values.emplace_back(small ? static_cast<double>(whole) / 2 : random.real());
      } else {
        values.emplace_back(field.type == TypeKind::int32 ? std::int64_t{static_cast<std::int32_t>(whole)} : whole);
      }
    }
    builder.append_row(values);
  }
  return builder.finish();
}

TreePtr random_tree(RandomBatches& random, Kind kind, unsigned depth) {
  if (depth == 0) return random.one_in(3) ? literal(random, kind) : column(random, kind);
  if (random.one_in(4)) return chosen(random, kind, depth);
  return kind == Kind::boolean ? condition(random, depth) : arithmetic(random, kind, depth);
}

}  // namespace dataflow::expression_tests

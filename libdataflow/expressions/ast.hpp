#pragma once
// The syntax tree of a scalar expression, as written: names are not resolved and types not known, except those of
// literals.

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "libdataflow/expressions/token.hpp"
#include "libdataflow/expressions/type.hpp"
#include "serialization/value.hpp"

namespace dataflow::expr {

struct Syntax;
using SyntaxPtr = std::unique_ptr<Syntax>;

struct Name {
  std::string text;
  bool quoted = false;
  Span span;
};

struct Literal {
  Type type;
  Value value;
};

/// `column`, or `input.column` with the qualifiers in front.
struct ColumnName {
  std::vector<Name> parts;
};

enum class UnaryOperator : std::uint8_t { plus, negate, logical_not };
struct Unary {
  UnaryOperator op;
  SyntaxPtr operand;
};

enum class BinaryOperator : std::uint8_t {
  add,
  subtract,
  multiply,
  divide,
  modulo,
  concat,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  logical_and,
  logical_or,
  distinct_from,
  not_distinct_from,
};
struct Binary {
  BinaryOperator op;
  SyntaxPtr left;
  SyntaxPtr right;
};

enum class Truth : std::uint8_t { null, is_true, is_false };
/// `operand IS [NOT] NULL | TRUE | FALSE`
struct IsTest {
  SyntaxPtr operand;
  Truth truth;
  bool negated;
};

struct Between {
  SyntaxPtr operand;
  SyntaxPtr low;
  SyntaxPtr high;
  bool negated;
};

struct InList {
  SyntaxPtr operand;
  std::vector<SyntaxPtr> list;
  bool negated;
};

struct Like {
  SyntaxPtr operand;
  SyntaxPtr pattern;
  SyntaxPtr escape;  ///< null without ESCAPE
  bool ignore_case;
  bool negated;
};

struct Case {
  SyntaxPtr operand;  ///< null for the form with conditions
  std::vector<std::pair<SyntaxPtr, SyntaxPtr>> branches;
  SyntaxPtr otherwise;  ///< null without ELSE
};

struct Cast {
  SyntaxPtr operand;
  Type target;
  bool or_null;  ///< TRY_CAST
};

/// Any function call; the special forms (`extract(hour FROM t)`, `trim(LEADING 'x' FROM s)`) arrive here as plain
/// arguments too.
struct Call {
  Name name;
  std::vector<SyntaxPtr> arguments;
  bool distinct = false;
  bool star = false;  ///< `count(*)`
  SyntaxPtr filter;   ///< the condition of FILTER (WHERE ...), or null
};

using SyntaxNode = std::variant<Literal, ColumnName, Unary, Binary, IsTest, Between, InList, Like, Case, Cast, Call>;

struct Syntax {
  Span span;
  unsigned height = 1;  ///< levels of the tree below and with this node
  SyntaxNode node;
};

/// Calls `visit` with every child pointer that is not null, from left to right.
template <class Visit>
void for_each_child(Syntax& syntax, Visit&& visit) {
  const auto each = [&](SyntaxPtr& child) {
    if (child) visit(child);
  };
  struct Children {
    decltype(each)& on;
    void operator()(Literal&) const {}
    void operator()(ColumnName&) const {}
    void operator()(Unary& n) const { on(n.operand); }
    void operator()(Binary& n) const { on(n.left), on(n.right); }
    void operator()(IsTest& n) const { on(n.operand); }
    void operator()(Between& n) const { on(n.operand), on(n.low), on(n.high); }
    void operator()(InList& n) const {
      on(n.operand);
      for (auto& item : n.list) on(item);
    }
    void operator()(Like& n) const { on(n.operand), on(n.pattern), on(n.escape); }
    void operator()(Case& n) const {
      on(n.operand);
      for (auto& [when, then] : n.branches) on(when), on(then);
      on(n.otherwise);
    }
    void operator()(Cast& n) const { on(n.operand); }
    void operator()(Call& n) const {
      for (auto& argument : n.arguments) on(argument);
      on(n.filter);
    }
  };
  std::visit(Children{each}, syntax.node);
}

}  // namespace dataflow::expr

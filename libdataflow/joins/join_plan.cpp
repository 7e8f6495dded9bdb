#include "libdataflow/joins/join_plan.hpp"

#include <algorithm>
#include <set>

#include "libdataflow/expressions/compiler.hpp"
#include "libdataflow/expressions/parser.hpp"

namespace dataflow::joins {

namespace {

using expr::Syntax;
using expr::SyntaxPtr;

/// One side of an equality of keys.
struct KeyExpression {
  std::string text;                  ///< over the two sides, as written, or with the CAST that it needs
  std::optional<std::size_t> field;  ///< of its side, when it is no more than that
};
struct KeyPair {
  std::array<KeyExpression, 2> sides;
};

struct OnClause {
  std::vector<KeyPair> keys;
  std::string condition;  ///< what is left; empty: nothing
};

std::string text_of(const Syntax& syntax, const std::string& text) {
  return text.substr(syntax.span.offset, syntax.span.length);
}

std::string field_name_in_quotes(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? std::string{"\"\""} : std::string{c};
  return text + "\"";
}

/// Reads the texts of one join; reports in order.
class Planner {
 public:
  Planner(const JoinNames& names, std::vector<JoinMistake>& mistakes) : names_{names}, mistakes_{mistakes} {}

  /// Over pairs of `names`. Nothing when there is a mistake.
  std::optional<Expression> compile(const std::string& path, const std::string& text, bool is_condition = false) {
    auto syntax = expr::parse_expression(text);
    if (!syntax) return mistake(path, syntax.error());
    std::vector<MeantField> fields;
    if (auto error = names_.resolve(**syntax, text, JoinNames::Form::pair, fields)) return mistake(path, *error);
    ExpressionCompiler compiler{*names_.pair(), ""};
    auto compiled =
        is_condition ? compiler.compile_condition(**syntax, text, "a condition") : compiler.compile(**syntax, text);
    if (!compiled) return mistake(path, compiled.error());
    return std::move(*compiled);
  }

  std::optional<OnClause> read_on(const std::string& text) {
    auto syntax = expr::parse_expression(text);
    if (!syntax) {
      mistake("on", syntax.error());
      return std::nullopt;
    }
    if (!compile("on", text, true)) return std::nullopt;  // so that every mistake has its place in the whole text
    OnClause on;
    if (!read_conjunct(**syntax, text, on)) return std::nullopt;
    if (on.keys.empty()) {
      mistake("on", {0, text.size(), "a join needs an equality between the two sides to find rows by",
                     "for example " + names_.side(left_input).key + ".id = " + names_.side(right_input).key + ".id"});
      return std::nullopt;
    }
    return on;
  }

  /// A timestamp that is a field of the left side: which one.
  std::optional<std::size_t> read_meets_until(const std::string& text) {
    const auto compiled = compile("between.1", text);
    if (!compiled) return std::nullopt;
    const std::optional<std::size_t> field = compiled->as_field();
    const bool of_left = field && *field < names_.side(left_input).schema->size();
    if (of_left && compiled->type().kind() == TypeKind::timestamp) return field;
    return mistake("between.1", {0, text.size(),
                                 "the last time of the right row is a duration, counted from the left row's time, or a "
                                 "timestamp field of the left side",
                                 "compute it with a select before the join"});
  }

  /// A number that is a field of the right side: which one of it.
  std::optional<std::size_t> read_compared_by(const std::string& text) {
    const auto compiled = compile("best", text);
    if (!compiled) return std::nullopt;
    const std::size_t left = names_.side(left_input).schema->size();
    const std::optional<std::size_t> field = compiled->as_field();
    const TypeKind kind = compiled->type().kind();
    const bool of_right = field && *field >= left && *field < left + names_.side(right_input).schema->size();
    if (of_right && (kind == TypeKind::int64 || kind == TypeKind::timestamp)) return *field - left;
    return mistake("best", {0, text.size(), "pairs are compared by an int64 or timestamp field of the right side",
                            "compute it with a select before the join"});
  }

 private:
  std::nullopt_t mistake(const std::string& path, ExpressionError error) {
    mistakes_.push_back({path, std::move(error)});
    return std::nullopt;
  }

  /// Which sides an expression has fields of; the window's bounds are no side's.
  struct Sides {
    bool of[3] = {false, false, false};
    std::size_t fields = 0;
    MeantField last;
    [[nodiscard]] bool only(std::size_t side) const { return of[side] && !of[other(side)] && !of[of_window]; }
  };
  Sides sides_of(const Syntax& operand, const std::string& text) const {
    Sides sides;
    auto copy = expr::parse_expression(text_of(operand, text));
    std::vector<MeantField> fields;
    if (!copy || names_.resolve(**copy, text, JoinNames::Form::pair, fields)) return sides;
    for (const MeantField& field : fields) {
      sides.of[field.side] = true;
      sides.last = field;
    }
    sides.fields = fields.size();
    return sides;
  }

  bool read_conjunct(const Syntax& syntax, const std::string& text, OnClause& on) {
    const auto* const binary = std::get_if<expr::Binary>(&syntax.node);
    if (binary != nullptr && binary->op == expr::BinaryOperator::logical_and) {
      return read_conjunct(*binary->left, text, on) && read_conjunct(*binary->right, text, on);
    }
    if (binary != nullptr && binary->op == expr::BinaryOperator::equal) {
      const Sides a = sides_of(*binary->left, text);
      const Sides b = sides_of(*binary->right, text);
      for (const std::size_t side : {left_input, right_input}) {
        if (!a.only(side) || !b.only(other(side))) continue;
        return add_key(syntax, side == left_input ? *binary->left : *binary->right,
                       side == left_input ? *binary->right : *binary->left, text, on);
      }
    }
    on.condition += (on.condition.empty() ? "(" : " AND (") + text_of(syntax, text) + ")";
    return true;
  }

  std::optional<KeyExpression> key_expression(const Syntax& operand, const std::string& text, DataType& type) {
    KeyExpression key{text_of(operand, text), {}};
    const auto compiled = compile("on", key.text);
    if (!compiled) return std::nullopt;
    type = compiled->type();
    if (compiled->as_field()) key.field = sides_of(operand, text).last.field;
    return key;
  }

  bool add_key(const Syntax& equality, const Syntax& left, const Syntax& right, const std::string& text, OnClause& on) {
    DataType types[2];
    auto left_key = key_expression(left, text, types[left_input]);
    auto right_key = key_expression(right, text, types[right_input]);
    if (!left_key || !right_key) return false;
    KeyPair key{{std::move(*left_key), std::move(*right_key)}};
    const auto is = [&](std::size_t side, TypeKind kind) { return types[side].kind() == kind; };
    for (const std::size_t side : {left_input, right_input}) {
      // The same numbers, but not the same bytes.
      if (!is(side, TypeKind::int32) || !is(other(side), TypeKind::int64)) continue;
      key.sides[side] = {"CAST(" + key.sides[side].text + " AS int64)", {}};
      types[side] = types[other(side)];
    }
    if (!(types[left_input] == types[right_input])) {
      mistakes_.push_back(
          {"on",
           {equality.span.offset, equality.span.length,
            key.sides[left_input].text + " is " + to_string(types[left_input]) + " and " + key.sides[right_input].text +
                " is " + to_string(types[right_input]) + ": rows are found by equal bytes, so the types must be equal",
            "CAST one of them"}});
      return false;
    }
    for (const KeyPair& known : on.keys) {
      const bool again = known.sides[left_input].text == key.sides[left_input].text ||
                         known.sides[right_input].text == key.sides[right_input].text;
      if (!again) continue;
      on.condition += (on.condition.empty() ? "(" : " AND (") + text_of(equality, text) + ")";
      return true;
    }
    on.keys.push_back(std::move(key));
    return true;
  }

  const JoinNames& names_;
  std::vector<JoinMistake>& mistakes_;
};

struct NamedText {
  std::string name;
  std::string text;
  std::string path;
};

/// What the results have: as the file says, or all that there is.
std::vector<NamedText> output_texts(const JoinNames& names, JoinKind kind, const JoinTexts& texts,
                                    std::vector<JoinMistake>& mistakes) {
  std::vector<NamedText> outputs;
  if (texts.fields) {
    for (const auto& [name, text] : *texts.fields) outputs.push_back({name, text, "fields." + name});
    if (outputs.empty()) mistakes.push_back({"fields", {0, 0, "the result would have no fields", ""}});
    return outputs;
  }
  std::set<std::string> taken;
  std::string clashes;
  const auto add = [&](const std::string& name, const std::string& qualifier) {
    if (!taken.insert(name).second) clashes += (clashes.empty() ? "\"" : ", \"") + name + "\"";
    outputs.push_back({name, qualifier + field_name_in_quotes(name), "on"});
  };
  for (const std::size_t side : {left_input, right_input}) {
    if (side == right_input && is_of_left_rows(kind)) continue;
    for (const Field& field : names.side(side).schema->fields()) add(field.name, names.side(side).key + ".");
  }
  for (const char* bound : {"window_start", "window_end"}) {
    if (names.windowed() && !is_of_left_rows(kind)) add(bound, "");
  }
  if (!clashes.empty()) {
    const std::string example = names.side(left_input).key + "." + outputs.front().name;
    mistakes.push_back(
        {"",
         {0, 0, "the result would have two fields called " + clashes,
          "choose and name them, e.g. fields = { " + outputs.front().name + " = \"" + example + "\" }"}});
  }
  return outputs;
}

/// Fields of one side that an expression over pairs reads.
void add_used(const Expression& expression, const JoinNames& names, std::array<std::set<std::size_t>, 2>& used) {
  const std::size_t left = names.side(left_input).schema->size();
  const std::size_t right = names.side(right_input).schema->size();
  for (const std::size_t field : expression.fields_used()) {
    if (field < left) {
      used[left_input].insert(field);
    } else if (field < left + right) {
      used[right_input].insert(field - left);
    }
  }
}

/// The expression over the side's own fields.
std::optional<Expression> compile_on_side(const JoinNames& names, std::size_t side, const std::string& text) {
  auto syntax = expr::parse_expression(text);
  std::vector<MeantField> fields;
  if (!syntax || names.resolve(**syntax, text, JoinNames::Form::side, fields)) return std::nullopt;
  auto compiled = ExpressionCompiler{*names.side(side).schema, ""}.compile(**syntax, text);
  return compiled ? std::optional{std::move(*compiled)} : std::nullopt;
}

/// The fields that are used and the keys that are computed, under their text.
SideProjection project(const JoinNames& names, std::size_t side, const std::vector<KeyPair>& keys,
                       const std::set<std::size_t>& used) {
  SideProjection projection;
  std::vector<Field> fields;
  const Schema& schema = *names.side(side).schema;
  for (const std::size_t field : used) {
    auto passed = Expression::compile(field_name_in_quotes(schema[field].name), schema);
    projection.expressions.push_back(std::move(*passed));
    fields.push_back(schema[field]);
  }
  for (const KeyPair& key : keys) {
    if (key.sides[side].field) continue;
    auto computed = compile_on_side(names, side, key.sides[side].text);
    fields.push_back({key.sides[side].text, computed->type()});
    projection.expressions.push_back(std::move(*computed));
  }
  projection.schema = make_schema(std::move(fields));
  return projection;
}

/// What semi and anti joins give has no right side.
void check_left_alone(const JoinNames& names, const Expression& output, const std::string& path, JoinKind kind,
                      std::vector<JoinMistake>& mistakes) {
  std::array<std::set<std::size_t>, 2> used;
  add_used(output, names, used);
  if (!is_of_left_rows(kind) || used[right_input].empty()) return;
  mistakes.push_back({path,
                      {0, output.text().size(),
                       std::string{kind == JoinKind::semi ? "a semi" : "an anti"} + " join gives rows of the left: \"" +
                           (*names.side(right_input).schema)[*used[right_input].begin()].name + "\" is the right's",
                       "use kind = \"inner\" or \"left\""}});
}

}  // namespace

JoinPlan plan_join(const JoinNames& names, JoinKind kind, const JoinTexts& texts, std::vector<JoinMistake>& mistakes) {
  JoinPlan plan;
  Planner planner{names, mistakes};
  const std::optional<OnClause> on = planner.read_on(texts.on);
  const std::vector<NamedText> outputs = output_texts(names, kind, texts, mistakes);
  std::array<std::set<std::size_t>, 2> used;
  for (const NamedText& output : outputs) {
    const auto compiled = planner.compile(output.path, output.text);
    if (!compiled) continue;
    check_left_alone(names, *compiled, output.path, kind, mistakes);
    add_used(*compiled, names, used);
  }
  if (on && !on->condition.empty()) {
    if (const auto compiled = planner.compile("on", on->condition, true)) add_used(*compiled, names, used);
  }
  std::optional<std::size_t> meets_until;
  std::optional<std::size_t> compared_by;
  if (texts.interval.meets_until) meets_until = planner.read_meets_until(*texts.interval.meets_until);
  if (texts.interval.compared_by) compared_by = planner.read_compared_by(*texts.interval.compared_by);
  if (!mistakes.empty() || !on) return plan;
  if (meets_until) used[left_input].insert(*meets_until);
  if (compared_by) used[right_input].insert(*compared_by);

  NamedSide sides[2] = {names.side(left_input), names.side(right_input)};
  for (const std::size_t side : {left_input, right_input}) {
    bool computes = false;
    for (const KeyPair& key : on->keys) {
      computes = computes || !key.sides[side].field;
      if (key.sides[side].field) used[side].insert(*key.sides[side].field);
    }
    if (!computes) continue;
    plan.projections[side] = project(names, side, on->keys, used[side]);
    sides[side].schema = plan.projections[side]->schema;
  }
  // Once more over what the join will see.
  const JoinNames seen{sides[left_input], sides[right_input], names.windowed()};
  Planner again{seen, mistakes};
  JoinSpec& spec = plan.spec;
  spec.kind = kind;
  spec.pair = seen.pair();
  for (const std::size_t side : {left_input, right_input}) {
    spec.sides[side].schema = sides[side].schema;
    for (const KeyPair& key : on->keys) {
      const KeyExpression& of_side = key.sides[side];
      const std::string& name = of_side.field ? (*names.side(side).schema)[*of_side.field].name : of_side.text;
      spec.sides[side].keys.push_back(*sides[side].schema->find(name));
    }
  }
  const auto seen_as = [&](std::size_t side, std::size_t field) {
    return sides[side].schema->find((*names.side(side).schema)[field].name);
  };
  if (meets_until) spec.sides[left_input].meets_until = seen_as(left_input, *meets_until);
  if (compared_by) spec.sides[right_input].compared_by = seen_as(right_input, *compared_by);
  if (!on->condition.empty()) spec.condition = again.compile("on", on->condition, true);
  std::vector<Field> fields;
  for (const NamedText& output : outputs) {
    auto compiled = again.compile(output.path, output.text);
    if (!compiled) return plan;
    fields.push_back({output.name, compiled->type()});
    spec.outputs.push_back(std::move(*compiled));
  }
  spec.output = make_schema(std::move(fields));
  return plan;
}

}  // namespace dataflow::joins

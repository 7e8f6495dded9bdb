#include "libdataflow/joins/join_names.hpp"

#include <algorithm>

#include "libdataflow/expressions/suggestion.hpp"

namespace dataflow::joins {

namespace {

constexpr const char* window_bounds[] = {"window_start", "window_end"};

ExpressionError mistake_at(const expr::Syntax& syntax, std::string message, std::string suggestion = {}) {
  return {syntax.span.offset, syntax.span.length, std::move(message), std::move(suggestion)};
}

std::string in_quotes(std::string_view text) {
  return "\"" + std::string{text} + "\"";
}

std::string whole(const expr::ColumnName& name, std::size_t first = 0) {
  std::string text;
  for (std::size_t i = first; i < name.parts.size(); ++i) text += (i == first ? "" : ".") + name.parts[i].text;
  return text;
}

/// How many parts of the name are the qualifier, which may have a dot in it; 0: it does not begin with it.
std::size_t parts_of(const expr::ColumnName& name, std::string_view qualifier) {
  std::string begin;
  for (std::size_t i = 0; i + 1 < name.parts.size(); ++i) {
    begin += (i == 0 ? "" : ".") + name.parts[i].text;
    if (begin == qualifier) return i + 1;
  }
  return 0;
}

SchemaPtr pair_schema(const NamedSide& left, const NamedSide& right, bool windowed) {
  std::vector<Field> fields;
  for (const NamedSide* side : {&left, &right}) {
    for (const Field& field : side->schema->fields()) fields.push_back({side->key + "." + field.name, field.type});
  }
  for (const char* bound : window_bounds) {
    if (windowed) fields.push_back({bound, TypeKind::timestamp});
  }
  return make_schema(std::move(fields));
}

}  // namespace

JoinNames::JoinNames(NamedSide left, NamedSide right, bool windowed)
    : sides_{std::move(left), std::move(right)},
      windowed_{windowed},
      pair_{pair_schema(sides_[left_input], sides_[right_input], windowed)} {}

const std::string& JoinNames::pair_name(const MeantField& field) const {
  const std::size_t first =
      field.side == left_input
          ? 0
          : sides_[left_input].schema->size() + (field.side == of_window ? sides_[right_input].schema->size() : 0);
  return (*pair_)[first + field.field].name;
}

std::optional<ExpressionError> JoinNames::resolve(expr::Syntax& syntax, std::string_view text, Form form,
                                                  std::vector<MeantField>& fields) const {
  if (auto* const name = std::get_if<expr::ColumnName>(&syntax.node)) {
    const Found found = meant(syntax, *name);
    if (found.error) return found.error;
    fields.push_back(*found.field);
    const std::string& called = form == Form::pair || found.field->side == of_window
                                    ? pair_name(*found.field)
                                    : (*sides_[found.field->side].schema)[found.field->field].name;
    name->parts = {{called, true, syntax.span}};
    return std::nullopt;
  }
  std::optional<ExpressionError> error;
  expr::for_each_child(syntax, [&](expr::SyntaxPtr& child) {
    if (!error) error = resolve(*child, text, form, fields);
  });
  return error;
}

std::optional<MeantField> JoinNames::window_bound(const std::string& name) const {
  for (std::size_t i = 0; windowed_ && i < 2; ++i) {
    if (name == window_bounds[i]) return MeantField{of_window, i};
  }
  return std::nullopt;
}

JoinNames::Found JoinNames::meant(const expr::Syntax& syntax, const expr::ColumnName& name) const {
  if (name.parts.size() > 1) {
    Found found = qualified(syntax, name);
    if (found.field || found.error) return found;
  }
  const std::string text = whole(name);
  std::vector<std::size_t> with_it;
  for (const std::size_t side : {left_input, right_input}) {
    if (sides_[side].schema->find(text)) with_it.push_back(side);
  }
  if (with_it.size() == 1) return {MeantField{with_it[0], *sides_[with_it[0]].schema->find(text)}, {}};
  if (with_it.size() == 2) {
    const std::string left = sides_[left_input].key + "." + text;
    return {{},
            mistake_at(syntax, "both sides have a column " + in_quotes(text),
                       "write " + left + " or " + sides_[right_input].key + "." + text)};
  }
  if (const auto bound = window_bound(text)) return {bound, {}};
  return {{}, unknown(syntax, text, {left_input, right_input})};
}

/// Neither a field nor an error: the name does not begin with a side.
JoinNames::Found JoinNames::qualified(const expr::Syntax& syntax, const expr::ColumnName& name) const {
  for (const std::size_t side : {left_input, right_input}) {
    if (const std::size_t parts = parts_of(name, sides_[side].key)) return of_side(side, syntax, whole(name, parts));
  }
  std::vector<std::size_t> sides;
  std::size_t parts = 0;
  for (const std::size_t side : {left_input, right_input}) {
    const std::size_t these = parts_of(name, sides_[side].node);
    if (these == 0) continue;
    sides.push_back(side);
    parts = these;
  }
  if (sides.size() == 1) return of_side(sides[0], syntax, whole(name, parts));
  if (sides.empty()) return {};
  return {{},
          mistake_at(syntax, in_quotes(sides_[left_input].node) + " is both sides",
                     "write " + sides_[left_input].key + "." + whole(name, parts) + " or " + sides_[right_input].key +
                         "." + whole(name, parts))};
}

JoinNames::Found JoinNames::of_side(std::size_t side, const expr::Syntax& syntax, const std::string& name) const {
  if (const auto field = sides_[side].schema->find(name)) return {MeantField{side, *field}, {}};
  return {{}, unknown(syntax, name, {side})};
}

ExpressionError JoinNames::unknown(const expr::Syntax& syntax, const std::string& name,
                                   const std::vector<std::size_t>& sides) const {
  std::vector<std::string> known;
  std::string where;
  for (const std::size_t side : sides) {
    where += (where.empty() ? "" : " or ") + in_quotes(sides_[side].node);
    for (const Field& field : sides_[side].schema->fields()) {
      known.push_back(sides.size() > 1 ? field.name : sides_[side].key + "." + field.name);
    }
  }
  const std::string near = nearest_name(sides.size() > 1 ? name : sides_[sides[0]].key + "." + name, known);
  return mistake_at(syntax, "no column " + in_quotes(name) + " in " + where,
                    near.empty() ? std::string{} : "did you mean " + in_quotes(near) + "?");
}

}  // namespace dataflow::joins

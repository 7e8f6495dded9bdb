// where("...") and select(...): the expression language in C++ jobs.

#include "dataflow/plan.hpp"
#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/operators/filter.hpp"
#include "libdataflow/operators/select.hpp"

namespace dataflow {

namespace {

/// The expression, or its mistake with a mark under the place where it is.
std::optional<Expression> compile_at(Plan& plan, std::string_view text, const Schema& schema,
                                     const Plan::Place& where) {
  auto compiled = Expression::compile(text, schema);
  if (compiled) return std::move(*compiled);
  const ExpressionError& error = compiled.error();
  std::string message = error.message + "\n    " + std::string{text} + "\n    " + std::string(error.offset, ' ') +
                        std::string(std::max<std::size_t>(error.length, 1), '^');
  if (!error.suggestion.empty()) message += " " + error.suggestion;
  plan.mistake(where, std::move(message));
  return std::nullopt;
}

}  // namespace

void add_where(Plan& plan, StreamInfo& stream, std::string_view condition, const Plan::Place& where) {
  auto compiled = compile_at(plan, condition, *stream.schema, where);
  if (compiled && compiled->type().kind() != TypeKind::boolean) {
    plan.mistake(where,
                 "a condition must be bool, \"" + std::string{condition} + "\" is " + to_string(compiled->type()));
    compiled.reset();
  }
  NodeDraft draft{.type = "filter", .details = std::string{condition}};
  draft.outputs = {
      {.name = {}, .schema = stream.schema, .event_time = stream.event_time, .changelog = stream.changelog}};
  if (compiled) draft.factory = make_filter(std::move(*compiled), stream.schema);
  stream = plan.stream_of(plan.add(std::move(draft), &stream, where));
}

void add_select(Plan& plan, StreamInfo& stream, std::span<const std::pair<std::string, std::string>> fields,
                const RecordInfo& result, const Plan::Place& where) {
  std::vector<Expression> expressions;
  for (const Field& field : result.schema->fields()) {
    const auto at = std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.first == field.name; });
    if (at == fields.end()) {
      plan.mistake(where, "select gives no \"" + field.name + "\", which " + std::string{result.name} + " has");
      continue;
    }
    auto compiled = compile_at(plan, at->second, *stream.schema, where);
    if (!compiled) continue;
    if (!(compiled->type() == field.type)) {
      plan.mistake(where, "\"" + at->second + "\" is " + to_string(compiled->type()) + ", but \"" + field.name +
                              "\" of " + std::string{result.name} + " is " + to_string(field.type) + ": use CAST");
      continue;
    }
    expressions.push_back(std::move(*compiled));
  }
  for (const auto& [name, text] : fields) {
    if (!result.schema->find(name)) {
      plan.mistake(where, "select gives \"" + name + "\", which " + std::string{result.name} + " does not have");
    }
  }
  NodeDraft draft{.type = "select"};
  draft.outputs = {
      {.name = {}, .schema = result.schema, .event_time = stream.event_time, .changelog = stream.changelog}};
  if (expressions.size() == result.schema->size()) draft.factory = make_select(std::move(expressions), result.schema);
  stream = plan.stream_of(plan.add(std::move(draft), &stream, where));
}

}  // namespace dataflow

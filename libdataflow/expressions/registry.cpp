#include "libdataflow/expressions/registry.hpp"

#include <algorithm>

#include "libdataflow/expressions/token.hpp"

namespace dataflow::expr {

namespace {

const char* text_of(Accepts accepts) {
  switch (accepts) {
    case Accepts::any: return "any";
    case Accepts::boolean: return "bool";
    case Accepts::integer: return "integer";
    case Accepts::int64: return "int64";
    case Accepts::number: return "number";
    case Accepts::float64: return "float64";
    case Accepts::decimal: return "decimal";
    case Accepts::string: return "string";
    case Accepts::bytes: return "bytes";
    case Accepts::timestamp: return "timestamp";
    case Accepts::interval: return "interval";
    case Accepts::comparable: return "T";
  }
  return "?";
}

}  // namespace

std::optional<std::string> Binding::constant_text(std::size_t i) const {
  const Vector* value = arguments[i]->constant();
  if (value == nullptr || value->is_null_constant() || !type(i).is_text()) return std::nullopt;
  return std::string{value->column->text(0)};
}

std::optional<std::int64_t> Binding::constant_integer(std::size_t i) const {
  const Vector* value = arguments[i]->constant();
  if (value == nullptr || value->is_null_constant() || type(i).kind != Kind::int64) return std::nullopt;
  return value->column->as<std::int64_t>()[0];
}

ResultType same_as_first() {
  return {[](std::span<const Type> types) { return types[0]; }, "the type of the first argument"};
}

ResultType same_as_all() {
  return {[](std::span<const Type> types) { return types[0]; }, "T"};
}

Bind always(Kernel kernel) {
  return [kernel = std::move(kernel)](const Binding&) -> tl::expected<Kernel, ArgumentError> { return kernel; };
}

std::string signature(const Function& function, const Overload& overload) {
  std::string text = function.name + "(";
  const std::size_t required = overload.parameters.size() - overload.optional;
  for (std::size_t i = 0; i < overload.parameters.size(); ++i) {
    if (i >= required) text += "[";
    if (i != 0) text += ", ";
    text += std::string{overload.parameters[i].name} + " " + text_of(overload.parameters[i].accepts);
  }
  text += std::string(overload.optional, ']');
  if (overload.repeats) text += ", ...";
  return text + ") -> " + overload.result.text();
}

const std::vector<Function>& functions() {
  static const std::vector<Function> table = [] {
    std::vector<Function> all;
    add_math_functions(all);
    add_text_functions(all);
    add_regexp_functions(all);
    add_time_functions(all);
    add_hash_functions(all);
    add_json_functions(all);
    add_conditional_functions(all);
    std::sort(all.begin(), all.end(), [](const Function& a, const Function& b) { return a.name < b.name; });
    return all;
  }();
  return table;
}

const Function* find_function(std::string_view name) {
  for (const Function& function : functions()) {
    if (same_word(function.name, name)) return &function;
  }
  return nullptr;
}

}  // namespace dataflow::expr

#pragma once
// The functions: one table entry each, from which calls are checked, kernels made and the reference written. A
// functions_GROUP.cpp adds its group; a new function is one entry there.

#include <string>
#include <vector>

#include "libdataflow/expressions/node.hpp"

namespace dataflow::expr {

/// What a parameter takes; arguments are widened to it.
enum class Accepts : std::uint8_t {
  any,  ///< every type, kept
  boolean,
  integer,  ///< int32 or int64, kept
  int64,    ///< both, as int64
  number,   ///< every numeric type, kept
  float64,  ///< every numeric type, as float64
  decimal,  ///< decimal only, kept
  string,
  bytes,
  timestamp,  ///< a string literal is read as one
  interval,
  comparable,  ///< any type; all arguments of such parameters get one common type
};

struct Parameter {
  const char* name;
  Accepts accepts;
};

/// Why an argument's value, known when the call is checked, will not do.
struct ArgumentError {
  std::size_t argument;
  std::string message;
};

/// A call whose arguments have been checked and widened.
struct Binding {
  std::span<const NodePtr> arguments;
  Type result;

  [[nodiscard]] Type type(std::size_t i) const { return arguments[i]->type(); }
  /// The argument's text, when it is a constant that is not NULL.
  [[nodiscard]] std::optional<std::string> constant_text(std::size_t i) const;
  [[nodiscard]] std::optional<std::int64_t> constant_integer(std::size_t i) const;
};

using Bind = std::function<tl::expected<Kernel, ArgumentError>(const Binding&)>;

/// The result's type and how the reference names it.
struct ResultType {
  ResultType(Kind kind) : kind_{kind} {}  // NOLINT(google-explicit-constructor)
  using Rule = Type (*)(std::span<const Type>);
  /// `named`: e.g. "the type of x".
  ResultType(Rule rule, const char* named) : rule_{rule}, named_{named} {}

  [[nodiscard]] Type of(std::span<const Type> arguments) const { return rule_ ? rule_(arguments) : Type{kind_}; }
  [[nodiscard]] std::string text() const { return rule_ ? named_ : to_string(Type{kind_}); }

 private:
  Kind kind_ = Kind::null;
  Rule rule_ = nullptr;
  const char* named_ = "";
};

/// The type of the first argument.
ResultType same_as_first();
/// The type that all arguments have in common, called T.
ResultType same_as_all();

struct Overload {
  std::vector<Parameter> parameters;
  ResultType result;
  Bind bind;
  std::size_t optional = 0;  ///< so many parameters at the end may be left out
  bool repeats = false;      ///< the last parameter may be given any number of times, at least once
  Nulls nulls = Nulls::strict;
};

struct Function {
  std::string name;  ///< lower case
  std::string group;
  std::string help;
  std::string example;
  std::vector<Overload> overloads;  ///< the first that fits is taken
};

/// A kernel that depends on nothing known when the call is checked.
Bind always(Kernel kernel);

/// `substring(s string, start int64[, count int64]) -> string`
std::string signature(const Function& function, const Overload& overload);

/// All functions by name, the special ones (coalesce, if, nullif, now) included: those have no bind.
const std::vector<Function>& functions();
/// Case-insensitive; null when there is none.
const Function* find_function(std::string_view name);

void add_math_functions(std::vector<Function>& table);
void add_text_functions(std::vector<Function>& table);
void add_regexp_functions(std::vector<Function>& table);
void add_time_functions(std::vector<Function>& table);
void add_hash_functions(std::vector<Function>& table);
void add_json_functions(std::vector<Function>& table);
void add_conditional_functions(std::vector<Function>& table);

}  // namespace dataflow::expr

// Aggregate expressions: the calls are taken out of the syntax tree, checked over the input, and replaced by columns
// "$0", "$1", ... of their results; what is left is an ordinary expression over those.

#include <algorithm>
#include <array>

#include "libdataflow/expressions/compiler.hpp"
#include "libdataflow/expressions/parser.hpp"

namespace dataflow::expr {

namespace {

/// What a function adds up and returns.
enum class Argument : std::uint8_t { optional_any, sum, any_ordered, average, float64, any, float64_and_fraction };

struct Aggregate {
  const char* name;
  Argument argument;
  const char* signature;
  const char* help;
  const char* example;
};

constexpr std::array aggregates = {
    Aggregate{"count", Argument::optional_any, "count([DISTINCT] [x any]) -> int64",
              "The number of rows; with an argument, of those in which it is not NULL; with DISTINCT, of its different "
              "values.",
              "count(DISTINCT city)"},
    Aggregate{"sum", Argument::sum, "sum(x number) -> int64, decimal or float64",
              "The sum of the values that are not NULL; NULL when there is none. Integers add up as int64.",
              "sum(amount)"},
    Aggregate{"min", Argument::any_ordered, "min(x any) -> the type of x", "The smallest value that is not NULL.",
              "min(temperature)"},
    Aggregate{"max", Argument::any_ordered, "max(x any) -> the type of x", "The largest value that is not NULL.",
              "max(temperature)"},
    Aggregate{"avg", Argument::average, "avg(x number) -> float64 or decimal",
              "The mean of the values that are not NULL; of decimals a decimal with at least 6 digits after the point.",
              "avg(temperature)"},
    Aggregate{"stddev", Argument::float64, "stddev(x number) -> float64",
              "The sample standard deviation; NULL for fewer than two values.", "stddev(latency)"},
    Aggregate{"variance", Argument::float64, "variance(x number) -> float64",
              "The sample variance; NULL for fewer than two values.", "variance(latency)"},
    Aggregate{"first", Argument::any, "first(x any) -> the type of x",
              "The value of the row that came first of those in which it is not NULL.", "first(price)"},
    Aggregate{"last", Argument::any, "last(x any) -> the type of x",
              "The value of the row that came last of those in which it is not NULL.", "last(price)"},
    Aggregate{"approx_count_distinct", Argument::any, "approx_count_distinct(x any) -> int64",
              "About how many different values there are: a HyperLogLog of 4096 registers, with a standard error of "
              "1.6 % (two of three results are closer than that, 99 of 100 closer than 4.3 %), in at most 4 KiB.",
              "approx_count_distinct(user_id)"},
    Aggregate{"approx_percentile", Argument::float64_and_fraction,
              "approx_percentile(x number, fraction number) -> float64",
              "About the value below which the fraction (a literal from 0 to 1) of the values lie: within 1 % of a "
              "value that does (a DDSketch), whatever their number.",
              "approx_percentile(latency, 0.99)"},
};

const Aggregate* find_aggregate(std::string_view name) {
  for (const Aggregate& aggregate : aggregates) {
    if (same_word(aggregate.name, name)) return &aggregate;
  }
  return nullptr;
}

}  // namespace

bool is_aggregate(std::string_view name) {
  return find_aggregate(name) != nullptr;
}

const std::vector<std::string>& aggregate_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Aggregate& aggregate : aggregates) all.emplace_back(aggregate.name);
    return all;
  }();
  return names;
}

void add_aggregate_docs(std::vector<FunctionDoc>& docs) {
  for (const Aggregate& a : aggregates) docs.push_back({a.name, "aggregate", {a.signature}, a.help, a.example});
}

/// Finds the calls and makes them.
class AggregateCompiler {
 public:
  AggregateCompiler(std::string_view text, const Schema& input, std::string_view input_name)
      : text_{text}, input_{input}, input_name_{input_name} {}

  tl::expected<AggregateExpression, ExpressionError> run() {
    auto parsed = parse_expression(text_);
    if (!parsed) return tl::unexpected(parsed.error());
    SyntaxPtr syntax = std::move(*parsed);
    const Span whole = syntax->span;
    if (!replace(syntax)) return tl::unexpected(*error_);
    if (calls_.empty()) {
      return tl::unexpected(ExpressionError{whole.offset, whole.length, "there is no aggregate in this expression",
                                            "e.g. count(), sum(x), first(x)"});
    }
    std::vector<Field> fields;
    for (std::size_t i = 0; i < calls_.size(); ++i) fields.push_back({"$" + std::to_string(i), calls_[i].result_type});
    const Schema results{std::move(fields)};
    auto result = ExpressionCompiler{results, ""}.compile(*syntax, text_);
    if (!result) return tl::unexpected(result.error());
    return AggregateExpression{std::move(calls_), std::move(*result)};
  }

 private:
  bool fail(Span span, std::string message, std::string suggestion = {}) {
    error_ = ExpressionError{span.offset, span.length, std::move(message), std::move(suggestion)};
    return false;
  }
  [[nodiscard]] std::string source(Span span) const { return std::string{text_.substr(span.offset, span.length)}; }

  bool replace(SyntaxPtr& syntax) {
    if (const auto* call = std::get_if<Call>(&syntax->node)) {
      if (const Aggregate* aggregate = find_aggregate(call->name.text)) return take(syntax, *call, *aggregate);
      // Before its arguments, whose columns would seem to stand outside of an aggregate.
      if (find_function(call->name.text) == nullptr) {
        error_ = no_such_function(call->name);
        return false;
      }
    }
    if (const auto* column = std::get_if<ColumnName>(&syntax->node)) {
      return fail(syntax->span, "column \"" + column->parts.back().text + "\" must be inside an aggregate",
                  "e.g. first(" + source(syntax->span) + "), or make it a key");
    }
    bool fine = true;
    for_each_child(*syntax, [&](SyntaxPtr& child) { fine = fine && replace(child); });
    return fine;
  }

  bool take(SyntaxPtr& syntax, const Call& node, const Aggregate& aggregate) {
    auto call = make(syntax->span, node, aggregate);
    if (!call) return false;
    std::size_t index = 0;
    while (index < calls_.size() && calls_[index].text != call->text) ++index;
    if (index == calls_.size()) calls_.push_back(std::move(*call));
    const Span span = syntax->span;
    syntax = std::make_unique<Syntax>();
    syntax->span = span;
    syntax->node = ColumnName{{{"$" + std::to_string(index), true, span}}};
    return true;
  }

  std::optional<AggregateCall> make(Span span, const Call& node, const Aggregate& aggregate) {
    AggregateCall call{aggregate.name, node.distinct, {}, {}, {}, TypeKind::int64, source(span)};
    const std::size_t count = node.arguments.size();
    const std::size_t wanted = aggregate.argument == Argument::float64_and_fraction ? 2 : 1;
    const bool none = aggregate.argument == Argument::optional_any && count == 0 && !node.distinct;
    if ((count != wanted && !none) || (node.star && !none)) {
      fail(span, call.function + " cannot take " + (node.star ? "*" : std::to_string(count) + " arguments"),
           std::string{"it is "} + aggregate.signature);
      return std::nullopt;
    }
    if (node.distinct && call.function != "count") {
      fail(span, "DISTINCT is only for count", "count(DISTINCT x)");
      return std::nullopt;
    }
    if (node.filter) {
      ExpressionCompiler compiler{input_, input_name_};
      auto filter = compiler.compile_condition(*node.filter, source(node.filter->span), "a FILTER");
      if (!filter) return error_ = filter.error(), std::nullopt;
      call.filter = std::move(*filter);
    }
    if (none) return call;
    if (wanted == 2 && !fraction(*node.arguments[1], call)) return std::nullopt;
    if (!argument(*node.arguments[0], aggregate, call)) return std::nullopt;
    return call;
  }

  bool fraction(const Syntax& syntax, AggregateCall& call) {
    const auto value = constant_double(syntax, input_);
    if (!value || !(*value >= 0 && *value <= 1)) {
      return fail(syntax.span, "the fraction must be a literal from 0 to 1", "0.99 is the 99th percentile");
    }
    call.parameters.emplace_back(*value);
    return true;
  }

  bool argument(const Syntax& syntax, const Aggregate& aggregate, AggregateCall& call) {
    ExpressionCompiler compiler{input_, input_name_};
    NodePtr node = compiler.check(syntax);
    if (!node) {
      error_ = compiler.error();
      return false;
    }
    const Type type = node->type();
    if (type.kind == Kind::interval || type.kind == Kind::null) {
      return fail(syntax.span, call.function + " cannot take " + to_string(type),
                  type.kind == Kind::interval ? "epoch_ms(x) makes milliseconds of an interval" : "CAST(NULL AS type)");
    }
    const bool adds = aggregate.argument == Argument::sum || aggregate.argument == Argument::average ||
                      aggregate.argument == Argument::float64 || aggregate.argument == Argument::float64_and_fraction;
    if (adds && !type.is_numeric()) {
      return fail(syntax.span, call.function + " needs a number, this is " + to_string(type),
                  std::string{"it is "} + aggregate.signature);
    }
    Type widened = type;
    if (adds && type.kind == Kind::int32) widened = Kind::int64;
    if (aggregate.argument == Argument::float64 || aggregate.argument == Argument::float64_and_fraction) {
      widened = Kind::float64;
    }
    auto compiled = compiler.finish(convert(std::move(node), widened), source(syntax.span));
    call.argument = std::move(compiled);
    call.result_type = result_type(aggregate, call.function, widened);
    return true;
  }

  static DataType result_type(const Aggregate& aggregate, std::string_view function, Type argument) {
    if (function == "count" || function == "approx_count_distinct") return TypeKind::int64;
    if (argument.kind != Kind::decimal) {
      return aggregate.argument == Argument::average ? DataType{TypeKind::float64} : storage_type(argument);
    }
    if (aggregate.argument == Argument::average) {
      return DataType::decimal(max_decimal_digits, std::max<std::uint8_t>(argument.scale, 6));
    }
    if (aggregate.argument == Argument::sum) return DataType::decimal(max_decimal_digits, argument.scale);
    return storage_type(argument);
  }

  std::string_view text_;
  const Schema& input_;
  std::string input_name_;
  std::vector<AggregateCall> calls_;
  std::optional<ExpressionError> error_;
};

}  // namespace dataflow::expr

namespace dataflow {

tl::expected<AggregateExpression, ExpressionError> compile_aggregate(std::string_view text, const Schema& input,
                                                                     std::string_view input_name) {
  return expr::AggregateCompiler{text, input, input_name}.run();
}

}  // namespace dataflow

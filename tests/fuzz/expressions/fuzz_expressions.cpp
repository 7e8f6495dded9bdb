// Any text: it compiles or is refused with a place inside of it, and what compiles can be evaluated.

#include <cstdlib>
#include <string>

#include "libdataflow/expressions/expression.hpp"
#include "serialization/builder.hpp"

using namespace dataflow;

namespace {

const BatchPtr& tiny_batch() {
  static const SchemaPtr schema = make_schema({{"i", TypeKind::int32},
                                               {"n", TypeKind::int64},
                                               {"x", TypeKind::float64},
                                               {"d", DataType::decimal(10, 2)},
                                               {"b", TypeKind::boolean},
                                               {"s", TypeKind::string},
                                               {"y", TypeKind::bytes},
                                               {"t", TypeKind::timestamp}});
  static const BatchPtr batch = [] {
    BatchBuilder builder{schema};
    builder.append_row(std::vector<Value>{std::int64_t{-1}, std::int64_t{1} << 62, 0.5, std::int64_t{12345}, true,
                                          std::string{"Zürich {\"a\": [1]}"}, std::string{"\xff\x00", 2},
                                          std::int64_t{1'277'991'930'123'456}});
    builder.append_row(std::vector<Value>(schema->size()));
    builder.append_row(std::vector<Value>{std::int64_t{0}, INT64_MIN, -1e308, std::int64_t{0}, false,
                                          std::string{"\xc3("}, std::string{}, INT64_MAX});
    return builder.finish();
  }();
  return batch;
}

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const ExpressionError& error, std::size_t text_size) {
  require(error.offset <= text_size && error.length <= text_size - error.offset);
  require(!error.message.empty());
}

void evaluate(const Expression& expression) {
  EvalContext context;
  const EvalResult result = expression.evaluate(*tiny_batch(), context);
  require(result.column->rows == tiny_batch()->rows());
  std::uint32_t next = 0;
  for (const RowError& error : result.errors) {
    require(error.row >= next && error.row < result.column->rows && result.column->is_null(error.row));
    next = error.row + 1;
  }
  for (std::uint32_t row = 0; row < result.column->rows; ++row) static_cast<void>(result.column->value(row));
  if (expression.type() != TypeKind::boolean) return;
  std::vector<std::uint32_t> selected;
  std::vector<RowError> errors;
  expression.select(*tiny_batch(), context, selected, errors);
  require(errors.size() == result.errors.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const Schema& schema = *tiny_batch()->schema();
  if (const auto expression = Expression::compile(text, schema, "input")) {
    evaluate(*expression);
  } else {
    check(expression.error(), size);
  }
  if (const auto aggregate = compile_aggregate(text, schema, "input"); !aggregate) check(aggregate.error(), size);
  return 0;
}

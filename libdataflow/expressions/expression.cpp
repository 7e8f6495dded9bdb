#include "libdataflow/expressions/expression.hpp"

#include <algorithm>
#include <cassert>

#include "libdataflow/expressions/compare_rows.hpp"
#include "libdataflow/expressions/compiler.hpp"
#include "libdataflow/expressions/parser.hpp"

namespace dataflow {

struct Expression::Impl {
  std::string text;
  DataType type;
  std::vector<std::size_t> fields;
  expr::NodePtr root;
};

Expression ExpressionCompiler::finish(expr::NodePtr node, std::string text) {
  const std::set<std::size_t>& fields = checker_.fields();
  auto impl = std::make_shared<Expression::Impl>();
  impl->text = std::move(text);
  impl->type = expr::storage_type(node->type());
  impl->fields.assign(fields.begin(), fields.end());
  impl->root = std::move(node);
  return Expression{std::move(impl)};
}

tl::expected<Expression, ExpressionError> ExpressionCompiler::compile(const expr::Syntax& syntax,
                                                                      std::string_view text) {
  expr::NodePtr node = checker_.check(syntax);
  if (node && node->type().kind == expr::Kind::null) {
    checker_.fail(syntax.span, "the type of this NULL is not known", "write CAST(NULL AS type)");
    node = nullptr;
  } else if (node && node->type().kind == expr::Kind::interval) {
    checker_.fail(syntax.span, "an interval cannot be a column", "epoch_ms(x) makes milliseconds of it");
    node = nullptr;
  }
  if (!node) return tl::unexpected(checker_.error());
  return finish(std::move(node), std::string{text});
}

tl::expected<Expression, ExpressionError> ExpressionCompiler::compile_condition(const expr::Syntax& syntax,
                                                                                std::string text,
                                                                                std::string_view what) {
  expr::NodePtr node = checker_.check_condition(syntax, what);
  if (!node) return tl::unexpected(checker_.error());
  return finish(std::move(node), std::move(text));
}

tl::expected<Expression, ExpressionError> Expression::compile(std::string_view text, const Schema& input,
                                                              std::string_view input_name) {
  auto syntax = expr::parse_expression(text);
  if (!syntax) return tl::unexpected(syntax.error());
  return ExpressionCompiler{input, input_name}.compile(**syntax, text);
}

const DataType& Expression::type() const {
  return impl_->type;
}
const std::string& Expression::text() const {
  return impl_->text;
}
std::vector<std::size_t> Expression::fields_used() const {
  return impl_->fields;
}
std::optional<std::size_t> Expression::as_field() const {
  return impl_->root->field();
}

EvalResult Expression::evaluate(const Batch& batch, EvalContext& context) const {
  expr::Frame frame{&batch, batch.rows(), context};
  expr::Vector value = impl_->root->evaluate(frame);
  return {expr::materialise(value, batch.rows()), std::move(value.errors)};
}

void Expression::select(const Batch& batch, EvalContext& context, std::vector<std::uint32_t>& selected,
                        std::vector<RowError>& errors) const {
  assert(impl_->type.kind() == TypeKind::boolean);
  const std::uint32_t rows = batch.rows();
  expr::Frame frame{&batch, rows, context};
  if (impl_->root->can_filter()) {
    if (selected.empty()) return impl_->root->filter(frame, selected, true);
    context.scratch_rows.clear();
    impl_->root->filter(frame, context.scratch_rows, true);
    selected.insert(selected.end(), context.scratch_rows.begin(), context.scratch_rows.end());
    return;
  }
  expr::Vector value = impl_->root->evaluate(frame);
  errors.insert(errors.end(), std::make_move_iterator(value.errors.begin()),
                std::make_move_iterator(value.errors.end()));
  const expr::Reader<std::uint8_t> is_true{value};
  std::size_t kept = selected.size();
  selected.resize(kept + rows + 8);  // what rows_of_flags may write past the end
  std::uint32_t* out = selected.data();
  if (!value.column->has_nulls() && !value.constant) {
    kept += expr::rows_of_flags(value.column->values.as<std::uint8_t>(), rows, 0, out + kept);
  } else if (value.column->has_nulls()) {
    for (std::uint32_t row = 0; row < rows; ++row) {
      out[kept] = row;
      kept += is_true[row] & static_cast<std::uint8_t>(!value.is_null(row));
    }
  } else {
    for (std::uint32_t row = 0; row < rows; ++row) {
      out[kept] = row;
      kept += is_true[row];
    }
  }
  selected.resize(kept);
}

std::optional<double> expr::constant_double(const Syntax& syntax, const Schema& input) {
  Checker checker{input, ""};
  NodePtr node = checker.check(syntax);
  if (!node || !node->type().is_numeric()) return std::nullopt;
  node = convert(std::move(node), Kind::float64);
  const Vector* value = node->constant();
  if (value == nullptr || value->is_null_constant()) return std::nullopt;
  return value->column->as<double>()[0];
}

std::vector<FunctionDoc> function_docs() {
  std::vector<FunctionDoc> docs;
  for (const expr::Function& function : expr::functions()) {
    FunctionDoc doc{function.name, function.group, {}, function.help, function.example};
    for (const expr::Overload& overload : function.overloads) doc.signatures.push_back(signature(function, overload));
    docs.push_back(std::move(doc));
  }
  expr::add_aggregate_docs(docs);
  std::sort(docs.begin(), docs.end(), [](const FunctionDoc& a, const FunctionDoc& b) {
    return std::tie(a.group, a.name) < std::tie(b.group, b.name);
  });
  return docs;
}

}  // namespace dataflow

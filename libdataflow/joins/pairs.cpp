#include "libdataflow/joins/pairs.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <set>

namespace dataflow::joins {

namespace {

ColumnPtr column_of(const std::vector<std::int64_t>& values) {
  auto column = std::make_shared<Column>();
  column->type = TypeKind::timestamp;
  column->rows = static_cast<std::uint32_t>(values.size());
  GrowingBuffer bytes;
  bytes.append(values.data(), values.size() * sizeof(std::int64_t));
  column->values = bytes.freeze();
  return column;
}

/// The rows at `rows`, some of which may be no_row.
ColumnPtr gather_or_null(const Column& column, const std::vector<std::uint32_t>& rows) {
  if (is_unread(column)) return unread_column(column.type, static_cast<std::uint32_t>(rows.size()));
  if (std::find(rows.begin(), rows.end(), no_row) == rows.end()) return gather(column, rows);
  std::vector<std::uint32_t> some = rows;
  std::replace(some.begin(), some.end(), no_row, 0U);
  auto result = std::make_shared<Column>(*gather(column, some));
  GrowingBuffer validity;
  validity.resize(bitmap_bytes(rows.size()));
  std::memset(validity.data(), 0, validity.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] != no_row && !column.is_null(rows[i])) set_bit(validity.as<std::uint8_t>(), i);
  }
  result->validity = validity.freeze();
  return result;
}

Buffer kinds_of(const std::vector<RowKind>& kinds) {
  if (std::all_of(kinds.begin(), kinds.end(), [](RowKind kind) { return kind == RowKind::insert; })) return {};
  GrowingBuffer bytes;
  bytes.append(kinds.data(), kinds.size());
  return bytes.freeze();
}

/// One error a row, ascending.
void add_errors(std::vector<RowError> more, std::vector<RowError>& errors) {
  std::move(more.begin(), more.end(), std::back_inserter(errors));
  std::stable_sort(errors.begin(), errors.end(), [](const RowError& a, const RowError& b) { return a.row < b.row; });
  errors.erase(
      std::unique(errors.begin(), errors.end(), [](const RowError& a, const RowError& b) { return a.row == b.row; }),
      errors.end());
}

std::vector<std::size_t> used_by(const std::vector<Expression>& expressions) {
  std::set<std::size_t> used;
  for (const Expression& expression : expressions) {
    for (const std::size_t field : expression.fields_used()) used.insert(field);
  }
  return {used.begin(), used.end()};
}

}  // namespace

void Pairs::clear() {
  for (PairSide& side : sides) {
    side.rows.clear();
    side.stored.clear();
  }
  kinds.clear();
  times.clear();
  window_starts.clear();
  window_ends.clear();
  count = bytes = 0;
}

PairEvaluator::PairEvaluator(const JoinSpec& spec, const PackedLayout& left, const PackedLayout& right)
    : spec_{spec}, layouts_{&left, &right}, output_fields_{used_by(spec.outputs)} {
  std::vector<Expression> all = spec.outputs;
  if (spec.condition) {
    condition_fields_ = spec.condition->fields_used();
    all.push_back(*spec.condition);
  }
  all_fields_ = used_by(all);
}

ColumnPtr PairEvaluator::column(const Pairs& pairs, std::size_t pair_field) const {
  const std::size_t left = spec_.left_fields();
  const std::size_t right = spec_.sides[right_input].schema->size();
  if (pair_field >= left + right) {
    return column_of(pair_field == left + right ? pairs.window_starts : pairs.window_ends);
  }
  const std::size_t side = pair_field < left ? left_input : right_input;
  const std::size_t field = side == left_input ? pair_field : pair_field - left;
  const PairSide& rows = pairs.sides[side];
  if (rows.batch != nullptr) return gather_or_null(rows.batch->column(field), rows.rows);
  return layouts_[side]->unpack(layouts_[side]->place_of(field), rows.stored);
}

BatchPtr PairEvaluator::batch_of(const Pairs& pairs, const std::vector<std::size_t>& fields) const {
  const auto rows = static_cast<std::uint32_t>(pairs.count);
  std::vector<ColumnPtr> columns(spec_.pair->size());
  for (const std::size_t field : fields) columns[field] = column(pairs, field);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i] == nullptr) columns[i] = unread_column((*spec_.pair)[i].type, rows);
  }
  return std::make_shared<const Batch>(spec_.pair, rows, std::move(columns));
}

void PairEvaluator::select(const Pairs& pairs, Timestamp now, std::vector<std::uint32_t>& selected,
                           std::vector<RowError>& errors) {
  selected.clear();
  if (!spec_.condition) {
    selected.resize(pairs.count);
    std::iota(selected.begin(), selected.end(), 0U);
    return;
  }
  if (pairs.count == 0) return;
  context_.processing_time = now;
  spec_.condition->select(*batch_of(pairs, condition_fields_), context_, selected, errors);
}

BatchPtr PairEvaluator::results(const Pairs& pairs, Timestamp now, std::vector<RowError>& errors) {
  context_.processing_time = now;
  const BatchPtr joined = batch_of(pairs, output_fields_);
  std::vector<ColumnPtr> columns;
  columns.reserve(spec_.outputs.size());
  for (const Expression& output : spec_.outputs) {
    if (const auto field = output.as_field()) {
      columns.push_back(joined->columns()[*field]);
      continue;
    }
    EvalResult result = output.evaluate(*joined, context_);
    if (!result.errors.empty()) add_errors(std::move(result.errors), errors);
    columns.push_back(std::move(result.column));
  }
  return std::make_shared<const Batch>(spec_.output, static_cast<std::uint32_t>(pairs.count), std::move(columns),
                                       spec_.event_time ? column_of(pairs.times) : nullptr, kinds_of(pairs.kinds));
}

}  // namespace dataflow::joins

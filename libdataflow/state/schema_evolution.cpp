#include "libdataflow/state/schema_evolution.hpp"

#include "serialization/builder.hpp"

namespace dataflow {

namespace {

bool widens(const DataType& from, const DataType& to) {
  if (from == to) return true;
  switch (from.kind()) {
    case TypeKind::int32: return to.kind() == TypeKind::int64 || to.kind() == TypeKind::float64;
    case TypeKind::decimal:
      return to.kind() == TypeKind::decimal && to.scale() == from.scale() && to.precision() >= from.precision();
    default: return false;
  }
}

ColumnPtr widen(const ColumnPtr& column, const DataType& to) {
  if (column->type == to) return column;
  if (column->type.kind() == TypeKind::decimal) {
    Column same = *column;
    same.type = to;
    return std::make_shared<const Column>(std::move(same));
  }
  ColumnBuilder wider{to, column->rows};
  for (std::uint32_t row = 0; row < column->rows; ++row) {
    if (column->is_null(row)) {
      wider.append_null();
    } else if (to.kind() == TypeKind::float64) {
      wider.append_float64(column->as<std::int32_t>()[row]);
    } else {
      wider.append_int64(column->as<std::int32_t>()[row]);
    }
  }
  return wider.finish();
}

}  // namespace

Result<SchemaEvolution> SchemaEvolution::between(SchemaPtr written, SchemaPtr wanted) {
  SchemaEvolution evolution;
  evolution.identical_ = *written == *wanted;
  for (const Field& field : wanted->fields()) {
    const auto at = written->find(field.name);
    if (at && !widens((*written)[*at].type, field.type)) {
      return fail(ErrorCode::invalid_argument,
                  "the field \"" + field.name + "\" was " + to_string((*written)[*at].type) + " and is " +
                      to_string(field.type) + " now: state can be given new fields, lose some, and its numbers widen");
    }
    evolution.from_.push_back(at.value_or(missing));
  }
  evolution.written_ = std::move(written);
  evolution.wanted_ = std::move(wanted);
  return evolution;
}

BatchPtr SchemaEvolution::convert(const BatchPtr& rows) const {
  if (identical_) return rows;
  std::vector<ColumnPtr> columns;
  columns.reserve(from_.size());
  for (std::size_t i = 0; i < from_.size(); ++i) {
    const DataType& type = (*wanted_)[i].type;
    columns.push_back(from_[i] == missing ? constant_column(type, Value{}, rows->rows())
                                          : widen(rows->columns()[from_[i]], type));
  }
  return rows->with_columns(wanted_, std::move(columns));
}

}  // namespace dataflow

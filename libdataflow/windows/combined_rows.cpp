#include "libdataflow/windows/combined_rows.hpp"

namespace dataflow::windows {

namespace {

/// No user's field can have such a name in a topology. The number grows when rows are laid out in another way.
constexpr const char* combined_field = "$combined/1";

}  // namespace

SchemaPtr combined_schema(const Schema& input) {
  std::vector<Field> fields = input.fields();
  fields.push_back({combined_field, TypeKind::bytes});
  return make_schema(std::move(fields));
}

BatchPtr combined_batch(const SchemaPtr& combined, std::vector<ColumnPtr> columns, GrowingBuffer rows,
                        std::size_t width, ColumnPtr timestamps) {
  const auto count = static_cast<std::uint32_t>(rows.size() / width);
  GrowingBuffer offsets;
  offsets.resize((count + std::size_t{1}) * sizeof(std::uint32_t));
  for (std::uint32_t row = 0; row <= count; ++row) {
    offsets.as<std::uint32_t>()[row] = row * static_cast<std::uint32_t>(width);
  }
  columns.push_back(std::make_shared<const Column>(Column{
      .type = TypeKind::bytes, .rows = count, .values = rows.freeze(), .offsets = offsets.freeze(), .validity = {}}));
  return std::make_shared<const Batch>(combined, count, std::move(columns), std::move(timestamps));
}

BatchPtr as_combined_batch(const SchemaPtr& combined, const Batch& records) {
  std::vector<ColumnPtr> columns;
  columns.reserve(records.columns().size() + 1);
  columns.assign(records.columns().begin(), records.columns().end());
  columns.push_back(unread_column(TypeKind::bytes, records.rows()));
  return records.with_columns(combined, std::move(columns));
}

Result<std::optional<CombinedRows>> CombinedRows::of(const Batch& batch, const Schema& input, std::size_t state_bytes) {
  const Column& column = *batch.columns().back();
  if (batch.columns().size() == input.size() || is_unread(column)) return std::nullopt;
  const std::size_t width = sizeof(CombinedHead) + state_bytes;
  // Where each row begins follows from that, and is not looked at: another core has written it.
  if (column.offset_data()[column.rows] == column.rows * width) return CombinedRows{column.values.data(), width};
  return fail(ErrorCode::malformed_data,
              "combined records are of another form than this worker makes them: run the "
              "same version everywhere");
}

BatchPtr without_combined_field(const BatchPtr& batch, const SchemaPtr& input) {
  if (batch->columns().size() == input->size()) return batch;
  return batch->with_columns(input, {batch->columns().begin(), batch->columns().end() - 1});
}

}  // namespace dataflow::windows

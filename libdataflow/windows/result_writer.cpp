#include "libdataflow/windows/result_writer.hpp"

#include <algorithm>
#include <cassert>

#include "libdataflow/runtime/buggify.hpp"
#include "libdataflow/windows/assign.hpp"

namespace dataflow::windows {

ResultWriter::ResultWriter(const WindowSpec& spec, SchemaPtr output, const KeyReader& keys, Aggregation& aggregation)
    : schema_{std::move(output)},
      key_reader_{keys},
      aggregation_{aggregation},
      having_{spec.having},
      key_columns_{spec.key_fields.size()},
      bounds_{has_window_bounds(spec.kind)} {}

ColumnPtr ResultWriter::time_column(std::int64_t Stretch::*time) const {
  ColumnBuilder builder{TypeKind::timestamp, states_.size()};
  auto* at = builder.append_uninitialised<std::int64_t>(states_.size());
  for (const Stretch& stretch : stretches_) at = std::fill_n(at, stretch.groups, stretch.*time);
  return builder.finish();
}

void ResultWriter::append_keys(std::vector<ColumnPtr>& columns) const {
  std::vector<ColumnBuilder> builders;
  std::vector<ColumnBuilder*> pointers;
  builders.reserve(key_columns_);
  for (std::size_t i = 0; i < key_columns_; ++i) {
    builders.emplace_back((*schema_)[i].type, keys_.size());
    pointers.push_back(&builders.back());
  }
  key_reader_.write(keys_.data(), keys_.size(), pointers.data());
  for (ColumnBuilder& builder : builders) columns.push_back(builder.finish());
}

BatchPtr ResultWriter::make_batch(Timestamp processing_time, ResultTime time) {
  const auto rows = static_cast<std::uint32_t>(states_.size());
  std::vector<ColumnPtr> columns;
  append_keys(columns);
  if (bounds_) {
    columns.push_back(time_column(&Stretch::start));
    columns.push_back(time_column(&Stretch::end));
  }
  Aggregation::Results results = aggregation_.results(states_, processing_time);
  failed_ = std::move(results.errors);
  for (ColumnPtr& column : results.columns) columns.push_back(std::move(column));
  // Groups of a checkpoint behind which no record came have their records' time, too.
  const bool of_records = !bounds_ && stretches_.front().event_time != first_micros;
  ColumnPtr times = time == ResultTime::present || of_records ? time_column(&Stretch::event_time) : nullptr;
  return std::make_shared<const Batch>(schema_, rows, std::move(columns), std::move(times));
}

void ResultWriter::clear() {
  keys_.clear();
  states_.clear();
  stretches_.clear();
}

Result<BatchPtr> ResultWriter::take(Timestamp processing_time, ResultTime time) {
  BatchPtr batch = make_batch(processing_time, time);
  clear();
  if (!failed_.empty()) return fail(failed_result(*batch, failed_.front()));
  return batch;
}

Status ResultWriter::flush(Timestamp processing_time, OperatorOutput& out, ResultTime time, RowErrors& errors) {
  closed_ = false;
  if (made_) {
    out.emit(std::exchange(made_, nullptr), window_main_output);
    return {};
  }
  if (states_.empty()) return {};
  BatchPtr batch = make_batch(processing_time, time);
  const std::size_t row_bytes = std::max<std::size_t>(1, batch->byte_size() / states_.size());
  limit_ = std::clamp<std::size_t>(max_batch_bytes / row_bytes, 1, max_batch_rows);
  if (buggified(Buggify::small_window_results)) limit_ = 2;
  clear();
  if (!failed_.empty()) {
    if (Status left_out = errors.leave_out(*batch, failed_); !left_out) return left_out;
    batch = batch->select_rows(rows_without_errors(batch->rows(), failed_));
  }
  if (having_) {
    selected_.clear();
    failed_.clear();
    eval_.processing_time = processing_time;
    having_->select(*batch, eval_, selected_, failed_);
    for (RowError& error : failed_) error.message = "having: " + error.message;
    if (Status left_out = errors.leave_out(*batch, failed_); !left_out) return left_out;
    if (selected_.size() < batch->rows()) {
      left_out_->add(batch->rows() - selected_.size() - failed_.size());
      batch = batch->select_rows(selected_);
    }
  }
  if (batch->rows() > 0) out.emit(std::move(batch), window_main_output);
  return {};
}

}  // namespace dataflow::windows

// The operators that lambdas over records become.

#include "dataflow/kernels.hpp"
#include "libdataflow/expressions/compare_rows.hpp"

namespace dataflow {

namespace {

class RowOperator final : public Operator {
 public:
  explicit RowOperator(const RowPipeline& pipeline) {
    for (const auto& filter : pipeline.filters) filters_.push_back(filter->create());
    if (pipeline.map) map_ = pipeline.map->create();
  }

  Status open(OperatorContext& context) override {
    filtered_ = &context.counter("filtered");
    return {};
  }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    selection_.all = true;
    selection_.count = batch->rows();
    for (std::size_t i = 0; i < filters_.size(); ++i) {
      if (auto status = filters_[i]->narrow(*batch, selection_); !status) return failure_of(i, status.error());
      if (selection_.count == 0) break;
    }
    filtered_->add(batch->rows() - selection_.count);
    if (selection_.count == 0) return Step::done;
    if (map_) {
      auto mapped = map_->apply(*batch, selection_);
      if (!mapped) return fail(mapped.error());
      out.emit(std::move(*mapped));
    } else {
      out.emit(selection_.all ? batch : batch->select_rows({selection_.rows.data(), selection_.count}));
    }
    return Step::done;
  }

 private:
  /// What runs here bears the name of its last part; the filters that have become part of it have none.
  [[nodiscard]] tl::unexpected<Error> failure_of(std::size_t filter, const Error& error) const {
    const bool has_its_name = !map_ && filter + 1 == filters_.size();
    return fail(has_its_name ? error : error.within("in the filter in front of it"));
  }

  std::vector<std::unique_ptr<RowFilter>> filters_;
  std::unique_ptr<RowMap> map_;
  RowSelection selection_;  // kept for its capacity
  Counter* filtered_ = nullptr;
};

class RowOperatorFactory final : public OperatorFactory {
 public:
  explicit RowOperatorFactory(RowPipeline pipeline) : pipeline_{std::move(pipeline)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<RowOperator>(pipeline_); }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    if (!pipeline_.reads) return std::nullopt;
    FieldUse use{.reads = {pipeline_.reads->begin(), pipeline_.reads->end()}, .passing_outputs = {}};
    if (!pipeline_.map) use.passing_outputs = {0};
    return use;
  }

 private:
  RowPipeline pipeline_;
};

}  // namespace

OperatorFactoryPtr make_row_operator(RowPipeline pipeline) {
  return std::make_shared<RowOperatorFactory>(std::move(pipeline));
}

std::uint32_t rows_of_flags(const std::uint8_t* flags, std::uint32_t count, std::uint32_t first, std::uint32_t* out) {
  return expr::rows_of_flags(flags, count, first, out);
}

BatchPtr finish_mapped(RowBuffer& mapped, const Batch& batch, const RowSelection& selection) {
  if (selection.all) return mapped.finish(batch.timestamps(), batch.kinds());
  const std::span<const std::uint32_t> rows{selection.rows.data(), selection.count};
  ColumnPtr timestamps = batch.has_event_time() ? gather(*batch.timestamps(), rows) : nullptr;
  Buffer kinds;
  if (!batch.kinds().empty()) {
    GrowingBuffer gathered{rows.size()};
    for (const std::uint32_t row : rows) gathered.push(static_cast<std::uint8_t>(batch.kind(row)));
    kinds = gathered.freeze();
  }
  return mapped.finish(std::move(timestamps), std::move(kinds));
}

BatchPtr with_key_column(const Batch& batch, RowBuffer& keys, const SchemaPtr& schema) {
  std::vector<ColumnPtr> columns = batch.columns();
  columns.push_back(keys.finish()->columns()[0]);
  return batch.with_columns(schema, std::move(columns));
}

Result<Step> FlatMapOperator::process(std::size_t, const BatchPtr& batch, OperatorOutput& out) {
  batch_ = batch;
  row_ = 0;
  if (auto status = bind(*batch); !status) return fail(status.error());
  return resume(out);
}

Result<Step> FlatMapOperator::resume(OperatorOutput& out) {
  if (!batch_) return Step::done;
  outputs_.attach(out);
  try {
    run_rows(*batch_);
  } catch (...) {
    return fail(error_of_current_exception(*batch_, row_));
  }
  outputs_.flush();
  if (row_ < batch_->rows()) return Step::yield;
  batch_.reset();
  return Step::done;
}

}  // namespace dataflow

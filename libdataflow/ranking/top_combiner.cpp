#include "libdataflow/ranking/top_combiner.hpp"

#include "libdataflow/ranking/candidates.hpp"

namespace dataflow {

namespace {

class TopCombiner final : public Operator {
 public:
  explicit TopCombiner(const TopSpec& top)
      : window_end_{*top.window_end},
        order_field_{top.order.front().field},
        runs_{top.key_fields},
        may_be_first_{top} {}

  Status open(OperatorContext& context) override {
    context_ = &context;
    return {};
  }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    const bool all = !Cutoff::knows(batch->column(order_field_)) || !choose(batch);
    out.emit(all ? batch : batch->select_rows(rows_));
    return Step::done;
  }

 private:
  /// False when all rows may be among the first.
  bool choose(const BatchPtr& batch) {
    runs_.find(batch);
    if (runs_.size() == batch->rows()) return false;
    const Column& column = batch->column(order_field_);
    const auto* ends = batch->column(window_end_).as<std::int64_t>().data();
    rows_.clear();
    for (std::uint32_t run = 0; run < runs_.size(); ++run) {
      const std::uint32_t first = runs_.begin(run);
      const std::uint32_t end = runs_.begin(run + 1);
      // Of a window that is over here all rows may be late: that is for the top to say, and to count.
      if (ends[first] - 1 <= context_->watermark().micros) {
        for (std::uint32_t row = first; row < end; ++row) rows_.push_back(row);
        continue;
      }
      best_.clear();
      may_be_first_.choose(column, first, end, best_, rows_);
    }
    return rows_.size() < batch->rows();
  }

  std::size_t window_end_;
  std::size_t order_field_;
  KeyRuns runs_;
  MayBeFirst may_be_first_;
  OperatorContext* context_ = nullptr;
  std::vector<std::int64_t> best_;  // scratch
  std::vector<std::uint32_t> rows_;
};

class TopCombinerFactory final : public OperatorFactory {
 public:
  explicit TopCombinerFactory(TopSpec top) : top_{std::move(top)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<TopCombiner>(top_); }

 private:
  TopSpec top_;
};

}  // namespace

std::optional<Combiner> top_combiner_of(const TopSpec& top, const SchemaPtr& input) {
  if (!top.window_end || top.limit > MayBeFirst::most_limit || Candidates::worth_it(top)) return std::nullopt;
  return Combiner{.factory = std::make_shared<const TopCombinerFactory>(top),
                  .schema = input,
                  .details = "rows that may be among the first",
                  .lost_outputs = {}};
}

}  // namespace dataflow

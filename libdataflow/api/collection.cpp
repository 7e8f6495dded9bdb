// Records written down in the job itself, as a source.

#include "dataflow/plan.hpp"

namespace dataflow {

namespace {

using Batches = std::shared_ptr<const std::vector<BatchPtr>>;

class CollectionReader final : public SourceReader {
 public:
  explicit CollectionReader(Batches batches) : batches_{std::move(batches)} {}

  Status start_split(const Split& split) override {
    split_ = split.id;
    next_ = 0;
    row_ = 0;
    return {};
  }
  Result<SourceStep> poll(SourceOutput& out) override {
    if (split_.empty() || next_ == batches_->size()) return SourceStep{SourceStep::Kind::split_end};
    const BatchPtr& batch = (*batches_)[next_];
    const std::uint32_t rows = std::min(batch->rows() - row_, std::max(out.batch_rows(), 1U));
    if (rows == batch->rows()) {
      out.emit(batch, split_);
    } else {
      std::vector<std::uint32_t> some(rows);
      for (std::uint32_t i = 0; i < rows; ++i) some[i] = row_ + i;
      out.emit(batch->select_rows(some), split_);
    }
    row_ += rows;
    if (row_ == batch->rows()) {
      ++next_;
      row_ = 0;
    }
    return SourceStep{};
  }
  [[nodiscard]] std::string position() const override {
    return "record " + std::to_string(next_ * max_batch_rows + row_) + " of the collection";
  }

 private:
  Batches batches_;
  std::string split_;
  std::size_t next_ = 0;   ///< batch
  std::uint32_t row_ = 0;  ///< in it
};

class OneSplit final : public SplitEnumerator {
 public:
  Status open(std::uint32_t) override { return {}; }
  Result<Next> next(std::uint32_t, Timestamp) override {
    if (std::exchange(given_, true)) return Next{};
    return Next{.kind = Next::Kind::split, .split = {"collection", ""}};
  }

 private:
  bool given_ = false;
};

class CollectionSource final : public SourceFactory {
 public:
  explicit CollectionSource(std::vector<BatchPtr> batches)
      : batches_{std::make_shared<const std::vector<BatchPtr>>(std::move(batches))} {}
  [[nodiscard]] std::unique_ptr<SplitEnumerator> create_enumerator() const override {
    return std::make_unique<OneSplit>();
  }
  [[nodiscard]] std::unique_ptr<SourceReader> create_reader() const override {
    return std::make_unique<CollectionReader>(batches_);
  }
  [[nodiscard]] bool bounded() const override { return true; }
  [[nodiscard]] std::optional<std::uint32_t> max_readers() const override { return 1; }

 private:
  Batches batches_;
};

}  // namespace

NodeId add_collection(Plan& plan, SchemaPtr schema, std::vector<BatchPtr> batches, const Plan::Place& where) {
  std::size_t rows = 0;
  for (const BatchPtr& batch : batches) rows += batch->rows();
  SourceSpec spec;
  spec.factory = std::make_shared<CollectionSource>(std::move(batches));
  return plan.add({.type = "collection",
                   .details = std::to_string(rows) + " records",
                   .outputs = {{.name = {}, .schema = std::move(schema)}},
                   .source = std::move(spec)},
                  nullptr, where);
}

}  // namespace dataflow

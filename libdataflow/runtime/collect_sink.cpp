#include "libdataflow/runtime/collect_sink.hpp"

namespace dataflow {

namespace {

class CollectSink final : public Operator {
 public:
  explicit CollectSink(std::shared_ptr<Collected> collected) : collected_{std::move(collected)} {}
  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput&) override {
    const std::lock_guard held{collected_->lock};
    collected_->batches.push_back(batch);
    return Step::done;
  }

 private:
  std::shared_ptr<Collected> collected_;
};

class CollectSinkFactory final : public OperatorFactory {
 public:
  explicit CollectSinkFactory(std::shared_ptr<Collected> collected) : collected_{std::move(collected)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<CollectSink>(collected_); }

 private:
  std::shared_ptr<Collected> collected_;
};

}  // namespace

OperatorFactoryPtr make_collect_sink(std::shared_ptr<Collected> collected) {
  return std::make_shared<CollectSinkFactory>(std::move(collected));
}

}  // namespace dataflow

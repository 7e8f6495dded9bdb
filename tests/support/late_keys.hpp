#pragma once
// An operator that passes on the records which are behind the watermark when they arrive.

#include "tests/support/graphs.hpp"

namespace dataflow::testing_support {

class LateOnly final : public Operator {
 public:
  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    std::vector<std::uint32_t> late;
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      if (batch->timestamp(row) <= watermark_) late.push_back(row);
    }
    if (!late.empty()) out.emit(batch->select_rows(late));
    return Step::done;
  }
  Result<Step> on_watermark(Timestamp watermark, OperatorOutput&) override {
    watermark_ = watermark;
    return Step::done;
  }

 private:
  Timestamp watermark_ = Timestamp::min();
};

inline OperatorFactoryPtr late_only() {
  return std::make_shared<LambdaFactory>([] { return std::make_unique<LateOnly>(); });
}

}  // namespace dataflow::testing_support

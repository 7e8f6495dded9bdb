#pragma once
// Drives a window operator by hand: batches and watermarks in, rows out, with an output that is full now and then.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libdataflow/windows/window_spec.hpp"
#include "tests/support/batches.hpp"

namespace dataflow::testing_support {

/// A context whose clock the test sets.
class TestContext final : public OperatorContext {
 public:
  Timestamp clock{};
  [[nodiscard]] const std::string& operator_name() const override { return name_; }
  [[nodiscard]] std::uint32_t subtask() const override { return 0; }
  [[nodiscard]] std::uint32_t parallelism() const override { return 1; }
  [[nodiscard]] std::uint32_t max_parallelism() const override { return 128; }
  [[nodiscard]] std::uint32_t attempt() const override { return 0; }
  [[nodiscard]] const std::string& job_id() const override { return name_; }
  [[nodiscard]] Timestamp now() const override { return clock; }
  [[nodiscard]] Timestamp watermark() const override { return {}; }
  Counter& counter(std::string_view name) override { return counters_[std::string{name}]; }

 private:
  std::string name_ = "window";
  std::map<std::string, Counter> counters_;
};

/// Collects rows by output; `is_full` decides whether there is room.
class CollectedRows final : public OperatorOutput {
 public:
  std::function<bool()> is_full = [] { return false; };
  std::vector<Row> main;
  std::vector<Row> late;
  std::vector<std::int64_t> main_times;

  void emit(BatchPtr batch, std::size_t output) override {
    auto more = rows_of(*batch);
    auto& rows = output == window_late_output ? late : main;
    rows.insert(rows.end(), more.begin(), more.end());
    if (output != window_main_output) return;
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      main_times.push_back(batch->has_event_time() ? batch->timestamp(row).micros : -1);
    }
  }
  [[nodiscard]] bool full() const override { return is_full(); }
};

class WindowRun {
 public:
  WindowRun(WindowSpec spec, SchemaPtr input)
      : factory_{make_window_operator(std::move(spec), std::move(input))}, operator_{factory_->create()} {
    opened_ = operator_->open(context);
  }

  TestContext context;
  CollectedRows out;

  /// Each of these gives the first error, and goes on after every pause.
  Status push(const BatchPtr& batch) { return finish(operator_->process(0, batch, out)); }
  Status watermark(Timestamp time) { return finish(operator_->on_watermark(time, out)); }
  /// Moves the clock and fires what is due by it.
  Status clock(Timestamp time) {
    context.clock = time;
    while (true) {
      const auto timer = operator_->next_processing_timer();
      if (!timer || *timer > time) return {};
      if (auto status = finish(operator_->on_processing_time(time, out)); !status) return status;
    }
  }
  [[nodiscard]] std::uint64_t counted_late() { return context.counter("late").value(); }

 private:
  Status finish(Result<Step> step) {
    if (!opened_) return opened_;
    while (step && *step == Step::yield) step = operator_->resume(out);
    return step ? Status{} : Status{tl::unexpect, step.error()};
  }

  OperatorFactoryPtr factory_;
  std::unique_ptr<Operator> operator_;
  Status opened_;
};

/// `aggregates` as in a topology: a name and an expression.
inline std::vector<WindowAggregate> compile_all(const std::vector<std::pair<std::string, std::string>>& aggregates,
                                                const Schema& input) {
  std::vector<WindowAggregate> compiled;
  for (const auto& [name, text] : aggregates) {
    auto aggregate = compile_aggregate(text, input);
    assert(aggregate.has_value());
    compiled.push_back({name, std::move(*aggregate)});
  }
  return compiled;
}

}  // namespace dataflow::testing_support

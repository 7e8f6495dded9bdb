#pragma once
// A window operator run by hand, with times in microseconds and rows as text:
//
//   Windowing windows{session(10us, {{"n", "count()"}})};
//   windows.push({{"a", 1, 0}, {"a", 2, 5}});            // key, v, event time
//   windows.watermark(14);
//   CHECK(windows.results() == "a 0 15 2");               // key, start, end, n; rows separated by "; "

#include <doctest/doctest.h>

#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/windows/window_spec.hpp"
#include "tests/support/batches.hpp"

namespace dataflow::window_tests {

using testing_support::Row;

/// { key string, v int64 }
inline const SchemaPtr& input_schema() {
  static const SchemaPtr schema = make_schema({{"key", TypeKind::string}, {"v", TypeKind::int64}});
  return schema;
}

struct Record {
  std::optional<std::string> key;
  std::optional<std::int64_t> v;
  std::optional<std::int64_t> time = std::nullopt;
};

using Named = std::vector<std::pair<std::string, std::string>>;

/// Windows by the first field, the key; the caller sets kind and sizes.
inline WindowSpec windows_by_key(WindowKind kind, const Named& aggregates, const SchemaPtr& input = input_schema()) {
  WindowSpec spec;
  spec.kind = kind;
  spec.key_fields = {0};
  for (const auto& [name, text] : aggregates) {
    auto compiled = compile_aggregate(text, *input);
    REQUIRE(compiled.has_value());
    spec.aggregates.push_back({name, std::move(*compiled)});
  }
  return spec;
}

class Context final : public OperatorContext {
 public:
  Timestamp clock{};
  Timestamp event_time = Timestamp::min();  ///< as the engine restores it, too
  std::shared_ptr<StateBackend> backend;    ///< null: state is on the heap
  std::uint32_t index = 0;                  ///< of so many subtasks
  std::uint32_t subtasks = 1;
  [[nodiscard]] const std::string& operator_name() const override { return name_; }
  [[nodiscard]] std::uint32_t subtask() const override { return index; }
  [[nodiscard]] std::uint32_t parallelism() const override { return subtasks; }
  [[nodiscard]] std::uint32_t max_parallelism() const override { return 128; }
  [[nodiscard]] std::uint32_t attempt() const override { return 0; }
  [[nodiscard]] const std::string& job_id() const override { return name_; }
  [[nodiscard]] Timestamp now() const override { return clock; }
  [[nodiscard]] Timestamp watermark() const override { return event_time; }
  [[nodiscard]] std::shared_ptr<StateBackend> state_backend() const override {
    return backend && backend->has_stores() ? backend : nullptr;
  }
  [[nodiscard]] std::shared_ptr<StateBackend> spill_backend() const override { return backend; }
  Counter& counter(std::string_view name) override { return counters_[std::string{name}]; }

 private:
  std::string name_ = "windows";
  std::map<std::string, Counter> counters_;
};

/// What came out, and whether there is room for more.
class Collected final : public OperatorOutput {
 public:
  void emit(BatchPtr batch, std::size_t output) override {
    (output == window_late_output ? late : main).push_back(batch);
  }
  [[nodiscard]] bool full() const override { return always_full; }

  bool always_full = false;
  std::vector<BatchPtr> main;
  std::vector<BatchPtr> late;
};

inline std::string to_text(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* real = std::get_if<double>(&value)) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", *real);
    return text;
  }
  return "NULL";
}

inline std::string to_text(const std::vector<BatchPtr>& batches) {
  std::string text;
  for (const Row& row : testing_support::rows_of(batches)) {
    if (!text.empty()) text += "; ";
    for (std::size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : " ") + to_text(row[i]);
  }
  return text;
}

class Windowing {
 public:
  /// Without a backend state is on the heap.
  explicit Windowing(WindowSpec spec, SchemaPtr input = input_schema(),
                     std::shared_ptr<StateBackend> backend = nullptr) {
    REQUIRE(check_window(spec).has_value());
    context.backend = std::move(backend);
    factory_ = make_window_operator(std::move(spec), std::move(input));
    operator_ = factory_->create();
    REQUIRE(operator_->open(context).has_value());
  }

  Context context;
  Collected out;

  /// Each record has an event time or none has.
  Result<Step> process(const std::vector<Record>& records) {
    BatchBuilder builder{input_schema()};
    for (const Record& record : records) {
      const Row row{record.key ? Value{*record.key} : Value{}, record.v ? Value{*record.v} : Value{}};
      builder.append_row(row, record.time ? std::optional{Timestamp{*record.time}} : std::nullopt);
    }
    return operator_->process(0, builder.finish(), out);
  }
  void push(const std::vector<Record>& records) { finish(process(records)); }
  /// A batch of another schema than input_schema.
  void push(const BatchPtr& batch) { finish(operator_->process(0, batch, out)); }
  Result<Step> on_watermark(std::int64_t time) { return operator_->on_watermark(Timestamp{time}, out); }
  void watermark(std::int64_t time) { finish(on_watermark(time)); }
  void drain() { watermark(Timestamp::max().micros); }
  Result<Step> resume() { return operator_->resume(out); }
  /// Moves the clock step by step to each timer on the way.
  void clock(std::int64_t time) {
    while (true) {
      const auto timer = operator_->next_processing_timer();
      if (!timer || timer->micros > time) break;
      context.clock = std::max(context.clock, *timer);
      finish(operator_->on_processing_time(context.clock, out));
    }
    context.clock = Timestamp{time};
  }
  [[nodiscard]] std::optional<Timestamp> timer() const { return operator_->next_processing_timer(); }

  /// Results since the last call.
  std::string results() { return to_text(std::exchange(out.main, {})); }
  std::string late() { return to_text(std::exchange(out.late, {})); }
  /// Of the results so far.
  [[nodiscard]] std::vector<std::int64_t> event_times() const {
    std::vector<std::int64_t> times;
    for (const BatchPtr& batch : out.main) {
      for (const std::int64_t time : testing_support::event_times_of(*batch)) times.push_back(time);
    }
    return times;
  }
  [[nodiscard]] std::uint64_t counted_late() { return context.counter("late").value(); }

 private:
  void finish(Result<Step> step) {
    while (step && *step == Step::yield) step = operator_->resume(out);
    if (!step) FAIL(step.error().message());
  }

  OperatorFactoryPtr factory_;
  std::unique_ptr<Operator> operator_;
};

}  // namespace dataflow::window_tests

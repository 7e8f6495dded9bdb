#include "libdataflow/windows/row_windows.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "libdataflow/windows/assign.hpp"
#include "serialization/builder.hpp"
#include "serialization/cpu.hpp"

namespace dataflow {

namespace {

/// One column for each, of the rows of a batch.
struct Bounds {
  ColumnPtr starts;
  ColumnPtr ends;
  ColumnPtr last_moments;
};

/// Whether no time is before `start` or after `last`. Without branches: the compiler compares several at once.
[[gnu::always_inline]] inline bool all_within(std::span<const std::int64_t> times, std::int64_t start,
                                              std::int64_t last) {
  constexpr std::size_t lanes = 8;
  // The highest bit says whether a time is outside: one of the differences is negative, or too large for a sign.
  const auto sign_outside = [&](std::int64_t time) {
    const auto at = static_cast<std::uint64_t>(time);
    return (at - static_cast<std::uint64_t>(start)) | (static_cast<std::uint64_t>(last) - at);
  };
  std::array<std::uint64_t, lanes> outside{};
  std::size_t i = 0;
  for (; i + lanes <= times.size(); i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) outside[lane] |= sign_outside(times[i + lane]);
  }
  for (; i < times.size(); ++i) outside[0] |= sign_outside(times[i]);
  return std::all_of(outside.begin(), outside.end(), [](auto bits) { return static_cast<std::int64_t>(bits) >= 0; });
}

#if defined(__x86_64__)
/// The same with the wider instructions.
[[gnu::target("avx2")]] bool all_within_avx2(std::span<const std::int64_t> times, std::int64_t start,
                                             std::int64_t last) {
  return all_within(times, start, last);
}
#endif

/// Of rows that are all in one window, of which a stream has many batches: they share it.
class OneWindow {
 public:
  void set(std::int64_t start, std::int64_t end) {
    start_ = start;
    last_ = end - 1;
    bounds_ = {};
  }
  [[nodiscard]] bool has(std::span<const std::int64_t> times) const {
#if defined(__x86_64__)
    if (cpu::has_avx2()) return all_within_avx2(times, start_, last_);
#endif
    return all_within(times, start_, last_);
  }
  const Bounds& bounds(std::uint32_t rows) {
    if (bounds_.starts && bounds_.starts->rows == rows) return bounds_;
    const auto column = [rows](std::int64_t time) { return constant_column(TypeKind::timestamp, Value{time}, rows); };
    return bounds_ = {column(start_), column(last_ + 1), column(last_)};
  }

 private:
  std::int64_t start_ = 0;
  std::int64_t last_ = -1;
  Bounds bounds_;
};

class RowWindows final : public Operator {
 public:
  RowWindows(const WindowSpec& window, SchemaPtr output, std::unique_ptr<RowChoice> choice)
      : size_{window.size.count()},
        offset_{window.offset.count()},
        output_{std::move(output)},
        choice_{std::move(choice)} {}

  Status open(OperatorContext& context) override {
    context_ = &context;
    return {};
  }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    const auto times = batch->timestamps()->as<std::int64_t>();
    const Bounds bounds = newest_.has(times) ? newest_.bounds(batch->rows()) : bounds_of(times);
    std::vector<ColumnPtr> columns = batch->columns();
    columns.push_back(bounds.starts);
    columns.push_back(bounds.ends);
    BatchPtr rows =
        std::make_shared<Batch>(output_, batch->rows(), std::move(columns), bounds.last_moments, batch->kinds());
    if (choice_ && choice_->choose(rows, context_->watermark(), chosen_)) rows = rows->select_rows(chosen_);
    out.emit(std::move(rows));
    return Step::done;
  }

 private:
  Bounds bounds_of(std::span<const std::int64_t> times) {
    ColumnBuilder starts{TypeKind::timestamp, times.size()};
    ColumnBuilder ends{TypeKind::timestamp, times.size()};
    ColumnBuilder last_moments{TypeKind::timestamp, times.size()};
    for (const std::int64_t time : times) {
      const std::int64_t end = tumbling_end(time, size_, offset_);
      starts.append_int64(tumbling_start(time, size_, offset_));
      ends.append_int64(end);
      last_moments.append_int64(end - 1);
    }
    newest_.set(tumbling_start(times.back(), size_, offset_), tumbling_end(times.back(), size_, offset_));
    return {starts.finish(), ends.finish(), last_moments.finish()};
  }

  std::int64_t size_;
  std::int64_t offset_;
  SchemaPtr output_;
  OneWindow newest_;
  std::unique_ptr<RowChoice> choice_;  ///< null: all rows
  OperatorContext* context_ = nullptr;
  std::vector<std::uint32_t> chosen_;  ///< scratch
};

class RowWindowsFactory final : public OperatorFactory {
 public:
  RowWindowsFactory(const WindowSpec& window, SchemaPtr output, RowChoices choices)
      : window_{window}, output_{std::move(output)}, choices_{std::move(choices)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<RowWindows>(window_, output_, choices_ ? choices_() : nullptr);
  }

 private:
  WindowSpec window_;
  SchemaPtr output_;
  RowChoices choices_;
};

}  // namespace

Result<SchemaPtr> row_windows_schema(const Schema& input) {
  std::vector<Field> fields = input.fields();
  for (const char* const name : {"window_start", "window_end"}) {
    if (input.find(name)) {
      return fail(ErrorCode::invalid_argument, "the input has a field \"" + std::string{name} + "\" already");
    }
    fields.push_back({name, TypeKind::timestamp});
  }
  return make_schema(std::move(fields));
}

OperatorFactoryPtr make_row_windows(const WindowSpec& window, SchemaPtr output, RowChoices choices) {
  return std::make_shared<RowWindowsFactory>(window, std::move(output), std::move(choices));
}

}  // namespace dataflow

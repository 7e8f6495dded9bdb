#include "libdataflow/windows/row_windows.hpp"

#include <algorithm>

#include "libdataflow/windows/assign.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

namespace {

class RowWindows final : public Operator {
 public:
  RowWindows(const WindowSpec& window, SchemaPtr output)
      : size_{window.size.count()}, offset_{window.offset.count()}, output_{std::move(output)} {}

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    const std::uint32_t rows = batch->rows();
    ColumnBuilder starts{TypeKind::timestamp, rows};
    ColumnBuilder ends{TypeKind::timestamp, rows};
    ColumnBuilder last_times{TypeKind::timestamp, rows};
    const auto times = batch->timestamps()->as<std::int64_t>();
    // Most rows are in the window of the row before.
    for (std::uint32_t row = 0; row < rows;) {
      const std::int64_t start = tumbling_start(times[row], size_, offset_);
      const std::int64_t end = tumbling_end(times[row], size_, offset_);
      const auto outside = [&](std::int64_t time) { return time < start || time >= end; };
      const auto next = std::find_if(times.begin() + row + 1, times.end(), outside);
      const auto count = static_cast<std::size_t>(next - times.begin()) - row;
      std::fill_n(starts.append_uninitialised<std::int64_t>(count), count, start);
      std::fill_n(ends.append_uninitialised<std::int64_t>(count), count, end);
      std::fill_n(last_times.append_uninitialised<std::int64_t>(count), count, end - 1);
      row += static_cast<std::uint32_t>(count);
    }
    std::vector<ColumnPtr> columns = batch->columns();
    columns.push_back(starts.finish());
    columns.push_back(ends.finish());
    out.emit(std::make_shared<Batch>(output_, rows, std::move(columns), last_times.finish(), batch->kinds()));
    return Step::done;
  }

 private:
  std::int64_t size_;
  std::int64_t offset_;
  SchemaPtr output_;
};

class RowWindowsFactory final : public OperatorFactory {
 public:
  RowWindowsFactory(const WindowSpec& window, SchemaPtr output) : window_{window}, output_{std::move(output)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<RowWindows>(window_, output_);
  }

 private:
  WindowSpec window_;
  SchemaPtr output_;
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

OperatorFactoryPtr make_row_windows(const WindowSpec& window, SchemaPtr output) {
  return std::make_shared<RowWindowsFactory>(window, std::move(output));
}

}  // namespace dataflow

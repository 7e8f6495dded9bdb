#include "libdataflow/operators/row_errors.hpp"

#include "serialization/builder.hpp"

namespace dataflow {

Option on_error_option() {
  return {.name = "on_error",
          .kind = OptionKind::choice,
          .help = "What to do with a record whose expression cannot be computed; every policy counts them.",
          .example = "\"side_output\"",
          .default_value = "fail",
          .choices = {"fail", "skip", "side_output"}};
}

ErrorPolicy parse_error_policy(std::string_view text) {
  if (text == "skip") return ErrorPolicy::skip;
  if (text == "side_output") return ErrorPolicy::side_output;
  return ErrorPolicy::fail;
}

void declare_error_output(NodeBuilder& builder) {
  if (parse_error_policy(builder.settings().text("on_error")) != ErrorPolicy::side_output) return;
  builder.node().outputs.push_back(
      {.name = "errors", .schema = source_error_schema(), .event_time = builder.inputs()[0].event_time});
}

Status RowErrors::handle(const Batch& batch, std::span<const RowError> errors, OperatorOutput& out) {
  if (errors.empty()) return {};
  counter_->add(errors.size());
  if (policy_ == ErrorPolicy::skip) return {};
  std::string row_json;
  if (policy_ == ErrorPolicy::fail) {
    append_row_json(batch, errors.front().row, row_json);
    return fail(ErrorCode::arithmetic, errors.front().message + " in record " + row_json);
  }
  BatchBuilder builder{source_error_schema(), errors.size()};
  for (const RowError& error : errors) {
    row_json.clear();
    append_row_json(batch, error.row, row_json);
    builder.column(0).append_text(row_json);
    builder.column(1).append_text(error.message);
    builder.column(2).append_null();
    if (batch.has_event_time()) {
      builder.end_row(batch.timestamp(error.row));
    } else {
      builder.end_row();
    }
  }
  out.emit(builder.finish(), side_output_);
  return {};
}

Error failed_result(const Batch& results, const RowError& error) {
  std::string row_json;
  append_row_json(results, error.row, row_json);
  return Error{ErrorCode::arithmetic, error.message + " in the result " + row_json};
}

Status RowErrors::leave_out(const Batch& results, std::span<const RowError> errors) {
  if (errors.empty()) return {};
  counter_->add(errors.size());
  return policy_ == ErrorPolicy::fail ? fail(failed_result(results, errors.front())) : Status{};
}

std::vector<std::uint32_t> rows_without_errors(std::uint32_t rows, std::span<const RowError> errors) {
  std::vector<std::uint32_t> good;
  good.reserve(rows - errors.size());
  std::size_t next_error = 0;
  for (std::uint32_t row = 0; row < rows; ++row) {
    if (next_error < errors.size() && errors[next_error].row == row) {
      ++next_error;
    } else {
      good.push_back(row);
    }
  }
  return good;
}

}  // namespace dataflow

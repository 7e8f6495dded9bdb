#pragma once
// What happens to records whose expressions fail (overflow, division by zero, a failed cast): the `on_error` option
// of the built-in operators, in one place.

#include <span>
#include <vector>

#include "libdataflow/operators/operator.hpp"
#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

/// The `on_error` option, to be listed among a type's options.
Option on_error_option();
ErrorPolicy parse_error_policy(std::string_view text);

/// Adds the side output `errors` to the node when its on_error asks for it.
void declare_error_output(NodeBuilder& builder);

/// Applies an operator's policy to the rows that could not be computed.
class RowErrors {
 public:
  /// `side_output`: the index of the `errors` output, used with ErrorPolicy::side_output only.
  RowErrors(ErrorPolicy policy, std::size_t side_output) : policy_{policy}, side_output_{side_output} {}

  /// Failing rows go to a side output, whole.
  [[nodiscard]] bool hands_on() const { return policy_ == ErrorPolicy::side_output; }

  void open(OperatorContext& context) { counter_ = &context.counter("errors"); }

  /// Counts the errors and drops, hands on or refuses the rows. Errors: arithmetic, naming the first row's content.
  Status handle(const Batch& batch, std::span<const RowError> errors, OperatorOutput& out);
  /// The same for rows that are results, and no records of anybody's: those that fail are counted and dropped, or
  /// refused.
  Status leave_out(const Batch& results, std::span<const RowError> errors);

 private:
  ErrorPolicy policy_;
  std::size_t side_output_;
  Counter* counter_ = nullptr;
};

/// "MESSAGE in the result {...}", which shows what of it can be computed.
Error failed_result(const Batch& results, const RowError& error);

/// The rows of 0..rows-1 that are not in `errors` (ascending).
std::vector<std::uint32_t> rows_without_errors(std::uint32_t rows, std::span<const RowError> errors);

}  // namespace dataflow

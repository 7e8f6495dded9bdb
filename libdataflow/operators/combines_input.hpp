#pragma once
// For operators whose records can be combined before they are sent to their key's subtask, so that fewer rows change
// threads and machines (Flink's local-global aggregation).

#include <cstddef>
#include <string>
#include <vector>

#include "libdataflow/operators/operator.hpp"

namespace dataflow {

/// An operator that stands in front of the exchange. It has no state: what it keeps from one batch to the next it gives
/// when it is asked to (Operator::give_kept).
struct Combiner {
  OperatorFactoryPtr factory;  ///< takes the exchange's input
  SchemaPtr schema;            ///< of what it sends: the input's fields, then others
  std::string details;         ///< for plans
  /// Outputs of the operator that cannot be given any more: there must be no reader.
  std::vector<std::size_t> lost_outputs;
};

/// An operator's factory may be one. The operator takes both kinds of batches: of its input, as before, and of the
/// combiner.
class CombinesInput {
 public:
  virtual ~CombinesInput() = default;
  /// One that keeps records back for `keeps_for` at most, to combine more of them. Nothing: there is nothing to
  /// combine.
  [[nodiscard]] virtual std::optional<Combiner> combiner(Duration keeps_for) const = 0;
};

}  // namespace dataflow

#pragma once
// For operators whose records can be combined before they are sent to their key's subtask, so that fewer rows change
// threads and machines (Flink's local-global aggregation).

#include <cstddef>
#include <string>
#include <vector>

#include "libdataflow/operators/operator.hpp"

namespace dataflow {

/// An operator that stands in front of the exchange. It must not keep anything from one batch to the next: no barrier
/// or watermark waits for it.
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
  /// Nothing: there is nothing to combine.
  [[nodiscard]] virtual std::optional<Combiner> combiner() const = 0;
};

}  // namespace dataflow

#pragma once
// For operators with keys whose results have the key of the rows that they come from: who wants them by that key finds
// them where they are.

#include <cstddef>
#include <vector>

namespace dataflow {

/// An operator's factory may be one. It need not be where the rows of the input pass to the main output.
class KeepsKeys {
 public:
  virtual ~KeepsKeys() = default;
  /// Fields of the main output that have the key in each row, one for each field of the key, in their order: a list for
  /// each way to find them.
  [[nodiscard]] virtual std::vector<std::vector<std::size_t>> keys_in_output() const = 0;
};

}  // namespace dataflow

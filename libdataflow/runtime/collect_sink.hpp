#pragma once
// A sink that keeps what reaches it in memory, for tests and for results that a program reads itself.

#include <memory>
#include <vector>

#include "libdataflow/operators/operator.hpp"

namespace dataflow {

/// What the subtasks of one collecting sink have received, in order of arrival. Written by one thread at a time.
struct Collected {
  std::vector<BatchPtr> batches;
};

/// Appends to `collected`, which all subtasks and attempts share.
OperatorFactoryPtr make_collect_sink(std::shared_ptr<Collected> collected);

}  // namespace dataflow

#pragma once
// A sink that keeps what reaches it in memory, for tests and for results that a program reads itself.

#include <memory>
#include <mutex>
#include <vector>

#include "libdataflow/operators/operator.hpp"

namespace dataflow {

/// What the subtasks of one collecting sink have received, in order of arrival.
struct Collected {
  std::mutex lock;  ///< of `batches` while the job runs: its subtasks may run on several threads
  std::vector<BatchPtr> batches;
};

/// Appends to `collected`, which all subtasks and attempts share.
OperatorFactoryPtr make_collect_sink(std::shared_ptr<Collected> collected);

}  // namespace dataflow

#pragma once
// Asks a forked child what would come of running a user's code: whatever that does, it does not do it to this process.

#include <chrono>
#include <functional>
#include <string>

#include "serialization/result.hpp"

namespace dataflow {

struct ChildAnswer {
  bool ended = false;   ///< within the deadline; it was killed otherwise
  int wait_status = 0;  ///< as waitpid has it
  std::string said;
};

/// Runs `work` in a child of this process, whose streams lead nowhere, and which a crash ends without a core. It writes
/// its answer, of which at most `most_bytes` are taken, to the descriptor that it is given; when it returns the child
/// ends with 0. Errors: io when no process can be made.
Result<ChildAnswer> ask_child(const std::function<void(int)>& work, std::chrono::seconds deadline,
                              std::size_t most_bytes);

}  // namespace dataflow

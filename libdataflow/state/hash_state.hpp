#pragma once
// The owner of one of xxhash's streaming states.

#include <xxhash.h>

namespace dataflow {

struct FreeHashState {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

}  // namespace dataflow

#pragma once
// The window join whose windows are sessions: they are a key's, of the rows of both sides.

#include "libdataflow/joins/join_spec.hpp"

namespace dataflow::joins {

/// `spec.window` is a session.
OperatorFactoryPtr make_session_join(WindowJoinSpec spec);

}  // namespace dataflow::joins

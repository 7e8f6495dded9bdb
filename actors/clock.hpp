#pragma once
// Time for the actors: the one place where they read clocks.

#include <chrono>

#include "serialization/time.hpp"

namespace dataflow {

inline Timestamp wall_clock_now() {
  return Timestamp{std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())};
}

/// Of a clock that never jumps, counted from an arbitrary moment: for how long things take.
inline Timestamp steady_clock_now() {
  return Timestamp{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

}  // namespace dataflow

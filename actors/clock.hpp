#pragma once
// Processing time for the actors: the one place where they read the wall clock.

#include <chrono>

#include "serialization/time.hpp"

namespace dataflow {

inline Timestamp wall_clock_now() {
  return Timestamp{std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())};
}

}  // namespace dataflow

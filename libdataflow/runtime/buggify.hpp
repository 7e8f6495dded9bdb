#pragma once
// Places where the engine does the rarer of two things that are both right: a result in many small batches instead of
// one, a turn given up early. A simulation chooses so, that what usually happens in one go is met by faults half done
// (FoundationDB's BUGGIFY: Zhou et al., "FoundationDB: A Distributed Unbundled Transactional Key Value Store", SIGMOD
// 2021, section 4). Without a simulation nobody is asked: a look at one pointer, once a batch or an operator's life.

#include <cstddef>
#include <cstdint>

namespace dataflow {

enum class Buggify : std::uint8_t {
  one_step,              ///< a task gives its turn up after one step
  no_joined_batches,     ///< batches that wait for the network are not joined to larger ones
  small_output_queue,    ///< an output channel is full with a few bytes, for as long as it exists
  grants_at_once,        ///< credit is given back for every envelope
  small_window_results,  ///< windows write a few results at a time
  small_state_blocks,    ///< state is written in blocks of a few rows
  few_join_results,      ///< joins write a few rows at a time, for as long as the operator exists
};
inline constexpr std::size_t buggify_count = 7;

class Buggifier {
 public:
  virtual ~Buggifier() = default;
  virtual bool happens(Buggify place) = 0;
};

/// Set by a simulation while it runs a step of its one thread; null in everything else.
inline constinit Buggifier* buggifier = nullptr;

inline bool buggified(Buggify place) {
  return buggifier != nullptr && buggifier->happens(place);
}

}  // namespace dataflow

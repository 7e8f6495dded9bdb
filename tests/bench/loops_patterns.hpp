#pragma once
// The hand-written baseline of a pattern of three steps: for each key how far it has got and when it began, in one open
// addressing table whose slots are prefetched a block ahead. It takes rows as they come, as if they were in order,
// keeps nothing of them but the time of the first, and stops where a match cannot begin anew in the middle of another
// (which holds for steps of which no row can be two).

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/bench/loops_windows.hpp"

namespace dataflow::loops {

class ThreeStepsLoop {
 public:
  ThreeStepsLoop(std::int64_t within, std::size_t keys) : within_{within} {
    std::size_t size = 16;
    while (size < keys * 2) size *= 2;
    slots_.resize(size);
    mask_ = size - 1;
  }

  /// Step n is a row whose kind is n + 1.
  void add(std::size_t rows, const std::int64_t* times, const std::int64_t* keys, const std::int64_t* kinds) {
    for (std::size_t first = 0; first < rows; first += prefetch_block) {
      const std::size_t end = std::min(rows, first + prefetch_block);
      for (std::size_t i = first; i < end; ++i) {
        at_[i - first] = IntKey::hash(keys[i]) & mask_;
        __builtin_prefetch(&slots_[at_[i - first]]);
      }
      for (std::size_t i = first; i < end; ++i) step(at_[i - first], times[i], keys[i], kinds[i]);
    }
  }

  std::vector<std::int64_t> matched_keys;
  std::vector<std::int64_t> starts;
  std::vector<std::int64_t> ends;

 private:
  struct Slot {
    std::int64_t key = -1;
    std::int64_t start = 0;
    std::int64_t done = 0;
  };

  void step(std::size_t at, std::int64_t time, std::int64_t key, std::int64_t kind) {
    while (slots_[at].key != key && slots_[at].key != -1) at = (at + 1) & mask_;
    Slot& slot = slots_[at];
    slot.key = key;
    if (kind == 1) {
      slot.start = time;
      slot.done = 1;
    } else if (kind != slot.done + 1 || slot.done == 0 || time - slot.start >= within_) {
      slot.done = 0;
    } else if (++slot.done == 3) {
      matched_keys.push_back(key);
      starts.push_back(slot.start);
      ends.push_back(time);
      slot.done = 0;
    }
  }

  std::int64_t within_;
  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::size_t at_[prefetch_block] = {};
};

}  // namespace dataflow::loops

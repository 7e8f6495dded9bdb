#pragma once
// An operator with a user's function, of which there is one object for all keys, also where a batch takes them in
// parts: see sorted_input.hpp. It stays, and forgets one part's keys before the next one comes, as Flink does with its
// function in a sorted batch.

namespace dataflow {

class ForgetsKeys {
 public:
  /// All keys with their state and timers. Between two events.
  virtual void forget_keys() = 0;
  /// Whether the clock has a part in what it does, so that no row must wait.
  [[nodiscard]] virtual bool goes_by_the_clock() const = 0;

 protected:
  ~ForgetsKeys() = default;
};

}  // namespace dataflow

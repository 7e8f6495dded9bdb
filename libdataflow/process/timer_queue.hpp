#pragma once
// Timers in the order in which they fire: by time, then key, then name. Each is there once.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/process/key_table.hpp"
#include "serialization/time.hpp"

namespace dataflow {

struct KeyTimer {
  Timestamp time;
  std::uint32_t slot = 0;
  std::uint32_t name = 0;  ///< a number of the queue's
};

class TimerQueue {
 public:
  /// `keys` outlives the queue and keeps the slot of every timer's key.
  explicit TimerQueue(const KeyTable& keys);
  ~TimerQueue();
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  /// False when there is such a timer already.
  bool add(Timestamp time, std::uint32_t slot, std::string_view name);
  /// False when there was none.
  bool remove(Timestamp time, std::uint32_t slot, std::string_view name);
  /// When the next one is due.
  [[nodiscard]] std::optional<Timestamp> first() const;
  /// Takes out the next one if it is due at `until`.
  std::optional<KeyTimer> pop(Timestamp until);
  [[nodiscard]] const std::string& name(const KeyTimer& timer) const;
  /// All of them in order; for snapshots.
  [[nodiscard]] std::vector<KeyTimer> all() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dataflow

#pragma once
// Timers in the order in which they fire: by time, then key, then name. Each is there once.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/btree_set.h>

#include "libdataflow/process/key_table.hpp"
#include "serialization/time.hpp"

namespace dataflow {

struct KeyTimer {
  Timestamp time;
  std::uint32_t slot = 0;
  std::uint32_t name = 0;  ///< an index into the queue's names
};

class TimerQueue {
 public:
  /// `keys` outlives the queue and keeps the slot of every timer's key.
  explicit TimerQueue(const KeyTable& keys) : timers_{Order{&keys, &names_}} {}
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  /// False when there is such a timer already.
  bool add(Timestamp time, std::uint32_t slot, std::string_view name) {
    return timers_.insert({time, slot, number_of(name)}).second;
  }
  /// False when there was none.
  bool remove(Timestamp time, std::uint32_t slot, std::string_view name) {
    return timers_.erase({time, slot, number_of(name)}) != 0;
  }
  [[nodiscard]] std::optional<Timestamp> first() const {
    return timers_.empty() ? std::nullopt : std::optional{timers_.begin()->time};
  }
  std::optional<KeyTimer> pop(Timestamp until) {
    if (timers_.empty() || timers_.begin()->time > until) return std::nullopt;
    const KeyTimer timer = *timers_.begin();
    timers_.erase(timers_.begin());
    return timer;
  }
  [[nodiscard]] const std::string& name(const KeyTimer& timer) const { return names_[timer.name]; }
  [[nodiscard]] std::size_t size() const { return timers_.size(); }
  [[nodiscard]] auto begin() const { return timers_.begin(); }
  [[nodiscard]] auto end() const { return timers_.end(); }

 private:
  struct Order {
    const KeyTable* keys;
    const std::vector<std::string>* names;
    bool operator()(const KeyTimer& a, const KeyTimer& b) const {
      if (a.time != b.time) return a.time < b.time;
      if (a.slot != b.slot) return keys->before(a.slot, b.slot);
      return a.name != b.name && (*names)[a.name] < (*names)[b.name];
    }
  };

  /// Functions use a handful of names, so that a list is searched fastest.
  std::uint32_t number_of(std::string_view name) {
    for (std::uint32_t i = 0; i < names_.size(); ++i) {
      if (names_[i] == name) return i;
    }
    names_.emplace_back(name);
    return static_cast<std::uint32_t>(names_.size() - 1);
  }

  std::vector<std::string> names_;
  absl::btree_set<KeyTimer, Order> timers_;
};

}  // namespace dataflow

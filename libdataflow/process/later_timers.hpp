#pragma once
// Timers that are far off, in a store, so that a function may have more of them than memory: its TimerQueue has those
// that fire next, this has all from a horizon on. (Flink's RocksDB timers keep a part of each key group's in memory;
// here the order is one, since a checkpoint has timers as rows and needs no file of this store.)

#include <memory>
#include <string>
#include <string_view>

#include "dataflow/keyed_runtime.hpp"
#include "libdataflow/process/key_table.hpp"
#include "libdataflow/process/later_entries.hpp"

namespace dataflow {

/// A timer with its key, of which nothing else need be in memory.
struct LaterTimer {
  Timestamp time;
  std::uint16_t key_group = 0;
  std::int64_t integer = 0;  ///< the key, when it is one
  std::string_view text;     ///< else
  std::string_view name;

  /// What an entry says, as long as it is valid.
  static LaterTimer read(std::string_view key, std::string_view value);
};

class LaterTimers {
 public:
  /// Of the keys in `keys`, which outlives it.
  LaterTimers(StateBackendPtr backend, const KeyTable& keys, KeyShape shape)
      : entries_{std::move(backend)}, keys_{keys}, shape_{shape} {}

  [[nodiscard]] bool any() const { return entries_.any(); }
  /// Whether a timer is at or behind the horizon, and so is here or nowhere.
  [[nodiscard]] bool takes(Timestamp time, std::uint32_t slot, std::string_view name);
  /// What `takes` said yes to. Setting one twice is setting it once. Written with the next flush.
  void put(Timestamp time, std::uint32_t slot, std::uint16_t key_group, std::string_view name);
  void erase(Timestamp time, std::uint32_t slot, std::string_view name);
  /// The horizon moves up to this timer: it and all behind it are put next, and are nowhere else.
  Status set_horizon(Timestamp time, std::uint32_t slot, std::string_view name);
  Status flush() { return entries_.flush(); }

  /// Takes the first `count` out, in order, and moves the horizon behind them: `visit(LaterTimer)`.
  template <class Visit>
  Status take(std::size_t count, Visit&& visit) {
    return entries_.take(count,
                         [&](std::string_view key, std::string_view value) { visit(LaterTimer::read(key, value)); });
  }

  /// Null when there are none.
  Result<FrozenLaterEntriesPtr> freeze() { return entries_.freeze(); }

 private:
  void encode(Timestamp time, std::uint32_t slot, std::string_view name);

  LaterEntries entries_;
  const KeyTable& keys_;
  KeyShape shape_;
  std::string key_;  // scratch
  std::string value_;
};

}  // namespace dataflow

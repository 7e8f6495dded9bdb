#pragma once
// Timers that are far off, in a store, so that a function may have more of them than memory: its TimerQueue has those
// that fire next, this has all from a horizon on. When the queue has grown too long its later part comes here, and when
// it is empty the next ones are taken out in one walk. (Flink's RocksDB timers keep a part of each key group's in
// memory; here the order is one, since a checkpoint has timers as rows and needs no file of this store.)

#include <memory>
#include <string>
#include <string_view>

#include "dataflow/keyed_runtime.hpp"
#include "libdataflow/process/key_table.hpp"
#include "libdataflow/state/state_backend.hpp"

namespace dataflow {

/// A timer with its key, of which nothing else need be in memory.
struct LaterTimer {
  Timestamp time;
  std::uint16_t key_group = 0;
  std::int64_t integer = 0;  ///< the key, when it is one
  std::string_view text;     ///< else
  std::string_view name;
};

/// The timers of a store as they were at a barrier, for a thread that writes them.
class FrozenLaterTimers {
 public:
  FrozenLaterTimers(OwnedStorePtr store, std::unique_ptr<StoreScan> scan)
      : store_{std::move(store)}, scan_{std::move(scan)} {}
  /// Calls `visit(LaterTimer)` for each in order. Errors: of the store; what `visit` returns.
  template <class Visit>
  Status for_each(Visit&& visit) const {
    for (; scan_->valid(); scan_->next()) {
      if (Status visited = visit(read(scan_->key(), scan_->value())); !visited) return visited;
    }
    return scan_->status();
  }

 private:
  friend class LaterTimers;
  static LaterTimer read(std::string_view key, std::string_view value);
  OwnedStorePtr store_;
  std::unique_ptr<StoreScan> scan_;
};

class LaterTimers {
 public:
  /// Of the keys in `keys`, which outlives it.
  LaterTimers(StateBackendPtr backend, const KeyTable& keys, KeyShape shape)
      : backend_{std::move(backend)}, keys_{keys}, shape_{shape} {}

  /// Whether there may be any.
  [[nodiscard]] bool any() const { return !horizon_.empty(); }
  /// Whether a timer is at or behind the horizon, and so is here or nowhere.
  [[nodiscard]] bool takes(Timestamp time, std::uint32_t slot, std::string_view name);
  /// What `takes` said yes to. Setting one twice is setting it once. Written with the next flush.
  void put(Timestamp time, std::uint32_t slot, std::uint16_t key_group, std::string_view name);
  void erase(Timestamp time, std::uint32_t slot, std::string_view name);
  /// The horizon moves up to this timer: it and all behind it are put next, and are nowhere else.
  Status set_horizon(Timestamp time, std::uint32_t slot, std::string_view name);
  Status flush();

  /// Takes the first `count` out, in order, and moves the horizon behind them: `visit(LaterTimer)`.
  template <class Visit>
  Status take(std::size_t count, Visit&& visit) {
    if (Status flushed = flush(); !flushed) return flushed;
    const auto scan = (*store_)->scan(horizon_, {});
    std::string last;
    for (; scan->valid() && count != 0; scan->next(), --count) {
      visit(FrozenLaterTimers::read(scan->key(), scan->value()));
      last = scan->key();
    }
    if (Status walked = scan->status(); !walked) return walked;
    return forget(last, scan->valid() ? std::string{scan->key()} : std::string{});
  }

  /// Null when there are none.
  Result<std::unique_ptr<FrozenLaterTimers>> freeze();

 private:
  void encode(Timestamp time, std::uint32_t slot, std::string_view name);
  /// Everything up to `last` has been taken out; the next one is `next`, or there is none.
  Status forget(std::string last, std::string next);

  StateBackendPtr backend_;
  const KeyTable& keys_;
  KeyShape shape_;
  OwnedStorePtr store_;  ///< from the first on
  /// Nothing in the store is before it: where a walk begins, without what has been erased. Empty: there is nothing.
  std::string horizon_;
  StoreBatch pending_;
  std::string key_;  // scratch
  std::string value_;
};

}  // namespace dataflow

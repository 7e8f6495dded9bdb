#pragma once
// What comes later, in a store: entries in the order of their keys, of which somebody has the first ones in memory and
// this all from a horizon on. When there are too many in memory the later ones are put here, and the horizon moves
// down; when those in memory are used up the next ones are taken out in one walk. A store ordered by time holds timers
// and rows that wait without a key of theirs in memory.

#include <memory>
#include <string>
#include <string_view>

#include "libdataflow/state/state_backend.hpp"

namespace dataflow {

/// The entries as they were at a barrier, for a thread that writes them.
class FrozenLaterEntries {
 public:
  FrozenLaterEntries(OwnedStorePtr store, std::unique_ptr<StoreScan> scan)
      : store_{std::move(store)}, scan_{std::move(scan)} {}
  /// Calls `visit(key, value)` for each in order. Once. Errors: of the store; what `visit` returns.
  template <class Visit>
  Status for_each(Visit&& visit) const {
    for (; scan_->valid(); scan_->next()) {
      if (Status visited = visit(scan_->key(), scan_->value()); !visited) return visited;
    }
    return scan_->status();
  }

 private:
  OwnedStorePtr store_;
  std::unique_ptr<StoreScan> scan_;
};
using FrozenLaterEntriesPtr = std::unique_ptr<FrozenLaterEntries>;

class LaterEntries {
 public:
  explicit LaterEntries(StateBackendPtr backend) : backend_{std::move(backend)} {}

  /// Whether there may be any.
  [[nodiscard]] bool any() const { return !horizon_.empty(); }
  /// Nothing here is before it; empty when there is nothing.
  [[nodiscard]] const std::string& horizon() const { return horizon_; }
  /// Whether an entry is at or behind the horizon, and so is here or nowhere.
  [[nodiscard]] bool takes(std::string_view key) const { return any() && key >= horizon_; }
  /// What `takes` said yes to. Written with the next flush.
  void put(std::string_view key, std::string_view value) { pending_.put(key, value); }
  void erase(std::string_view key) { pending_.erase(key); }
  /// The horizon moves down to this key: all entries from it on are put next, and are nowhere else. Errors: io.
  Status set_horizon(std::string_view key);
  Status flush();
  /// Of what has been put and not flushed.
  [[nodiscard]] std::size_t pending_bytes() const { return pending_.byte_size(); }

  /// Takes the first `count` out, in order, and moves the horizon behind them: `visit(key, value)`.
  template <class Visit>
  Status take(std::size_t count, Visit&& visit) {
    if (Status flushed = flush(); !flushed) return flushed;
    const auto scan = (*store_)->scan(horizon_, {});
    std::string last;
    for (; scan->valid() && count != 0; scan->next(), --count) {
      visit(scan->key(), scan->value());
      last = scan->key();
    }
    if (Status walked = scan->status(); !walked) return walked;
    return forget(last, scan->valid() ? std::string{scan->key()} : std::string{});
  }

  /// Null when there are none.
  Result<FrozenLaterEntriesPtr> freeze();

 private:
  /// Everything up to `last` has been taken out; the next one is `next`, or there is none.
  Status forget(std::string last, std::string next);

  StateBackendPtr backend_;
  OwnedStorePtr store_;  ///< from the first on
  /// Where a walk begins, without what has been erased.
  std::string horizon_;
  StoreBatch pending_;
};

}  // namespace dataflow

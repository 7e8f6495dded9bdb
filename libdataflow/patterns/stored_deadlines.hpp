#pragma once
// Private to this folder.
//
// What is to be done at which time with which key, in order: the first ones in memory, and from a horizon on in a
// store.

#include <compare>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "libdataflow/process/later_entries.hpp"

namespace dataflow::patterns {

struct StoredDeadline {
  enum class Kind : std::uint8_t {
    attempt,     ///< an attempt's time is up
    row_before,  ///< a row for `prev` may go
    finish,      ///< at the end of all time: what is left of the key is decided
  };

  std::int64_t time = 0;  ///< the first one at which it has passed
  std::uint64_t sequence = 0;
  Kind kind = Kind::attempt;
  std::string key;
  std::uint16_t key_group = 0;

  friend auto operator<=>(const StoredDeadline&, const StoredDeadline&) = default;
};

class StoredDeadlines {
 public:
  explicit StoredDeadlines(const StateBackendPtr& backend) : backend_{backend}, later_{backend} {}

  /// Errors: of the store, here and below.
  Status add(StoredDeadline deadline);
  /// Those that are added next come in no order.
  Status expect_many();
  /// The first one; null when there is none. Valid until the next call.
  Result<const StoredDeadline*> first();
  /// Of the first ones, those in memory.
  [[nodiscard]] const std::deque<StoredDeadline>& next() const { return next_; }
  void pop() { next_.pop_front(); }

 private:
  void put_later(const StoredDeadline& deadline);
  Status spill();
  [[nodiscard]] std::size_t most() const;

  StateBackendPtr backend_;
  std::deque<StoredDeadline> next_;  ///< ascending, all before the horizon
  LaterEntries later_;
  std::string key_;  // scratch
  std::string value_;
};

}  // namespace dataflow::patterns

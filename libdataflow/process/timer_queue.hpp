#pragma once
// Timers in the order in which they fire: by time, then key, then name. Each is there once.
//
// A sorted list cut into pieces of a few kilobytes, and a directory of them: freezing copies the directory, and a piece
// is copied when it changes for the first time while somebody reads it.

#include <cstdint>
#include <deque>
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

/// A queue's timers as they were at a barrier, for a thread that writes them.
class FrozenTimers {
 public:
  /// Calls `visit(timer, name)` for each in order.
  template <class Visit>
  Status for_each(Visit&& visit) const {
    for (const Piece& piece : pieces_) {
      for (std::size_t i = piece.first; i < piece.timers->size(); ++i) {
        const KeyTimer& timer = (*piece.timers)[i];
        if (Status visited = visit(timer, names_[timer.name]); !visited) return visited;
      }
    }
    return {};
  }

 private:
  friend class TimerQueue;
  struct Piece {
    std::size_t first;
    std::shared_ptr<const std::vector<KeyTimer>> timers;
  };
  std::vector<Piece> pieces_;
  std::vector<std::string> names_;
  std::shared_ptr<int> reader_;  ///< last, so that the pieces are held until the queue is told
};

class TimerQueue {
 public:
  /// `keys` outlives the queue and keeps the slot of every timer's key.
  explicit TimerQueue(const KeyTable& keys) : keys_{keys} {}

  /// False when there is such a timer already.
  bool add(Timestamp time, std::uint32_t slot, std::string_view name);
  /// False when there was none.
  bool remove(Timestamp time, std::uint32_t slot, std::string_view name);
  [[nodiscard]] std::size_t size() const { return size_; }
  /// Takes out all but the first `count`: in order.
  std::vector<KeyTimer> take_behind(std::size_t count);
  /// When the next one is due.
  [[nodiscard]] std::optional<Timestamp> first() const;
  /// When the next one is due that has another name.
  [[nodiscard]] std::optional<Timestamp> first_not_named(std::string_view name) const;
  /// Takes out the next one if it is due at `until`.
  std::optional<KeyTimer> pop(Timestamp until);
  /// Stays where it is.
  [[nodiscard]] const std::string& name(const KeyTimer& timer) const { return names_[timer.name]; }
  /// Of the next `count` timers that are due at `until`, the slots.
  void next_slots(Timestamp until, std::size_t count, std::vector<std::uint32_t>& slots) const;
  [[nodiscard]] FrozenTimers freeze();

 private:
  /// Of the directory.
  struct Piece {
    KeyTimer front;  ///< (*timers)[first]
    std::size_t first = 0;
    std::shared_ptr<std::vector<KeyTimer>> timers;
    std::uint32_t generation = 0;
  };

  [[nodiscard]] bool before(const KeyTimer& a, const KeyTimer& b) const;
  std::uint32_t number_of(std::string_view name);
  /// The piece in which the timer is, or would be; there is one.
  [[nodiscard]] std::size_t piece_of(const KeyTimer& timer) const;
  [[nodiscard]] std::size_t position_in(const Piece& piece, const KeyTimer& timer) const;
  /// The piece's timers, to be changed, without those that have been taken from its front.
  std::vector<KeyTimer>& to_change(Piece& piece);
  void split(std::size_t piece);

  const KeyTable& keys_;
  std::deque<std::string> names_;
  std::vector<Piece> pieces_;  ///< none is empty
  std::size_t size_ = 0;
  std::vector<std::shared_ptr<int>> readers_;
  std::uint32_t generation_ = 0;  ///< grows with each freeze: pieces of an older one may be somebody's
};

}  // namespace dataflow

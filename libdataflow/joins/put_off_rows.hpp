#pragma once
// Private to this folder.
//
// Rows are put under their keys as late as may be, so that few are there at a time and the table of keys stays in the
// processor's cache. Two kinds wait as the batches in which they came:
//
// - Rows of a side that can only meet earlier ones (a bid meets an auction that is open) have met those, and wait for
//   nothing but what comes out of order. Mostly time passes them before anything asks for them.
// - Rows that are ahead of all that has come of the other side meet nothing yet. Of two sources one is always read
//   ahead of the other.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "libdataflow/joins/timed_rows.hpp"

namespace dataflow::joins {

struct PutOff {
  std::size_t side;
  BatchPtr batch;
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> matched;  ///< for each row of the batch: its flag. Empty: they have met nothing
  std::int64_t first;                  ///< of the other side's rows they meet none that is earlier,
  std::int64_t last;                   ///< and none that is later
};

/// Those of one side, by `first`: mostly they come so.
class PutOffRows {
 public:
  /// So many may wait, or a few more. Under their keys they would take more memory than as a narrow batch.
  [[nodiscard]] bool full() const { return rows_ >= most_rows || bytes_ >= most_bytes; }
  void add(PutOff put_off) {
    count(put_off, 1);
    const auto is_before = [](std::int64_t first, const PutOff& other) { return first < other.first; };
    const bool is_last = waiting_.empty() || waiting_.back().first <= put_off.first;
    waiting_.insert(
        is_last ? waiting_.end() : std::upper_bound(waiting_.begin(), waiting_.end(), put_off.first, is_before),
        std::move(put_off));
  }
  /// Takes out those that may meet rows of the other side from `first` to `last`: `take(PutOff&)`, a Status.
  template <class Take>
  Status take_meeting(std::int64_t first, std::int64_t last, Take&& take) {
    for (auto at = waiting_.begin(); at != waiting_.end() && at->first <= last;) {
      if (at->last < first) {
        ++at;
        continue;
      }
      count(*at, -1);
      Status taken = take(*at);
      at = waiting_.erase(at);
      if (!taken) return taken;
    }
    return {};
  }
  /// Those that meet nothing later.
  void forget_until(std::int64_t time) {
    for (; !waiting_.empty() && waiting_.front().last <= time; waiting_.pop_front()) count(waiting_.front(), -1);
  }

 private:
  static constexpr std::int64_t most_rows = 1024 * 1024;
  static constexpr std::int64_t most_bytes = 64 * 1024 * 1024;

  void count(const PutOff& put_off, std::int64_t times) {
    rows_ += times * static_cast<std::int64_t>(put_off.rows.size());
    bytes_ += times * static_cast<std::int64_t>(put_off.batch->byte_size());
  }

  std::deque<PutOff> waiting_;
  std::int64_t rows_ = 0;
  std::int64_t bytes_ = 0;  ///< of their batches
};

}  // namespace dataflow::joins

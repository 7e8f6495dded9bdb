#pragma once
// Rows in the order of the time at which they are due: a calendar queue (R. Brown, CACM 31(10), 1988). Adding is
// appending to the bucket of the time; only a bucket whose time has come is sorted.

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace dataflow::windows {

/// `Row` has `due()` and `sequence`, by which rows that are due together are ordered, or points to what has. If it has
/// `prefetch()`, that is called some time before it is renewed.
template <class Row>
class TimeBuckets {
 public:
  /// A bucket has the greatest power of two of microseconds that is not more than `width`, so that its number is found
  /// without a division.
  explicit TimeBuckets(std::int64_t width)
      : shift_{static_cast<int>(std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(1, width)))) - 1} {}
  TimeBuckets(const TimeBuckets&) = delete;
  TimeBuckets& operator=(const TimeBuckets&) = delete;

  void add(const Row& row) {
    const std::int64_t due = in(row).due();
    Bucket& bucket = find_bucket(bucket_of(due));
    // Rows mostly come in the order in which they are due.
    const bool first = bucket.next == bucket.rows.size();
    bucket.sorted = bucket.sorted && (first || !earlier(row, bucket.rows.back()));
    bucket.least = first ? due : std::min(bucket.least, due);
    bucket.rows.push_back(row);
  }

  /// Takes out rows that are due at `now` or before, in order, until `visit(row)` is false, which takes that row too.
  /// True when there are no more such rows.
  template <class Visit>
  bool take_due(std::int64_t now, Visit&& visit) {
    return take_prepared(now, visit, [](std::int64_t, Bucket&) {});
  }
  /// The same of rows that may be due later than when they were added: `renew(row)` sets each right before the rows of
  /// its bucket are sorted, so that those that move on are not, and returns whether it is still wanted. `visit` may
  /// add rows.
  template <class Renew, class Visit>
  bool take_due(std::int64_t now, Renew&& renew, Visit&& visit) {
    return take_prepared(now, visit, [&](std::int64_t number, Bucket& bucket) { renew_bucket(number, bucket, renew); });
  }
  /// The same, but for buckets that are over alone: for rows that may stay a little longer.
  template <class Visit>
  void take_buckets(std::int64_t now, Visit&& visit) {
    while (!buckets_.empty() && bucket_of(now) > buckets_.begin()->first) {
      sort(buckets_.begin()->second);
      take_first_bucket(visit);
    }
  }
  /// Likewise, those of a bucket in any order.
  template <class Visit>
  void take_buckets_unordered(std::int64_t now, Visit&& visit) {
    while (!buckets_.empty() && bucket_of(now) > buckets_.begin()->first) take_first_bucket(visit);
  }
  /// When the time's bucket is over.
  [[nodiscard]] std::int64_t end_of_bucket(std::int64_t time) const {
    const std::int64_t last = first_of(bucket_of(time)) + ((std::int64_t{1} << shift_) - 1);
    return last == INT64_MAX ? last : last + 1;
  }
  /// Takes out all rows for which `gone(row)` is true.
  template <class Gone>
  void erase_if(Gone&& gone) {
    recent_.fill({});
    for (auto at = buckets_.begin(); at != buckets_.end();) {
      std::vector<Row>& rows = at->second.rows;
      rows.erase(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(at->second.next));
      at->second.next = 0;
      std::erase_if(rows, [&](const Row& row) { return gone(in(row)); });
      at = rows.empty() ? buckets_.erase(at) : std::next(at);
    }
  }
  /// When the first row for which `counts(row)` is true is due, as far as looking at some of them tells.
  template <class Counts>
  [[nodiscard]] std::optional<std::int64_t> first_due(Counts&& counts) const {
    std::size_t looked_at = 0;
    std::optional<std::int64_t> first;
    for (auto at = buckets_.begin(); at != buckets_.end() && !first && looked_at < most_looked_at; ++at) {
      const Bucket& bucket = at->second;
      looked_at += bucket.rows.size() - bucket.next;
      for (std::size_t i = bucket.next; i < bucket.rows.size(); ++i) {
        const auto& row = in(bucket.rows[i]);
        if (counts(row) && (!first || row.due() < *first)) first = row.due();
      }
    }
    return first;
  }
  /// No row is due before this; nothing: there are none.
  [[nodiscard]] std::optional<std::int64_t> none_due_before() const {
    if (buckets_.empty()) return std::nullopt;
    const Bucket& bucket = buckets_.begin()->second;
    return bucket.sorted && bucket.next < bucket.rows.size() ? in(bucket.rows[bucket.next]).due() : bucket.least;
  }
  [[nodiscard]] std::size_t size() const {
    std::size_t rows = 0;
    for (const auto& [number, bucket] : buckets_) rows += bucket.rows.size() - bucket.next;
    return rows;
  }

 private:
  static constexpr std::size_t most_looked_at = 10'000;
  static constexpr std::size_t prefetched_ahead = 16;

  struct Bucket {
    std::vector<Row> rows;
    std::size_t next = 0;    ///< those before it have been taken
    std::int64_t least = 0;  ///< none is due before
    bool sorted = true;
    bool renewed = false;
  };

  template <class T>
  static auto& in(T& row) {
    if constexpr (std::is_pointer_v<Row>) {
      return *row;
    } else {
      return row;
    }
  }

  /// Where a bucket was found last.
  struct Recent {
    std::int64_t number = 0;
    Bucket* bucket = nullptr;
  };

  [[nodiscard]] std::int64_t bucket_of(std::int64_t time) const { return time >> shift_; }
  [[nodiscard]] std::int64_t first_of(std::int64_t bucket) const { return bucket << shift_; }
  Bucket& find_bucket(std::int64_t number) {
    Recent& recent = recent_[static_cast<std::uint64_t>(number) % recent_.size()];
    if (recent.bucket == nullptr || recent.number != number) {
      const auto [at, is_new] = buckets_.try_emplace(number);
      if (is_new) at->second.rows = std::move(spare_);
      recent = {number, &at->second};
    }
    return *recent.bucket;
  }
  template <class Visit, class Prepare>
  bool take_prepared(std::int64_t now, Visit&& visit, Prepare&& prepare) {
    while (!buckets_.empty() && first_of(buckets_.begin()->first) <= now) {
      Bucket& bucket = buckets_.begin()->second;
      prepare(buckets_.begin()->first, bucket);
      while (bucket.next < bucket.rows.size()) {
        sort(bucket);
        if (in(bucket.rows[bucket.next]).due() > now) return true;
        if (!visit(in(bucket.rows[bucket.next++]))) return false;
      }
      erase_first();
    }
    return true;
  }
  template <class Renew>
  void renew_bucket(std::int64_t number, Bucket& bucket, Renew&& renew) {
    if (std::exchange(bucket.renewed, true)) return;
    std::size_t kept = 0;
    bucket.sorted = true;
    for (std::size_t i = bucket.next; i < bucket.rows.size(); ++i) {
      if constexpr (requires(const Row& row) { row.prefetch(); }) {
        if (i + prefetched_ahead < bucket.rows.size()) bucket.rows[i + prefetched_ahead].prefetch();
      }
      Row& row = bucket.rows[i];
      if (!renew(in(row))) continue;
      if (bucket_of(in(row).due()) != number) {
        add(row);
        continue;
      }
      bucket.sorted = bucket.sorted && (kept == 0 || !earlier(row, bucket.rows[kept - 1]));
      bucket.rows[kept++] = row;
    }
    bucket.rows.resize(kept);
    bucket.next = 0;
  }
  template <class Visit>
  void take_first_bucket(Visit&& visit) {
    Bucket& bucket = buckets_.begin()->second;
    for (std::size_t i = bucket.next; i < bucket.rows.size(); ++i) visit(in(bucket.rows[i]));
    erase_first();
  }
  void erase_first() {
    const auto first = buckets_.begin();
    Recent& recent = recent_[static_cast<std::uint64_t>(first->first) % recent_.size()];
    if (recent.bucket == &first->second) recent = {};
    spare_ = std::move(first->second.rows);
    spare_.clear();
    buckets_.erase(first);
  }
  /// Without branches, which would be mispredicted.
  static bool earlier(const Row& x, const Row& y) {
    const auto& a = in(x);
    const auto& b = in(y);
    return (a.due() < b.due()) | ((a.due() == b.due()) & (a.sequence < b.sequence));
  }
  static void sort(Bucket& bucket) {
    if (bucket.sorted) return;
    std::sort(bucket.rows.begin() + static_cast<std::ptrdiff_t>(bucket.next), bucket.rows.end(), earlier);
    bucket.sorted = true;
  }

  int shift_;
  std::map<std::int64_t, Bucket> buckets_;
  std::array<Recent, 64> recent_{};  ///< by number
  std::vector<Row> spare_;           ///< memory of a bucket that is over
};

}  // namespace dataflow::windows

#pragma once
// Rows in the order of the time at which they are due: a calendar queue (R. Brown, CACM 31(10), 1988). Adding is
// appending to the bucket of the time; only a bucket whose time has come is sorted.

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <vector>

namespace dataflow::joins {

/// `Row` has `due()` and `sequence`, by which rows that are due together are ordered.
template <class Row>
class TimeBuckets {
 public:
  /// `width`, at least 1: how many microseconds a bucket has.
  explicit TimeBuckets(std::int64_t width) : width_{std::max<std::int64_t>(1, width)} {}

  void add(Row* row) {
    const std::int64_t number = bucket_of(row->due());
    if (last_ == nullptr || number != last_number_) {
      last_ = &buckets_[number];
      last_number_ = number;
    }
    // Rows mostly come in the order in which they are due.
    const bool first = last_->next == last_->rows.size();
    last_->sorted = last_->sorted && (first || !earlier(row, last_->rows.back()));
    last_->rows.push_back(row);
  }

  /// Takes out rows that are due at `now` or before, in order, until `visit(row)` is false, which takes that row too.
  /// True when there are no more such rows.
  template <class Visit>
  bool take_due(std::int64_t now, Visit&& visit) {
    while (!buckets_.empty() && first_of(buckets_.begin()->first) <= now) {
      Bucket& bucket = buckets_.begin()->second;
      sort(bucket);
      while (bucket.next < bucket.rows.size() && bucket.rows[bucket.next]->due() <= now) {
        if (!visit(*bucket.rows[bucket.next++])) return false;
      }
      if (bucket.next < bucket.rows.size()) return true;
      erase_first();
    }
    return true;
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
  [[nodiscard]] std::int64_t end_of_bucket(std::int64_t time) const { return first_of(bucket_of(time) + 1); }
  /// Takes out all rows for which `gone(row)` is true.
  template <class Gone>
  void erase_if(Gone&& gone) {
    last_ = nullptr;
    for (auto at = buckets_.begin(); at != buckets_.end();) {
      std::vector<Row*>& rows = at->second.rows;
      rows.erase(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(at->second.next));
      at->second.next = 0;
      std::erase_if(rows, [&](const Row* row) { return gone(*row); });
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
        const Row& row = *bucket.rows[i];
        if (counts(row) && (!first || row.due() < *first)) first = row.due();
      }
    }
    return first;
  }

 private:
  static constexpr std::size_t most_looked_at = 10'000;

  struct Bucket {
    std::vector<Row*> rows;
    std::size_t next = 0;  ///< those before it have been taken
    bool sorted = true;
  };

  [[nodiscard]] std::int64_t bucket_of(std::int64_t time) const { return time / width_ - (time % width_ < 0 ? 1 : 0); }
  [[nodiscard]] std::int64_t first_of(std::int64_t bucket) const {
    std::int64_t first = 0;
    if (!__builtin_mul_overflow(bucket, width_, &first)) return first;
    return bucket < 0 ? INT64_MIN : INT64_MAX;
  }
  template <class Visit>
  void take_first_bucket(Visit&& visit) {
    const Bucket& bucket = buckets_.begin()->second;
    for (std::size_t i = bucket.next; i < bucket.rows.size(); ++i) visit(*bucket.rows[i]);
    erase_first();
  }
  void erase_first() {
    last_ = nullptr;
    buckets_.erase(buckets_.begin());
  }
  static bool earlier(const Row* a, const Row* b) {
    return a->due() != b->due() ? a->due() < b->due() : a->sequence < b->sequence;
  }
  static void sort(Bucket& bucket) {
    if (bucket.sorted) return;
    std::sort(bucket.rows.begin() + static_cast<std::ptrdiff_t>(bucket.next), bucket.rows.end(), earlier);
    bucket.sorted = true;
  }

  std::int64_t width_;
  std::map<std::int64_t, Bucket> buckets_;
  Bucket* last_ = nullptr;  ///< the one that was added to last
  std::int64_t last_number_ = 0;
};

}  // namespace dataflow::joins

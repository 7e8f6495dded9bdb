// Each left row with the version of the right row that was valid at its time (a temporal join; Flink's
// TemporalRowTimeJoinOperator). Right rows are versions of their key from their own time on; a delete ends one. Left
// rows wait until time has passed them, since only then no older version can still come, and leave in the order of
// their times. Of each key the version that is valid now stays, and all newer ones.

#include <algorithm>

#include "libdataflow/joins/timed_join.hpp"
#include "libdataflow/windows/time_buckets.hpp"

namespace dataflow::joins {

namespace {

/// How much time, in microseconds, the rows of a bucket are apart at most.
constexpr std::int64_t bucket_width = 1'000'000;
/// What `flag` says of a version.
constexpr std::uint32_t deleted = 1;

class AsOfJoin final : public TimedJoin {
 public:
  explicit AsOfJoin(std::shared_ptr<const AsOfJoinSpec> spec)
      : TimedJoin{spec->join, {"join.deleted"}}, spec_{std::move(spec)} {}

  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) override {
    BatchPieces pieces;
    for (pieces.start(batch); !pieces.empty();) {
      const BatchPtr piece = pieces.next(rows().rows_at_once());
      rows_with_key(*piece, join().sides[input].keys, taken_.rows, without_key_);
      Status taken = input == right_input ? take_versions(*piece) : take_left(*piece);
      count_without_key(input, without_key_.size());  // without those that were late
      if (taken && input == left_input) taken = give_without_key(*piece, out);
      if (taken) taken = rows().make_room();
      if (!taken) return fail(taken.error());
    }
    return Step::done;
  }

  Result<Step> resume(OperatorOutput& out) override {
    auto given = give_due([&](std::int64_t until) {
      auto left = give_left(until, out);
      if (left && *left == Step::done) forget_versions(until);
      return left;
    });
    if (!given || *given == Step::yield) return given;
    return ended(rows().make_room());
  }

  [[nodiscard]] std::optional<Timestamp> waits_for() const override {
    const auto waiting = waiting_.first_due([](const TimedRow&) { return true; });
    const std::int64_t first = std::min(waiting.value_or(KeyEntry::never), rows().wakes());
    return first == KeyEntry::never ? std::nullopt : std::optional{Timestamp{first}};
  }

  void came_back(TimedRow& row) override {
    row.due_time = row.time;
    (row.side == left_input ? waiting_ : versions_).add(&row);
  }
  void forget_rows_without_key() override {
    const auto gone = [](const TimedRow& row) { return row.key == nullptr; };
    waiting_.erase_if(gone);
    versions_.erase_if(gone);
  }
  void set_waking(std::span<TimedRow* const> left, std::span<TimedRow* const> right, KeyEntry& entry) const override {
    if (!left.empty()) return entry.wake_at(left.front()->time);
    if (right.empty()) return;
    // When time passes the newest version no other is needed, nor that one when it ends the key: see forget_versions.
    entry.ends = right.back()->flag == deleted;
    if (entry.ends || right.size() > 1) entry.wake_at(versions_.end_of_bucket(right.back()->time));
  }

 private:
  Status take_left(const Batch& batch) {
    const auto times = batch.timestamps()->as<std::int64_t>();
    drop_late(times, taken_.rows, without_key_);
    Status packed =
        rows().find_and_pack(layout(left_input), keys_of_input(left_input), batch, times, left_input, taken_);
    if (!packed) return packed;
    for (TimedRow* row : taken_.stored) keep(row);
    return {};
  }

  Status take_versions(const Batch& batch) {
    // The version that an update takes back is replaced by the one that follows.
    std::erase_if(taken_.rows, [&](std::uint32_t row) { return batch.kind(row) == RowKind::update_before; });
    Status packed = rows().find_and_pack(layout(right_input), keys_of_input(right_input), batch,
                                         batch.timestamps()->as<std::int64_t>(), right_input, taken_);
    if (!packed) return packed;
    for (std::size_t i = 0; i < taken_.rows.size(); ++i) {
      TimedRow* const version = taken_.stored[i];
      version->flag = batch.kind(taken_.rows[i]) == RowKind::remove ? deleted : 0;
      keep(version);
    }
    return {};
  }

  void keep(TimedRow* row) {
    came_back(*row);
    rows().keep(row);
  }

  /// Joins the left rows that are due.
  Result<Step> give_left(std::int64_t until, OperatorOutput& out) {
    bool all = false;
    while (!all) {
      all = collect(until);
      if (Status joined = join_collected(out); !joined) return fail(joined.error());
      if (Status emitted = emit(results_, out); !emitted) return fail(emitted.error());
      for (TimedRow* row : collected_) rows().free(row);
      if (!all && out.full()) return Step::yield;
    }
    return Step::done;
  }

  /// What has no key never has a match: it need not wait.
  Status give_without_key(const Batch& batch, OperatorOutput& out) {
    if (!gives_unmatched(join().kind, left_input)) return {};
    Pairs alone;
    alone.sides[left_input].batch = &batch;
    for (const std::uint32_t row : without_key_) {
      alone.sides[left_input].rows.push_back(row);
      alone.sides[right_input].stored.push_back(nullptr);
      alone.times.push_back(batch.timestamp(row).micros);
      ++alone.count;
    }
    return emit(alone, out);
  }

  /// The version of the row's key that is valid at its time; null when there is none.
  [[nodiscard]] TimedRow* version_for(const TimedRow& left) const {
    const auto until_then = rows().of_key(left, right_input).between(INT64_MIN, left.time);
    if (until_then.empty() || until_then.back()->flag == deleted) return nullptr;
    return until_then.back();
  }

  /// The next left rows that are due, and their versions as candidates. Whether there are no more.
  bool collect(std::int64_t until) {
    candidates_.clear();
    collected_.clear();
    has_version_.clear();
    std::size_t bytes = 0;
    return waiting_.take_due(until, [&](TimedRow& row) {
      rows().take_out(row);
      collected_.push_back(&row);
      const TimedRow* const version = version_for(row);
      has_version_.push_back(version != nullptr);
      if (version != nullptr) {
        candidates_.sides[left_input].stored.push_back(row.bytes());
        candidates_.sides[right_input].stored.push_back(version->bytes());
        ++candidates_.count;
      }
      bytes += PackedLayout::size_of(row.bytes()) + (version != nullptr ? PackedLayout::size_of(version->bytes()) : 0);
      return collected_.size() < candidates_.enough && bytes < max_batch_bytes;
    });
  }

  Status join_collected(OperatorOutput& out) {
    if (Status chosen = select(candidates_, out); !chosen) return chosen;
    std::size_t candidate = 0;
    std::size_t next = 0;
    std::size_t left_out = 0;
    for (std::size_t i = 0; i < collected_.size(); ++i) {
      const std::byte* version = nullptr;
      if (has_version_[i]) {
        if (next < selected().size() && selected()[next] == candidate) {
          version = candidates_.sides[right_input].stored[candidate];
          ++next;
        }
        ++candidate;
      }
      if (version == nullptr && !gives_unmatched(join().kind, left_input)) {
        ++left_out;
        continue;
      }
      results_.sides[left_input].stored.push_back(collected_[i]->bytes());
      results_.sides[right_input].stored.push_back(version);
      results_.times.push_back(collected_[i]->time);
      ++results_.count;
    }
    count_without_match(left_out);
    return {};
  }

  /// Versions that are not valid any more for any row that can still come. They come here in the order of a key's list,
  /// so that what stands before one there has been here before.
  void forget_versions(std::int64_t until) {
    versions_.take_buckets(until, [&](TimedRow& version) {
      const TimedRowList& of_key = rows().of_key(version, right_input);
      while (of_key.rows().front() != &version) forget(*of_key.rows().front());
      if (version.flag == deleted) forget(version);
    });
  }
  void forget(TimedRow& row) {
    rows().take_out(row);
    rows().free(&row);
  }

  std::shared_ptr<const AsOfJoinSpec> spec_;
  windows::TimeBuckets<TimedRow*> waiting_{bucket_width};   ///< left rows
  windows::TimeBuckets<TimedRow*> versions_{bucket_width};  ///< right rows that may be newer than the watermark

  TimedBatch taken_;
  std::vector<std::uint32_t> without_key_;
  std::vector<TimedRow*> collected_;  ///< left rows that are being joined
  std::vector<bool> has_version_;     ///< for each of them: the next candidate is its own
  Pairs candidates_;
  Pairs results_;
};

}  // namespace

OperatorFactoryPtr make_as_of_join(AsOfJoinSpec spec) {
  return std::make_shared<JoinFactory<AsOfJoin, AsOfJoinSpec>>(std::move(spec));
}

}  // namespace dataflow::joins

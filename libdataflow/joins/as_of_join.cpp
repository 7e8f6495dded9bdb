// Each left row with the version of the right row that was valid at its time (a temporal join; Flink's
// TemporalRowTimeJoinOperator). Right rows are versions of their key from their own time on; a delete ends one. Left
// rows wait until time has passed them, since only then no older version can still come, and leave in the order of
// their times. Of each key the version that is valid now stays, and all newer ones.

#include <algorithm>

#include "libdataflow/joins/time_buckets.hpp"
#include "libdataflow/joins/timed_rows.hpp"

namespace dataflow::joins {

namespace {

/// How much time, in microseconds, the rows of a bucket are apart at most.
constexpr std::int64_t bucket_width = 1'000'000;
/// What `flag` says of a version.
constexpr std::uint32_t deleted = 1;

class AsOfJoin final : public JoinOperator {
 public:
  explicit AsOfJoin(std::shared_ptr<const AsOfJoinSpec> spec)
      : JoinOperator{spec->join, {"join.event_time", "join.sequence", "join.deleted"}},
        spec_{std::move(spec)},
        rows_{keys_of_input(left_input).form()} {}

  Status open(OperatorContext& context) override {
    late_ = &context.counter("late");
    return JoinOperator::open(context);
  }

  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) override {
    rows_with_key(*batch, join().sides[input].keys, taken_.rows, without_key_);
    if (input == right_input) {
      take_versions(*batch);
      return Step::done;
    }
    const auto times = batch->timestamps()->as<std::int64_t>();
    const std::int64_t watermark = context().watermark().micros;
    const auto is_late = [&](std::uint32_t row) { return times[row] <= watermark; };
    const std::size_t before = taken_.rows.size() + without_key_.size();
    std::erase_if(taken_.rows, is_late);
    std::erase_if(without_key_, is_late);
    late_->add(before - taken_.rows.size() - without_key_.size());
    rows_.pack(layout(input), keys_of_input(input), *batch, times, left_input, taken_);
    for (TimedRow* row : taken_.stored) wait(row);
    return give_without_key(batch, out);
  }

  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) override {
    passed_ = watermark.micros;
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    bool all = false;
    while (!all) {
      collect(all);
      if (Status joined = join_collected(); !joined) return fail(joined.error());
      if (Status emitted = emit(results_, out); !emitted) return fail(emitted.error());
      for (TimedRow* row : collected_) rows_.free(row);
      if (!all && out.full()) return Step::yield;
    }
    forget_versions();
    rows_.tidy();
    return Step::done;
  }

  Result<CapturedStatePtr> snapshot() override {
    auto captured = std::make_unique<CapturedRows>(context().max_parallelism());
    for (const std::size_t side : {left_input, right_input}) {
      captured->begin(table(side));
      rows_.for_each(side, [&](const TimedRow& row) {
        captured->add(row.bytes(), {row.time, row.sequence, row.flag});
      });
    }
    return captured;
  }

  Status restore(StateReader& state) override {
    for (const std::uint32_t side : {0U, 1U}) {
      Status read = table(side).restore(state, [&](const BatchPtr& rows) -> Status {
        rows_.restore(table(side), keys_of_table(side), *rows, side, [&](TimedRow* row) {
          row->due_time = row->time;
          (side == left_input ? waiting_ : versions_).add(row);
        });
        return {};
      });
      if (!read) return read;
    }
    return {};
  }

 private:
  void wait(TimedRow* row) {
    row->due_time = row->time;
    rows_.keep(row);
    waiting_.add(row);
  }

  void take_versions(const Batch& batch) {
    // The version that an update takes back is replaced by the one that follows.
    std::erase_if(taken_.rows, [&](std::uint32_t row) { return batch.kind(row) == RowKind::update_before; });
    rows_.pack(layout(right_input), keys_of_input(right_input), batch, batch.timestamps()->as<std::int64_t>(),
               right_input, taken_);
    for (std::size_t i = 0; i < taken_.rows.size(); ++i) {
      TimedRow* const version = taken_.stored[i];
      version->flag = batch.kind(taken_.rows[i]) == RowKind::remove ? deleted : 0;
      version->due_time = version->time;
      rows_.keep(version);
      versions_.add(version);
    }
  }

  /// What has no key never has a match: it need not wait.
  Result<Step> give_without_key(const BatchPtr& batch, OperatorOutput& out) {
    if (!gives_unmatched(join().kind, left_input)) return Step::done;
    Pairs alone;
    alone.sides[left_input].batch = batch.get();
    for (const std::uint32_t row : without_key_) {
      alone.sides[left_input].rows.push_back(row);
      alone.sides[right_input].stored.push_back(nullptr);
      alone.times.push_back(batch->timestamp(row).micros);
      ++alone.count;
    }
    return ended(emit(alone, out));
  }

  /// The version of the row's key that is valid at its time; null when there is none.
  [[nodiscard]] TimedRow* version_for(const TimedRow& left) const {
    const auto until_then = rows_.of_key(left, right_input).between(INT64_MIN, left.time);
    if (until_then.empty() || until_then.back()->flag == deleted) return nullptr;
    return until_then.back();
  }

  /// The next left rows that time has passed, and their versions as candidates.
  void collect(bool& all) {
    candidates_.clear();
    collected_.clear();
    has_version_.clear();
    std::size_t bytes = 0;
    all = waiting_.take_due(passed_, [&](TimedRow& row) {
      rows_.take_out(row);
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

  Status join_collected() {
    if (Status chosen = select(candidates_); !chosen) return chosen;
    std::size_t candidate = 0;
    std::size_t next = 0;
    for (std::size_t i = 0; i < collected_.size(); ++i) {
      const std::byte* version = nullptr;
      if (has_version_[i]) {
        if (next < selected().size() && selected()[next] == candidate) {
          version = candidates_.sides[right_input].stored[candidate];
          ++next;
        }
        ++candidate;
      }
      if (version == nullptr && !gives_unmatched(join().kind, left_input)) continue;
      results_.sides[left_input].stored.push_back(collected_[i]->bytes());
      results_.sides[right_input].stored.push_back(version);
      results_.times.push_back(collected_[i]->time);
      ++results_.count;
    }
    return {};
  }

  /// Versions that are not valid any more for any row that can still come. They come here in the order of a key's list,
  /// so that what stands before one there has been here before.
  void forget_versions() {
    versions_.take_buckets(passed_, [&](TimedRow& version) {
      const TimedRowList& of_key = rows_.of_key(version, right_input);
      while (of_key.rows().front() != &version) forget(*of_key.rows().front());
      if (version.flag == deleted) forget(version);
    });
  }
  void forget(TimedRow& row) {
    rows_.take_out(row);
    rows_.free(&row);
  }

  std::shared_ptr<const AsOfJoinSpec> spec_;
  TimedRows rows_;
  TimeBuckets<TimedRow> waiting_{bucket_width};   ///< left rows
  TimeBuckets<TimedRow> versions_{bucket_width};  ///< right rows that may be newer than the watermark
  std::int64_t passed_ = Timestamp::min().micros;
  Counter* late_ = nullptr;

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

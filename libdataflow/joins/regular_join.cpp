// A join without bounds in time: each side keeps all its rows by key, and what arrives on one side meets what the other
// has. Results are a changelog: where a row without a match is a result too (or its having none), each row counts its
// matches, and what was said of it is taken back when the first comes and said again when the last goes (Flink's
// StreamingJoinOperator and StreamingSemiAntiJoinOperator).

#include <algorithm>

#include "libdataflow/joins/join_operator.hpp"
#include "libdataflow/joins/regular_rows.hpp"

namespace dataflow::joins {

namespace {

class RegularJoin final : public JoinOperator {
 public:
  explicit RegularJoin(std::shared_ptr<const RegularJoinSpec> spec)
      : JoinOperator{spec->join, {"join.event_time", "join.seen", "join.matches"}},
        spec_{std::move(spec)},
        rows_{keys_of_input(left_input).form(), spec_->ttl} {
    for (const std::size_t side : {left_input, right_input}) {
      counts_[side] = gives_unmatched(join().kind, side) || (is_of_left_rows(join().kind) && side == left_input);
    }
  }

  Status open(OperatorContext& context) override {
    unknown_ = &context.counter("unknown_retractions");
    if (Status opened = JoinOperator::open(context); !opened) return opened;
    const StateBackendPtr backend = context.state_backend();
    return backend ? rows_.use_backend(backend, entries()) : Status{};
  }

  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) override {
    side_ = input;
    rows_.set_now(context().now().micros);
    pieces_.start(batch);
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    while (batch_ || !pieces_.empty()) {
      if (!batch_) {
        if (Status begun = begin_piece(); !begun) return fail(begun.error());
      }
      auto joined = go_on(out);
      if (!joined || *joined == Step::yield) return joined;
      batch_.reset();
      if (Status made = rows_.make_room(); !made) return fail(made.error());
      if (!pieces_.empty() && out.full()) return Step::yield;
    }
    if (spec_->ttl && !next_sweep_) wait_for_sweep(context().now(), rows_.pause());
    return Step::done;
  }

  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const override { return next_sweep_; }
  Result<Step> on_processing_time(Timestamp now, OperatorOutput&) override {
    rows_.set_now(now.micros);
    const auto pause = rows_.sweep();
    if (!pause) return fail(pause.error());
    wait_for_sweep(now, *pause);
    return Step::done;
  }

  Result<CapturedStatePtr> snapshot() override {
    rows_.set_now(context().now().micros);
    auto captured = std::make_unique<CapturedRows>(context().max_parallelism());
    Status copied = rows_.capture({&table(left_input), &table(right_input)}, *captured);
    if (!copied) return fail(copied.error());
    return captured;
  }

  Status restore(StateReader& state) override {
    rows_.set_now(context().now().micros);
    const auto taken = rows_.restore_store(state);
    if (!taken) return fail(taken.error());
    Status read = read_rows(state, !*taken, [&](std::size_t side, const Batch& rows) {
      return rows_.restore(table(side), keys_of_table(side), side, rows);
    });
    if (!read) return read;
    if (spec_->ttl) wait_for_sweep(context().now(), rows_.pause());
    return {};
  }

 private:
  /// Where the candidates of a row end, and whether there are no more of it.
  struct RowEnd {
    std::size_t row;  ///< in with_key_
    std::size_t candidates;
    bool complete;
  };

  void wait_for_sweep(Timestamp now, std::optional<Duration> pause) {
    next_sweep_.reset();
    if (pause) next_sweep_ = now + *pause;
  }
  [[nodiscard]] bool takes_back(std::size_t batch_row) const {
    const RowKind kind = batch_->kind(batch_row);
    return kind == RowKind::update_before || kind == RowKind::remove;
  }

  Status begin_piece() {
    batch_ = pieces_.next(rows_.rows_at_once());
    rows_with_key(*batch_, join().sides[side_].keys, with_key_, without_key_);
    count_without_key(side_, without_key_.size());
    std::reverse(without_key_.begin(), without_key_.end());  // they are taken from the end
    const bool all = with_key_.size() == batch_->rows();
    const windows::KeyBatch& keys = keys_of_input(side_).read(*batch_);
    if (Status found = rows_.find(keys, all ? nullptr : with_key_.data(), with_key_.size(), found_); !found)
      return found;
    pack();
    for (Pairs* pairs : {&candidates_, &results_}) {
      pairs->sides[side_].batch = batch_.get();
      pairs->sides[other(side_)].batch = nullptr;
    }
    row_ = 0;
    walking_ = false;
    return {};
  }

  Result<Step> go_on(OperatorOutput& out) {
    while (true) {
      if (row_ < with_key_.size()) {
        collect();
        if (Status matched = apply(out); !matched) return fail(matched.error());
        if (!walking_) free_removed();
      } else {
        add_rows_without_key();
      }
      const bool through = row_ == with_key_.size() && without_key_.empty();
      if (!through && !results_.full()) continue;
      if (Status emitted = emit(results_, out); !emitted) return fail(emitted.error());
      if (through) return Step::done;
      if (out.full()) return Step::yield;
    }
  }

  /// All rows of the batch that have a key, as bytes.
  void pack() {
    const PackedLayout& form = layout(side_);
    form.sizes(*batch_, with_key_, sizes_);
    stored_.resize(with_key_.size());
    to_.resize(with_key_.size());
    for (std::size_t i = 0; i < with_key_.size(); ++i) {
      stored_[i] = rows_.allocate(sizes_[i]);
      *stored_[i] = {nullptr, batch_->timestamp(with_key_[i]).micros, rows_.now(), 0};
      to_[i] = stored_[i]->bytes();
    }
    form.pack(*batch_, with_key_, sizes_, to_.data());
  }

  /// Brings the row into its own side's state. False: it takes back what is not there.
  bool begin_row() {
    SideRows& own = rows_.of(found_[row_]).sides[side_];
    RegularRow* const row = stored_[row_];
    if (!takes_back(with_key_[row_])) {
      own.append(row);
      return true;
    }
    RegularRow* const gone = rows_.take_equal(own, *row);
    removed_.push_back(row);
    if (gone == nullptr) {
      unknown_->add(1);
      return false;
    }
    // Its results in this list of candidates may not have been given yet.
    removed_.push_back(gone);
    return true;
  }

  /// Gathers candidates until there are enough or the batch is through.
  void collect() {
    candidates_.clear();
    met_.clear();
    ends_.clear();
    const bool one_is_enough = first_match_decides();
    PairSide& own = candidates_.sides[side_];
    PairSide& others = candidates_.sides[other(side_)];
    while (row_ < with_key_.size()) {
      if (!walking_) {
        if (!begin_row()) {
          ++row_;
          continue;
        }
        SideRows& met = rows_.of(found_[row_]).sides[other(side_)];
        if (spec_->ttl) rows_.forget_expired(met);
        walk_ = met.first;
        walking_ = true;
      }
      while (walk_ != nullptr && candidates_.count < candidates_at_once && candidates_.bytes < max_batch_bytes / 2) {
        own.rows.push_back(with_key_[row_]);
        others.stored.push_back(walk_->bytes());
        met_.push_back(walk_);
        ++candidates_.count;
        candidates_.bytes += PackedLayout::size_of(walk_->bytes()) + sizes_[row_];
        walk_ = one_is_enough ? nullptr : walk_->next;
      }
      const bool complete = walk_ == nullptr;
      ends_.push_back({row_, candidates_.count, complete});
      if (!complete) return;
      walking_ = false;
      ++row_;
      if (ends_.size() >= candidates_at_once) return;
    }
  }

  /// A left row of a semi or anti join needs no more than to know of one match that will stay.
  [[nodiscard]] bool first_match_decides() const {
    return is_of_left_rows(join().kind) && side_ == left_input && !join().condition &&
           !join().sides[right_input].takes_back && !spec_->ttl;
  }

  /// Decides which candidates are pairs, and gives their results.
  Status apply(OperatorOutput& out) {
    if (Status chosen = select(candidates_, out); !chosen) return chosen;
    const std::vector<std::uint32_t>& pairs = selected();
    std::size_t next = 0;
    for (const RowEnd& end : ends_) {
      for (; next < pairs.size() && pairs[next] < end.candidates; ++next) add_match(end.row, *met_[pairs[next]]);
      if (!end.complete) continue;
      finish_row(end.row);
      matches_ = 0;
    }
    return {};
  }

  void add_match(std::size_t row, RegularRow& met) {
    ++matches_;
    const bool back = takes_back(with_key_[row]);
    const bool of_left = is_of_left_rows(join().kind);
    const bool counted = counts_[other(side_)];
    // What was said of the other row is not true any more when the first match comes.
    if (counted && !back && met.matches++ == 0) {
      add_result(row, &met, Shape::other_alone, join().kind == JoinKind::semi ? RowKind::insert : RowKind::remove);
    }
    if (!of_left) add_result(row, &met, Shape::pair, back ? RowKind::remove : RowKind::insert);
    if (counted && back && met.matches != 0 && --met.matches == 0) {
      add_result(row, &met, Shape::other_alone, join().kind == JoinKind::semi ? RowKind::remove : RowKind::insert);
    }
  }

  void finish_row(std::size_t row) {
    stored_[row]->matches = matches_;
    if (!counts_[side_]) return;
    const bool says = join().kind == JoinKind::semi ? matches_ != 0 : matches_ == 0;
    if (says) {
      add_result(row, nullptr, Shape::own_alone, takes_back(with_key_[row]) ? RowKind::remove : RowKind::insert);
    }
  }

  enum class Shape : std::uint8_t { pair, own_alone, other_alone };

  void add_result(std::size_t row, const RegularRow* met, Shape shape, RowKind kind) {
    const std::uint32_t own = with_key_[row];
    results_.sides[side_].rows.push_back(shape == Shape::other_alone ? no_row : own);
    results_.sides[other(side_)].stored.push_back(shape == Shape::own_alone ? nullptr : met->bytes());
    std::int64_t time = batch_->timestamp(own).micros;
    if (shape == Shape::other_alone) time = met->time;
    if (shape == Shape::pair) time = std::max(time, met->time);
    end_result(time, kind, sizes_[row] + (met != nullptr ? PackedLayout::size_of(met->bytes()) : 0));
  }

  void end_result(std::int64_t time, RowKind kind, std::size_t bytes) {
    if (join().event_time) results_.times.push_back(time);
    results_.kinds.push_back(kind);
    ++results_.count;
    results_.bytes += bytes;
  }

  /// What has no key never has a match: nothing of it need be remembered.
  void add_rows_without_key() {
    if (!gives_unmatched(join().kind, side_)) without_key_.clear();
    for (; !without_key_.empty() && !results_.full(); without_key_.pop_back()) {
      const std::uint32_t row = without_key_.back();
      results_.sides[side_].rows.push_back(row);
      results_.sides[other(side_)].stored.push_back(nullptr);
      end_result(batch_->timestamp(row).micros, takes_back(row) ? RowKind::remove : RowKind::insert, 0);
    }
  }

  void free_removed() {
    for (RegularRow* row : removed_) rows_.free(row);
    removed_.clear();
  }

  std::shared_ptr<const RegularJoinSpec> spec_;
  RegularRows rows_;
  bool counts_[2] = {false, false};  ///< rows of the side count their matches
  std::optional<Timestamp> next_sweep_;
  Counter* unknown_ = nullptr;

  // The batch at hand.
  std::size_t side_ = left_input;
  BatchPieces pieces_;
  BatchPtr batch_;
  std::vector<std::uint32_t> with_key_;
  std::vector<std::uint32_t> without_key_;
  std::vector<std::byte*> found_;     ///< for each row with a key
  std::vector<RegularRow*> stored_;   ///< likewise
  std::vector<std::uint32_t> sizes_;  ///< likewise
  std::vector<std::byte*> to_;        // scratch
  std::size_t row_ = 0;               ///< in with_key_: the next one
  bool walking_ = false;              ///< it is half through: `walk_` is its next candidate
  RegularRow* walk_ = nullptr;
  std::uint64_t matches_ = 0;  ///< of the row whose candidates are being decided
  Pairs candidates_;
  std::vector<RegularRow*> met_;  ///< the candidates' other rows
  Pairs results_;
  std::vector<RowEnd> ends_;
  std::vector<RegularRow*> removed_;  ///< to be freed when nothing refers to them any more
};

}  // namespace

OperatorFactoryPtr make_regular_join(RegularJoinSpec spec) {
  return std::make_shared<JoinFactory<RegularJoin, RegularJoinSpec>>(std::move(spec));
}

}  // namespace dataflow::joins

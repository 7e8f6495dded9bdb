// A join without bounds in time: each side keeps all its rows by key, and what arrives on one side meets what the other
// has. Results are a changelog: where a row without a match is a result too (or its having none), each row counts its
// matches, and what was said of it is taken back when the first comes and said again when the last goes (Flink's
// StreamingJoinOperator and StreamingSemiAntiJoinOperator).

#include <algorithm>

#include "libdataflow/joins/join_operator.hpp"
#include "libdataflow/state/ttl_sweep.hpp"
#include "libdataflow/windows/group_table.hpp"

namespace dataflow::joins {

namespace {

/// What stands in memory before a row's bytes.
struct StoredRow {
  StoredRow* next;
  std::int64_t time;      ///< its event time
  std::int64_t seen;      ///< by the clock, when it came
  std::uint64_t matches;  ///< rows of the other side, where that is asked for

  [[nodiscard]] const std::byte* bytes() const { return reinterpret_cast<const std::byte*>(this + 1); }
  [[nodiscard]] std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
  [[nodiscard]] std::size_t size() const { return sizeof(StoredRow) + PackedLayout::size_of(bytes()); }
};

/// Rows of one key on one side, in the order in which they came.
struct SideRows {
  StoredRow* first;
  StoredRow* last;
};
/// What a key has; zeros when it is new.
struct KeyRows {
  SideRows sides[2];
  [[nodiscard]] bool empty() const { return sides[0].first == nullptr && sides[1].first == nullptr; }
};

/// Of keys so many are looked at in one go when rows have a time to live, and all within this part of it.
constexpr std::size_t keys_in_a_sweep = 1024;

class RegularJoin final : public JoinOperator {
 public:
  explicit RegularJoin(std::shared_ptr<const RegularJoinSpec> spec)
      : JoinOperator{spec->join, {"join.event_time", "join.seen", "join.matches"}},
        spec_{std::move(spec)},
        key_layout_{keys_of_input(left_input).form(), std::vector<std::byte>(sizeof(KeyRows))},
        groups_{key_layout_} {
    for (const std::size_t side : {left_input, right_input}) {
      counts_[side] = gives_unmatched(join().kind, side) || (is_of_left_rows(join().kind) && side == left_input);
    }
  }

  Status open(OperatorContext& context) override {
    unknown_ = &context.counter("unknown_retractions");
    return JoinOperator::open(context);
  }

  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) override {
    side_ = input;
    batch_ = batch;
    now_ = context().now().micros;
    rows_with_key(*batch, join().sides[input].keys, with_key_, without_key_);
    std::reverse(without_key_.begin(), without_key_.end());  // they are taken from the end
    const windows::KeyBatch& keys = keys_of_input(input).read(*batch);
    found_.resize(with_key_.size());
    groups_.find_or_insert(keys, with_key_.size() == batch->rows() ? nullptr : with_key_.data(), with_key_.size(),
                           found_.data());
    pack();
    for (Pairs* pairs : {&candidates_, &results_}) {
      pairs->sides[side_].batch = batch_.get();
      pairs->sides[other(side_)].batch = nullptr;
    }
    row_ = 0;
    walking_ = false;
    if (spec_->ttl && !next_sweep_) next_sweep_ = context().now() + pause();
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    if (!batch_) return Step::done;
    while (true) {
      if (row_ < with_key_.size()) {
        collect();
        if (Status matched = apply(); !matched) return fail(matched.error());
        if (!walking_) free_removed();
      } else {
        add_rows_without_key();
      }
      const bool through = row_ == with_key_.size() && without_key_.empty();
      if (!through && !results_.full()) continue;
      if (Status emitted = emit(results_, out); !emitted) return fail(emitted.error());
      if (through) break;
      if (out.full()) return Step::yield;
    }
    batch_.reset();
    if (removed_rows_ > groups_.size() / 2 + few_empty_keys) drop_empty_keys();
    return Step::done;
  }

  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const override { return next_sweep_; }
  Result<Step> on_processing_time(Timestamp now, OperatorOutput&) override {
    now_ = now.micros;
    std::byte* group = nullptr;
    for (std::size_t n = 0; n < keys_in_a_sweep; ++n) {
      if (groups_.next_rows(sweep_, 1, &group) == 0) {
        sweep_ = {};
        break;
      }
      for (SideRows& list : key_rows(group).sides) forget_expired(list);
    }
    if (removed_rows_ > groups_.size() / 2 + few_empty_keys) drop_empty_keys();
    next_sweep_.reset();
    if (!groups_.empty()) next_sweep_ = now + pause();
    return Step::done;
  }

  Result<CapturedStatePtr> snapshot() override {
    now_ = context().now().micros;
    auto captured = std::make_unique<CapturedRows>(context().max_parallelism());
    for (const std::size_t side : {left_input, right_input}) {
      captured->begin(table(side));
      windows::GroupTable::Cursor cursor;
      for (std::byte* group = nullptr; groups_.next_rows(cursor, 1, &group) == 1;) {
        for (const StoredRow* row = key_rows(group).sides[side].first; row != nullptr; row = row->next) {
          if (!is_expired(*row)) {
            captured->add(row->bytes(), {row->time, row->seen, static_cast<std::int64_t>(row->matches)});
          }
        }
      }
    }
    return captured;
  }

  Status restore(StateReader& state) override {
    now_ = context().now().micros;
    for (const std::size_t side : {left_input, right_input}) {
      Status read = table(side).restore(state, [&](const BatchPtr& rows) -> Status {
        restore_rows(side, *rows);
        return {};
      });
      if (!read) return read;
    }
    if (spec_->ttl && !groups_.empty()) next_sweep_ = context().now() + pause();
    return {};
  }

 private:
  /// Where the candidates of a row end, and whether there are no more of it.
  struct RowEnd {
    std::size_t row;  ///< in with_key_
    std::size_t candidates;
    bool complete;
  };

  KeyRows& key_rows(std::byte* group) const {
    return *reinterpret_cast<KeyRows*>(group + key_layout_.payload_offset());
  }
  [[nodiscard]] bool is_expired(const StoredRow& row) const {
    return spec_->ttl && now_ - row.seen >= spec_->ttl->count();
  }
  [[nodiscard]] bool takes_back(std::size_t batch_row) const {
    const RowKind kind = batch_->kind(batch_row);
    return kind == RowKind::update_before || kind == RowKind::remove;
  }

  StoredRow* allocate(std::size_t bytes) {
    return reinterpret_cast<StoredRow*>(arena_.allocate(sizeof(StoredRow) + bytes));
  }
  void free(StoredRow* row) { arena_.free(reinterpret_cast<std::byte*>(row), row->size()); }

  /// All rows of the batch that have a key, as bytes.
  void pack() {
    const PackedLayout& form = layout(side_);
    form.sizes(*batch_, with_key_, sizes_);
    stored_.resize(with_key_.size());
    to_.resize(with_key_.size());
    for (std::size_t i = 0; i < with_key_.size(); ++i) {
      stored_[i] = allocate(sizes_[i]);
      *stored_[i] = {nullptr, batch_->timestamp(with_key_[i]).micros, now_, 0};
      to_[i] = stored_[i]->bytes();
    }
    form.pack(*batch_, with_key_, to_.data());
  }

  static void append(SideRows& list, StoredRow* row) {
    (list.first == nullptr ? list.first : list.last->next) = row;
    list.last = row;
  }

  /// Takes the first row equal to `like` out of the list; null when there is none.
  StoredRow* take_equal(SideRows& list, const StoredRow& like) const {
    StoredRow* before = nullptr;
    for (StoredRow* row = list.first; row != nullptr; before = row, row = row->next) {
      if (is_expired(*row) || !PackedLayout::equal(row->bytes(), like.bytes())) continue;
      (before == nullptr ? list.first : before->next) = row->next;
      if (list.last == row) list.last = before;
      return row;
    }
    return nullptr;
  }

  void forget_expired(SideRows& list) {
    while (list.first != nullptr && is_expired(*list.first)) {
      StoredRow* const row = list.first;
      list.first = row->next;
      if (list.first == nullptr) list.last = nullptr;
      free(row);
      ++removed_rows_;
    }
  }

  /// Brings the row into its own side's state. False: it takes back what is not there.
  bool begin_row() {
    SideRows& own = key_rows(found_[row_]).sides[side_];
    StoredRow* const row = stored_[row_];
    if (!takes_back(with_key_[row_])) {
      append(own, row);
      return true;
    }
    StoredRow* const gone = take_equal(own, *row);
    removed_.push_back(row);
    if (gone == nullptr) {
      unknown_->add(1);
      return false;
    }
    // Its results in this list of candidates may not have been given yet.
    removed_.push_back(gone);
    ++removed_rows_;
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
        SideRows& met = key_rows(found_[row_]).sides[other(side_)];
        if (spec_->ttl) forget_expired(met);
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
  Status apply() {
    if (Status chosen = select(candidates_); !chosen) return chosen;
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

  void add_match(std::size_t row, StoredRow& met) {
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

  void add_result(std::size_t row, const StoredRow* met, Shape shape, RowKind kind) {
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
    for (StoredRow* row : removed_) free(row);
    removed_.clear();
  }

  void drop_empty_keys() {
    groups_.retain([&](std::byte* group) { return !key_rows(group).empty(); }, [](std::byte*, std::byte*) {});
    removed_rows_ = 0;
    sweep_ = {};
  }

  /// Between two looks at some of the keys.
  [[nodiscard]] Duration pause() const { return pause_between_sweeps(*spec_->ttl, groups_.size(), keys_in_a_sweep); }

  void restore_rows(std::size_t side, const Batch& rows) {
    const RowTable& from = table(side);
    std::vector<std::uint32_t> all(rows.rows());
    for (std::uint32_t row = 0; row < rows.rows(); ++row) all[row] = row;
    found_.resize(all.size());
    groups_.find_or_insert(keys_of_table(side).read(rows), nullptr, all.size(), found_.data());
    from.own_layout().sizes(rows, all, sizes_);
    to_.resize(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      StoredRow* const row = allocate(sizes_[i]);
      *row = {nullptr, from.number(rows, 0)[i], from.number(rows, 1)[i],
              static_cast<std::uint64_t>(from.number(rows, 2)[i])};
      to_[i] = row->bytes();
      append(key_rows(found_[i]).sides[side], row);
    }
    from.own_layout().pack(rows, all, to_.data());
  }

  std::shared_ptr<const RegularJoinSpec> spec_;
  windows::RowLayout key_layout_;
  windows::GroupTable groups_;
  RowArena arena_;
  bool counts_[2] = {false, false};  ///< rows of the side count their matches
  std::size_t removed_rows_ = 0;     ///< since the table of keys was last made anew
  std::optional<Timestamp> next_sweep_;
  windows::GroupTable::Cursor sweep_;
  Counter* unknown_ = nullptr;

  // The batch at hand.
  std::size_t side_ = left_input;
  BatchPtr batch_;
  std::int64_t now_ = 0;
  std::vector<std::uint32_t> with_key_;
  std::vector<std::uint32_t> without_key_;
  std::vector<std::byte*> found_;     ///< for each row with a key
  std::vector<StoredRow*> stored_;    ///< likewise
  std::vector<std::uint32_t> sizes_;  ///< likewise
  std::vector<std::byte*> to_;        // scratch
  std::size_t row_ = 0;               ///< in with_key_: the next one
  bool walking_ = false;              ///< it is half through: `walk_` is its next candidate
  StoredRow* walk_ = nullptr;
  std::uint64_t matches_ = 0;  ///< of the row whose candidates are being decided
  Pairs candidates_;
  std::vector<StoredRow*> met_;  ///< the candidates' other rows
  Pairs results_;
  std::vector<RowEnd> ends_;
  std::vector<StoredRow*> removed_;  ///< to be freed when nothing refers to them any more
};

}  // namespace

OperatorFactoryPtr make_regular_join(RegularJoinSpec spec) {
  return std::make_shared<JoinFactory<RegularJoin, RegularJoinSpec>>(std::move(spec));
}

}  // namespace dataflow::joins

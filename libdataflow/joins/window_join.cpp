// Rows of both sides that are in the same window. Until a window is over its rows only lie there, in slices of time
// each of which is in whole windows; then the right's rows are put into a hash table and the left's are looked up in
// it: the classic hash join, once a window, with nothing but an append for each row before. (Flink's WindowJoinOperator
// keeps windows by key.) Where of a right row no more is asked than whether there is one, as a semi join does, a slice
// keeps the first of each key. Of a window that is larger than memory only a part is joined at a time: see
// window_slices.hpp.

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <utility>

#include "libdataflow/joins/join_operator.hpp"
#include "libdataflow/joins/session_join.hpp"
#include "libdataflow/joins/window_slices.hpp"
#include "libdataflow/windows/assign.hpp"

namespace dataflow::joins {

namespace {

struct Bounds {
  std::int64_t start;
  std::int64_t end;
};

/// A window, or a part of it, that is being joined.
class Firing {
 public:
  Firing(Bounds window, WindowRows left, WindowRows right)
      : window_{window}, left_{std::move(left)}, right_{std::move(right)}, matched_(right_.size(), false) {
    heads_.resize(std::bit_ceil(right_.size() * 2 + 1), none);
    next_.resize(right_.size(), none);
    for (std::size_t i = right_.size(); i-- > 0;) {  // backwards, so that a chain is in the order of arrival
      if (right_[i]->has_key == 0) continue;
      std::uint32_t& head = heads_[right_[i]->hash & (heads_.size() - 1)];
      next_[i] = head;
      head = static_cast<std::uint32_t>(i);
    }
  }

  static constexpr std::uint32_t none = UINT32_MAX;

  [[nodiscard]] const Bounds& window() const { return window_; }
  [[nodiscard]] const WindowRows& left() const { return left_; }
  [[nodiscard]] const WindowRows& right() const { return right_; }
  [[nodiscard]] std::uint32_t first_in_chain(const WindowRow& row) const {
    return row.has_key == 0 ? none : heads_[row.hash & (heads_.size() - 1)];
  }
  [[nodiscard]] std::uint32_t next_in_chain(std::uint32_t right) const { return next_[right]; }

  void set_matched(std::uint32_t right) { matched_[right] = true; }
  [[nodiscard]] bool is_matched(std::size_t right) const { return matched_[right]; }

  std::size_t left_row = 0;         ///< the next one
  bool walking = false;             ///< it is half through,
  std::uint32_t walk = none;        ///< and this is next of its chain
  std::uint64_t matches = 0;        ///< of the left row whose candidates are being decided
  std::size_t unmatched_right = 0;  ///< right rows before this one have been looked at for having no match

 private:
  Bounds window_;
  WindowRows left_;
  WindowRows right_;
  std::vector<std::uint32_t> heads_;
  std::vector<std::uint32_t> next_;
  std::vector<bool> matched_;
};

class WindowJoin final : public JoinOperator {
 public:
  explicit WindowJoin(std::shared_ptr<const WindowJoinSpec> spec)
      : JoinOperator{spec->join, {"join.event_time", "join.sequence"}},
        spec_{std::move(spec)},
        one_of_a_key_is_enough_{is_of_left_rows(join().kind) && !join().condition},
        key_marks_{keys_of_input(right_input).form(), std::vector<std::byte>(1)},
        late_{join()} {
    const WindowSpec& window = spec_->window;
    switch (window.kind) {
      case WindowKind::sliding: slice_width_ = std::gcd(window.size.count(), window.slide.count()); break;
      case WindowKind::cumulate: slice_width_ = window.step.count(); break;
      default: slice_width_ = window.size.count(); break;
    }
  }

  Status open(OperatorContext& context) override {
    late_.open(context);
    if (Status opened = JoinOperator::open(context); !opened) return opened;
    const StateBackendPtr backend = context.spill_backend();
    if (!backend) return {};
    auto folder = backend->open_folder();
    if (!folder) return fail(folder.error());
    spill_.emplace(std::move(*folder));
    return {};
  }

  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) override {
    rows_with_key(*batch, join().sides[input].keys, with_key_, without_key_);
    count_without_key(input, without_key_.size());
    const std::size_t with_key = with_key_.size();
    if (gives_unmatched(join().kind, input)) {
      with_key_.insert(with_key_.end(), without_key_.begin(), without_key_.end());
    }
    key_columns_.clear();
    for (const std::size_t key : join().sides[input].keys) key_columns_.push_back(&batch->column(key));
    hash_rows(key_columns_, batch->rows(), hashes_);
    const auto times = batch->timestamps()->as<std::int64_t>();
    choose_slices(times, with_key);
    late_.give(input, *batch, late_rows_, out);
    if (one_of_a_key_is_enough_ && input == right_input) drop_known_keys(*batch);
    add_rows(input, layout(input), *batch, times, [&](std::uint32_t) { return sequence_++; });
    return ended(make_room());
  }

  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) override {
    passed_ = watermark.micros;
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    while (true) {
      if (!firing_) {
        const auto begun = begin_part();
        if (!begun) return fail(begun.error());
        if (!*begun) break;
      }
      if (Status joined = go_on(out); !joined) return fail(joined.error());
      const bool rows_go = !firing_ && parts_->from_disk();
      if (!results_.full() && !rows_go) continue;
      if (Status emitted = emit(results_, out); !emitted) return fail(emitted.error());
      drop_slices();
      if (out.full()) return Step::yield;
    }
    if (Status emitted = emit(results_, out); !emitted) return fail(emitted.error());
    drop_slices();
    return Step::done;
  }

  [[nodiscard]] std::optional<Timestamp> waits_for() const override {
    if (windows_.empty()) return std::nullopt;
    return Timestamp{saturating_sub(windows_.begin()->first, 1)};
  }

  Result<CapturedStatePtr> snapshot() override {
    auto captured = std::make_unique<CapturedRows>(context().max_parallelism());
    for (const std::size_t side : {left_input, right_input}) {
      std::size_t bytes = 0;
      for (const auto& [start, slice] : slices_) bytes += slice.arena.bytes_in_use();
      captured->begin(table(side), bytes);
      for (const auto& [start, slice] : slices_) {
        for (const WindowRow* row : slice.sides[side]) captured->add(row->bytes(), {row->time, row->sequence});
        if (spill_) spill_->capture(slice, *captured);
      }
    }
    return captured;
  }

  Status restore(StateReader& state) override {
    for (const std::size_t side : {left_input, right_input}) {
      Status read = table(side).restore(state, [&](const BatchPtr& rows) {
        restore_rows(side, *rows);
        return make_room();
      });
      if (!read) return read;
    }
    for (auto& [start, slice] : slices_) {
      for (WindowRows& rows : slice.sides) {
        std::stable_sort(rows.begin(), rows.end(),
                         [](const WindowRow* a, const WindowRow* b) { return a->sequence < b->sequence; });
      }
    }
    return {};
  }

 private:
  /// Calls `visit(start, end)` for each window that has the time.
  template <class Visit>
  void for_each_window(std::int64_t time, Visit&& visit) const {
    const WindowSpec& window = spec_->window;
    const std::int64_t offset = window.offset.count();
    switch (window.kind) {
      case WindowKind::sliding:
        return for_each_sliding_window(time, window.size.count(), window.slide.count(), offset, visit);
      case WindowKind::cumulate:
        return for_each_cumulating_window(time, window.size.count(), window.step.count(), offset, visit);
      default:
        visit(tumbling_start(time, window.size.count(), offset), tumbling_end(time, window.size.count(), offset));
    }
  }

  [[nodiscard]] std::int64_t watermark() const { return std::max(passed_, context().watermark().micros); }

  /// Null: all windows of the time are over, or it is in none.
  Slice* slice_at(std::int64_t time) {
    const std::int64_t start = tumbling_start(time, slice_width_, spec_->window.offset.count());
    if (const auto found = slices_.find(start); found != slices_.end()) return &found->second;
    std::int64_t last_end = first_micros;
    for_each_window(start, [&](std::int64_t window_start, std::int64_t end) {
      if (window_complete(end, watermark())) return;
      last_end = std::max(last_end, end);
      windows_.emplace(end, window_start);
    });
    if (last_end == first_micros) return nullptr;
    Slice& slice = slices_[start];
    slice.last_end = last_end;
    return &slice;
  }

  /// Windows may have gaps between them.
  [[nodiscard]] bool is_in_a_window(std::int64_t time) const {
    bool any = false;
    for_each_window(time, [&](std::int64_t, std::int64_t) { any = true; });
    return any;
  }

  /// Which rows are kept, and in which slices, or late: of `with_key_`, in which the first `with_key` have a key.
  void choose_slices(std::span<const std::int64_t> times, std::size_t with_key) {
    kept_.clear();
    slices_of_rows_.clear();
    late_rows_.clear();
    Slice* slice = nullptr;
    std::int64_t start = 0;
    std::int64_t end = 0;
    for (std::size_t i = 0; i < with_key_.size(); ++i) {
      if (i == with_key) kept_with_key_ = kept_.size();
      const std::int64_t time = times[with_key_[i]];
      if (slice == nullptr || time < start || time >= end) {  // else it is in the slice of the row before
        slice = slice_at(time);
        start = tumbling_start(time, slice_width_, spec_->window.offset.count());
        end = tumbling_end(time, slice_width_, spec_->window.offset.count());
      }
      if (slice == nullptr) {
        if (is_in_a_window(time)) late_rows_.push_back(with_key_[i]);
        continue;
      }
      kept_.push_back(with_key_[i]);
      slices_of_rows_.push_back(slice);
    }
    if (with_key == with_key_.size()) kept_with_key_ = kept_.size();
  }

  /// Leaves of the right's rows that are to be kept only those whose keys their slices do not have.
  void drop_known_keys(const Batch& batch) {
    const windows::KeyBatch& keys = keys_of_input(right_input).read(batch);
    marks_.resize(kept_.size());
    std::size_t left = 0;
    for (std::size_t first = 0, last = 0; first < kept_.size(); first = last) {
      Slice& slice = *slices_of_rows_[first];
      while (last < kept_.size() && slices_of_rows_[last] == &slice) ++last;
      if (!slice.right_keys) slice.right_keys.emplace(key_marks_);
      slice.right_keys->find_or_insert(keys, kept_.data() + first, last - first, marks_.data());
      for (std::size_t i = first; i < last; ++i) {  // without a branch, of which every fifth is the other one
        kept_[left] = kept_[i];
        slices_of_rows_[left] = &slice;
        left += std::exchange(marks_[i - first][key_marks_.payload_offset()], std::byte{1}) == std::byte{0} ? 1 : 0;
      }
    }
    kept_.resize(left);
    slices_of_rows_.resize(left);
    kept_with_key_ = left;
  }

  /// Adds the rows that are kept; `sequence(row)`: their numbers.
  template <class Sequence>
  void add_rows(std::size_t side, const PackedLayout& form, const Batch& batch, std::span<const std::int64_t> times,
                Sequence&& sequence) {
    constexpr std::uint64_t golden = 0x9e3779b97f4a7c15;  // rows without a key spread, too
    form.sizes(batch, kept_, sizes_);
    to_.resize(kept_.size());
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      const std::uint32_t row = kept_[i];
      const std::int64_t number = sequence(row);
      const bool has_key = i < kept_with_key_;
      const std::uint64_t hash = has_key ? hashes_[row] : static_cast<std::uint64_t>(number) * golden;
      to_[i] = slices_of_rows_[i]->add(side, {hash, times[row], number, has_key ? 1U : 0U}, sizes_[i])->bytes();
    }
    form.pack(batch, kept_, sizes_, to_.data());
  }

  Status make_room() { return spill_ ? spill_->make_room(slices_) : Status{}; }

  /// The next part of the first window that is over and has not been joined; false when there is none.
  Result<bool> begin_part() {
    if (!parts_ || !parts_->more()) {
      parts_.reset();
      if (windows_.empty() || !window_complete(windows_.begin()->first, passed_)) return false;
      parts_.emplace(slices_.lower_bound(windows_.begin()->second), slices_.lower_bound(windows_.begin()->first),
                     spill_ ? spill_->part_bytes() : 0);
    }
    WindowRows sides[2];
    if (Status read = parts_->next(sides); !read) return fail(read.error());
    firing_.emplace(Bounds{windows_.begin()->second, windows_.begin()->first}, std::move(sides[left_input]),
                    std::move(sides[right_input]));
    return true;
  }

  /// Some of what is being joined.
  Status go_on(OperatorOutput& out) {
    if (firing_->left_row < firing_->left().size()) {
      if (one_of_a_key_is_enough_) {
        give_left_rows();
        return {};
      }
      collect();
      return apply(out);
    }
    if (gives_unmatched(join().kind, right_input)) {
      std::size_t& at = firing_->unmatched_right;
      for (; at < firing_->right().size() && !results_.full(); ++at) {
        if (!firing_->is_matched(at)) add_result(nullptr, firing_->right()[at]);
      }
      if (at < firing_->right().size()) return {};
    }
    if (!parts_->more()) {
      joined_until_ = firing_->window().end;
      windows_.erase(windows_.begin());
    }
    firing_.reset();
    return {};
  }

  [[nodiscard]] bool equal_keys(const WindowRow& left, const WindowRow& right) const {
    return left.hash == right.hash &&
           PackedLayout::equal_keys(layout(left_input), left.bytes(), layout(right_input), right.bytes());
  }

  /// Those that have a match, or those that have none, where that is all that is asked.
  void give_left_rows() {
    Firing& firing = *firing_;
    const bool wanted = join().kind == JoinKind::semi;
    std::size_t left_out = 0;
    for (; firing.left_row < firing.left().size() && !results_.full(); ++firing.left_row) {
      const WindowRow& row = *firing.left()[firing.left_row];
      std::uint32_t right = firing.first_in_chain(row);
      while (right != Firing::none && !equal_keys(row, *firing.right()[right])) right = firing.next_in_chain(right);
      if ((right != Firing::none) == wanted) {
        add_result(&row, nullptr);
      } else if (wanted) {
        ++left_out;
      }
    }
    count_without_match(left_out);
  }

  void collect() {
    Firing& firing = *firing_;
    candidates_.clear();
    met_.clear();
    ends_.clear();
    while (firing.left_row < firing.left().size() && ends_.size() < candidates_at_once) {
      const WindowRow& row = *firing.left()[firing.left_row];
      if (!firing.walking) firing.walk = firing.first_in_chain(row);
      firing.walking = true;
      while (firing.walk != Firing::none && candidates_.count < candidates_at_once &&
             candidates_.bytes < max_batch_bytes / 2) {
        const WindowRow& right = *firing.right()[firing.walk];
        if (equal_keys(row, right)) add_candidate(row, firing.walk);
        firing.walk = firing.next_in_chain(firing.walk);
      }
      const bool complete = firing.walk == Firing::none;
      ends_.push_back({firing.left_row, candidates_.count, complete});
      if (!complete) return;
      firing.walking = false;
      ++firing.left_row;
    }
  }

  void add_candidate(const WindowRow& left, std::uint32_t right) {
    candidates_.sides[left_input].stored.push_back(left.bytes());
    candidates_.sides[right_input].stored.push_back(firing_->right()[right]->bytes());
    met_.push_back(right);
    if (join().condition) {
      candidates_.window_starts.push_back(firing_->window().start);
      candidates_.window_ends.push_back(firing_->window().end);
    }
    candidates_.bytes += PackedLayout::size_of(left.bytes()) + PackedLayout::size_of(firing_->right()[right]->bytes());
    ++candidates_.count;
  }

  Status apply(OperatorOutput& out) {
    if (Status chosen = select(candidates_, out); !chosen) return chosen;
    std::size_t next = 0;
    std::size_t left_out = 0;
    for (const RowEnd& end : ends_) {
      const WindowRow* const left = firing_->left()[end.left];
      for (; next < selected().size() && selected()[next] < end.candidates; ++next) {
        const std::uint32_t right = met_[selected()[next]];
        ++firing_->matches;
        firing_->set_matched(right);
        if (!is_of_left_rows(join().kind)) add_result(left, firing_->right()[right]);
      }
      if (!end.complete) continue;
      const bool alone =
          firing_->matches == 0 ? gives_unmatched(join().kind, left_input) : join().kind == JoinKind::semi;
      if (alone) add_result(left, nullptr);
      if (!alone && firing_->matches == 0) ++left_out;
      firing_->matches = 0;
    }
    count_without_match(left_out);
    return {};
  }

  void add_result(const WindowRow* left, const WindowRow* right) {
    const Bounds& window = firing_->window();
    results_.sides[left_input].stored.push_back(left != nullptr ? left->bytes() : nullptr);
    results_.sides[right_input].stored.push_back(right != nullptr ? right->bytes() : nullptr);
    for (const WindowRow* row : {left, right}) {
      if (row != nullptr) results_.bytes += PackedLayout::size_of(row->bytes());
    }
    results_.times.push_back(window.end - 1);
    results_.window_starts.push_back(window.start);
    results_.window_ends.push_back(window.end);
    ++results_.count;
  }

  /// Those whose windows have all been joined, and whose rows no result refers to any more.
  void drop_slices() {
    // Later slices are in no window that ends earlier.
    while (!slices_.empty() && slices_.begin()->second.last_end <= joined_until_) slices_.erase(slices_.begin());
  }

  void restore_rows(std::size_t side, const Batch& rows) {
    const RowTable& from = table(side);
    rows_with_key(rows, from.key_fields(), with_key_, without_key_);
    const std::size_t with_key = with_key_.size();
    with_key_.insert(with_key_.end(), without_key_.begin(), without_key_.end());
    key_columns_.clear();
    for (const std::size_t key : from.key_fields()) key_columns_.push_back(&rows.column(key));
    hash_rows(key_columns_, rows.rows(), hashes_);
    const auto times = from.number(rows, 0);
    choose_slices(times, with_key);
    add_rows(side, from.own_layout(), rows, times, [&](std::uint32_t row) {
      const std::int64_t sequence = from.number(rows, 1)[row];
      sequence_ = std::max(sequence_, sequence + 1);
      return sequence;
    });
  }

  struct RowEnd {
    std::size_t left;
    std::size_t candidates;
    bool complete;
  };

  std::shared_ptr<const WindowJoinSpec> spec_;
  bool one_of_a_key_is_enough_;   ///< of the right's rows
  windows::RowLayout key_marks_;  ///< a key and whether it is known
  std::int64_t slice_width_ = 1;
  Slices slices_;
  std::optional<SliceSpill> spill_;
  std::map<std::int64_t, std::int64_t> windows_;  ///< with rows and not joined yet: end and start
  std::int64_t sequence_ = 0;
  std::int64_t passed_ = Timestamp::min().micros;
  std::int64_t joined_until_ = first_micros;  ///< the end of the last window that was joined
  LateRows late_;

  std::optional<WindowParts> parts_;  ///< of the window that is being joined
  std::optional<Firing> firing_;
  Pairs candidates_;
  Pairs results_;
  std::vector<std::uint32_t> met_;  ///< the candidates' right rows
  std::vector<RowEnd> ends_;

  // Scratch of a batch.
  std::vector<std::uint32_t> with_key_;
  std::vector<std::uint32_t> without_key_;
  std::vector<std::uint32_t> late_rows_;
  std::vector<std::uint32_t> kept_;
  std::size_t kept_with_key_ = 0;  ///< so many of them, the first ones, have a key
  std::vector<Slice*> slices_of_rows_;
  std::vector<std::byte*> marks_;
  std::vector<const Column*> key_columns_;
  std::vector<std::uint64_t> hashes_;
  std::vector<std::uint32_t> sizes_;
  std::vector<std::byte*> to_;
};

}  // namespace

OperatorFactoryPtr make_window_join(WindowJoinSpec spec) {
  if (spec.window.kind == WindowKind::session) return make_session_join(std::move(spec));
  return std::make_shared<JoinFactory<WindowJoin, WindowJoinSpec>>(std::move(spec));
}

}  // namespace dataflow::joins

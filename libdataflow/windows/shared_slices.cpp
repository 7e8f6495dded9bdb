// Sliding and cumulating windows: a slice's groups count in every window that contains it.
//
// A window's result is the sum of its slices. Going through all of them for each window would cost as many merges per
// key as a window has slices; instead the slices of the window lie in two stacks (the queue of two stacks, as in
// Tangwongsan et al., "General incremental sliding-window aggregation", VLDB 2015), which needs no subtraction and so
// serves every aggregate alike, and adds floating-point numbers without losing what was added and taken away again:
//
// - `back`: the newer slices; the view, a table with a row per key of the window, has their sum for each key;
// - `front`: the older slices; each of their rows has, beside its own states, the sum of the key's rows from there to
// the
//   end of the front (its suffix), and the view points to the key's first row.
//
// The result of a key is its first front row's suffix plus its back sum. A new slice is added to the back, one that has
// left the window is taken off the front by moving the view's pointers on, and when the front is empty the back becomes
// the front: each row of a slice is touched a fixed number of times however many windows contain it.

#include <algorithm>
#include <array>
#include <deque>
#include <numeric>
#include <vector>

#include "libdataflow/windows/sliced_windows.hpp"

namespace dataflow::windows {

namespace {

constexpr std::size_t block_rows = 256;

class SlidingGrid final : public SliceGrid {
 public:
  SlidingGrid(std::int64_t size, std::int64_t slide, std::int64_t offset)
      : SliceGrid{std::gcd(size, slide), offset}, size_{size}, slide_{slide} {}
  std::int64_t first_window_end(std::int64_t slice_start) const override { return first_end_after(slice_start); }
  std::int64_t last_window_end(std::int64_t slice_start) const override {
    return saturating_add(tumbling_start(slice_start, slide_, offset()), size_);
  }
  std::int64_t next_window_end(std::int64_t end) const override { return saturating_add(end, slide_); }
  std::int64_t window_start(std::int64_t end) const override { return saturating_sub(end, size_); }
  std::int64_t first_end_after(std::int64_t ts) const override {
    return tumbling_end(ts, slide_, offset() % slide_ + size_ % slide_);
  }

 private:
  std::int64_t size_;
  std::int64_t slide_;
};

class CumulatingGrid final : public SliceGrid {
 public:
  CumulatingGrid(std::int64_t size, std::int64_t step, std::int64_t offset) : SliceGrid{step, offset}, size_{size} {}
  std::int64_t first_window_end(std::int64_t slice_start) const override { return end(slice_start); }
  std::int64_t last_window_end(std::int64_t slice_start) const override {
    return tumbling_end(slice_start, size_, offset());
  }
  std::int64_t next_window_end(std::int64_t window_end) const override { return saturating_add(window_end, width()); }
  std::int64_t window_start(std::int64_t window_end) const override {
    return tumbling_start(saturating_sub(window_end, 1), size_, offset());
  }
  std::int64_t first_end_after(std::int64_t ts) const override { return end(ts); }

 private:
  std::int64_t size_;
};

/// In front of the states of a view's row.
struct ViewHead {
  std::byte* front = nullptr;  ///< the key's oldest row in the front
  std::uint64_t in_back = 0;   ///< whether the row's states hold anything
};

std::vector<std::byte> view_payload(const std::vector<std::byte>& states) {
  std::vector<std::byte> payload(sizeof(ViewHead));
  payload.insert(payload.end(), states.begin(), states.end());
  return payload;
}

class SharedSlices final : public SlicedWindows {
 public:
  SharedSlices(const WindowSpec& spec, SchemaPtr input, std::unique_ptr<SliceGrid> grid, std::size_t state_bytes)
      : SlicedWindows{spec, std::move(input), std::move(grid), sizeof(std::byte*) + state_bytes},
        state_bytes_{state_bytes},
        row_offset_{RowLayout{key_form(), {}}.payload_offset()},
        view_layout_{key_form(), view_payload(aggregation().initial_states())},
        view_states_{view_layout_.payload_offset() + sizeof(ViewHead)},
        view_{view_layout_} {}

  ~SharedSlices() override {
    flushed();
    for (const auto& [start, slice] : store().all()) release_suffixes(*slice);
    release_states(view_, view_states_);
  }

 protected:
  Status after_absorb(const Records&, std::byte* const*) override {
    for (const SliceAssigner::Run& run : assigner().runs()) {
      const bool covered = run.slice->start < covered_until_ && run.slice->end > grid().window_start(next_end_);
      changed_behind_ = changed_behind_ || (covered && !complete(run.slice->last_window_end));
    }
    return {};
  }

  Result<More> produce_due(ResultWriter& writer) override {
    if (!emitting_) {
      auto due = next_window();
      if (!due) return fail(due.error());
      if (!*due) {
        drop_expired(last_micros);
        return More::no;
      }
    }
    auto emitted = emit_block(writer);
    if (!emitted) return fail(emitted.error());
    if (*emitted == More::no) {
      emitting_ = false;
      next_end_ = grid().next_window_end(next_end_);
      if (auto status = leave(grid().window_start(next_end_)); !status) return fail(status.error());
    }
    return More::yes;
  }

  void flushed() override {
    SlicedWindows::flushed();
    if (aggregation().states_own_memory()) {
      for (std::size_t i = 0; i < scratch_used_; ++i) aggregation().release(scratch_.data() + i * state_bytes_);
    }
    scratch_used_ = 0;
    // Only now does no result refer to the view's keys.
    if (!emitting_ && dead_ > 64 && dead_ > view_.size() / 2) forget_dead_keys();
  }

  std::optional<std::int64_t> next_due() const override {
    if (!front_.empty() || !back_.empty()) return next_end_;
    const auto next = store().all().lower_bound(covered_until_);
    if (next == store().all().end()) return std::nullopt;
    return std::max(next_end_, grid().first_window_end(next->first));
  }

  void release_slice(Slice& slice) override {
    release_suffixes(slice);
    SlicedWindows::release_slice(slice);
  }

 private:
  [[nodiscard]] std::byte*& next_row(std::byte* row) const { return *reinterpret_cast<std::byte**>(row + row_offset_); }
  [[nodiscard]] std::byte* suffix(std::byte* row) const { return row + row_offset_ + sizeof(std::byte*); }
  [[nodiscard]] std::byte* own(std::byte* row) const { return row + states_offset(); }
  [[nodiscard]] ViewHead& head(std::byte* view_row) const {
    return *reinterpret_cast<ViewHead*>(view_row + view_layout_.payload_offset());
  }

  void release_suffixes(Slice& slice) {
    if (!slice.suffixed) return;
    slice.suffixed = false;
    if (!aggregation().states_own_memory()) return;
    GroupTable::Cursor cursor;
    for (std::byte* row = nullptr; slice.groups.next_rows(cursor, 1, &row) == 1;) aggregation().release(suffix(row));
  }

  /// Makes the view that of the next window that is complete; false when there is none.
  Result<bool> next_window() {
    if (changed_behind_) {
      // A record came for a slice that the view has already: begin the window anew.
      changed_behind_ = false;
      empty_view();
      covered_until_ = grid().window_start(next_end_);
    }
    if (front_.empty() && back_.empty()) {
      // Only a window that fires may be gone to: records may still come for one before it.
      const auto end = next_due();
      if (!end || !complete(*end)) {
        // Windows that ended without a record count as fired.
        if (progress() != first_micros) {
          next_end_ = std::max(next_end_, grid().first_end_after(saturating_add(progress(), 1)));
        }
        return false;
      }
      next_end_ = *end;
    } else if (!complete(next_end_)) {
      return false;
    }
    if (auto status = cover(std::max(covered_until_, grid().window_start(next_end_)), next_end_); !status) {
      return fail(status.error());
    }
    emitting_ = true;
    cursor_ = {};
    return true;
  }

  /// Adds the slices of [from, until) to the back.
  Status cover(std::int64_t from, std::int64_t until) {
    for (auto it = store().all().lower_bound(from); it != store().all().end() && it->first < until; ++it) {
      Slice& slice = *it->second;
      GroupTable::Cursor cursor;
      std::array<std::byte*, block_rows> rows;
      std::array<std::byte*, block_rows> into;
      std::array<const std::byte*, block_rows> from_rows;
      while (const std::size_t n = slice.groups.next_rows(cursor, block_rows, rows.data())) {
        for (std::size_t i = 0; i < n; ++i) {
          const std::size_t keys_before = view_.size();
          std::byte* view_row = view_.find_or_insert(slice.groups.key_of(rows[i]));
          ViewHead& key = head(view_row);
          if (view_.size() == keys_before && key.front == nullptr && key.in_back == 0) --dead_;
          key.in_back = 1;
          into[i] = view_row + view_states_;
          from_rows[i] = own(rows[i]);
        }
        if (auto status = aggregation().merge(into.data(), from_rows.data(), n); !status) return status;
      }
      back_.push_back(&slice);
    }
    covered_until_ = until;
    return {};
  }

  /// Takes the slices that start before `until` out of the view.
  Status leave(std::int64_t until) {
    while (true) {
      while (!front_.empty() && front_.front()->start < until) {
        pop_front_slice();
      }
      if (!front_.empty() || back_.empty() || back_.front()->start >= until) return {};
      if (back_.back()->start < until) {
        empty_view();
        return {};
      }
      if (auto status = turn_back_into_front(); !status) return status;
    }
  }

  void pop_front_slice() {
    Slice& slice = *front_.front();
    front_.pop_front();
    GroupTable::Cursor cursor;
    for (std::byte* row = nullptr; slice.groups.next_rows(cursor, 1, &row) == 1;) {
      ViewHead& key = head(view_.find(slice.groups.key_of(row)));
      key.front = next_row(row);
      if (key.front == nullptr && key.in_back == 0) ++dead_;
    }
  }

  /// From the newest slice to the oldest, each row's suffix is its own states and the suffix of the key's next row.
  Status turn_back_into_front() {
    std::array<std::byte*, block_rows> rows;
    std::array<std::byte*, block_rows> suffixes;
    std::array<const std::byte*, block_rows> own_states;
    std::array<std::byte*, block_rows> continued;
    std::array<const std::byte*, block_rows> next_suffixes;
    for (auto it = back_.rbegin(); it != back_.rend(); ++it) {
      Slice& slice = **it;
      release_suffixes(slice);
      GroupTable::Cursor cursor;
      while (const std::size_t n = slice.groups.next_rows(cursor, block_rows, rows.data())) {
        std::size_t with_next = 0;
        for (std::size_t i = 0; i < n; ++i) {
          ViewHead& key = head(view_.find(slice.groups.key_of(rows[i])));
          suffixes[i] = suffix(rows[i]);
          own_states[i] = own(rows[i]);
          std::memcpy(suffixes[i], aggregation().initial_states().data(), state_bytes_);
          if (key.front != nullptr) {
            continued[with_next] = suffixes[i];
            next_suffixes[with_next++] = suffix(key.front);
          }
          next_row(rows[i]) = key.front;
          key.front = rows[i];
        }
        if (auto status = aggregation().merge(suffixes.data(), own_states.data(), n); !status) return status;
        if (auto status = aggregation().merge(continued.data(), next_suffixes.data(), with_next); !status)
          return status;
      }
      slice.suffixed = true;
    }
    clear_back_sums();
    front_.assign(back_.begin(), back_.end());
    back_.clear();
    return {};
  }

  void clear_back_sums() {
    GroupTable::Cursor cursor;
    for (std::byte* row = nullptr; view_.next_rows(cursor, 1, &row) == 1;) {
      if (head(row).in_back == 0) continue;
      head(row).in_back = 0;
      aggregation().reset(row + view_states_);
    }
  }

  /// No key has anything any more. The rows stay, because results that wait to be written refer to their keys.
  void empty_view() {
    clear_back_sums();
    GroupTable::Cursor cursor;
    for (std::byte* row = nullptr; view_.next_rows(cursor, 1, &row) == 1;) head(row).front = nullptr;
    front_.clear();
    back_.clear();
    dead_ = view_.size();
  }

  void forget_dead_keys() {
    if (dead_ == view_.size()) {
      view_.clear();
    } else {
      view_.retain([this](std::byte* row) { return head(row).front != nullptr || head(row).in_back != 0; },
                   [](std::byte*, std::byte*) {});
    }
    dead_ = 0;
  }

  /// Results of the window for some keys, each in a state of its own, since the view goes on to the next window before
  /// they are written. `no`: the window is done.
  Result<More> emit_block(ResultWriter& writer) {
    std::array<std::byte*, block_rows> rows;
    const std::size_t n = view_.next_rows(cursor_, std::min(block_rows, writer.room()), rows.data());
    if (n == 0) return More::no;
    // One state for each result that the writer takes between two flushes.
    if (scratch_.empty()) scratch_.resize(max_batch_rows * state_bytes_);
    std::array<std::byte*, block_rows> from_front;
    std::array<const std::byte*, block_rows> suffixes;
    std::array<std::byte*, block_rows> from_back;
    std::array<const std::byte*, block_rows> sums;
    std::size_t fronts = 0;
    std::size_t backs = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const ViewHead& key = head(rows[i]);
      if (key.front == nullptr && key.in_back == 0) continue;
      std::byte* result = scratch_.data() + scratch_used_++ * state_bytes_;
      std::memcpy(result, aggregation().initial_states().data(), state_bytes_);
      if (key.front != nullptr) {
        from_front[fronts] = result;
        suffixes[fronts++] = suffix(key.front);
      }
      if (key.in_back != 0) {
        from_back[backs] = result;
        sums[backs++] = rows[i] + view_states_;
      }
      writer.add(view_.key_of(rows[i]), result, grid().window_start(next_end_), next_end_,
                 saturating_sub(next_end_, 1));
    }
    if (auto status = aggregation().merge(from_front.data(), suffixes.data(), fronts); !status)
      return fail(status.error());
    if (auto status = aggregation().merge(from_back.data(), sums.data(), backs); !status) return fail(status.error());
    return More::yes;
  }

  std::size_t state_bytes_;
  std::size_t row_offset_;  ///< from a slice's row to its next-row pointer, behind which its suffix lies
  RowLayout view_layout_;
  std::size_t view_states_;
  GroupTable view_;
  std::deque<Slice*> front_;
  std::vector<Slice*> back_;
  std::int64_t covered_until_ = first_micros;  ///< slices before are in the view, or have left it
  std::int64_t next_end_ = first_micros;       ///< of the window that fires next, or is firing
  bool emitting_ = false;
  bool changed_behind_ = false;
  GroupTable::Cursor cursor_;
  std::size_t dead_ = 0;  ///< view rows without anything
  std::vector<std::byte> scratch_;
  std::size_t scratch_used_ = 0;  ///< in states
};

}  // namespace

std::unique_ptr<Operator> make_shared_slices(const WindowSpec& spec, const SchemaPtr& input) {
  std::unique_ptr<SliceGrid> grid;
  if (spec.kind == WindowKind::sliding) {
    grid = std::make_unique<SlidingGrid>(spec.size.count(), spec.slide.count(), spec.offset.count());
  } else {
    grid = std::make_unique<CumulatingGrid>(spec.size.count(), spec.step.count(), spec.offset.count());
  }
  const std::size_t state_bytes = Aggregation{spec.aggregates}.initial_states().size();
  return std::make_unique<SharedSlices>(spec, input, std::move(grid), state_bytes);
}

}  // namespace dataflow::windows

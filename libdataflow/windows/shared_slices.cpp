// Sliding and cumulating windows: a record is aggregated once, in its slice, and windows are put together from slices.
//
// The view holds, for each key, what the next window needs. It is the queue of two stacks (Tangwongsan, Hirzel,
// Schneider: "General incremental sliding-window aggregation", PVLDB 8(7), 2015), a stack of slices for each key: a
// slice that a window reaches is merged into the key's `back`; when the first slice to leave has not been turned yet,
// all slices of the view are, newest first, so that each has in its block the aggregate from itself to the newest one,
// and `back` starts anew. Then a window is the oldest block merged with `back`, and a slice that leaves only moves the
// key's pointer to the next block. Every row of a slice is merged once, turned once and dropped once: a slide costs
// O(1) a key, for every aggregate that merges, and floating point sums do not gather the errors that subtracting would
// leave.
//
// A cumulating window only grows: its view has a `back` and is emptied at the end of the longest window.
//
// With a state backend, when slices and view have outgrown memory, there is no view any more: the largest slices go to
// disk, and each window is put together from its slices' runs, which costs a walk over all of them. It is so until
// there are no slices left.

#include <algorithm>
#include <array>
#include <utility>

#include "libdataflow/windows/slice_grids.hpp"
#include "libdataflow/windows/sliced_windows.hpp"

namespace dataflow::windows {

namespace {

/// A key's aggregate from one turned slice to the newest turned one; its states follow.
struct Block {
  Block* next;          ///< of the key's next turned slice
  std::byte* view_row;  ///< of the key
  std::int64_t slice_start;
};

/// In front of a view row's `back` states.
struct ViewHead {
  Block* front;          ///< of the key's oldest turned slice in the view
  std::uint64_t slices;  ///< of the view that have the key
  std::byte* forward;    ///< where the row has moved to, while the view is rewritten
};

class SharedSlices final : public SlicedWindows {
 public:
  SharedSlices(const WindowSpec& window, SchemaPtr input, std::unique_ptr<SliceGrid> windows_grid)
      : SlicedWindows{window, std::move(input), std::move(windows_grid), sizeof(void*)},
        state_bytes_{aggregation().initial_states().size()},
        view_layout_{key_form(), view_payload()},
        view_{view_layout_},
        results_{aggregation()} {}

  ~SharedSlices() override {
    for (const auto& [start, slice] : store().all()) release_blocks(*slice);
    release_states(view_, back_offset());
    for (GroupTable& view : old_views_) release_states(view, back_offset());
  }

 protected:
  [[nodiscard]] bool counts_elsewhere(const Slice& slice) const override { return !from_disk_ && in_view(slice); }
  Status count_elsewhere(const Records& records, const SliceAssigner::Run& run, std::byte* const* states) override;
  Result<More> produce_due(ResultWriter& writer) override;
  void flushed() override;
  void release_slice(Slice& slice) override {
    release_blocks(slice);
    SlicedWindows::release_slice(slice);
  }
  [[nodiscard]] std::uint64_t bytes_beside() const override;
  void before_spill() override;
  std::optional<std::int64_t> next_due() const override {
    if (live_keys_ > 0) return window_end_;
    const auto it = store().all().lower_bound(from_disk_ ? view_start_ : view_end_);
    if (it == store().all().end()) return std::nullopt;
    return std::max(grid().first_window_end(it->first), window_end_);
  }

  std::vector<std::int64_t> saved_clocks() const override { return {view_start_, view_end_, window_end_}; }
  void load_clocks(std::span<const std::int64_t> clocks) override {
    view_start_ = turned_end_ = clocks[0];
    view_end_ = clocks[1];
    window_end_ = clocks[2];
  }
  /// The view follows from the slices: none of them has been turned.
  Status loaded() override {
    if (from_disk_) return {};
    for (auto slice = store().all().lower_bound(view_start_); slice != store().all().end() && slice->first < view_end_;
         ++slice) {
      if (auto status = add_slice(*slice->second); !status) return status;
    }
    return {};
  }

 private:
  static constexpr std::size_t step = 256;

  std::vector<std::byte> view_payload() const {
    std::vector<std::byte> payload(sizeof(ViewHead));
    const auto& states = aggregation().initial_states();
    payload.insert(payload.end(), states.begin(), states.end());
    return payload;
  }
  std::size_t back_offset() const { return view_layout_.payload_offset() + sizeof(ViewHead); }
  ViewHead& head(std::byte* view_row) const {
    return *reinterpret_cast<ViewHead*>(view_row + view_layout_.payload_offset());
  }
  std::byte* back(std::byte* view_row) const { return view_row + back_offset(); }
  static std::byte* states_of(Block* block) { return reinterpret_cast<std::byte*>(block + 1); }
  /// A slice row's word: the key's view row; in a turned slice its block; null before it has joined the view.
  std::byte*& link(std::byte* slice_row) const {
    return *reinterpret_cast<std::byte**>(slice_row + store_layout_offset());
  }
  Block* block_of(std::byte* slice_row) const { return reinterpret_cast<Block*>(link(slice_row)); }
  std::size_t store_layout_offset() const { return view_layout_.payload_offset(); }  // keys are as wide in both
  bool in_view(const Slice& slice) const { return slice.start >= view_start_ && slice.start < view_end_; }
  bool turned(const Slice& slice) const { return slice.start < turned_end_; }

  /// Makes the slice row's key part of the view; its values are not merged yet.
  void join(std::byte* slice_row, std::byte* view_row) {
    if (head(view_row).slices++ == 0) ++live_keys_;
    link(slice_row) = view_row;
  }
  Status add_slice(Slice& slice);
  Status turn();
  Status turn_slice(Slice& slice);
  Status leave(Slice& slice);
  Status leave_until(std::int64_t start);
  Status begin_window();
  Status finish_window();
  void pass_empty_windows();
  Status give_rows(std::byte* const* rows, std::size_t count, ResultWriter& writer);
  Status add_late(Slice& slice, std::byte* slice_row, const StateRows& record);
  Status make_late_block(Slice& slice, std::byte* slice_row, std::byte* view_row);
  void release_blocks(Slice& slice);
  void forget_dead_keys();
  void empty_view();
  Result<More> produce_from_disk(ResultWriter& writer);
  [[nodiscard]] bool any_in_view() const;

  std::size_t state_bytes_;
  RowLayout view_layout_;
  GroupTable view_;
  std::vector<GroupTable> old_views_;       ///< that results on their way refer to
  std::size_t live_keys_ = 0;               ///< of the view: those in at least one slice
  std::int64_t view_start_ = first_micros;  ///< slices in [view_start_, view_end_) have joined and not left,
  std::int64_t view_end_ = first_micros;
  std::int64_t turned_end_ = first_micros;  ///< and those before this are turned
  std::int64_t window_end_ = first_micros;  ///< of the next window, while keys live
  bool firing_ = false;
  bool from_disk_ = false;  ///< there is no view: windows are put together from runs
  GroupTable::Cursor cursor_;
  HeldGroups results_;  ///< on their way
};

Status SharedSlices::add_slice(Slice& slice) {
  GroupTable::Cursor cursor;
  std::array<std::byte*, step> rows;
  std::array<std::byte*, step> into;
  std::array<const std::byte*, step> from;
  while (const std::size_t n = slice.groups.next_rows(cursor, step, rows.data())) {
    view_.find_or_insert(slice.groups, rows.data(), n, into.data());
    slice.groups.before_write(rows.data(), n);
    for (std::size_t i = 0; i < n; ++i) {
      join(rows[i], into[i]);
      into[i] = back(into[i]);
      from[i] = rows[i] + states_offset();
    }
    if (auto status = aggregation().merge(into.data(), from.data(), n); !status) return status;
  }
  return {};
}

Status SharedSlices::turn() {
  GroupTable::Cursor cursor;
  for (std::byte* row = nullptr; view_.next_rows(cursor, 1, &row) == 1;) aggregation().reset(back(row));
  auto slice = store().all().lower_bound(view_end_);
  while (slice != store().all().begin() && std::prev(slice)->first >= view_start_) {
    --slice;
    if (auto status = turn_slice(*slice->second); !status) return status;
  }
  turned_end_ = view_end_;
  return {};
}

Status SharedSlices::turn_slice(Slice& slice) {
  // The blocks of a slice lie one after the other: they are made, walked and freed together.
  const std::size_t block_bytes = sizeof(Block) + state_bytes_;
  slice.blocks.clear();
  slice.blocks.push_back(
      std::make_unique_for_overwrite<std::byte[]>(std::max<std::size_t>(1, slice.groups.size()) * block_bytes));
  std::byte* at = slice.blocks.back().get();
  GroupTable::Cursor cursor;
  std::array<std::byte*, step> rows;
  std::array<std::byte*, step> into;
  std::array<const std::byte*, step> from;
  while (const std::size_t n = slice.groups.next_rows(cursor, step, rows.data())) {
    for (std::size_t i = 0; i < n; ++i, at += block_bytes) {
      std::byte* view_row = link(rows[i]);
      auto* block = new (at) Block{head(view_row).front, view_row, slice.start};
      std::memcpy(states_of(block), aggregation().initial_states().data(), state_bytes_);
      into[i] = states_of(block);
      from[i] = rows[i] + states_offset();
    }
    if (auto status = aggregation().merge(into.data(), from.data(), n); !status) return status;
    slice.groups.before_write(rows.data(), n);
    std::size_t later = 0;
    for (std::size_t i = 0; i < n; ++i) {
      auto* block = reinterpret_cast<Block*>(into[i]) - 1;
      link(rows[i]) = reinterpret_cast<std::byte*>(block);
      head(block->view_row).front = block;
      if (block->next == nullptr) continue;
      into[later] = into[i];
      from[later++] = states_of(block->next);
    }
    if (auto status = aggregation().merge(into.data(), from.data(), later); !status) return status;
  }
  return {};
}

Status SharedSlices::leave(Slice& slice) {
  if (!turned(slice)) {
    if (auto status = turn(); !status) return status;
  }
  GroupTable::Cursor cursor;
  std::array<std::byte*, step> rows;
  while (const std::size_t n = slice.groups.next_rows(cursor, step, rows.data())) {
    for (std::size_t i = 0; i < n; ++i) {
      const Block* block = block_of(rows[i]);
      ViewHead& key = head(block->view_row);
      assert(key.front == block);
      key.front = block->next;
      if (--key.slices == 0) --live_keys_;
    }
  }
  return {};
}

Status SharedSlices::leave_until(std::int64_t start) {
  while (true) {
    const auto slice = store().all().lower_bound(view_start_);
    if (slice == store().all().end() || slice->first >= std::min(start, view_end_)) break;
    if (auto status = leave(*slice->second); !status) return status;
    view_start_ = slice->second->end;
  }
  view_start_ = std::max(view_start_, start);
  view_end_ = std::max(view_end_, view_start_);
  return {};
}

/// The slices of the window that ends at window_end_ join.
Status SharedSlices::begin_window() {
  view_start_ = std::max(view_start_, grid().window_start(window_end_));
  auto slice = store().all().lower_bound(std::max(view_end_, view_start_));
  view_end_ = window_end_;
  for (; slice != store().all().end() && slice->first < window_end_; ++slice) {
    if (auto status = add_slice(*slice->second); !status) return status;
  }
  firing_ = true;
  cursor_ = {};
  return {};
}

/// What the next window does not contain leaves.
Status SharedSlices::finish_window() {
  firing_ = false;
  const std::int64_t next = grid().next_window_end(window_end_);
  const bool last = next == last_micros;
  const std::int64_t next_start = last ? last_micros : grid().window_start(next);
  window_end_ = next;
  if (spec().kind == WindowKind::sliding && !last) return leave_until(next_start);
  if (next_start > view_start_ || last) {
    empty_view();
    view_start_ = view_end_ = last ? last_micros : next_start;
  }
  return {};
}

/// Results on their way still refer to the keys: the old view goes when they are out.
void SharedSlices::empty_view() {
  old_views_.push_back(std::move(view_));
  view_ = GroupTable{view_layout_};
  live_keys_ = 0;
}

Status SharedSlices::give_rows(std::byte* const* rows, std::size_t count, ResultWriter& writer) {
  std::array<std::byte*, step> live;
  std::array<std::byte*, step> into;
  std::array<const std::byte*, step> from;
  std::array<std::byte*, step> turned_into;
  std::array<const std::byte*, step> turned_from;
  std::size_t n = 0;
  for (std::size_t i = 0; i < count; ++i) {
    live[n] = rows[i];
    n += head(rows[i]).slices != 0 ? 1 : 0;
  }
  results_.add(n, into.data());
  std::size_t fronts = 0;
  for (std::size_t i = 0; i < n; ++i) {
    from[i] = back(live[i]);
    Block* const front = head(live[i]).front;
    if (front == nullptr) continue;
    turned_into[fronts] = into[i];
    turned_from[fronts++] = states_of(front);
  }
  writer.add(view_, live.data(), into.data(), n, grid().window_start(window_end_), window_end_,
             saturating_sub(window_end_, 1));
  if (auto status = aggregation().merge(into.data(), from.data(), n); !status) return status;
  return aggregation().merge(turned_into.data(), turned_from.data(), fronts);
}

/// Windows that ended without a record count as fired: a late record in one gives its result beside the turn.
void SharedSlices::pass_empty_windows() {
  if (any_in_view()) return;
  window_end_ = std::max(window_end_, grid().first_window_end(saturating_add(progress(), 1)));
  view_start_ = std::max(view_start_, grid().window_start(window_end_));
  view_end_ = std::max(view_end_, view_start_);
}

bool SharedSlices::any_in_view() const {
  if (!from_disk_) return live_keys_ > 0;
  const auto slice = store().all().lower_bound(view_start_);
  return slice != store().all().end() && slice->first < view_end_;
}

/// With what the slices' blocks and keys will take when they have turned and joined.
std::uint64_t SharedSlices::bytes_beside() const {
  if (from_disk_) return 0;
  constexpr std::size_t index_bytes = 24;  // of a row in a table
  std::uint64_t bytes = view_.byte_size() + owned_bytes(aggregation(), view_, back_offset());
  for (const auto& [start, slice] : store().all()) {
    bytes += slice->groups.size() * (sizeof(Block) + state_bytes_);
    if (start >= view_end_) bytes += slice->groups.size() * (view_layout_.stride() + index_bytes);
  }
  return bytes;
}

void SharedSlices::before_spill() {
  if (std::exchange(from_disk_, true)) return;
  for (const auto& [start, slice] : store().all()) release_blocks(*slice);
  release_states(view_, back_offset());
  view_ = GroupTable{view_layout_};
  live_keys_ = 0;
  turned_end_ = view_start_;
}

/// As with a view, but that each window's keys are those of its slices' runs.
Result<WindowOperator::More> SharedSlices::produce_from_disk(ResultWriter& writer) {
  if (!firing_) {
    const auto next = next_due();
    if (!next || !complete(*next) || view_end_ == last_micros) {
      pass_empty_windows();
      drop_expired(view_start_);
      if (store().all().empty()) {
        from_disk_ = false;
        turned_end_ = view_start_;
      }
      return More::no;
    }
    window_end_ = *next;
    view_start_ = std::max(view_start_, grid().window_start(window_end_));
    view_end_ = window_end_;
    firing_ = true;
    if (auto status = begin_walk(window_end_, Give::all); !status) return fail(status.error());
  }
  auto more = walk(writer);
  if (!more || *more == More::yes) return more;
  firing_ = false;
  window_end_ = grid().next_window_end(window_end_);
  const bool last = window_end_ == last_micros;
  view_start_ = last ? last_micros : std::max(view_start_, grid().window_start(window_end_));
  view_end_ = std::max(view_end_, view_start_);
  return More::yes;
}

Result<WindowOperator::More> SharedSlices::produce_due(ResultWriter& writer) {
  if (from_disk_) return produce_from_disk(writer);
  if (!firing_) {
    const auto next = next_due();
    if (!next || !complete(*next) || view_end_ == last_micros) {
      pass_empty_windows();
      drop_expired(view_start_);
      return More::no;
    }
    window_end_ = *next;
    if (auto status = begin_window(); !status) return fail(status.error());
  }
  std::array<std::byte*, step> rows;
  const std::size_t n = view_.next_rows(cursor_, std::min(step, writer.room()), rows.data());
  const Status status = n == 0 ? finish_window() : give_rows(rows.data(), n, writer);
  if (!status) return fail(status.error());
  return More::yes;
}

void SharedSlices::flushed() {
  results_.clear();
  for (GroupTable& view : old_views_) release_states(view, back_offset());
  old_views_.clear();
  SlicedWindows::flushed();
  constexpr std::size_t few = 1024;
  const std::size_t dead = view_.size() - live_keys_;
  if (!firing_ && dead > few && dead > view_.size() / 2) forget_dead_keys();
}

/// Rewrites the view without the keys that no slice has.
void SharedSlices::forget_dead_keys() {
  const GroupTable old = view_.retain([this](std::byte* row) { return head(row).slices > 0; },
                                      [this](std::byte* from, std::byte* to) { head(from).forward = to; });
  for (auto it = store().all().lower_bound(view_start_); it != store().all().end() && it->first < view_end_; ++it) {
    Slice& slice = *it->second;
    GroupTable::Cursor cursor;
    for (std::byte* row = nullptr; slice.groups.next_rows(cursor, 1, &row) == 1;) {
      if (!turned(slice)) slice.groups.before_write(row);
      std::byte*& view_row = turned(slice) ? block_of(row)->view_row : link(row);
      view_row = head(view_row).forward;
    }
  }
}

void SharedSlices::release_blocks(Slice& slice) {
  if (aggregation().states_own_memory() && turned(slice) && !slice.blocks.empty()) {
    GroupTable::Cursor cursor;
    for (std::byte* row = nullptr; slice.groups.next_rows(cursor, 1, &row) == 1;) {
      if (link(row) != nullptr) aggregation().release(states_of(block_of(row)));
    }
  }
  slice.blocks.clear();
}

/// Records for slices that have joined the view: late for some of their windows, in time for the others.
Status SharedSlices::count_elsewhere(const Records& records, const SliceAssigner::Run& run, std::byte* const* states) {
  const std::uint32_t* rows = assigner().rows();
  for (std::size_t i = run.first; i < run.first + run.count; ++i) {
    const std::uint32_t record = rows == nullptr ? static_cast<std::uint32_t>(i) : rows[i];
    if (auto status = add_late(*run.slice, states[i] - states_offset(), {nullptr, &record, 1, records.first_sequence});
        !status) {
      return status;
    }
  }
  return {};
}

Status SharedSlices::add_late(Slice& slice, std::byte* slice_row, const StateRows& record) {
  const bool is_new = link(slice_row) == nullptr;
  std::byte* view_row = nullptr;
  if (is_new) {
    view_row = view_.find_or_insert(slice.groups.key_of(slice_row));
    slice.groups.before_write(slice_row);
    join(slice_row, view_row);
    if (turned(slice)) {
      if (auto status = make_late_block(slice, slice_row, view_row); !status) return status;
    }
  } else {
    view_row = turned(slice) ? block_of(slice_row)->view_row : link(slice_row);
  }
  StateRows one = record;
  if (!turned(slice)) {
    std::byte* const target = back(view_row);
    one.states = &target;
    return aggregation().update(one);
  }
  // Every block from the oldest slice to this one contains the record.
  for (Block* block = head(view_row).front; block != nullptr && block->slice_start <= slice.start;
       block = block->next) {
    std::byte* const target = states_of(block);
    one.states = &target;
    if (auto status = aggregation().update(one); !status) return status;
  }
  return {};
}

/// A key that is new in a turned slice: its block goes between those of the slices around.
Status SharedSlices::make_late_block(Slice& slice, std::byte* slice_row, std::byte* view_row) {
  slice.blocks.push_back(std::make_unique_for_overwrite<std::byte[]>(sizeof(Block) + state_bytes_));
  auto* block = new (slice.blocks.back().get()) Block{nullptr, view_row, slice.start};
  std::memcpy(states_of(block), aggregation().initial_states().data(), state_bytes_);
  link(slice_row) = reinterpret_cast<std::byte*>(block);
  Block** at = &head(view_row).front;
  while (*at != nullptr && (*at)->slice_start < slice.start) at = &(*at)->next;
  block->next = *at;
  *at = block;
  if (block->next == nullptr) return {};
  std::byte* const into = states_of(block);
  const std::byte* const from = states_of(block->next);
  return aggregation().merge(&into, &from, 1);
}

}  // namespace

std::unique_ptr<Operator> make_shared_slices(const WindowSpec& spec, const SchemaPtr& input) {
  auto grid = spec.kind == WindowKind::sliding ? make_sliding_grid(spec) : make_cumulating_grid(spec);
  return std::make_unique<SharedSlices>(spec, input, std::move(grid));
}

}  // namespace dataflow::windows

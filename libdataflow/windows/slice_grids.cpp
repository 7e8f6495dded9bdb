#include "libdataflow/windows/slice_grids.hpp"

#include <numeric>

namespace dataflow::windows {

namespace {

class TumblingGrid final : public SliceGrid {
 public:
  using SliceGrid::SliceGrid;
  std::int64_t first_window_end(std::int64_t slice_start) const override { return end(slice_start); }
  std::int64_t last_window_end(std::int64_t slice_start) const override { return end(slice_start); }
  std::int64_t next_window_end(std::int64_t window_end) const override { return saturating_add(window_end, width()); }
  std::int64_t window_start(std::int64_t window_end) const override { return start(saturating_sub(window_end, 1)); }
  std::int64_t first_end_after(std::int64_t ts) const override { return end(ts); }
};

class SlidingGrid final : public SliceGrid {
 public:
  explicit SlidingGrid(const WindowSpec& spec)
      : SliceGrid{std::gcd(spec.size.count(), spec.slide.count()), spec.offset.count()},
        size_{spec.size.count()},
        slide_{spec.slide.count()},
        offset_{spec.offset.count()} {}

  std::int64_t first_window_end(std::int64_t slice_start) const override {
    // The first end after the slice's start: ends lie where starts do, shifted by the size.
    return tumbling_end(slice_start, slide_, offset_ % slide_ + size_ % slide_);
  }
  std::int64_t last_window_end(std::int64_t slice_start) const override {
    return saturating_add(tumbling_start(slice_start, slide_, offset_), size_);
  }
  std::int64_t first_end_after(std::int64_t ts) const override { return first_window_end(ts); }
  std::int64_t next_window_end(std::int64_t end) const override { return saturating_add(end, slide_); }
  std::int64_t window_start(std::int64_t window_end) const override { return saturating_sub(window_end, size_); }

 private:
  std::int64_t size_;
  std::int64_t slide_;
  std::int64_t offset_;
};

class CumulatingGrid final : public SliceGrid {
 public:
  explicit CumulatingGrid(const WindowSpec& spec)
      : SliceGrid{spec.step.count(), spec.offset.count()}, size_{spec.size.count()}, offset_{spec.offset.count()} {}

  std::int64_t first_window_end(std::int64_t slice_start) const override { return end(slice_start); }
  std::int64_t last_window_end(std::int64_t slice_start) const override {
    return tumbling_end(slice_start, size_, offset_);
  }
  std::int64_t first_end_after(std::int64_t ts) const override { return end(ts); }
  std::int64_t next_window_end(std::int64_t end) const override { return saturating_add(end, width()); }
  std::int64_t window_start(std::int64_t window_end) const override {
    return tumbling_start(saturating_sub(window_end, 1), size_, offset_);
  }

 private:
  std::int64_t size_;
  std::int64_t offset_;
};

}  // namespace

std::unique_ptr<SliceGrid> make_tumbling_grid(const WindowSpec& spec) {
  return std::make_unique<TumblingGrid>(spec.size.count(), spec.offset.count());
}

std::unique_ptr<SliceGrid> make_sliding_grid(const WindowSpec& spec) {
  return std::make_unique<SlidingGrid>(spec);
}

std::unique_ptr<SliceGrid> make_cumulating_grid(const WindowSpec& spec) {
  return std::make_unique<CumulatingGrid>(spec);
}

}  // namespace dataflow::windows

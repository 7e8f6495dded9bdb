#include "libdataflow/ranking/candidates.hpp"

#include <algorithm>

namespace dataflow {

bool Candidates::worth_it(const TopSpec& top) {
  return top.window_end && top.key_fields == std::vector{*top.window_end} && top.limit <= MayBeFirst::most_limit;
}

Candidates::Candidates(const TopSpec& top)
    : window_end_{*top.window_end}, order_field_{top.order.front().field}, runs_{top.key_fields}, may_be_first_{top} {}

bool Candidates::choose(const BatchPtr& batch, Timestamp watermark, std::vector<std::uint32_t>& rows) {
  const Column& column = batch->column(order_field_);
  if (!Cutoff::knows(column)) return false;
  // The windows that are over here. Rows that come for them all the same all pass, as they may be late: that is for the
  // top to say, and to count.
  const auto is_over = [&](std::int64_t window_end) { return window_end - 1 <= watermark.micros; };
  while (!best_.empty() && is_over(best_.begin()->first)) best_.erase(best_.begin());
  runs_.find(batch);
  const auto* ends = batch->column(window_end_).as<std::int64_t>().data();
  rows.clear();
  for (std::uint32_t run = 0; run < runs_.size(); ++run) {
    const std::uint32_t first = runs_.begin(run);
    const std::uint32_t end = runs_.begin(run + 1);
    if (is_over(ends[first])) {
      for (std::uint32_t row = first; row < end; ++row) rows.push_back(row);
    } else {
      may_be_first_.choose(column, first, end, best_[ends[first]], rows);
    }
  }
  return rows.size() < batch->rows();
}

void MayBeFirst::choose(const Column& column, std::uint32_t row, std::uint32_t end, std::vector<std::int64_t>& best,
                        std::vector<std::uint32_t>& rows) {
  const auto last_that_counts = [&] { return best.size() < limit_ ? std::nullopt : std::optional{best.front()}; };
  cutoff_.set(last_that_counts());
  for (; (row = cutoff_.next(column, row, end)) != end; ++row) {
    rows.push_back(row);
    if (best.size() == limit_) {
      std::pop_heap(best.begin(), best.end());
      best.pop_back();
    }
    best.push_back(cutoff_.turned(column, row));
    std::push_heap(best.begin(), best.end());
    cutoff_.set(last_that_counts());
  }
}

}  // namespace dataflow

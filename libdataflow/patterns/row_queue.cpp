#include "libdataflow/patterns/row_queue.hpp"

#include <algorithm>
#include <numeric>

namespace dataflow::patterns {

namespace {

bool is_later(const std::shared_ptr<WaitingRows>& a, const std::shared_ptr<WaitingRows>& b) {
  return b->position() < a->position();
}

}  // namespace

void RowQueue::push(std::shared_ptr<WaitingRows> rows) {
  const std::uint32_t count = rows->batch->rows();
  bool sorted = true;
  for (std::uint32_t row = 1; row < count && sorted; ++row) {
    sorted = rows->position_of(row - 1) < rows->position_of(row);
  }
  if (!sorted) {
    rows->order.resize(count);
    std::iota(rows->order.begin(), rows->order.end(), 0);
    std::sort(rows->order.begin(), rows->order.end(),
              [&](std::uint32_t a, std::uint32_t b) { return rows->position_of(a) < rows->position_of(b); });
  }
  heap_.push_back(std::move(rows));
  std::push_heap(heap_.begin(), heap_.end(), is_later);
}

void RowQueue::pop() {
  if (++heap_.front()->next == heap_.front()->batch->rows()) {
    std::pop_heap(heap_.begin(), heap_.end(), is_later);
    heap_.pop_back();
  } else {
    sink();
  }
}

/// The first rows have moved on: they go to where they belong, mostly nowhere.
void RowQueue::sink() {
  std::size_t at = 0;
  while (true) {
    std::size_t child = 2 * at + 1;
    if (child >= heap_.size()) return;
    if (child + 1 < heap_.size() && is_later(heap_[child], heap_[child + 1])) ++child;
    if (!is_later(heap_[at], heap_[child])) return;
    std::swap(heap_[at], heap_[child]);
    at = child;
  }
}

}  // namespace dataflow::patterns

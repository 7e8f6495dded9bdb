#include "libdataflow/operators/event_time_pieces.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace dataflow {

/// Most batches stay whole: nothing in them is late by what came before. A cut costs a copy, but there is one only
/// where the newest time has advanced since the last, which disorder makes rare.
void EventTimePieces::add(BatchPtr batch) {
  const auto times = batch->timestamps()->as<std::int64_t>();
  std::int64_t oldest = times.front();
  std::int64_t newest = times.front();
  for (const std::int64_t time : times) {
    oldest = std::min(oldest, time);
    newest = std::max(newest, time);
  }
  const std::int64_t delay = delay_.count();
  const std::int64_t newest_before = std::exchange(newest_, std::max(newest_, Timestamp{newest})).micros;
  if (oldest > newest_.micros - delay) {
    pieces_.push_back({std::move(batch), watermark_at(newest_)});
    return;
  }
  const auto piece = [&](std::uint32_t begin, std::uint32_t end) {
    if (end - begin == batch->rows()) return batch;
    std::vector<std::uint32_t> rows(end - begin);
    std::iota(rows.begin(), rows.end(), begin);
    return batch->select_rows(rows);
  };
  std::int64_t so_far = newest_before;  // greatest time before the row
  std::int64_t told = newest_before;    // greatest time that a watermark has followed
  std::uint32_t begin = 0;
  for (std::uint32_t row = 0; row < batch->rows(); ++row) {
    if (so_far > told && times[row] <= so_far - delay) {
      pieces_.push_back({piece(begin, row), watermark_at(Timestamp{so_far})});
      told = so_far;
      begin = row;
    }
    so_far = std::max(so_far, times[row]);
  }
  pieces_.push_back({piece(begin, batch->rows()), watermark_at(newest_)});
}

EventTimePieces::Piece EventTimePieces::take() {
  Piece piece = std::move(pieces_.front());
  pieces_.pop_front();
  return piece;
}

}  // namespace dataflow

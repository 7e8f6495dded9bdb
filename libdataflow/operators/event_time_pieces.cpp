#include "libdataflow/operators/event_time_pieces.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "serialization/cpu.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dataflow {

namespace {

struct Range {
  std::int64_t oldest;
  std::int64_t newest;
};

/// Not empty. Four at a time, so that a row does not wait for the one before: 0.3 ns a row where it is 1 (benchmark
/// nexmark_q2).
Range range_of(std::span<const std::int64_t> times) {
  constexpr std::size_t lanes = 4;
  std::array<std::int64_t, lanes> least;
  std::array<std::int64_t, lanes> most;
  least.fill(times.front());
  most.fill(times.front());
  std::size_t i = 0;
  for (; i + lanes <= times.size(); i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      least[lane] = std::min(least[lane], times[i + lane]);
      most[lane] = std::max(most[lane], times[i + lane]);
    }
  }
  for (; i < times.size(); ++i) {
    least[0] = std::min(least[0], times[i]);
    most[0] = std::max(most[0], times[i]);
  }
  return {*std::min_element(least.begin(), least.end()), *std::max_element(most.begin(), most.end())};
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] bool is_ascending_avx2(std::span<const std::int64_t> times) {
  std::size_t i = 1;
  __m256i descends = _mm256_setzero_si256();
  for (; i + 4 <= times.size(); i += 4) {
    __builtin_prefetch(times.data() + i + 128);  // the processor reads ahead within a page only
    const __m256i here = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(times.data() + i));
    const __m256i before = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(times.data() + i - 1));
    descends = _mm256_or_si256(descends, _mm256_cmpgt_epi64(before, here));
  }
  bool any = _mm256_testz_si256(descends, descends) == 0;
  for (; i < times.size(); ++i) any |= times[i] < times[i - 1];
  return !any;
}
#endif

/// Whether no record is older than the one before it: the usual case, which is looked for without a branch a row, and
/// four rows at once where the processor can (benchmark nexmark_q8).
bool is_ascending(std::span<const std::int64_t> times) {
#if defined(__x86_64__)
  if (cpu::has_avx2()) return is_ascending_avx2(times);
#endif
  bool descends = false;
  for (std::size_t i = 1; i < times.size(); ++i) descends |= times[i] < times[i - 1];
  return !descends;
}

}  // namespace

/// Most batches stay whole: nothing in them is late by what came before. A cut costs a copy, but there is one only
/// where the newest time has advanced since the last, which disorder makes rare.
void EventTimePieces::add(BatchPtr batch) {
  const auto times = batch->timestamps()->as<std::int64_t>();
  if (is_ascending(times)) {  // nothing is late by what is before it in the batch
    newest_ = std::max(newest_, Timestamp{times.back()});
    pieces_.push_back({std::move(batch), watermark_at(newest_)});
    return;
  }
  const auto [oldest, newest] = range_of(times);
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

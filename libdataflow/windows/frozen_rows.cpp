#include "libdataflow/windows/frozen_rows.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <thread>

namespace dataflow::windows {

namespace {

constexpr std::size_t usual_piece_bytes = 4096;

}  // namespace

FrozenRows::FrozenRows(std::vector<Page> pages, std::vector<std::shared_ptr<char[]>> texts, std::size_t stride,
                       const std::byte* null_row, RowOwnershipPtr ownership)
    : pages_{std::move(pages)},
      texts_{std::move(texts)},
      stride_{stride},
      piece_bytes_{std::max<std::size_t>(1, usual_piece_bytes / stride) * stride},
      null_row_{null_row},
      ownership_{std::move(ownership)},
      buffer_{std::make_unique_for_overwrite<std::byte[]>(piece_bytes_)} {
  std::size_t pieces = 0;
  for (const Page& page : pages_) {
    const std::size_t bytes = page.rows * stride_;
    spans_.push_back({page.data.get(), page.data.get() + bytes, pieces});
    pieces += (bytes + piece_bytes_ - 1) / piece_bytes_;
  }
  by_address_.resize(spans_.size());
  std::iota(by_address_.begin(), by_address_.end(), std::size_t{0});
  std::sort(by_address_.begin(), by_address_.end(),
            [this](std::size_t a, std::size_t b) { return std::less<>{}(spans_[a].begin, spans_[b].begin); });
  states_ = std::make_unique<std::atomic<std::uint8_t>[]>(pieces);
  copies_.resize(pieces);
}

FrozenRows::~FrozenRows() {
  if (ownership_ == nullptr) return;
  release_rows(buffer_.get(), buffered_);
  for (const Span& span : spans_) {
    const std::size_t pieces = (static_cast<std::size_t>(span.end - span.begin) + piece_bytes_ - 1) / piece_bytes_;
    for (std::size_t piece = span.first_piece; piece < span.first_piece + pieces; ++piece) {
      if (copies_[piece] != nullptr) release_rows(copies_[piece].get(), size_of(span, piece));
    }
  }
}

void FrozenRows::copy_rows(const std::byte* from, std::size_t bytes, std::byte* to) const {
  std::memcpy(to, from, bytes);
  if (ownership_ == nullptr) return;
  for (std::byte* row = to; row != to + bytes; row += stride_) ownership_->own_copy(row);
}

void FrozenRows::release_rows(std::byte* rows, std::size_t bytes) const {
  for (std::byte* row = rows; row != rows + bytes; row += stride_) ownership_->release(row);
}

const FrozenRows::Span* FrozenRows::span_of(const std::byte* row) const {
  const auto after = std::upper_bound(
      by_address_.begin(), by_address_.end(), row,
      [this](const std::byte* address, std::size_t span) { return std::less<>{}(address, spans_[span].begin); });
  if (after == by_address_.begin()) return nullptr;
  const Span& span = spans_[*(after - 1)];
  return std::less<>{}(row, span.end) ? &span : nullptr;  // else it was made later
}

std::size_t FrozenRows::size_of(const Span& span, std::size_t piece) const {
  const std::size_t from = (piece - span.first_piece) * piece_bytes_;
  return std::min(piece_bytes_, static_cast<std::size_t>(span.end - span.begin) - from);
}

void FrozenRows::before_write(std::byte* const* rows, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const Span* span = span_of(rows[i]);
    if (span == nullptr) continue;
    const std::size_t piece = span->first_piece + static_cast<std::size_t>(rows[i] - span->begin) / piece_bytes_;
    if (states_[piece].load(std::memory_order_acquire) != copied) copy_first(*span, piece);
  }
}

void FrozenRows::copy_first(const Span& span, std::size_t piece) {
  std::uint8_t state = original;
  if (!states_[piece].compare_exchange_strong(state, being_copied, std::memory_order_acquire)) {
    // The reader is copying these few kilobytes at this moment.
    while (states_[piece].load(std::memory_order_acquire) != copied) std::this_thread::yield();
    return;
  }
  const std::size_t bytes = size_of(span, piece);
  copies_[piece] = std::make_unique_for_overwrite<std::byte[]>(bytes);
  copy_rows(span.begin + (piece - span.first_piece) * piece_bytes_, bytes, copies_[piece].get());
  copied_.fetch_add(bytes, std::memory_order_relaxed);
  states_[piece].store(copied, std::memory_order_release);
}

bool FrozenRows::next(Rows& rows) {
  if (ownership_ != nullptr) release_rows(buffer_.get(), buffered_);
  buffered_ = 0;
  while (span_ < spans_.size() &&
         piece_ * piece_bytes_ >= static_cast<std::size_t>(spans_[span_].end - spans_[span_].begin)) {
    ++span_;
    piece_ = 0;
  }
  if (span_ == spans_.size()) return false;
  const Span& span = spans_[span_];
  const std::size_t piece = span.first_piece + piece_++;
  const std::byte* at = span.begin + (piece - span.first_piece) * piece_bytes_;
  const std::size_t bytes = size_of(span, piece);
  std::uint8_t state = original;
  if (states_[piece].compare_exchange_strong(state, being_copied, std::memory_order_acquire)) {
    copy_rows(at, bytes, buffer_.get());
    states_[piece].store(copied, std::memory_order_release);
  } else {
    while (states_[piece].load(std::memory_order_acquire) != copied) std::this_thread::yield();
    std::memcpy(buffer_.get(), copies_[piece].get(), bytes);
    copies_[piece].reset();
    copied_.fetch_sub(bytes, std::memory_order_relaxed);
  }
  buffered_ = bytes;
  const bool has_null = null_row_ != nullptr && !std::less<>{}(null_row_, at) && std::less<>{}(null_row_, at + bytes);
  rows = {buffer_.get(), bytes / stride_, has_null ? buffer_.get() + (null_row_ - at) : nullptr};
  return true;
}

}  // namespace dataflow::windows

#include "libdataflow/patterns/stored_deadlines.hpp"

#include <algorithm>
#include <limits>

#include "libdataflow/state/store_key.hpp"

namespace dataflow::patterns {

namespace {

constexpr std::size_t least_in_memory = 16;
/// Of a deadline in memory, with what its key has beside it.
constexpr std::size_t bytes_of_a_deadline = 2 * sizeof(StoredDeadline);
/// Of the write-back cache.
constexpr std::size_t share_of_deadlines = 8;
constexpr std::size_t deadlines_write_bytes = 1U << 20;

void encode_deadline(const StoredDeadline& deadline, std::string& key, std::string& value) {
  key.clear();
  put_ordered_signed(key, deadline.time);
  put_ordered(key, deadline.sequence);
  key += static_cast<char>(deadline.kind);
  key += deadline.key;
  value.clear();
  put_ordered(value, deadline.key_group);
}

StoredDeadline decode_deadline(std::string_view key, std::string_view value) {
  StoredDeadline deadline;
  deadline.time = get_ordered_signed(key);
  deadline.sequence = get_ordered<std::uint64_t>(key.substr(8));
  deadline.kind = static_cast<StoredDeadline::Kind>(key[16]);
  deadline.key = key.substr(17);
  deadline.key_group = get_ordered<std::uint16_t>(value);
  return deadline;
}

}  // namespace

std::size_t StoredDeadlines::most() const {
  return std::max<std::size_t>(least_in_memory, backend_->cache_bytes() / share_of_deadlines / bytes_of_a_deadline);
}

void StoredDeadlines::put_later(const StoredDeadline& deadline) {
  encode_deadline(deadline, key_, value_);
  later_.put(key_, value_);
}

Status StoredDeadlines::expect_many() {
  for (const StoredDeadline& deadline : next_) put_later(deadline);
  next_.clear();
  encode_deadline({.time = std::numeric_limits<std::int64_t>::min(), .key = {}}, key_, value_);
  return later_.set_horizon(key_);
}

Status StoredDeadlines::add(StoredDeadline deadline) {
  encode_deadline(deadline, key_, value_);
  if (later_.takes(key_)) {
    later_.put(key_, value_);
    return later_.pending_bytes() < deadlines_write_bytes ? Status{} : later_.flush();
  }
  if (next_.empty() || next_.back() < deadline) {
    next_.push_back(std::move(deadline));
  } else {  // after a checkpoint of subtasks whose watermarks were not the same
    next_.insert(std::upper_bound(next_.begin(), next_.end(), deadline), std::move(deadline));
  }
  return next_.size() <= most() ? Status{} : spill();
}

/// The later half goes to the store.
Status StoredDeadlines::spill() {
  const std::size_t kept = most() / 2;
  encode_deadline(next_[kept], key_, value_);
  if (Status set = later_.set_horizon(key_); !set) return set;
  for (std::size_t i = kept; i < next_.size(); ++i) put_later(next_[i]);
  next_.resize(kept);
  return later_.flush();
}

Result<const StoredDeadline*> StoredDeadlines::first() {
  while (next_.empty() && later_.any()) {
    const Status taken = later_.take(most() / 2, [this](std::string_view key, std::string_view value) {
      next_.push_back(decode_deadline(key, value));
    });
    if (!taken) return fail(taken.error());
  }
  return next_.empty() ? nullptr : &next_.front();
}

}  // namespace dataflow::patterns

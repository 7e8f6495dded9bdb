#include "libdataflow/runtime/output_edge.hpp"

#include <algorithm>

#include "libdataflow/runtime/buggify.hpp"
#include "serialization/key_hash.hpp"

namespace dataflow {

namespace {

/// From this much on, waiting for more would not make sending cheaper.
constexpr std::size_t worthwhile_rows = 1024;
constexpr std::size_t worthwhile_bytes = 32 * 1024;
bool worth_sending(std::size_t rows, std::size_t bytes) {
  return rows >= worthwhile_rows || bytes >= worthwhile_bytes;
}
/// Beyond this the feeder pauses until the receiver grants credit.
constexpr std::size_t blocked_bytes = 64 * 1024;
constexpr std::size_t few_bytes = 200;
constexpr std::size_t blocked_envelopes = 64;
/// So many do not wait for more rows: their watermarks have work for the receiver.
constexpr std::size_t many_envelopes = 32;

/// Whether what one batch has values of the other has, too: a combiner's batches are of two kinds.
bool have_same_fields(const Batch& one, const Batch& other) {
  return std::equal(one.columns().begin(), one.columns().end(), other.columns().begin(),
                    [](const ColumnPtr& a, const ColumnPtr& b) { return is_unread(*a) == is_unread(*b); });
}

}  // namespace

ChannelSender::ChannelSender(std::size_t channel, Duration buffer_timeout, std::size_t window)
    : channel_{channel},
      timeout_{buffer_timeout},
      blocked_bytes_{buggified(Buggify::small_output_queue) ? few_bytes : blocked_bytes},
      credit_{static_cast<std::int64_t>(window)} {}

void ChannelSender::push(Envelope envelope, Timestamp now) {
  if (pending_.empty()) due_at_ = std::max(now, last_sent_ == Timestamp::min() ? now : last_sent_ + timeout_);
  if (const auto* batch = std::get_if<BatchPtr>(&envelope)) {
    pending_bytes_ += (*batch)->byte_size();
    pending_rows_ += (*batch)->rows();
  } else if (!std::holds_alternative<Watermark>(envelope)) {
    forced_ = true;  // barriers, status changes and ends do not wait
  }
  if (!pending_.empty() && std::holds_alternative<Watermark>(envelope) &&
      std::holds_alternative<Watermark>(pending_.back())) {
    pending_.back() = std::move(envelope);
    return;
  }
  pending_.push_back(std::move(envelope));
}

bool ChannelSender::due(Timestamp now) const {
  return forced_ || worth_sending(pending_rows_, pending_bytes_) || pending_.size() >= many_envelopes || now >= due_at_;
}

/// The first envelope; batches in a row that are not worth sending are joined until they are. Others go as they are:
/// a copy of them costs more than another message.
Envelope ChannelSender::take_front() {
  Envelope front = std::move(pending_.front());
  pending_.pop_front();
  auto* first = std::get_if<BatchPtr>(&front);
  if (first == nullptr) return front;
  std::size_t rows = (*first)->rows();
  std::size_t bytes = (*first)->byte_size();
  if (pending_.empty() || buggified(Buggify::no_joined_batches)) {  // the usual case
    pending_rows_ -= rows;
    pending_bytes_ -= bytes;
    return front;
  }
  std::vector<BatchPtr> run{*first};
  while (!pending_.empty() && !worth_sending(rows, bytes)) {
    const auto* next = std::get_if<BatchPtr>(&pending_.front());
    if (next == nullptr || worth_sending((*next)->rows(), (*next)->byte_size()) ||
        !have_same_fields(*run.front(), **next)) {
      break;
    }
    rows += (*next)->rows();
    bytes += (*next)->byte_size();
    run.push_back(*next);
    pending_.pop_front();
  }
  pending_rows_ -= rows;
  pending_bytes_ -= bytes;
  if (run.size() > 1) front = concatenate(run);
  return front;
}

void ChannelSender::pump(Timestamp now, TaskHost& host) {
  if (pending_.empty() || !due(now)) return;
  while (!pending_.empty()) {
    const bool is_batch = std::holds_alternative<BatchPtr>(pending_.front());
    if (is_batch && !may_send_batches()) return;
    EncodedEnvelopePtr encoded = encode(take_front());
    if (is_batch) credit_ -= static_cast<std::int64_t>(encoded->wire_size());
    last_sent_ = now;
    host.send(channel_, std::move(encoded));
  }
  forced_ = false;
}

bool ChannelSender::blocked() const {
  return pending_bytes_ >= blocked_bytes_ || pending_.size() >= blocked_envelopes ||
         (!pending_.empty() && !may_send_batches());
}

std::optional<Timestamp> ChannelSender::deadline() const {
  if (pending_.empty() || (std::holds_alternative<BatchPtr>(pending_.front()) && !may_send_batches()))
    return std::nullopt;
  return due_at_;
}

OutputEdge::OutputEdge(const JobEdge& edge, std::uint32_t max_parallelism, std::size_t first_channel,
                       std::size_t channels, std::uint32_t subtask, Duration buffer_timeout, std::size_t window)
    : partitioning_{edge.partitioning},
      key_fields_{edge.key_fields},
      max_parallelism_{max_parallelism},
      first_channel_{first_channel},
      next_{subtask % channels},  // so that the subtasks of a rebalance do not all begin with the same receiver
      rows_of_target_(channels),
      rows_for_target_(channels) {
  for (std::size_t i = 0; i < channels; ++i) senders_.emplace_back(first_channel + i, buffer_timeout, window);
  if (partitioning_ != Partitioning::hash || channels == 1) return;
  if (channels == 2) {
    upper_hashes_ = first_hash_of(key_groups_of_subtask(1, max_parallelism, 2).first, max_parallelism);
    return;
  }
  for (std::uint32_t group = 0; group < max_parallelism; ++group) {
    subtask_of_group_.push_back(subtask_of_key_group(group, max_parallelism, static_cast<std::uint32_t>(channels)));
  }
}

void OutputEdge::push(std::size_t target, BatchPtr batch, Timestamp now, TaskHost& host) {
  senders_[target].push(std::move(batch), now);
  senders_[target].pump(now, host);
}

void OutputEdge::emit(BatchPtr batch, Timestamp now, TaskHost& host) {
  switch (partitioning_) {
    case Partitioning::forward: return push(0, std::move(batch), now, host);
    case Partitioning::rebalance:
      push(next_, std::move(batch), now, host);
      next_ = next_ + 1 == senders_.size() ? 0 : next_ + 1;
      return;
    case Partitioning::broadcast:
      for (std::size_t i = 0; i < senders_.size(); ++i) push(i, batch, now, host);
      return;
    case Partitioning::hash: return scatter(batch, now, host);
  }
}

void OutputEdge::scatter(const BatchPtr& batch, Timestamp now, TaskHost& host) {
  if (senders_.size() == 1) return push(0, batch, now, host);
  std::vector<const Column*> keys;
  keys.reserve(key_fields_.size());
  for (const std::size_t field : key_fields_) keys.push_back(&batch->column(field));
  hash_rows(keys, batch->rows(), hashes_);
  if (senders_.size() == 2) return scatter_to_two(batch, now, host);
  choose_of_many(batch->rows());
  for (std::size_t target = 0; target < senders_.size(); ++target) {
    const std::span<const std::uint32_t> rows{rows_of_target_[target].data(), rows_for_target_[target]};
    if (rows.empty()) continue;
    push(target, rows.size() == batch->rows() ? batch : batch->select_rows(rows), now, host);
  }
}

/// The second has the upper key groups, which are the upper hashes.
void OutputEdge::scatter_to_two(const BatchPtr& batch, Timestamp now, TaskHost& host) {
  sides_.choose(hashes_, upper_hashes_);
  if (sides_.rows(1) == 0) return push(0, batch, now, host);
  if (sides_.rows(0) == 0) return push(1, batch, now, host);
  auto [first, second] = sides_.split(*batch);
  push(0, std::move(first), now, host);
  push(1, std::move(second), now, host);
}

void OutputEdge::choose_of_many(std::uint32_t rows) {
  // Every target's list has room for all rows, so that a row costs one store and no question.
  for (auto& list : rows_of_target_) list.resize(std::max<std::size_t>(list.size(), rows));
  std::fill(rows_for_target_.begin(), rows_for_target_.end(), 0U);
  for (std::uint32_t row = 0; row < rows; ++row) {
    const std::uint32_t target = subtask_of_group_[key_group_of(hashes_[row], max_parallelism_)];
    rows_of_target_[target][rows_for_target_[target]++] = row;
  }
}

void OutputEdge::emit_to_all(const Envelope& envelope, Timestamp now, TaskHost& host) {
  for (ChannelSender& sender : senders_) {
    sender.push(envelope, now);
    sender.pump(now, host);
  }
}

void OutputEdge::pump(Timestamp now, TaskHost& host) {
  for (ChannelSender& sender : senders_) sender.pump(now, host);
}

void OutputEdge::flush(Timestamp now, TaskHost& host) {
  for (ChannelSender& sender : senders_) {
    sender.force();
    sender.pump(now, host);
  }
}

bool OutputEdge::blocked() const {
  return std::any_of(senders_.begin(), senders_.end(), [](const ChannelSender& s) { return s.blocked(); });
}

bool OutputEdge::empty() const {
  return std::all_of(senders_.begin(), senders_.end(), [](const ChannelSender& s) { return s.empty(); });
}

std::optional<Timestamp> OutputEdge::deadline() const {
  std::optional<Timestamp> earliest;
  for (const ChannelSender& sender : senders_) {
    const auto at = sender.deadline();
    if (at && (!earliest || *at < *earliest)) earliest = at;
  }
  return earliest;
}

}  // namespace dataflow

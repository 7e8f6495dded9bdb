#include "libdataflow/exchange/batch_joiner.hpp"

#include <utility>

namespace dataflow {

namespace {

/// From this size on a batch is worth a message of its own, and copying it would cost more than that.
constexpr std::size_t small_bytes = 8 * 1024;
constexpr std::size_t joined_bytes = 64 * 1024;

const BatchPtr* small_batch(const EncodedEnvelope& envelope) {
  return envelope.wire_size() < small_bytes ? std::get_if<BatchPtr>(&envelope.envelope()) : nullptr;
}

}  // namespace

void BatchJoiner::add(WireChannel channel, EncodedEnvelopePtr envelope, std::vector<Delivery>& out) {
  const BatchPtr* batch = small_batch(*envelope);
  const auto at = runs_.find(channel);
  if (at != runs_.end() && (batch == nullptr || !fits(at->second, *envelope))) give_out(channel, at->second, out);
  const std::size_t bytes = envelope->wire_size();
  if (batch == nullptr) {
    out.push_back({channel, std::move(envelope), bytes});
    return;
  }
  Run& run = at != runs_.end() ? at->second : runs_[channel];
  if (run.batches.empty()) order_.push_back(channel);
  run.bytes += bytes;
  run.rows += (*batch)->rows();
  run.batches.push_back(std::move(envelope));
}

bool BatchJoiner::fits(const Run& run, const EncodedEnvelope& next) {
  if (run.batches.empty()) return true;
  const Batch& first = *std::get<BatchPtr>(run.batches.front()->envelope());
  const Batch& batch = *std::get<BatchPtr>(next.envelope());
  return run.bytes + next.wire_size() <= joined_bytes && run.rows + batch.rows() <= max_batch_rows &&
         first.has_event_time() == batch.has_event_time();
}

void BatchJoiner::give_out(WireChannel channel, Run& run, std::vector<Delivery>& out) {
  if (run.batches.empty()) return;
  if (run.batches.size() == 1) {
    out.push_back({channel, std::move(run.batches.front()), run.bytes});
  } else {
    std::vector<BatchPtr> batches;
    batches.reserve(run.batches.size());
    for (const EncodedEnvelopePtr& envelope : run.batches) batches.push_back(std::get<BatchPtr>(envelope->envelope()));
    out.push_back({channel, encode(concatenate(batches)), run.bytes});
  }
  run = {};
}

void BatchJoiner::flush(std::vector<Delivery>& out) {
  for (const WireChannel channel : order_) give_out(channel, runs_[channel], out);
  order_.clear();
  runs_.clear();
}

}  // namespace dataflow

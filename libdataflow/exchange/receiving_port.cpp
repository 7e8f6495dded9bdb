#include "libdataflow/exchange/receiving_port.hpp"

#include <algorithm>
#include <utility>

#include "serialization/schema_codec.hpp"

namespace dataflow {

namespace {

tl::unexpected<Error> malformed(WireChannel channel, const std::string& what) {
  return fail(ErrorCode::malformed_data, "channel " + to_string(channel) + ": " + what);
}

}  // namespace

Status ReceivingPort::expect(WireChannel id, SchemaPtr schema) {
  const auto [at, is_new] = channels_.try_emplace(id);
  if (!is_new) return fail(ErrorCode::invalid_argument, "channel " + to_string(id) + " has a receiver already");
  at->second.schema = std::move(schema);
  return {};
}

void ReceivingPort::forget(WireChannel id) {
  channels_.erase(id);
}

Result<SchemaPtr> ReceivingPort::accept(const FrameHeader& header) {
  const auto at = channels_.find(header.channel);
  if (at == channels_.end()) return SchemaPtr{};
  Channel& channel = at->second;
  const State due = header.kind == FrameKind::open ? State::expected : State::open;
  if (channel.state != due) {
    return malformed(header.channel, std::string{to_string(header.kind)} + " on a channel that is " +
                                         (channel.state == State::expected ? "not open"
                                          : channel.state == State::open   ? "open"
                                          : channel.state == State::closed ? "closed"
                                                                           : "of a lost connection"));
  }
  if (header.sequence != channel.next_sequence) {
    const bool again = header.sequence < channel.next_sequence;
    return malformed(header.channel, "frame " + std::to_string(header.sequence) +
                                         (again ? " came twice" : " came where frame ") +
                                         (again ? "" : std::to_string(channel.next_sequence) + " was due"));
  }
  if (header.kind == FrameKind::batch && channel.used >= window_) {
    return malformed(header.channel, "a batch came without credit");
  }
  ++channel.next_sequence;
  if (header.kind == FrameKind::open) channel.state = State::open;
  if (header.kind == FrameKind::close) channel.state = State::closed;
  return channel.schema;
}

Status ReceivingPort::compare(WireChannel channel, const Schema& expected, const Buffer& words) {
  const auto sent = decode_schema(words);
  if (!sent) return fail(sent.error().within("channel " + to_string(channel)));
  if (**sent == expected) return {};
  return malformed(channel, "its sender has the schema " + to_string(**sent) + ", its receiver " + to_string(expected));
}

void ReceivingPort::received(WireChannel id, std::size_t bytes) {
  if (const auto at = channels_.find(id); at != channels_.end()) at->second.used += static_cast<std::int64_t>(bytes);
}

void ReceivingPort::joined(WireChannel id, std::size_t received, std::size_t delivered) {
  const auto at = channels_.find(id);
  if (at == channels_.end()) return;
  Channel& channel = at->second;
  channel.saved += static_cast<std::int64_t>(received) - static_cast<std::int64_t>(delivered);
  // The subtask grants in halves of the window: a quarter here leaves the sender a quarter whatever is saved.
  if (channel.saved >= window_ / 4) queue_credit(id, channel);
}

void ReceivingPort::grant(WireChannel id, std::size_t bytes) {
  const auto at = channels_.find(id);
  if (at == channels_.end()) return;
  at->second.saved += static_cast<std::int64_t>(bytes);
  queue_credit(id, at->second);
}

void ReceivingPort::queue_credit(WireChannel id, Channel& channel) {
  // Never more than was used: joining may have made a batch longer, and then the difference waits.
  const std::int64_t bytes = std::min(channel.saved, channel.used);
  if (bytes <= 0) return;
  channel.saved -= bytes;
  channel.used -= bytes;
  if (channel.granting == 0) to_grant_.push_back(id);
  channel.granting += static_cast<std::uint64_t>(bytes);
}

std::vector<ReceivingPort::Credit> ReceivingPort::take_credits() {
  std::vector<Credit> credits;
  credits.reserve(to_grant_.size());
  for (const WireChannel id : to_grant_) {
    const auto at = channels_.find(id);
    if (at == channels_.end() || at->second.granting == 0) continue;
    credits.push_back({id, std::exchange(at->second.granting, 0)});
  }
  to_grant_.clear();
  return credits;
}

void ReceivingPort::connection_lost() {
  for (auto& [id, channel] : channels_) {
    if (channel.state != State::expected) channel.state = State::lost;
    channel.granting = 0;
  }
  to_grant_.clear();
}

bool ReceivingPort::has_open_channels() const {
  return std::any_of(channels_.begin(), channels_.end(), [](const auto& c) { return c.second.state == State::open; });
}

}  // namespace dataflow

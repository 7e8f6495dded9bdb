#include "libdataflow/simulation/data_plane.hpp"

#include <cstring>
#include <utility>

namespace dataflow::simulation {

namespace {

constexpr std::size_t write_bytes = 64 * 1024;

Buffer bytes_of(const OutgoingFrame& frame) {
  std::vector<std::span<const std::byte>> parts;
  frame.append_parts(parts);
  GrowingBuffer bytes{frame.size() + 8};
  for (const auto part : parts) bytes.append(part.data(), part.size());
  return bytes.freeze();
}

}  // namespace

DataPlane::DataPlane(World& world, ProcessPtr process, std::string worker, FindPeer find,
                     std::function<void(const std::string&, const std::string&)> lost)
    : world_{world},
      process_{std::move(process)},
      worker_{std::move(worker)},
      find_{std::move(find)},
      lost_{std::move(lost)} {}

void DataPlane::connect(const std::string& peer, Connected done) {
  std::shared_ptr<Outgoing>& at = outgoing_[peer];
  if (at != nullptr && at->connection != nullptr) return done({});
  const bool is_new = at == nullptr;
  if (is_new) at = std::make_shared<Outgoing>(world_.tuning.window);
  at->waiting.push_back(std::move(done));
  if (!is_new) return;
  const auto target = find_(peer);
  if (target == nullptr) {
    return world_.loop.after(world_.tuning.most_latency, process_,
                             [self = shared_from_this(), peer] { self->end_connecting(peer, nullptr); });
  }
  world_.network.connect(
      process_, target->process_, [self = shared_from_this(), peer, target](const ConnectionPtr& made) {
        if (made == nullptr) return self->end_connecting(peer, nullptr);
        made->when_down(self->process_, [self, peer](const std::string& why) { self->lose_outgoing(peer, why); });
        // The welcome comes back behind the hello.
        made->send(self->process_, [self, peer, target, made] {
          target->take_connection(self->worker_, made);
          made->send(target->process_, [self, peer, made] { self->end_connecting(peer, made); });
        });
      });
}

void DataPlane::end_connecting(const std::string& peer, ConnectionPtr connection) {
  const auto at = outgoing_.find(peer);
  if (at == outgoing_.end()) return;
  const auto outgoing = at->second;
  const auto waiting = std::exchange(outgoing->waiting, {});
  if (connection != nullptr && connection->open()) {
    outgoing->connection = std::move(connection);
    for (const Connected& done : waiting) done({});
    return;
  }
  outgoing_.erase(at);
  for (const Connected& done : waiting) {
    done(fail(ErrorCode::unavailable, "there is no way to worker " + peer));
  }
}

void DataPlane::lose_outgoing(const std::string& peer, const std::string& why) {
  const auto at = outgoing_.find(peer);
  if (at == outgoing_.end()) return;
  const auto lost = at->second;
  if (!lost->waiting.empty()) return end_connecting(peer, nullptr);
  outgoing_.erase(at);
  if (lost->port.has_open_channels()) lost_(peer, why);
}

void DataPlane::take_connection(const std::string& from, const ConnectionPtr& connection) {
  std::shared_ptr<Incoming>& at = incoming_[from];
  if (at == nullptr) at = std::make_shared<Incoming>(world_.tuning.window);
  at->port.connection_lost();
  at->connection = connection;
  at->joiner = BatchJoiner{};
  connection->when_down(process_, [self = shared_from_this(), from, connection](const std::string& why) {
    self->lose_incoming(from, connection, why);
  });
}

void DataPlane::lose_incoming(const std::string& peer, const ConnectionPtr& connection, const std::string& why) {
  const auto at = incoming_.find(peer);
  if (at == incoming_.end() || at->second->connection != connection) return;
  const bool cut_short = at->second->port.has_open_channels();
  at->second->port.connection_lost();
  at->second->connection = nullptr;
  if (cut_short) lost_(peer, why);
}

Status DataPlane::open_outgoing(WireChannel channel, const std::string& peer, const SchemaPtr& schema,
                                std::function<void(std::size_t)> credit) {
  const auto at = outgoing_.find(peer);
  if (at == outgoing_.end() || at->second->connection == nullptr) {
    return fail(ErrorCode::invalid_argument, "there is no connection to worker " + peer);
  }
  if (Status opened = at->second->port.open(channel, schema); !opened) return opened;
  at->second->senders[channel] = std::move(credit);
  return {};
}

Status DataPlane::open_incoming(WireChannel channel, const std::string& peer, SchemaPtr schema,
                                std::function<void(EncodedEnvelopePtr)> deliver) {
  std::shared_ptr<Incoming>& at = incoming_[peer];
  if (at == nullptr) at = std::make_shared<Incoming>(world_.tuning.window);
  if (Status expected = at->port.expect(channel, std::move(schema)); !expected) return expected;
  at->receivers[channel] = std::move(deliver);
  return {};
}

void DataPlane::send(WireChannel channel, const std::string& peer, EncodedEnvelopePtr envelope) {
  const auto at = outgoing_.find(peer);
  if (at == outgoing_.end() || at->second->connection == nullptr) return;
  if (!at->second->senders.contains(channel)) return;  // of a connection before this one
  if (Status sent = at->second->port.send(channel, std::move(envelope)); !sent) {
    return broken(peer, sent.error(), at->second->connection);
  }
  write_soon(peer);
}

void DataPlane::close_outgoing(WireChannel channel, const std::string& peer) {
  const auto at = outgoing_.find(peer);
  if (at == outgoing_.end() || at->second->senders.erase(channel) == 0) return;
  at->second->port.close(channel);
  write_soon(peer);
}

void DataPlane::forget_incoming(WireChannel channel, const std::string& peer) {
  const auto at = incoming_.find(peer);
  if (at == incoming_.end()) return;
  at->second->port.forget(channel);
  at->second->receivers.erase(channel);
}

void DataPlane::write_soon(const std::string& peer) {
  const auto outgoing = outgoing_[peer];
  if (std::exchange(outgoing->writing, true)) return;
  world_.loop.after(world_.random.between(Duration{0}, Duration{40}), process_,
                    [self = shared_from_this(), peer] { self->write(peer); });
}

void DataPlane::write(const std::string& peer) {
  const auto at = outgoing_.find(peer);
  if (at == outgoing_.end() || at->second->connection == nullptr) return;
  const auto outgoing = at->second;
  outgoing->writing = false;
  if (outgoing->port.empty()) return;
  const auto target = find_(peer);
  for (const OutgoingFrame& frame : outgoing->port.take(write_bytes)) {
    if (target == nullptr) continue;
    outgoing->connection->send(process_, [target, from = worker_, connection = outgoing->connection,
                                          bytes = bytes_of(frame)] { target->take_frame(from, connection, bytes); });
  }
  if (!outgoing->port.empty()) write_soon(peer);
}

void DataPlane::take_frame(const std::string& from, const ConnectionPtr& connection, const Buffer& bytes) {
  const auto at = incoming_.find(from);
  if (at == incoming_.end() || at->second->connection != connection) return;
  const auto incoming = at->second;
  const auto header = read_frame_header(bytes.bytes().first<frame_header_bytes>());
  if (!header) return broken(from, header.error(), connection);
  const Buffer payload = bytes.view(bytes.bytes().subspan(frame_header_bytes));
  if (Status taken = accept_frame(*incoming, *header, payload); !taken) {
    return broken(from, taken.error(), connection);
  }
  if (std::exchange(incoming->flushing, true)) return;
  // What comes until then is joined.
  world_.loop.after(world_.random.between(Duration{0}, Duration{60}), process_,
                    [self = shared_from_this(), from] { self->flush(from); });
}

Status DataPlane::accept_frame(Incoming& incoming, const FrameHeader& header, const Buffer& payload) {
  auto schema = incoming.port.accept(header);
  if (!schema) return fail(schema.error());
  if (*schema == nullptr || header.kind == FrameKind::close) return {};
  if (header.kind == FrameKind::open) return ReceivingPort::compare(header.channel, **schema, payload);
  auto envelope = decode(payload, *schema);
  if (!envelope) return fail(envelope.error());
  if (header.kind == FrameKind::batch) incoming.port.received(header.channel, (*envelope)->wire_size());
  std::vector<Delivery> out;
  incoming.joiner.add(header.channel, std::move(*envelope), out);
  for (Delivery& delivery : out) {
    if (std::holds_alternative<BatchPtr>(delivery.envelope->envelope())) {
      incoming.port.joined(delivery.channel, delivery.received_bytes, delivery.envelope->wire_size());
    }
    const auto receiver = incoming.receivers.find(delivery.channel);
    if (receiver != incoming.receivers.end()) receiver->second(std::move(delivery.envelope));
  }
  return {};
}

void DataPlane::flush(const std::string& from) {
  const auto at = incoming_.find(from);
  if (at == incoming_.end()) return;
  const auto incoming = at->second;
  incoming->flushing = false;
  std::vector<Delivery> out;
  incoming->joiner.flush(out);
  for (Delivery& delivery : out) {
    if (std::holds_alternative<BatchPtr>(delivery.envelope->envelope())) {
      incoming->port.joined(delivery.channel, delivery.received_bytes, delivery.envelope->wire_size());
    }
    const auto receiver = incoming->receivers.find(delivery.channel);
    if (receiver != incoming->receivers.end()) receiver->second(std::move(delivery.envelope));
  }
  if (incoming->port.has_credits()) write_credits_soon(from);
}

void DataPlane::grant(WireChannel channel, const std::string& peer, std::size_t bytes) {
  const auto at = incoming_.find(peer);
  if (at == incoming_.end()) return;
  at->second->port.grant(channel, bytes);
  if (at->second->port.has_credits()) write_credits_soon(peer);
}

void DataPlane::write_credits_soon(const std::string& from) {
  const auto incoming = incoming_[from];
  if (std::exchange(incoming->crediting, true)) return;
  world_.loop.after(
      world_.random.between(Duration{0}, Duration{30}), process_, [self = shared_from_this(), from, incoming] {
        incoming->crediting = false;
        const auto target = self->find_(from);
        if (incoming->connection == nullptr || target == nullptr) return;
        for (const auto& [channel, bytes] : incoming->port.take_credits()) {
          incoming->connection->send(self->process_, [target, worker = self->worker_, at = channel, granted = bytes] {
            target->take_credit(worker, at, granted);
          });
        }
      });
}

void DataPlane::take_credit(const std::string& from, WireChannel channel, std::uint64_t bytes) {
  const auto at = outgoing_.find(from);
  if (at == outgoing_.end()) return;
  const auto is_open = at->second->port.credit(channel, bytes);
  if (!is_open) return broken(from, is_open.error(), at->second->connection);
  if (const auto sender = at->second->senders.find(channel); *is_open && sender != at->second->senders.end()) {
    sender->second(bytes);
  }
}

void DataPlane::broken(const std::string& peer, const Error& error, const ConnectionPtr& connection) {
  world_.violation("worker " + worker_ + " and worker " + peer + ": " + error.message());
  if (connection != nullptr) connection->reset("the protocol was broken");
}

}  // namespace dataflow::simulation

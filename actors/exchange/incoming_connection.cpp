#include "actors/exchange/incoming_connection.hpp"

#include <chrono>

#include <caf/all.hpp>

namespace dataflow {

namespace {

using Clock = std::chrono::steady_clock;

bool is_of_channel(FrameKind kind) {
  return kind == FrameKind::open || kind == FrameKind::batch || kind == FrameKind::event || kind == FrameKind::close;
}

tl::unexpected<Error> out_of_turn(FrameKind kind) {
  return fail(ErrorCode::malformed_data, "it sent a frame of kind " + std::string{to_string(kind)} + " out of turn");
}

}  // namespace

IncomingConnection::IncomingConnection(std::shared_ptr<ExchangeCore> core, Descriptor socket)
    : core_{std::move(core)}, socket_{std::move(socket)} {}

IncomingConnection::~IncomingConnection() {
  join();
}

void IncomingConnection::join() {
  if (thread_.joinable()) thread_.join();
}

void IncomingConnection::start() {
  thread_ = std::thread{[this] { run(); }};
}

void IncomingConnection::run() {
  const std::string address = peer_address_of(socket_.get());
  if (auto introduced = introduce(); !introduced) {
    if (introduced_) detach();  // it left while it was welcomed
    turn_away(address, introduced.error());
  } else {
    Status ended = link_->run(*this);
    const bool cut_short = detach();
    if (ended && cut_short) ended = fail(ErrorCode::io, "it left while its channels were open");
    if (!ended) core_->lost(worker_, ended.error());
  }
  finished_ = true;
  core_->connection_finished();
}

void IncomingConnection::turn_away(const std::string& address, const Error& reason) {
  ++core_->refused;
  if (!core_->closing) core_->refusals.refused(address, reason.message());
  // Who introduced itself properly, but is none of us, is told why. Whether it hears it changes nothing.
  if (link_ == nullptr || reason.code() != ErrorCode::invalid_argument) return;
  GrowingBuffer text;
  text.append(reason.message().data(),
              std::min<std::size_t>(reason.message().size(), max_payload_bytes(FrameKind::refusal)));
  Buffer why = text.freeze();
  const auto length = static_cast<std::uint32_t>(why.size());
  (void)link_->write({make_frame({FrameKind::refusal, {}, 0, length}, std::move(why))});
}

Status IncomingConnection::introduce() {
  const auto deadline = Clock::now() + core_->settings.handshake_timeout;
  const auto left = [&] { return std::chrono::duration_cast<Duration>(deadline - Clock::now()); };
  Result<std::unique_ptr<ByteStream>> stream =
      core_->tls ? core_->tls->accept(std::move(socket_), left()) : make_plain_stream(std::move(socket_));
  if (!stream) return fail(stream.error());
  {
    const std::lock_guard lock{mutex_};
    if (ending_) return fail(ErrorCode::cancelled, "this worker is ending");
    link_ = std::make_shared<FrameLink>(std::move(*stream), core_->settings.silence_timeout);
  }
  while (!introduced_) {
    if (left() <= Duration{0}) return fail(ErrorCode::io, "it did not introduce itself in time");
    if (auto status = link_->read_once(*this, left()); !status) return status;
  }
  return {};
}

Status IncomingConnection::take_hello(const FrameHeader& header, const Buffer& payload) {
  if (header.kind != FrameKind::hello) return fail(ErrorCode::malformed_data, "it did not introduce itself");
  const auto introduction = decode_introduction(payload.bytes());
  if (!introduction) return fail(introduction.error());
  if (auto status = check_introduction(*introduction, core_->settings.identity); !status) return status;
  worker_ = introduction->identity.worker;
  attach();
  const Buffer welcome = encode_introduction({core_->settings.identity, worker_});
  introduced_ = true;
  return link_->write({make_frame({FrameKind::welcome, {}, 0, static_cast<std::uint32_t>(welcome.size())}, welcome)});
}

void IncomingConnection::attach() {
  ++core_->connections;
  core_->with_peer(worker_, [this](const std::shared_ptr<IncomingPeer>& peer) {
    const std::lock_guard lock{peer->mutex};
    if (peer->connection != nullptr) peer->connection->replace();
    peer->port.connection_lost();
    peer->connection = shared_from_this();
    peer_ = peer;
  });
}

bool IncomingConnection::detach() {
  --core_->connections;
  bool cut_short = false;
  core_->with_peer(worker_, [&](const std::shared_ptr<IncomingPeer>& peer) {
    const std::lock_guard lock{peer->mutex};
    if (peer->connection.get() != this) return;
    cut_short = peer->port.has_open_channels();
    peer->port.connection_lost();
    peer->connection = nullptr;
  });
  return cut_short;
}

void IncomingConnection::leave() {
  const std::lock_guard lock{mutex_};
  ending_ = true;
  if (link_ == nullptr) return;
  if (introduced_) {
    link_->close();
  } else {
    link_->fail({ErrorCode::cancelled, "this worker is ending"});
  }
}

void IncomingConnection::abandon() {
  const std::lock_guard lock{mutex_};
  ending_ = true;
  if (link_ != nullptr) link_->fail({ErrorCode::cancelled, "this worker is ending"});
}

Status IncomingConnection::accept(const FrameHeader& header) {
  const std::lock_guard lock{peer_->mutex};
  auto schema = peer_->port.accept(header);
  if (!schema) return fail(schema.error());
  accepted_ = std::move(*schema);
  return {};
}

Result<PayloadMemory> IncomingConnection::begin(const FrameHeader& header) {
  if (!introduced_) {
    if (header.kind != FrameKind::hello) return fail(ErrorCode::malformed_data, "it did not introduce itself");
  } else if (is_of_channel(header.kind)) {
    if (auto status = accept(header); !status) return fail(status.error());
    if (accepted_ == nullptr) return PayloadMemory{};
  } else {
    return out_of_turn(header.kind);
  }
  auto memory = core_->pool.take(header.length);
  return PayloadMemory{memory, memory.get()};
}

Status IncomingConnection::end(const FrameHeader& header, Buffer payload) {
  if (!introduced_) return take_hello(header, payload);
  switch (header.kind) {
    case FrameKind::open:
      if (payload.empty()) return {};
      return ReceivingPort::compare(header.channel, *accepted_, payload);
    case FrameKind::batch:
    case FrameKind::event: return take_envelope(header, payload);
    case FrameKind::close: return accept(header);
    case FrameKind::ping: return {};
    case FrameKind::goodbye:
      link_->peer_leaves();
      link_->close();
      return {};
    default: return out_of_turn(header.kind);
  }
}

Status IncomingConnection::take_envelope(const FrameHeader& header, const Buffer& payload) {
  ++core_->received;
  if (header.length == 0) return fail(ErrorCode::malformed_data, "an envelope is empty");
  if (accepted_ == nullptr) {
    ++core_->dropped;
    return {};
  }
  auto envelope = decode(payload, accepted_);
  if (!envelope) return fail(envelope.error().within("channel " + to_string(header.channel)));
  const bool is_batch = std::holds_alternative<BatchPtr>((*envelope)->envelope());
  if (is_batch != (header.kind == FrameKind::batch)) {
    return fail(ErrorCode::malformed_data, "channel " + to_string(header.channel) + ": a frame of kind " +
                                               std::string{to_string(header.kind)} + " holds something else");
  }
  if (is_batch) {
    const std::lock_guard lock{peer_->mutex};
    peer_->port.received(header.channel, (*envelope)->wire_size());
  }
  joiner_.add(header.channel, std::move(*envelope), deliveries_);
  return {};
}

Status IncomingConnection::caught_up() {
  joiner_.flush(deliveries_);
  deliver();
  return {};
}

void IncomingConnection::deliver() {
  if (deliveries_.empty()) return;
  bool has_credits = false;
  {
    const std::lock_guard lock{peer_->mutex};
    for (Delivery& delivery : deliveries_) {
      if (std::holds_alternative<BatchPtr>(delivery.envelope->envelope())) {
        peer_->port.joined(delivery.channel, delivery.received_bytes, delivery.envelope->wire_size());
      }
      const auto at = peer_->receivers.find(delivery.channel);
      if (at == peer_->receivers.end()) {
        ++core_->dropped;
      } else {
        ++core_->delivered;
        letter_to(at->second.actor).deliveries.push_back({at->second.index, std::move(delivery.envelope)});
      }
    }
    has_credits = peer_->port.has_credits();
  }
  deliveries_.clear();
  if (has_credits) write_credits();
  for (auto& [receiver, letter] : letters_) {
    if (letter.deliveries.size() == 1) {
      caf::anon_send(receiver, std::move(letter.deliveries.front()));
    } else {
      caf::anon_send(receiver, std::move(letter));
    }
  }
  letters_.clear();
}

msg::DeliverAll& IncomingConnection::letter_to(const caf::actor& receiver) {
  for (auto& [to, letter] : letters_) {
    if (to == receiver) return letter;
  }
  return letters_.emplace_back(receiver, msg::DeliverAll{}).second;
}

std::vector<OutgoingFrame> IncomingConnection::take_frames() {
  std::vector<OutgoingFrame> frames;
  const std::lock_guard lock{peer_->mutex};
  if (peer_->connection.get() != this) return frames;
  for (const auto& [channel, bytes] : peer_->port.take_credits()) frames.push_back(make_credit_frame(channel, bytes));
  return frames;
}

}  // namespace dataflow

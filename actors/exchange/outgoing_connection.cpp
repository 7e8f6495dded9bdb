#include "actors/exchange/outgoing_connection.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cstring>

#include <caf/all.hpp>

#include "actors/messages.hpp"
#include "libdataflow/runtime/task_host.hpp"

namespace dataflow {

namespace {

/// One write's share: enough to make system calls rare, little enough to let other channels' frames in.
constexpr std::size_t write_bytes = 512 * 1024;
/// From this size on nothing is gained by gathering more, and waking the writing thread costs more than it saves
/// (`tools/bench exchange`: 1.1 of plain TCP instead of 0.9 at 256 KiB; at 16 KiB it is the other way round).
constexpr std::size_t large_bytes = 32 * 1024;

}  // namespace

/// While it lives, leave() ends the socket, whatever is being waited for on it.
class OutgoingConnection::Handshake {
 public:
  Handshake(OutgoingConnection& of, int fd) : of_{of}, socket_{fcntl(fd, F_DUPFD_CLOEXEC, 0)} {
    const std::lock_guard lock{of_.mutex_};
    of_.shaking_hands_ = this;
  }
  ~Handshake() {
    const std::lock_guard lock{of_.mutex_};
    of_.shaking_hands_ = nullptr;
  }
  void give_up() const { shutdown(socket_.get(), SHUT_RDWR); }
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;

 private:
  OutgoingConnection& of_;
  const Descriptor socket_;  ///< a second one: whoever has the first may close it
};

OutgoingConnection::OutgoingConnection(std::shared_ptr<ExchangeCore> core, WorkerId peer)
    : core_{std::move(core)}, peer_{std::move(peer)}, port_{channel_window_bytes} {}

OutgoingConnection::~OutgoingConnection() {
  join();
}

void OutgoingConnection::join() {
  if (thread_.joinable()) thread_.join();
}

void OutgoingConnection::start(const std::string& host, std::uint16_t port) {
  thread_ = std::thread{[this, host, port] { run(host, port); }};
}

bool OutgoingConnection::when_connected(Done done) {
  {
    const std::lock_guard lock{mutex_};
    if (state_ == State::ended) return false;
    if (state_ == State::connecting) {
      waiting_.push_back(std::move(done));
      return true;
    }
  }
  done({});
  return true;
}

bool OutgoingConnection::ended() const {
  const std::lock_guard lock{mutex_};
  return state_ == State::ended;
}

void OutgoingConnection::run(const std::string& host, std::uint16_t port) {
  const Status introduced = introduce(host, port);
  if (introduced) ++core_->connections;
  connected(introduced);
  if (introduced) {
    Status ended = link_->run(*this);
    --core_->connections;
    bool cut_short = false;
    {
      const std::lock_guard lock{mutex_};
      cut_short = port_.has_open_channels();
      state_ = State::ended;
      port_ = SendingPort{channel_window_bytes};
      senders_.clear();
    }
    if (ended && cut_short) ended = fail(ErrorCode::io, "it left while channels to it were open");
    if (!ended) core_->lost(peer_, ended.error());
  }
  finished_ = true;
  core_->connection_finished();
}

Status OutgoingConnection::introduce(const std::string& host, std::uint16_t port) {
  const auto deadline = std::chrono::steady_clock::now() + core_->settings.handshake_timeout;
  const auto left = [&] { return std::chrono::duration_cast<Duration>(deadline - std::chrono::steady_clock::now()); };
  auto socket = connect_tcp(host, port, left(), core_->closing);
  if (!socket) return fail(socket.error());
  const Handshake handshake{*this, socket->get()};
  Result<std::unique_ptr<ByteStream>> stream =
      core_->tls ? core_->tls->connect(std::move(*socket), host, left()) : make_plain_stream(std::move(*socket));
  if (!stream) return fail(stream.error());
  {
    const std::lock_guard lock{mutex_};
    link_ = std::make_shared<FrameLink>(std::move(*stream), core_->settings.silence_timeout);
  }
  const Buffer hello = encode_introduction({core_->settings.identity, peer_});
  if (auto status =
          link_->write({make_frame({FrameKind::hello, {}, 0, static_cast<std::uint32_t>(hello.size())}, hello)});
      !status) {
    return status;
  }
  while (!agreed_) {
    if (left() <= Duration{0} || core_->closing) return fail(ErrorCode::io, "it did not introduce itself in time");
    if (auto status = link_->read_once(*this, left()); !status) return status;
  }
  return {};
}

void OutgoingConnection::connected(const Status& status) {
  std::vector<Done> waiting;
  {
    const std::lock_guard lock{mutex_};
    state_ = status ? State::standing : State::ended;
    waiting.swap(waiting_);
  }
  const Status told = status ? status : Status{tl::unexpect, status.error().within("worker " + peer_)};
  for (const Done& done : waiting) done(told);
}

Status OutgoingConnection::open(WireChannel channel, const SchemaPtr& schema, ChannelEnd sender) {
  const std::lock_guard lock{mutex_};
  if (state_ != State::standing) {
    return fail(ErrorCode::invalid_argument, "there is no connection to worker " + peer_);
  }
  if (auto status = port_.open(channel, schema); !status) return status;
  senders_[channel] = std::move(sender);
  link_->wake();
  return {};
}

void OutgoingConnection::send(WireChannel channel, EncodedEnvelopePtr envelope) {
  const bool large = envelope->wire_size() >= large_bytes;
  {
    const std::lock_guard lock{mutex_};
    if (state_ != State::standing) return;
    if (auto status = port_.send(channel, std::move(envelope)); !status) {
      link_->fail(status.error());
      return;
    }
  }
  if (large) {
    link_->write_now(*this);
  } else {
    link_->wake();
  }
}

void OutgoingConnection::close(WireChannel channel) {
  const std::lock_guard lock{mutex_};
  if (state_ != State::standing) return;
  port_.close(channel);
  senders_.erase(channel);
  link_->wake();
}

std::size_t OutgoingConnection::queued_bytes() const {
  const std::lock_guard lock{mutex_};
  return port_.queued_bytes();
}

void OutgoingConnection::leave() {
  const std::lock_guard lock{mutex_};
  if (shaking_hands_ != nullptr) shaking_hands_->give_up();
  if (link_ == nullptr) return;
  if (state_ == State::standing) {
    link_->close();
  } else {
    link_->fail({ErrorCode::cancelled, "this worker is ending"});
  }
}

void OutgoingConnection::abandon() {
  const std::lock_guard lock{mutex_};
  if (shaking_hands_ != nullptr) shaking_hands_->give_up();
  if (link_ != nullptr) link_->fail({ErrorCode::cancelled, "this worker is ending"});
}

std::vector<OutgoingFrame> OutgoingConnection::take_frames() {
  const std::lock_guard lock{mutex_};
  return port_.take(write_bytes);
}

Result<PayloadMemory> OutgoingConnection::begin(const FrameHeader& header) {
  const bool fits = agreed_ ? header.kind == FrameKind::credit
                            : header.kind == FrameKind::welcome || header.kind == FrameKind::refusal;
  if (!fits) {
    return fail(ErrorCode::malformed_data,
                "it sent a frame of kind " + std::string{to_string(header.kind)} + " out of turn");
  }
  auto memory = core_->pool.take(header.length);
  return PayloadMemory{memory, memory.get()};
}

Status OutgoingConnection::end(const FrameHeader& header, Buffer payload) {
  if (!agreed_) return take_answer(header, payload);
  switch (header.kind) {
    case FrameKind::credit: return take_credit(header, payload);
    case FrameKind::ping: return {};
    case FrameKind::goodbye:
      link_->peer_leaves();
      link_->close();
      return {};
    default:
      return fail(ErrorCode::malformed_data,
                  "it sent a frame of kind " + std::string{to_string(header.kind)} + " out of turn");
  }
}

Status OutgoingConnection::take_answer(const FrameHeader& header, const Buffer& payload) {
  if (header.kind == FrameKind::refusal) {
    std::string reason;
    for (const std::byte b : payload.bytes()) {
      const char c = static_cast<char>(b);
      reason += c >= ' ' && c <= '~' ? c : '?';
    }
    return fail(ErrorCode::invalid_argument, "it refuses: " + reason);
  }
  if (header.kind != FrameKind::welcome) return fail(ErrorCode::malformed_data, "it did not introduce itself");
  const auto introduction = decode_introduction(payload.bytes());
  if (!introduction) return fail(introduction.error());
  if (auto status = check_introduction(*introduction, core_->settings.identity); !status) return status;
  if (introduction->identity.worker != peer_) {
    return fail(ErrorCode::invalid_argument, "another worker answers there");
  }
  agreed_ = true;
  return {};
}

Status OutgoingConnection::take_credit(const FrameHeader& header, const Buffer& payload) {
  std::uint64_t bytes = 0;
  if (payload.size() != sizeof(bytes)) return fail(ErrorCode::malformed_data, "a credit is cut off");
  std::memcpy(&bytes, payload.data(), sizeof(bytes));
  ChannelEnd sender;
  {
    const std::lock_guard lock{mutex_};
    const auto is_open = port_.credit(header.channel, bytes);
    if (!is_open) return fail(is_open.error());
    if (!*is_open) return {};
    sender = senders_[header.channel];
  }
  caf::anon_send(sender.actor, msg::Credit{sender.index, bytes});
  return {};
}

}  // namespace dataflow

#pragma once
// Workers with an exchange each, in one process over loopback, and a peer that speaks by hand and may lie.

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <optional>

#include <caf/all.hpp>

#include "actors/exchange/byte_stream.hpp"
#include "actors/exchange/exchange.hpp"
#include "actors/exchange/socket.hpp"
#include "actors/messages.hpp"
#include "libdataflow/exchange/frame_parser.hpp"
#include "libdataflow/exchange/handshake.hpp"
#include "libdataflow/exchange/sending_port.hpp"
#include "tests/support/batches.hpp"

namespace dataflow::testing_support {

/// Longer than anything takes on a busy machine; a test that waits for it fails.
inline constexpr std::chrono::seconds patience{20};

inline WireChannel channel_number(std::uint32_t edge, std::uint32_t attempt = 1) {
  return *wire_channel(attempt, {.edge = edge, .from_subtask = 0, .to_subtask = 0});
}

inline ExchangeIdentity identity_of(const WorkerId& worker) {
  return {.cluster = "test", .worker = worker, .leader_epoch = 7, .attempt_token = 4711};
}

/// Waits for things that another thread puts in.
template <class T>
class Inbox {
 public:
  void put(T item) {
    const std::lock_guard lock{mutex_};
    items_.push_back(std::move(item));
    changed_.notify_all();
  }
  std::optional<T> take(std::chrono::milliseconds within = patience) {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, within, [this] { return !items_.empty(); })) return std::nullopt;
    T item = std::move(items_.front());
    items_.pop_front();
    return item;
  }
  bool empty() {
    const std::lock_guard lock{mutex_};
    return items_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> items_;
};

struct Worker {
  explicit Worker(const WorkerId& id, const std::function<void(ExchangeSettings&)>& change = {}) : worker{id} {
    ExchangeSettings settings;
    settings.identity = identity_of(id);
    settings.on_peer_lost = [inbox = lost](const PeerLost& l) { inbox->put(l); };
    if (change) change(settings);
    auto listening = listen_exchange(std::move(settings));
    REQUIRE_MESSAGE(listening.has_value(), (listening ? "" : listening.error().message()));
    exchange = std::move(*listening);
  }

  Status connect(const Worker& peer, const std::string& host = "127.0.0.1") {
    return connect(peer.worker, peer.exchange->port(), host);
  }
  Status connect(const WorkerId& peer, std::uint16_t port, const std::string& host = "127.0.0.1") {
    auto done = std::make_shared<std::promise<Status>>();
    auto result = done->get_future();
    exchange->connect(peer, host, port, [done](const Status& status) { done->set_value(status); });
    if (result.wait_for(patience) != std::future_status::ready) return fail(ErrorCode::io, "connect did not return");
    return result.get();
  }

  WorkerId worker;
  std::shared_ptr<Inbox<PeerLost>> lost = std::make_shared<Inbox<PeerLost>>();
  std::unique_ptr<Exchange> exchange;
};

/// The next message of a kind that a scoped actor gets.
template <class Message>
std::optional<Message> next_message(caf::scoped_actor& self) {
  std::optional<Message> result;
  self->receive([&](const Message& m) { result = m; }, caf::after(patience) >> [] {});
  return result;
}

/// A scoped actor at the receiving end of channels.
class Receiver {
 public:
  explicit Receiver(caf::actor_system& system) : self_{system} {}

  [[nodiscard]] caf::actor actor() { return caf::actor_cast<caf::actor>(self_); }
  /// What came next, alone or together with others.
  std::optional<msg::Deliver> next() {
    if (came_.empty()) {
      self_->receive([&](const msg::Deliver& m) { came_.push_back(m); },
                     [&](const msg::DeliverAll& m) { came_.assign(m.deliveries.begin(), m.deliveries.end()); },
                     caf::after(patience) >> [] {});
    }
    if (came_.empty()) return std::nullopt;
    auto first = std::move(came_.front());
    came_.pop_front();
    return first;
  }

 private:
  caf::scoped_actor self_;
  std::deque<msg::Deliver> came_;
};

/// A peer made of a socket: writes what it is told and reads frames until the other side ends the stream.
class HandmadePeer final : private FrameSink {
 public:
  explicit HandmadePeer(std::uint16_t port) {
    auto socket = connect_tcp("127.0.0.1", port, patience);
    REQUIRE(socket.has_value());
    stream_ = make_plain_stream(std::move(*socket));
    stream_->set_timeouts(patience, patience);
  }

  void write(std::string_view bytes) {
    const std::array parts{std::as_bytes(std::span{bytes})};
    (void)stream_->write(parts);
  }
  void write(const OutgoingFrame& frame) {
    std::vector<ByteStream::Bytes> parts;
    frame.append_parts(parts);
    (void)stream_->write(parts);
  }
  void write(const std::vector<OutgoingFrame>& frames) {
    for (const OutgoingFrame& frame : frames) write(frame);
  }
  void hello(const ExchangeIdentity& identity, const WorkerId& to) {
    const Buffer words = encode_introduction({identity, to});
    write(make_frame({FrameKind::hello, {}, 0, static_cast<std::uint32_t>(words.size())}, words));
  }
  /// Reads until a frame of the kind has come; false when the stream ends before.
  bool read_until(FrameKind kind) {
    while (true) {
      for (; !kinds_.empty(); kinds_.pop_front()) {
        if (kinds_.front() == kind) {
          kinds_.pop_front();
          return true;
        }
      }
      const auto space = parser_.space();
      const auto got = stream_->read(space.payload, space.ahead);
      if (!got || *got == 0 || !parser_.filled(*got, *this)) return false;
    }
  }
  /// The other side has ended the connection, with or without a word.
  bool is_cut_off() { return !read_until(FrameKind::hello); }
  [[nodiscard]] const std::string& last_text() const { return last_text_; }
  void hang_up() { stream_.reset(); }

 private:
  Result<PayloadMemory> begin(const FrameHeader& header) override {
    std::shared_ptr<std::byte[]> memory{new std::byte[header.length]};
    return PayloadMemory{memory, memory.get()};
  }
  Status end(const FrameHeader& header, Buffer payload) override {
    kinds_.push_back(header.kind);
    last_text_.assign(payload.as<char>(), payload.size());
    return {};
  }

  std::unique_ptr<ByteStream> stream_;
  FrameParser parser_;
  std::deque<FrameKind> kinds_;
  std::string last_text_;
};

inline SchemaPtr numbers_schema() {
  static const SchemaPtr schema = make_schema({{"n", TypeKind::int64}, {"text", TypeKind::string}});
  return schema;
}

/// `rows` rows that count up from `first`, with a text of `text_bytes` each.
inline BatchPtr numbers(std::int64_t first, std::uint32_t rows, std::size_t text_bytes = 3) {
  BatchBuilder builder{numbers_schema(), rows};
  const std::string text(text_bytes, 'x');
  for (std::uint32_t i = 0; i < rows; ++i) {
    builder.column(0).append_int64(first + i);
    builder.column(1).append_text(text);
    builder.end_row();
  }
  return builder.finish();
}

}  // namespace dataflow::testing_support

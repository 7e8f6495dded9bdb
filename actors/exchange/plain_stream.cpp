// A blocking TCP socket as it is. What is waited for is whole: a large payload with MSG_WAITALL, which wakes the reader
// once; small pieces as they come, together with what lies behind them.

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "actors/exchange/byte_stream.hpp"

namespace dataflow {

namespace {

constexpr std::size_t most_parts = 256;  // of one system call; the kernel takes 1024
/// A payload from this size on is worth waiting for as a whole.
constexpr std::size_t wait_for_all_bytes = 32 * 1024;

timeval to_timeval(Duration duration) {
  timeval time{};
  time.tv_sec = duration.count() / 1'000'000;
  time.tv_usec = duration.count() % 1'000'000;
  return time;
}

class PlainStream final : public ByteStream {
 public:
  explicit PlainStream(Descriptor socket) : socket_{std::move(socket)}, address_{peer_address_of(socket_.get())} {}

  Result<std::size_t> read(std::span<std::byte> first, std::span<std::byte> second) override {
    const bool whole = first.size() >= wait_for_all_bytes;
    std::array<iovec, 2> parts{iovec{first.data(), first.size()}, iovec{second.data(), second.size()}};
    msghdr message{};
    message.msg_iov = first.empty() ? &parts[1] : parts.data();
    message.msg_iovlen = whole || first.empty() ? 1 : 2;
    while (true) {
      const ssize_t got = recvmsg(socket_.get(), &message, whole ? MSG_WAITALL : 0);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return fail(ErrorCode::io, "nothing was heard of it for " + to_text(read_timeout_));
      }
      return fail(ErrorCode::io, std::strerror(errno));
    }
  }

  Status write(std::span<const Bytes> parts) override {
    std::size_t offset = 0;  // into the first part that is left
    while (!parts.empty()) {
      const auto put = send_some(parts, offset, 0);
      if (!put) return fail(put.error());
      if (*put == 0) return fail(ErrorCode::io, "it took nothing for " + to_text(write_timeout_));
      parts = skip(parts, offset, *put);
    }
    return {};
  }

  Result<std::size_t> write_now(std::span<const Bytes> parts) override {
    std::size_t offset = 0;
    std::size_t written = 0;
    while (!parts.empty()) {
      const auto put = send_some(parts, offset, MSG_DONTWAIT);
      if (!put) return fail(put.error());
      if (*put == 0) break;
      written += *put;
      parts = skip(parts, offset, *put);
    }
    return written;
  }

  void set_timeouts(Duration read, Duration write) override {
    read_timeout_ = read;
    write_timeout_ = write;
    const timeval for_read = to_timeval(read);
    const timeval for_write = to_timeval(write);
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &for_read, sizeof(for_read));
    setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &for_write, sizeof(for_write));
  }

  void end_writing() override { shutdown(socket_.get(), SHUT_WR); }
  void shut_down() override { shutdown(socket_.get(), SHUT_RDWR); }
  [[nodiscard]] std::string peer_address() const override { return address_; }

 private:
  /// One system call for as many parts as it takes; 0 when it would wait, or waited for too long.
  Result<std::size_t> send_some(std::span<const Bytes> parts, std::size_t offset, int flags) {
    std::array<iovec, most_parts> some;
    const std::size_t count = std::min(parts.size(), most_parts);
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes part = parts[i].subspan(i == 0 ? offset : 0);
      some[i] = {const_cast<std::byte*>(part.data()), part.size()};
    }
    msghdr message{};
    message.msg_iov = some.data();
    message.msg_iovlen = count;
    while (true) {
      const ssize_t put = sendmsg(socket_.get(), &message, MSG_NOSIGNAL | flags);
      if (put >= 0) return static_cast<std::size_t>(put);
      if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
      if (errno != EINTR) return fail(ErrorCode::io, std::strerror(errno));
    }
  }

  /// The parts that are left after `count` bytes from `offset` in the first; `offset` is then that in the new first.
  static std::span<const Bytes> skip(std::span<const Bytes> parts, std::size_t& offset, std::size_t count) {
    offset += count;
    while (!parts.empty() && offset >= parts.front().size()) {
      offset -= parts.front().size();
      parts = parts.subspan(1);
    }
    return parts;
  }

  static std::string to_text(Duration duration) { return std::to_string(duration.count() / 1000) + " ms"; }

  Descriptor socket_;
  std::string address_;
  Duration read_timeout_{};
  Duration write_timeout_{};
};

}  // namespace

std::unique_ptr<ByteStream> make_plain_stream(Descriptor socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

}  // namespace dataflow

// A blocking TCP socket as it is. Small pieces are read as they come, together with what lies behind them. For the rest
// of a large payload the reader would be woken for each segment, MSG_WAITALL or not: where a core has to be woken for
// it, in a virtual machine above all, the sender spends more on that than on copying. So the kernel is asked to wake it
// when much has come (SO_RCVLOWAT), for a short time only: whether so much will come is not known, and what the kernel
// counts is what has not been read.

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "actors/exchange/byte_stream.hpp"

namespace dataflow {

namespace {

constexpr std::size_t most_parts = 256;  // of one system call; the kernel takes 1024
/// What is left of a payload is worth waiting for from this size on,
constexpr std::size_t large_read_bytes = 32 * 1024;
/// until so much has come, its end and what follows it, (`tools/bench exchange`, 256 KiB: 1.1 of plain TCP; with half
/// of this 0.8)
constexpr std::size_t worth_waking_bytes = 256 * 1024;
/// or for so long.
constexpr Duration longest_gathering{200};

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
    if (first.size() < large_read_bytes) {
      wake_from(1);
      return receive(first, second, 0);
    }
    if (auto got = receive(first, second, MSG_DONTWAIT); !got || *got > 0) return got;
    wake_from(worth_waking_bytes);
    wait_for(socket_.get(), Readiness::readable, longest_gathering);
    if (auto got = receive(first, second, MSG_DONTWAIT); !got || *got > 0) return got;
    wake_from(1);
    return receive(first, second, 0);
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
  /// One system call. 0 at the end of the stream, or when it would wait and must not.
  Result<std::size_t> receive(std::span<std::byte> first, std::span<std::byte> second, int flags) {
    std::array<iovec, 2> parts{iovec{first.data(), first.size()}, iovec{second.data(), second.size()}};
    msghdr message{};
    message.msg_iov = first.empty() ? &parts[1] : parts.data();
    message.msg_iovlen = first.empty() ? 1 : 2;
    while (true) {
      const ssize_t got = recvmsg(socket_.get(), &message, flags);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return fail(ErrorCode::io, std::strerror(errno));
      if ((flags & MSG_DONTWAIT) != 0) return 0;
      return fail(ErrorCode::io, "nothing was heard of it for " + to_text(read_timeout_));
    }
  }

  /// The kernel makes less of it where its buffers are smaller; that it could not be set costs speed only.
  void wake_from(std::size_t bytes) {
    if (std::exchange(wakes_from_, bytes) == bytes) return;
    const int value = static_cast<int>(bytes);
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
  }

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
  std::size_t wakes_from_ = 1;
  Duration read_timeout_{};
  Duration write_timeout_{};
};

}  // namespace

std::unique_ptr<ByteStream> make_plain_stream(Descriptor socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

}  // namespace dataflow

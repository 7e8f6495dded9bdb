#include "actors/cluster/control_tunnel.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace dataflow {

namespace {

/// Less than what a plain stream would wait for as a whole.
constexpr std::size_t piece_bytes = 16 * 1024;
/// Silence is judged by the actors at both ends.
constexpr Duration for_ever = std::chrono::hours{24 * 365};

/// False when the other end is no more.
bool send_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return true;
}

}  // namespace

ControlTunnel::ControlTunnel(std::unique_ptr<ByteStream> outside, Descriptor inside)
    : outside_{std::move(outside)}, inside_{std::move(inside)} {
  outside_->set_timeouts(for_ever, for_ever);
}

void ControlTunnel::run() {
  std::thread out{[this] { pass_out(); }};
  pass_in();
  out.join();
}

void ControlTunnel::end() {
  outside_->shut_down();
  shutdown(inside_.get(), SHUT_RDWR);
}

void ControlTunnel::pass_in() {
  std::array<std::byte, piece_bytes> piece;
  while (true) {
    const auto got = outside_->read(piece, {});
    if (!got || *got == 0 || !send_all(inside_.get(), std::span{piece}.first(*got))) break;
  }
  end();
}

void ControlTunnel::pass_out() {
  std::array<std::byte, piece_bytes> piece;
  while (true) {
    const ssize_t got = recv(inside_.get(), piece.data(), piece.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    const std::array<ByteStream::Bytes, 1> parts{ByteStream::Bytes{piece.data(), static_cast<std::size_t>(got)}};
    if (!outside_->write(parts)) break;
  }
  end();
}

}  // namespace dataflow

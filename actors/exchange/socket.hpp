#pragma once
// TCP sockets: descriptors that close themselves, listening, connecting with a deadline.

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "serialization/result.hpp"
#include "serialization/time.hpp"

namespace dataflow {

/// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_{fd} {}
  Descriptor(Descriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  [[nodiscard]] int get() const { return fd_; }
  /// It is the caller's to close from now on.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// Whether everything that `host` means is on this machine only. Errors: invalid_argument when it means nothing.
Result<bool> is_loopback(const std::string& host);

/// Whether `host` is an address that means all of a machine's own, "0.0.0.0" or "::" however they are written: good to
/// listen at, and none under which another machine reaches this one.
bool is_any_address(const std::string& host);

struct ListeningSocket {
  Descriptor socket;
  std::uint16_t port = 0;
};
/// Errors: io, invalid_argument for a host that means nothing.
Result<ListeningSocket> listen_tcp(const std::string& host, std::uint16_t port);

/// A connected, blocking socket that sends small pieces at once. Errors: io; cancelled soon after `give_up` has become
/// true.
Result<Descriptor> connect_tcp(const std::string& host, std::uint16_t port, Duration deadline,
                               const std::atomic<bool>& give_up);
Result<Descriptor> connect_tcp(const std::string& host, std::uint16_t port, Duration deadline);
/// The next connection of a listening socket, set up like connect_tcp's.
Result<Descriptor> accept_tcp(const Descriptor& listening);

/// "10.0.0.2:40123" of the other end; "?" when it has gone.
std::string peer_address_of(int fd);

/// Waits until `fd` can be read from (or written to): false when that took longer than `timeout`.
enum class Readiness : std::uint8_t { readable, writable };
bool wait_for(int fd, Readiness readiness, Duration timeout);

}  // namespace dataflow

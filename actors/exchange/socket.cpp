#include "actors/exchange/socket.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

namespace dataflow {

namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Result<AddressList> resolve(const std::string& host, std::uint16_t port, bool to_listen) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = to_listen ? AI_PASSIVE : 0;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return fail(ErrorCode::invalid_argument, "the host \"" + host + "\" is unknown: " + gai_strerror(error));
  }
  return AddressList{found, &freeaddrinfo};
}

bool is_loopback(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  if (address.sa_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
  }
  return false;
}

std::string at(const std::string& host, std::uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

void set_option(int fd, int level, int name, int value) {
  // What cannot be set costs speed, never correctness.
  (void)setsockopt(fd, level, name, &value, sizeof(value));
}

void make_blocking(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

/// How often who waits looks whether it is still wanted.
constexpr Duration look_interval = std::chrono::milliseconds{50};

/// 0, or the errno of why not.
int connect_one(int fd, const addrinfo& address, Duration deadline, const std::atomic<bool>& give_up) {
  if (connect(fd, address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  for (Duration left = deadline; !wait_for(fd, Readiness::writable, std::min(left, look_interval));) {
    left -= look_interval;
    if (give_up) return ECANCELED;
    if (left <= Duration{0}) return ETIMEDOUT;
  }
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

Result<bool> is_loopback(const std::string& host) {
  const auto addresses = resolve(host, 0, true);
  if (!addresses) return fail(addresses.error());
  for (const addrinfo* a = addresses->get(); a != nullptr; a = a->ai_next) {
    if (!is_loopback(*a->ai_addr)) return false;
  }
  return true;
}

bool is_any_address(const std::string& host) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return false;
  const AddressList address{found, &freeaddrinfo};
  if (found->ai_family == AF_INET) {
    return reinterpret_cast<const sockaddr_in&>(*found->ai_addr).sin_addr.s_addr == htonl(INADDR_ANY);
  }
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(*found->ai_addr).sin6_addr;
  constexpr std::size_t v4_at = 12;  // of an IPv4 address in an IPv6 one
  return IN6_IS_ADDR_UNSPECIFIED(&v6) ||
         (IN6_IS_ADDR_V4MAPPED(&v6) &&
          std::all_of(v6.s6_addr + v4_at, v6.s6_addr + sizeof(v6), [](std::uint8_t byte) { return byte == 0; }));
}

Result<ListeningSocket> listen_tcp(const std::string& host, std::uint16_t port) {
  const auto addresses = resolve(host, port, true);
  if (!addresses) return fail(addresses.error());
  const addrinfo& address = **addresses;
  Descriptor fd{socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (!fd.valid() || bind(fd.get(), address.ai_addr, address.ai_addrlen) != 0 || listen(fd.get(), 128) != 0) {
    return fail(ErrorCode::io, "cannot listen on " + at(host, port) + ": " + std::strerror(errno));
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return fail(ErrorCode::io, "cannot listen on " + at(host, port) + ": " + std::strerror(errno));
  }
  const std::uint16_t number = bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                                                           : reinterpret_cast<sockaddr_in&>(bound).sin_port;
  return ListeningSocket{std::move(fd), ntohs(number)};
}

Result<Descriptor> connect_tcp(const std::string& host, std::uint16_t port, Duration deadline,
                               const std::atomic<bool>& give_up) {
  const auto addresses = resolve(host, port, false);
  if (!addresses) return fail(addresses.error());
  int error = 0;
  for (const addrinfo* a = addresses->get(); a != nullptr; a = a->ai_next) {
    Descriptor fd{socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!fd.valid()) return fail(ErrorCode::io, std::string{"cannot make a socket: "} + std::strerror(errno));
    error = connect_one(fd.get(), *a, deadline, give_up);
    if (error == ECANCELED) return fail(ErrorCode::cancelled, "nobody wants the connection any more");
    if (error != 0) continue;
    make_blocking(fd.get());
    set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    return fd;
  }
  return fail(ErrorCode::io, "cannot connect to " + at(host, port) + ": " + std::strerror(error));
}

Result<Descriptor> connect_tcp(const std::string& host, std::uint16_t port, Duration deadline) {
  const std::atomic<bool> never{false};
  return connect_tcp(host, port, deadline, never);
}

Result<Descriptor> accept_tcp(const Descriptor& listening) {
  Descriptor fd{accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  if (!fd.valid()) return fail(ErrorCode::io, std::string{"cannot accept a connection: "} + std::strerror(errno));
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}

std::string peer_address_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  char host[NI_MAXHOST];
  char service[NI_MAXSERV];
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&address), size, host, sizeof(host), service, sizeof(service),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?";
  }
  return std::string{host} + ":" + service;
}

bool wait_for(int fd, Readiness readiness, Duration timeout) {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + timeout;
  while (true) {
    const std::int64_t left = std::max<std::int64_t>(0, std::chrono::ceil<Duration>(until - Clock::now()).count());
    pollfd watched{fd, static_cast<short>(readiness == Readiness::readable ? POLLIN : POLLOUT), 0};
    const timespec time{left / 1'000'000, left % 1'000'000 * 1000};
    const int ready = ppoll(&watched, 1, &time, nullptr);
    if (ready > 0) return true;
    if (ready == 0 && left <= 0) return false;
    if (ready < 0 && errno != EINTR) return true;  // the read or write that follows says what is wrong
  }
}

}  // namespace dataflow

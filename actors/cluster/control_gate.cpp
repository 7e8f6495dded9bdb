#include "actors/cluster/control_gate.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <system_error>

#include "actors/wire/cluster_messages.hpp"

namespace dataflow {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view greeting = "dataflow-control ";
constexpr std::string_view welcome = "welcome";
constexpr std::string_view refusal = "refused ";
/// Connecting, TLS and the introduction together.
constexpr Duration introduction_deadline = std::chrono::seconds{5};
constexpr std::size_t longest_line = 512;
/// Connections that have not introduced themselves.
constexpr std::ptrdiff_t most_strangers = 128;
constexpr int pause_after_error_ms = 100;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

Status write_line(ByteStream& stream, std::string line) {
  line += '\n';
  const std::array<ByteStream::Bytes, 1> parts{bytes_of(line)};
  return stream.write(parts);
}

/// Up to the end of a line and not a byte further, since what follows is BASP's.
Result<std::string> read_line(ByteStream& stream, Clock::time_point deadline) {
  std::string line;
  while (line.size() < longest_line) {
    const auto left = std::chrono::duration_cast<Duration>(deadline - Clock::now());
    if (left <= Duration{0}) return fail(ErrorCode::io, "it did not introduce itself in time");
    stream.set_timeouts(left, left);
    std::byte byte{};
    const auto got = stream.read({&byte, 1}, {});
    if (!got) return fail(got.error());
    if (*got == 0) return fail(ErrorCode::io, "it hung up before it had introduced itself");
    if (byte == std::byte{'\n'}) return line;
    line += static_cast<char>(byte);
    if (line.size() <= greeting.size() && !greeting.starts_with(line) && !welcome.starts_with(line) &&
        !refusal.starts_with(line) && !line.starts_with(welcome) && !line.starts_with(refusal)) {
      return fail(ErrorCode::malformed_data, "it does not speak this protocol");
    }
  }
  return fail(ErrorCode::malformed_data, "it does not speak this protocol");
}

/// Errors: invalid_argument, for whoever said that line.
Status judge(std::string_view line, const std::string& cluster) {
  if (!line.starts_with(greeting)) return fail(ErrorCode::malformed_data, "it does not speak this protocol");
  line.remove_prefix(greeting.size());
  std::uint32_t version = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), version);
  if (error != std::errc{} || end == line.data() + line.size() || *end != ' ')
    return fail(ErrorCode::malformed_data, "it does not speak this protocol");
  if (version != msg::protocol_version) {
    return fail(ErrorCode::invalid_argument, "this process speaks protocol " + std::to_string(msg::protocol_version) +
                                                 ", and who calls speaks " + std::to_string(version) +
                                                 ": use the same version of dfnode everywhere");
  }
  const std::string_view theirs{end + 1, static_cast<std::size_t>(line.data() + line.size() - end - 1)};
  if (theirs == cluster) return {};
  return fail(ErrorCode::invalid_argument,
              "this is a process of the cluster \"" + cluster + "\", not of \"" + std::string{theirs} + "\"");
}

/// Connections over which nothing is said are found out to be dead, so that their threads end.
void watch_for_death(int fd) {
  const auto set = [fd](int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof(value)); };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 10);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 30'000);
}

/// That one side speaks TLS and the other does not is seen only by how the conversation ends.
Error doubt_tls(const Error& error, bool is_used_here) {
  if (error.message().find("certificate") != std::string::npos) return error;
  const std::string hint = is_used_here ? "; does it speak TLS? Without, leave out --tls-ca, --tls-cert and --tls-key"
                                        : "; does it expect TLS? Then give --tls-ca, --tls-cert and --tls-key";
  return {error.code(), error.message() + hint};
}

/// Under a name that the kernel chooses, in no folder; empty: it failed.
std::string listen_inside(int fd) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  auto* const as_address = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  const bool listening = bind(fd, as_address, sizeof(sa_family_t)) == 0 && ::listen(fd, SOMAXCONN) == 0 &&
                         getsockname(fd, as_address, &size) == 0;
  return listening ? std::string{address.sun_path, size - offsetof(sockaddr_un, sun_path)} : std::string{};
}

sockaddr_un inside_address(const std::string& name, socklen_t& size) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  return address;
}

}  // namespace

Result<std::shared_ptr<ControlGate>> ControlGate::make(ControlSettings settings) {
  std::shared_ptr<ControlGate> gate{new ControlGate(std::move(settings))};
  if (gate->settings_.tls) {
    auto tls = TlsContext::load(*gate->settings_.tls);
    if (!tls) return fail(tls.error());
    gate->tls_ = std::move(*tls);
  }
  return gate;
}

ControlGate::~ControlGate() {
  closing_ = true;
  const std::uint64_t one = 1;
  if (thread_.joinable()) {
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
    thread_.join();
  }
  end_all();
}

void ControlGate::end_all() {
  std::list<std::shared_ptr<Passage>> passages;
  {
    const std::lock_guard lock{mutex_};
    passages.swap(passages_);
    for (const auto& passage : passages) {
      if (passage->tunnel) passage->tunnel->end();
    }
  }
  for (const auto& passage : passages) passage->thread.join();
}

Result<Descriptor> ControlGate::listen(Endpoint& at) {
  if (!settings_.tls && !settings_.insecure) {
    const auto loopback = is_loopback(at.host);
    if (!loopback) return fail(loopback.error());
    if (!*loopback) {
      return fail(ErrorCode::invalid_argument,
                  at.text() +
                      " can be reached from other machines, and whoever reaches it may run programs here: give "
                      "certificates (`dfnode certs` makes them), or say --insecure in a network of your own");
    }
  }
  auto listening = listen_tcp(at.host, at.port);
  if (!listening) return fail(listening.error());
  listening_ = std::move(*listening);
  at.port = listening_.port;
  Descriptor inside{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  wake_ = Descriptor{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  inside_name_ = listen_inside(inside.get());
  if (!wake_.valid() || inside_name_.empty())
    return fail(ErrorCode::io, std::string{"cannot make a socket: "} + std::strerror(errno));
  thread_ = std::thread{[this] { serve(); }};
  return inside;
}

void ControlGate::serve() {
  bool paused = false;
  while (!closing_) {
    std::array<pollfd, 2> watched{pollfd{wake_.get(), POLLIN, 0}, pollfd{listening_.socket.get(), POLLIN, 0}};
    if (poll(watched.data(), paused ? 1 : 2, paused ? pause_after_error_ms : -1) < 0) continue;
    paused = false;
    if (watched[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t got = read(wake_.get(), &count, sizeof(count));
      join_finished();
    }
    if (watched[1].revents == 0 || closing_) continue;
    try {
      auto socket = accept_tcp(listening_.socket);
      if (socket) {
        admit(std::move(*socket));
      } else {
        paused = true;
      }
    } catch (const std::system_error&) {
      paused = true;  // no thread to be had: the connection is closed, and others may end meanwhile
    }
  }
}

void ControlGate::admit(Descriptor socket) {
  const std::lock_guard lock{mutex_};
  const auto strangers =
      std::count_if(passages_.begin(), passages_.end(), [](const auto& p) { return !p->introduced && !p->finished; });
  if (strangers >= most_strangers) {
    refusals_.refused(peer_address_of(socket.get()), "too many connections that do not introduce themselves");
    return;
  }
  auto passage = std::make_shared<Passage>();
  passage->thread = std::thread{[this, passage = passage.get(), fd = std::make_shared<Descriptor>(std::move(socket))] {
    auto stream = introduce(std::move(*fd));
    if (stream) {
      Descriptor inside{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
      socklen_t size = 0;
      const sockaddr_un address = inside_address(inside_name_, size);
      if (inside.valid() && ::connect(inside.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0)
        pass(*passage, std::move(*stream), std::move(inside));
    }
    passage->finished = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
  }};
  passages_.push_back(std::move(passage));
}

Result<std::unique_ptr<ByteStream>> ControlGate::introduce(Descriptor socket) {
  const std::string address = peer_address_of(socket.get());
  const auto deadline = Clock::now() + introduction_deadline;
  watch_for_death(socket.get());
  Result<std::unique_ptr<ByteStream>> stream =
      tls_ ? tls_->accept(std::move(socket), introduction_deadline) : make_plain_stream(std::move(socket));
  if (!stream) {
    refusals_.refused(address, stream.error().message());
    return stream;
  }
  const auto line = read_line(**stream, deadline);
  const Status judged = line ? judge(*line, settings_.cluster) : fail(line.error());
  if (judged) {
    if (Status told = write_line(**stream, std::string{welcome}); !told) return fail(told.error());
    return stream;
  }
  refusals_.refused(address, judged.error().message());
  if (judged.error().code() == ErrorCode::invalid_argument)
    static_cast<void>(write_line(**stream, std::string{refusal} + judged.error().message()));
  return fail(judged.error());
}

void ControlGate::pass(Passage& passage, std::unique_ptr<ByteStream> stream, Descriptor inside) {
  auto tunnel = std::make_shared<ControlTunnel>(std::move(stream), std::move(inside));
  {
    const std::lock_guard lock{mutex_};
    if (closing_) return;
    passage.tunnel = tunnel;
    passage.introduced = true;
  }
  tunnel->run();
}

void ControlGate::join_finished() {
  const std::lock_guard lock{mutex_};
  std::erase_if(passages_, [](const auto& passage) {
    if (!passage->finished) return false;
    passage->thread.join();
    return true;
  });
}

Result<Descriptor> ControlGate::connect(const Endpoint& to) {
  const auto deadline = Clock::now() + introduction_deadline;
  auto socket = connect_tcp(to.host, to.port, introduction_deadline, closing_);
  if (!socket) return fail(socket.error());
  watch_for_death(socket->get());
  const auto here = [&](const Error& error) { return fail(error.within(to.text())); };
  Result<std::unique_ptr<ByteStream>> stream =
      tls_ ? tls_->connect(std::move(*socket), to.host, introduction_deadline) : make_plain_stream(std::move(*socket));
  if (!stream) return here(tls_ ? doubt_tls(stream.error(), true) : stream.error());
  (*stream)->set_timeouts(introduction_deadline, introduction_deadline);
  const std::string line = std::string{greeting} + std::to_string(msg::protocol_version) + " " + settings_.cluster;
  if (Status told = write_line(**stream, line); !told) return here(told.error());
  const auto answer = read_line(**stream, deadline);
  if (!answer) return here(tls_ ? answer.error() : doubt_tls(answer.error(), false));
  if (*answer != welcome) {
    const bool says_why = answer->starts_with(refusal);
    return here(
        {ErrorCode::invalid_argument, says_why ? answer->substr(refusal.size()) : "it is no part of a cluster"});
  }
  std::array<int, 2> ends{-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail(ErrorCode::io, std::string{"cannot make a socket: "} + std::strerror(errno));
  Descriptor mine{ends[0]};
  Descriptor theirs{ends[1]};
  join_finished();
  const std::lock_guard lock{mutex_};
  auto passage = std::make_shared<Passage>();
  passage->introduced = true;
  passage->tunnel = std::make_shared<ControlTunnel>(std::move(*stream), std::move(mine));
  passage->thread = std::thread{[passage = passage.get()] {
    passage->tunnel->run();
    passage->finished = true;
  }};
  passages_.push_back(std::move(passage));
  return theirs;
}

}  // namespace dataflow

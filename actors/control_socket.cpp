#include "actors/control_socket.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <nlohmann/json.hpp>

#include "libdataflow/checkpoint/storage.hpp"

namespace dataflow {

namespace {

constexpr std::size_t max_line_bytes = 1 << 20;
/// A client that connects has to say what it wants within this.
constexpr Duration request_deadline = std::chrono::seconds{1};

std::filesystem::path socket_folder() {
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime != 0) {
    return std::filesystem::path{runtime} / "dataflow";
  }
  return "/tmp/dataflow-" + std::to_string(getuid());
}

std::string system_error(std::string_view what, const std::filesystem::path& path) {
  return std::string{what} + " " + path.string() + ": " + std::strerror(errno);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_{fd} {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Result<sockaddr_un> address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof(address.sun_path)) {
    return fail(ErrorCode::invalid_argument, "the socket's path " + text + " is too long; give the job a shorter name");
  }
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  return address;
}

void set_deadline(int fd, Duration deadline) {
  timeval time{};
  time.tv_sec = deadline.count() / 1'000'000;
  time.tv_usec = deadline.count() % 1'000'000;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

Result<std::string> read_line(int fd) {
  std::string line;
  std::array<char, 4096> piece{};
  while (line.size() < max_line_bytes) {
    const ssize_t got = recv(fd, piece.data(), piece.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const bool late = errno == EAGAIN || errno == EWOULDBLOCK;
      return fail(ErrorCode::io, late ? std::string{"no answer in time"} : std::string{std::strerror(errno)});
    }
    if (got == 0) return fail(ErrorCode::io, "the other side hung up");
    line.append(piece.data(), static_cast<std::size_t>(got));
    if (line.back() == '\n') return line;
  }
  return fail(ErrorCode::io, "the line is longer than a mebibyte");
}

Status write_line(int fd, std::string line) {
  line += '\n';
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t put = ::send(fd, line.data() + done, line.size() - done, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail(ErrorCode::io, std::strerror(errno));
    done += static_cast<std::size_t>(put);
  }
  return {};
}

/// In the order of ControlRequest::Kind.
constexpr std::array<std::string_view, 6> kind_names{"send", "ask", "stop", "savepoint", "checkpoints", "show"};

/// Errors: invalid_argument when what somebody wants to say is not UTF-8.
Result<std::string> encode_request(const ControlRequest& request) {
  nlohmann::json json{{"version", 1},
                      {"kind", kind_names[static_cast<std::size_t>(request.kind)]},
                      {"operator", request.node},
                      {"name", request.name},
                      {"json", request.json},
                      {"key", request.key_json}};
  try {
    return json.dump();
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorCode::invalid_argument, "what is sent to a job must be UTF-8");
  }
}

Result<ControlRequest> decode_request(std::string_view line) {
  const auto json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object() || json.value("version", 0) != 1) {
    return fail(ErrorCode::malformed_data, "not a request of protocol version 1");
  }
  try {
    const std::string kind = json.at("kind");
    const auto known = std::find(kind_names.begin(), kind_names.end(), kind);
    if (known == kind_names.end()) return fail(ErrorCode::malformed_data, "unknown kind of request: " + kind);
    return ControlRequest{.kind = static_cast<ControlRequest::Kind>(known - kind_names.begin()),
                          .node = json.at("operator"),
                          .name = json.at("name"),
                          .json = json.at("json"),
                          .key_json = json.at("key")};
  } catch (const nlohmann::json::exception& e) {
    return fail(ErrorCode::malformed_data, std::string{"not a request: "} + e.what());
  }
}

/// The sockets of jobs called `job`, or of the one whose file is called so; of all jobs when `job` is empty.
std::vector<std::filesystem::path> find_sockets(std::string_view job) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator{socket_folder(), error}) {
    if (entry.path().extension() != ".sock") continue;
    const std::string stem = entry.path().stem();
    const std::string name = stem.substr(0, stem.rfind('-'));
    if (job.empty() || stem == job || name == escape_key(job)) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<int> connect_to(const std::filesystem::path& path) {
  const auto address = address_of(path);
  if (!address) return fail(address.error());
  Descriptor fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (fd.get() < 0) return fail(ErrorCode::io, system_error("cannot make a socket for", path));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0) {
    if (errno == ECONNREFUSED) unlink(path.c_str());  // its process was killed: nobody will listen there again
    return fail(ErrorCode::io, system_error("cannot connect to", path));
  }
  return fd.release();
}

ErrorCode code_of(std::string_view name) {
  for (const ErrorCode code :
       {ErrorCode::invalid_argument, ErrorCode::not_found, ErrorCode::malformed_data, ErrorCode::arithmetic,
        ErrorCode::user_code, ErrorCode::unsupported, ErrorCode::unavailable}) {
    if (to_string(code) == name) return code;
  }
  return ErrorCode::io;
}

Result<std::string> call(int fd, const ControlRequest& request) {
  auto line_to_send = encode_request(request);
  if (!line_to_send) return fail(line_to_send.error());
  if (auto status = write_line(fd, std::move(*line_to_send)); !status) return fail(status.error());
  const auto line = read_line(fd);
  if (!line) return fail(line.error());
  const auto json = nlohmann::json::parse(*line, nullptr, false);
  if (!json.is_object()) return fail(ErrorCode::io, "the job answered something that is no JSON object");
  if (json.contains("error")) return fail(code_of(json.value("code", "")), json.value("error", ""));
  return json.value("answer", std::string{});
}

}  // namespace

std::filesystem::path control_socket_path(std::string_view job_name) {
  return socket_folder() / (escape_key(job_name) + "-" + std::to_string(getpid()) + ".sock");
}

Result<std::unique_ptr<ControlSocket>> ControlSocket::listen(std::string_view job_name, Handler handler) {
  const auto path = control_socket_path(job_name);
  const auto folder = path.parent_path();
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(ErrorCode::io, system_error("cannot make the folder", folder));
  }
  struct stat info {};
  if (lstat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != getuid() ||
      (info.st_mode & 077) != 0) {
    return fail(ErrorCode::io, "the folder " + folder.string() + " is not this user's alone; remove it");
  }
  const auto address = address_of(path);
  if (!address) return fail(address.error());
  Descriptor fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  unlink(path.c_str());  // of an earlier process with our number
  if (fd.get() < 0 || bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0 ||
      ::listen(fd.get(), 16) != 0) {
    return fail(ErrorCode::io, system_error("cannot listen at", path));
  }
  Descriptor wake{eventfd(0, EFD_CLOEXEC)};
  if (wake.get() < 0) return fail(ErrorCode::io, system_error("cannot make an eventfd for", path));
  return std::unique_ptr<ControlSocket>(new ControlSocket(fd.release(), wake.release(), path, std::move(handler)));
}

ControlSocket::ControlSocket(int listening, int wake, std::filesystem::path path, Handler handler)
    : listening_{listening}, wake_{wake}, path_{std::move(path)}, handler_{std::move(handler)}, thread_{[this] {
        serve();
      }} {}

ControlSocket::~ControlSocket() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
  thread_.join();
  close(listening_);
  close(wake_);
  unlink(path_.c_str());
}

void ControlSocket::serve() {
  while (true) {
    std::array<pollfd, 2> watched{pollfd{listening_, POLLIN, 0}, pollfd{wake_, POLLIN, 0}};
    if (poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) return;
    if (watched[1].revents != 0) return;
    if (watched[0].revents == 0) continue;
    const Descriptor connection{accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC)};
    if (connection.get() >= 0) answer(connection.get());
  }
}

void ControlSocket::answer(int connection) {
  set_deadline(connection, request_deadline);
  const auto line = read_line(connection);
  if (!line) return;
  const auto request = decode_request(*line);
  const Result<std::string> result = request ? handler_(*request) : Result<std::string>{tl::unexpect, request.error()};
  const nlohmann::json json =
      result ? nlohmann::json{{"answer", *result}}
             : nlohmann::json{{"error", result.error().message()}, {"code", to_string(result.error().code())}};
  // A client that has gone does not read its answer; nobody else misses it.
  (void)write_line(connection, json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

Result<std::string> call_local_job(std::string_view job, const ControlRequest& request, Duration timeout,
                                   bool* answered) {
  struct Live {
    std::string name;
    std::unique_ptr<Descriptor> connection;
  };
  std::vector<Live> live;
  for (const auto& path : find_sockets(job)) {
    // One that cannot be connected to was left behind by a process that was killed.
    if (const auto fd = connect_to(path)) live.push_back({path.stem(), std::make_unique<Descriptor>(*fd)});
  }
  if (live.size() == 1) {
    set_deadline(live.front().connection->get(), timeout);
    auto answer = call(live.front().connection->get(), request);
    const bool silent = !answer && answer.error().code() == ErrorCode::io;
    if (answered != nullptr) *answered = !silent;
    return answer;
  }
  if (live.size() > 1) {
    std::string message = "several jobs called \"" + std::string{job} + "\" run here; name one of:";
    for (const Live& one : live) message += " " + one.name;
    return fail(ErrorCode::invalid_argument, message);
  }
  std::string others;
  for (const auto& path : find_sockets("")) {
    const auto fd = connect_to(path);
    if (!fd) continue;
    close(*fd);
    others += " " + path.stem().string();
  }
  return fail(ErrorCode::not_found, "no job \"" + std::string{job} + "\" runs on this machine" +
                                        (others.empty() ? "" : "; these do:" + others));
}

}  // namespace dataflow

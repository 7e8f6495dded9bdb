#include "libdataflow/artifact/child_answer.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace dataflow {

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void be_child(const std::function<void(int)>& work, int answer) {
  const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nowhere, stream);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(crash, SIG_DFL);
  work(answer);
  ::_exit(0);
}

/// What the child says until it ends; false when it has not ended in time.
bool read_answer(int descriptor, Clock::time_point end, std::size_t most_bytes, std::string& said) {
  while (said.size() < most_bytes) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    pollfd watched{descriptor, POLLIN, 0};
    const int ready = left.count() <= 0 ? 0 : ::poll(&watched, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    char piece[512];
    const ssize_t got = ::read(descriptor, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    said.append(piece, static_cast<std::size_t>(got));
  }
  return true;
}

tl::unexpected<Error> cannot_ask(int reason) {
  return fail(ErrorCode::io, std::string{"cannot be tried in a process of its own: "} + std::strerror(reason));
}

}  // namespace

Result<ChildAnswer> ask_child(const std::function<void(int)>& work, std::chrono::seconds deadline,
                              std::size_t most_bytes) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return cannot_ask(errno);
  const pid_t child = ::fork();
  if (child == 0) be_child(work, ends[1]);
  const int reason = errno;
  ::close(ends[1]);
  if (child < 0) {
    ::close(ends[0]);
    return cannot_ask(reason);
  }
  ChildAnswer answer;
  answer.ended = read_answer(ends[0], Clock::now() + deadline, most_bytes, answer.said);
  ::close(ends[0]);
  if (!answer.ended) ::kill(child, SIGKILL);
  while (::waitpid(child, &answer.wait_status, 0) < 0 && errno == EINTR) {
  }
  return answer;
}

}  // namespace dataflow

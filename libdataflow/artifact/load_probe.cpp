#include "libdataflow/artifact/load_probe.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>

#include "dataflow/rows.hpp"

namespace dataflow {

namespace {

constexpr std::chrono::seconds deadline{10};
constexpr std::size_t longest_report = 4096;

int report_descriptor = -1;  // of the child; its terminate handler takes no argument

[[noreturn]] void report_exception_and_exit() {
  std::string text;
  if (std::current_exception()) {
    text = error_of_current_exception("in a static initialiser").message();
  } else {
    text = "its static initialisers called std::terminate";
  }
  [[maybe_unused]] const ssize_t written = ::write(report_descriptor, text.data(), text.size());
  ::_exit(1);
}

/// Ends with 0 when the library was loaded, or was refused in an orderly way.
[[noreturn]] void load_in_child(const std::string& path, int report) {
  report_descriptor = report;
  // Whatever the initialisers print comes when the library is loaded in earnest; a crash here leaves no core.
  const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nowhere, stream);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(crash, SIG_DFL);
  std::set_terminate(report_exception_and_exit);
  // dlopen is declared to throw nothing, so that around a direct call the compiler leaves out what catches.
  void* (*volatile load)(const char*, int) = ::dlopen;
  try {
    load(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  } catch (...) {
    report_exception_and_exit();
  }
  ::_exit(0);
}

/// What the child says until it ends; false when it has not ended in time.
bool read_report(int descriptor, std::string& text) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (text.size() < longest_report) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd watched{descriptor, POLLIN, 0};
    const int ready = left.count() <= 0 ? 0 : ::poll(&watched, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    char piece[512];
    const ssize_t got = ::read(descriptor, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    text.append(piece, static_cast<std::size_t>(got));
  }
  return true;
}

std::string signal_name(int number) {
  const char* const name = ::sigabbrev_np(number);
  return name != nullptr ? "SIG" + std::string{name} : "signal " + std::to_string(number);
}

tl::unexpected<Error> cannot_probe(int reason) {
  return fail(ErrorCode::io, std::string{"cannot be tried in a process of its own: "} + std::strerror(reason));
}

}  // namespace

Status probe_library(const std::string& path) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return cannot_probe(errno);
  const pid_t child = ::fork();
  if (child == 0) load_in_child(path, ends[1]);
  const int reason = errno;
  ::close(ends[1]);
  if (child < 0) {
    ::close(ends[0]);
    return cannot_probe(reason);
  }
  std::string report;
  const bool ended = read_report(ends[0], report);
  ::close(ends[0]);
  if (!ended) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) {
    return fail(ErrorCode::io, "has been loading for ten seconds without an end: see what its static initialisers do");
  }
  if (WIFSIGNALED(status)) {
    return fail(ErrorCode::invalid_argument, "crashed while it was being loaded: " + signal_name(WTERMSIG(status)) +
                                                 "; see what its static initialisers do");
  }
  if (!report.empty()) return fail(ErrorCode::invalid_argument, "cannot be loaded: " + report);
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
    return fail(ErrorCode::invalid_argument, "ended the process while it was being loaded, with exit code " +
                                                 std::to_string(WEXITSTATUS(status)) +
                                                 "; see what its static initialisers do");
  }
  return {};
}

}  // namespace dataflow

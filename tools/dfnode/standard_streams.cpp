#include "tools/dfnode/standard_streams.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "tools/dfnode/command.hpp"

namespace dataflow::cli {

namespace {

/// Whether standard output is a pipe or socket that nobody reads any more.
bool reader_has_left() {
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

}  // namespace

void prepare_standard_streams() {
  // open(2) takes the lowest free number. Opened the wrong way round, a use of them is the error that it would be.
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(number, F_GETFD) < 0) ::open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
  // Tied, a message would first flush standard output, and wait for a sink that waits for its reader.
  std::cerr.tie(nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

int finish_standard_output(int code) {
  errno = 0;
  std::cout.flush();
  std::fflush(stdout);
  const int reason = errno;
  if (code != exit_done || (std::cout.good() && std::ferror(stdout) == 0)) return code;
  if (reader_has_left()) return exit_output_closed;
  std::cerr << "error: cannot write to standard output"
            << (reason != 0 ? std::string{": "} + std::strerror(reason) : std::string{})
            << "; check where it is redirected to\n";
  return exit_failed;
}

}  // namespace dataflow::cli

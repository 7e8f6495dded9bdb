#pragma once
// Says whose code it was when a user's native code crashes where nothing can be saved: a job's function runs in the
// process that loads it, and a segmentation fault there would end it without a word.

#include <array>
#include <csignal>
#include <string>

namespace dataflow {

/// While it lives, a crash of this process (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT) writes `error: WHAT: SIGSEGV` to
/// standard error and ends the process with exit code 2: the file is wrong. One at a time, while there is one thread.
/// A process that handles these signals otherwise has more to tell, and goes on to do so.
class CrashNotice {
 public:
  explicit CrashNotice(const std::string& what);
  ~CrashNotice();
  CrashNotice(const CrashNotice&) = delete;
  CrashNotice& operator=(const CrashNotice&) = delete;

  static constexpr std::array<int, 5> signals{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

 private:
  std::array<struct sigaction, signals.size()> before_{};
  stack_t stack_before_{};
};

}  // namespace dataflow

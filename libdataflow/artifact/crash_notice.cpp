#include "libdataflow/artifact/crash_notice.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace dataflow {

namespace {

// What the handler may touch: it must not allocate.
std::array<char, 4096> installed_notice;
std::size_t notice_size = 0;
alignas(16) std::array<char, 64 * 1024> spare_stack;  // endless recursion leaves none

void add(std::string_view text) {
  const std::size_t size = std::min(text.size(), installed_notice.size() - notice_size);
  std::memcpy(installed_notice.data() + notice_size, text.data(), size);
  notice_size += size;
}

std::string_view name_of(int signal) {
  switch (signal) {
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    case SIGILL: return "SIGILL";
    default: return "SIGABRT";
  }
}

void write_notice(int signal) {
  add(name_of(signal));
  add("\n");
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, installed_notice.data(), notice_size);
  ::_exit(2);
}

}  // namespace

CrashNotice::CrashNotice(const std::string& what) {
  notice_size = 0;
  add("error: ");
  add(std::string_view{what}.substr(0, installed_notice.size() - 64));
  add(": ");
  stack_t stack{};
  stack.ss_sp = spare_stack.data();
  stack.ss_size = spare_stack.size();
  ::sigaltstack(&stack, &stack_before_);
  struct sigaction action {};
  action.sa_handler = write_notice;
  action.sa_flags = SA_ONSTACK | SA_RESETHAND;
  for (std::size_t i = 0; i < signals.size(); ++i) {
    ::sigaction(signals[i], &action, &before_[i]);
    const bool is_handled = before_[i].sa_handler != SIG_DFL || (before_[i].sa_flags & SA_SIGINFO) != 0;
    if (is_handled) ::sigaction(signals[i], &before_[i], nullptr);
  }
}

CrashNotice::~CrashNotice() {
  for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &before_[i], nullptr);
  ::sigaltstack(&stack_before_, nullptr);
}

}  // namespace dataflow

#include "libdataflow/artifact/load_probe.hpp"

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <exception>

#include "dataflow/rows.hpp"
#include "libdataflow/artifact/child_answer.hpp"

namespace dataflow {

namespace {

constexpr std::chrono::seconds load_deadline{10};
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

/// In the child. Returns when the library was loaded, or was refused in an orderly way. Whatever the initialisers print
/// comes when the library is loaded in earnest.
void load(const std::string& path, int report) {
  report_descriptor = report;
  std::set_terminate(report_exception_and_exit);
  // dlopen is declared to throw nothing, so that around a direct call the compiler leaves out what catches.
  void* (*volatile open)(const char*, int) = ::dlopen;
  try {
    open(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  } catch (...) {
    report_exception_and_exit();
  }
}

std::string signal_name(int number) {
  const char* const name = ::sigabbrev_np(number);
  return name != nullptr ? "SIG" + std::string{name} : "signal " + std::to_string(number);
}

}  // namespace

Status probe_library(const std::string& path) {
  const auto answer = ask_child([&](int report) { load(path, report); }, load_deadline, longest_report);
  if (!answer) return fail(answer.error());
  const int status = answer->wait_status;
  if (!answer->ended) {
    return fail(ErrorCode::io, "has been loading for ten seconds without an end: see what its static initialisers do");
  }
  if (WIFSIGNALED(status)) {
    return fail(ErrorCode::invalid_argument, "crashed while it was being loaded: " + signal_name(WTERMSIG(status)) +
                                                 "; see what its static initialisers do");
  }
  if (!answer->said.empty()) return fail(ErrorCode::invalid_argument, "cannot be loaded: " + answer->said);
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
    return fail(ErrorCode::invalid_argument, "ended the process while it was being loaded, with exit code " +
                                                 std::to_string(WEXITSTATUS(status)) +
                                                 "; see what its static initialisers do");
  }
  return {};
}

}  // namespace dataflow

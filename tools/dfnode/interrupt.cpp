#include "tools/dfnode/interrupt.hpp"

#include <unistd.h>

#include <atomic>
#include <csignal>

#include "tools/dfnode/command.hpp"

namespace dataflow::cli {

namespace {

std::atomic<int> interrupt_count{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only use lock-free atomics");

extern "C" void on_interrupt(int) {
  if (interrupt_count.fetch_add(1) > 0) _exit(exit_interrupted);
}

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int interrupts() {
  return interrupt_count.load();
}

}  // namespace dataflow::cli

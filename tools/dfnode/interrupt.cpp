#include "tools/dfnode/interrupt.hpp"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>

#include "tools/dfnode/command.hpp"

namespace dataflow::cli {

namespace {

/// What comes so soon after the first is the same wish told twice: `timeout -s INT` signals its child and then the
/// child's whole group. No hand is as fast.
constexpr std::int64_t same_interrupt_ms = 150;

std::atomic<int> interrupt_count{0};
std::atomic<std::int64_t> first_interrupt_ms{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only use lock-free atomics");

extern "C" void on_interrupt(int) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t ms = now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
  std::int64_t first = 0;
  if (first_interrupt_ms.compare_exchange_strong(first, ms)) {
    interrupt_count.fetch_add(1);
  } else if (ms - first >= same_interrupt_ms) {
    _exit(exit_interrupted);
  }
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

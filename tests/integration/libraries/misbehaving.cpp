// A process function that goes wrong in the way that its setting `how` says, once it has seen `after` records. Each
// crash has a function of its own, by whose name a test finds it in the backtrace. "slow" takes 500 records a second,
// and "throw once" goes wrong once in the life of a process.
#include <dataflow/dataflow.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace df = dataflow;

struct How {
  std::string how;
  std::int64_t after;
};
DATAFLOW_RECORD(How, how, after)

struct Number {
  std::int64_t id;
};
DATAFLOW_RECORD(Number, id)

[[gnu::noinline]] void follow_null_pointer() {
  volatile int* nowhere = nullptr;
  *nowhere = 1;  // NOLINT(clang-analyzer-core.NullDereference): it is meant
}

[[gnu::noinline]] void call_abort() {
  std::abort();
}

[[gnu::noinline]] int recurse_without_end(int depth) {
  volatile char frame[1024];
  frame[0] = static_cast<char>(depth);
  return recurse_without_end(depth + 1) + frame[0];
}

[[gnu::noinline]] void throw_something() {
  throw std::runtime_error("thrown where nobody may");
}

[[gnu::noinline]] void throw_where_nobody_may() noexcept {
  throw_something();
}

[[gnu::noinline]] void take_all_memory() {
  static std::vector<std::vector<char>> taken;
  for (;;) taken.emplace_back(16 << 20, 'x');
}

class Misbehave : public df::Process<Number, Number> {
 public:
  using settings_type = How;
  explicit Misbehave(const How& how) : how_(how) {}

  void open(const df::OperatorContext&) override {
    if (how_.how == "throw in open") throw std::runtime_error("no good morning");
  }

  void process(const Number& number, Context&, df::Output<Number>& out) override {
    if (how_.how == "slow") std::this_thread::sleep_for(std::chrono::milliseconds{2});
    if (++seen_ > how_.after) go_wrong();
    out.emit(number);
  }

  void close() override {
    if (how_.how == "throw in close") throw std::runtime_error("no good night");
  }

 private:
  void go_wrong() {
    if (how_.how == "segfault") follow_null_pointer();
    if (how_.how == "abort") call_abort();
    if (how_.how == "exit") std::exit(3);  // NOLINT(concurrency-mt-unsafe): it is meant
    if (how_.how == "overflow") recurse_without_end(0);
    if (how_.how == "terminate") throw_where_nobody_may();
    if (how_.how == "memory") take_all_memory();
    static std::atomic<bool> has_thrown{false};
    if (how_.how == "throw once" && !has_thrown.exchange(true)) throw std::runtime_error("thrown once");
    if (how_.how == "throw") throw std::runtime_error("thrown on purpose");
    while (how_.how == "loop") {
      asm volatile("");
    }
  }

  How how_;
  std::int64_t seen_ = 0;
};
DATAFLOW_FUNCTION("misbehave", Misbehave)

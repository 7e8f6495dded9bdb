// A job that crashes in its master process. With "--when=build" its function does, which builds the graph there; with
// "--when=splits" what lists its source's splits, which is asked there once the job is deployed, as soon as the file
// that
// "--gate=FILE" names is there. With "--once", too, it takes that file away and crashes no more.
#include <dataflow/dataflow.hpp>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace df = dataflow;

struct Number {
  std::int64_t id;
};
DATAFLOW_RECORD(Number, id)

[[gnu::noinline]] void crash_while_building() {
  volatile int* nowhere = nullptr;
  *nowhere = 1;  // NOLINT(clang-analyzer-core.NullDereference): on purpose
}

[[gnu::noinline]] void crash_while_listing_splits() {
  volatile int* nowhere = nullptr;
  *nowhere = 1;  // NOLINT(clang-analyzer-core.NullDereference): on purpose
}

class Numbers final : public df::Source<Number> {
 public:
  Numbers(bool crashes, bool once, std::string gate) : crashes_{crashes}, once_{once}, gate_{std::move(gate)} {}

  std::vector<std::string> splits(std::uint32_t) const override {
    const std::string passed = gate_ + ".passed";
    if (!crashes_ || std::filesystem::exists(passed)) return {"all"};
    while (!std::filesystem::exists(gate_)) std::this_thread::sleep_for(std::chrono::milliseconds{1});
    if (once_) std::filesystem::rename(gate_, passed);
    crash_while_listing_splits();
    return {"all"};
  }
  std::unique_ptr<df::SplitReader<Number>> reader() const override { return std::make_unique<Reader>(); }
  bool bounded() const override { return false; }

 private:
  struct Reader final : df::SplitReader<Number> {
    void open(std::string_view, std::string_view) override {}
    df::ReadStep next(df::Output<Number>& out, std::uint32_t) override {
      out.emit({++last_});
      return df::ReadStep::wait(std::chrono::milliseconds{10});
    }
    std::string position() const override { return std::to_string(last_); }
    std::int64_t last_ = 0;
  };

  bool crashes_;
  bool once_;
  std::string gate_;
};

void declare(df::Environment& env) {
  const std::string when = env.args().get("when", "build");
  if (when == "build") crash_while_building();
  env.from_source<Number>(
         std::make_shared<Numbers>(when == "splits", env.args().has("once"), env.args().get("gate", "")))
      .discard();
}
DATAFLOW_JOB("master-crash", declare)

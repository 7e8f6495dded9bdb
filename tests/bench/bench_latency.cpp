// How long a record takes from source to sink behind ten operators, at 200 records a second: each operator an actor of
// its own, and all of them chained.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>

#include "serialization/builder.hpp"
#include "tests/bench/pipeline.hpp"

namespace dataflow::bench {
namespace {

constexpr double records_per_second = 200;
constexpr int operator_count = 10;

SchemaPtr stamp_schema() {
  static const SchemaPtr schema = make_schema({{"sent_ns", TypeKind::int64}});
  return schema;
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// `left` records, one a poll, each with the moment at which it was made. The engine's rate limit spaces them.
class StampSource final : public SourceFactory {
 public:
  explicit StampSource(std::size_t count) : count_{count} {}
  [[nodiscard]] std::unique_ptr<SplitEnumerator> create_enumerator() const override {
    return ReplaySource{nullptr, 0}.create_enumerator();
  }
  [[nodiscard]] std::unique_ptr<SourceReader> create_reader() const override {
    return std::make_unique<Reader>(count_);
  }
  [[nodiscard]] bool bounded() const override { return true; }
  [[nodiscard]] std::optional<std::uint32_t> max_readers() const override { return 1; }

 private:
  class Reader final : public SourceReader {
   public:
    explicit Reader(std::size_t count) : left_{count} {}
    Status start_split(const Split& /*split*/) override { return {}; }
    Result<SourceStep> poll(SourceOutput& out) override {
      if (left_ == 0) return SourceStep{.kind = SourceStep::Kind::split_end};
      --left_;
      BatchBuilder builder{stamp_schema(), 1};
      builder.column(0).append_int64(now_ns());
      builder.end_row();
      out.emit(builder.finish(), "stamps");
      return SourceStep{};
    }
    [[nodiscard]] std::string position() const override { return std::to_string(left_) + " left"; }

   private:
    std::size_t left_;
  };

  std::size_t count_;
};

/// An operator from a function of a batch.
template <class Body>
class Each final : public OperatorFactory {
 public:
  explicit Each(Body body) : body_{std::move(body)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return std::make_unique<Instance>(body_); }

 private:
  class Instance final : public Operator {
   public:
    explicit Instance(Body body) : body_{std::move(body)} {}
    Result<Step> process(std::size_t /*input*/, const BatchPtr& batch, OperatorOutput& out) override {
      body_(batch, out);
      return Step::done;
    }

   private:
    Body body_;
  };
  Body body_;
};

void latency(benchmark::State& state, Chaining chaining) {
  const bool quick = std::getenv("DATAFLOW_BENCH_QUICK") != nullptr;
  const auto count = static_cast<std::size_t>(records_per_second * (quick ? 1 : 20));
  auto latencies = std::make_shared<std::vector<double>>();
  for (auto _ : state) {
    Pipeline pipeline{stamp_schema(), std::make_shared<StampSource>(count)};
    pipeline.source().rate_limit_per_second = records_per_second;
    for (int i = 0; i < operator_count; ++i) {
      const auto pass = [](const BatchPtr& batch, OperatorOutput& out) { out.emit(batch); };
      pipeline.then("pass" + std::to_string(i), std::make_shared<Each<decltype(pass)>>(pass), stamp_schema());
    }
    const auto note = [latencies](const BatchPtr& batch, OperatorOutput& /*out*/) {
      const std::int64_t now = now_ns();
      for (const std::int64_t sent : batch->column(0).as<std::int64_t>()) {
        latencies->push_back(static_cast<double>(now - sent) / 1e6);
      }
    };
    run_in_actors(pipeline.finish(std::make_shared<Each<decltype(note)>>(note)), chaining);
  }
  std::sort(latencies->begin(), latencies->end());
  const auto percentile = [&](double p) {
    return (*latencies)[static_cast<std::size_t>(static_cast<double>(latencies->size() - 1) * p)];
  };
  state.counters["p50_ms"] = percentile(0.5);
  state.counters["p99_ms"] = percentile(0.99);
  state.counters["p99.9_ms"] = percentile(0.999);
}

void unchained(benchmark::State& state) {
  latency(state, Chaining::never);
}
void chained(benchmark::State& state) {
  latency(state, Chaining::where_possible);
}

// One iteration is a whole run of some seconds, and says all there is to say.
BENCHMARK(unchained)->Name("latency/unchained")->Iterations(1)->Repetitions(1)->Unit(benchmark::kSecond)->UseRealTime();
BENCHMARK(chained)->Name("latency/chained")->Iterations(1)->Repetitions(1)->Unit(benchmark::kSecond)->UseRealTime();

}  // namespace
}  // namespace dataflow::bench

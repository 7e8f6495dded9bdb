// Keyed operators whose input is sorted when it does not fit, with any memory, batches, checkpoints and parallelism,
// against the same operator with all memory that it wants.

#include <random>

#include "libdataflow/batch/sorted_input.hpp"
#include "libdataflow/ranking/distinct.hpp"
#include "libdataflow/ranking/top.hpp"
#include "libdataflow/windows/window_spec.hpp"
#include "tests/support/seeds.hpp"
#include "tests/unit/batch/batch_job.hpp"

using namespace dataflow;
using namespace dataflow::batch_tests;
using testing_support::Row;

namespace {

const SchemaPtr& payments() {
  static const SchemaPtr schema =
      make_schema({{"k", TypeKind::string}, {"n", TypeKind::int64}, {"amount", TypeKind::int64}});
  return schema;
}

WindowSpec window_of(WindowKind kind) {
  WindowSpec spec;
  spec.kind = kind;
  spec.count = 3;
  spec.gap = Duration{5};
  for (const auto& [name, text] :
       {std::pair{"rows", "count()"}, std::pair{"total", "sum(amount)"}, std::pair{"first", "min(n)"}}) {
    auto compiled = compile_aggregate(text, *payments());
    REQUIRE(compiled.has_value());
    spec.aggregates.push_back({name, std::move(*compiled)});
  }
  return spec;
}

/// The rows of one that are not, or not as often, in the other.
std::string lines_not_in(const BatchJob::Table& one, const BatchJob::Table& other) {
  std::string lines;
  for (const auto& [row, times] : one) {
    const auto found = other.find(row);
    if (found == other.end() || found->second != times) lines += row + " (" + std::to_string(times) + ")\n";
  }
  return lines;
}

class RandomBatch {
 public:
  explicit RandomBatch(std::uint64_t seed) : random_{seed} {
    key_fields_ = pick(3) == 0 ? std::vector<std::size_t>{0, 1} : std::vector<std::size_t>{0};
    most_keys_ = pick(2) == 0 ? 5 : 200;
    most_memory_ = pick(3) == 0 ? 300'000 : 20'000;
  }

  void compare() {
    const OperatorFactoryPtr plain = random_factory();
    BatchJob expected{plain, key_fields_};
    expected.start(1, std::nullopt);
    const KeyGrowth growth = pick(2) == 0 ? KeyGrowth::none : KeyGrowth::with_rows;
    BatchJob actual{with_sorted_input(plain, payments(), key_fields_, growth), key_fields_};
    actual.full = [this] { return pick(4) == 0; };
    start(actual);
    BatchJob::Checkpoint checkpoint;
    std::vector<BatchPtr> since;
    for (std::uint64_t steps = 1 + pick(40); steps > 0; --steps) {
      switch (pick(8)) {
        case 0:
          checkpoint = actual.take(pick(3) == 0 ? BatchJob::Kind::savepoint : BatchJob::Kind::checkpoint);
          since.clear();
          break;
        case 1:
          if (checkpoint == nullptr) break;
          start(actual);
          REQUIRE(actual.restore(checkpoint).has_value());
          for (const BatchPtr& batch : since) actual.push(batch);
          break;
        default:
          since.push_back(random_batch());
          expected.push(since.back());
          actual.push(since.back());
      }
    }
    const BatchJob::Table all = expected.end();
    const BatchJob::Table given = actual.end();
    CHECK(lines_not_in(given, all) == "");
    CHECK(lines_not_in(all, given) == "");
  }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  std::uint32_t subtasks() { return 1 + static_cast<std::uint32_t>(pick(3)); }
  /// With state on the heap, or, rarely, in stores.
  void start(BatchJob& job) {
    if (pick(6) == 0) {
      const auto folder = job.folder() / ("stores-" + std::to_string(++stores_));
      return job.start_on(subtasks(), *make_memory_backend(folder, pick(2) * 1500));
    }
    job.start(subtasks(), pick(4) == 0 ? 0 : pick(most_memory_));
  }

  OperatorFactoryPtr random_factory() {
    switch (pick(6)) {
      case 0:
      case 1: {
        const auto keep = pick(2) == 0 ? DistinctSpec::Keep::first : DistinctSpec::Keep::last;
        return make_distinct({.key_fields = key_fields_, .keep = keep, .ttl = {}}, payments());
      }
      case 2: {
        TopSpec spec;
        spec.key_fields = key_fields_;
        spec.order = {{2, pick(2) == 0}};
        spec.limit = 1 + pick(3);
        spec.at_end = pick(2) == 0;
        spec.ties = spec.at_end && pick(2) == 0;
        if (pick(2) == 0) spec.rank = "rank";
        return make_top(spec, payments());
      }
      default: {
        constexpr WindowKind kinds[] = {WindowKind::count, WindowKind::session, WindowKind::running};
        WindowSpec spec = window_of(kinds[pick(3)]);
        spec.key_fields = key_fields_;
        return make_window_operator(std::move(spec), payments());
      }
    }
  }

  BatchPtr random_batch() {
    std::vector<Row> rows;
    std::vector<std::int64_t> times;
    for (std::uint64_t i = 1 + pick(60); i > 0; --i) {
      const std::uint64_t k = pick(most_keys_);
      const Value key = k == 0 ? Value{} : Value{"key" + std::to_string(k)};
      const Value amount = pick(10) == 0 ? Value{} : Value{static_cast<std::int64_t>(pick(20))};
      rows.push_back({key, Value{static_cast<std::int64_t>(pick(3))}, amount});
      times.push_back(static_cast<std::int64_t>(pick(100)));
    }
    return testing_support::make_batch(payments(), rows, times);
  }

  std::mt19937_64 random_;
  std::vector<std::size_t> key_fields_;
  std::uint64_t most_keys_;
  std::uint64_t most_memory_;
  int stores_ = 0;
};

}  // namespace

TEST_CASE("whatever memory its keys have, a batch gives the same") {
  for (const std::uint64_t seed : testing_support::seeds(400)) {
    CAPTURE(seed);
    RandomBatch{seed}.compare();
  }
}

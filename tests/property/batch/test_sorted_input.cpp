// Keyed operators whose input is sorted when it does not fit, with any memory, batches, checkpoints and parallelism,
// against the same operator with all memory that it wants.

#include "libdataflow/batch/sorted_input.hpp"
#include "libdataflow/ranking/distinct.hpp"
#include "libdataflow/ranking/top.hpp"
#include "libdataflow/windows/window_spec.hpp"
#include "tests/property/batch/random_batch.hpp"
#include "tests/support/seeds.hpp"

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

class RandomOperator : public RandomBatch {
 public:
  explicit RandomOperator(std::uint64_t seed) : RandomBatch{seed} {
    key_fields_ = pick(3) == 0 ? std::vector<std::size_t>{0, 1} : std::vector<std::size_t>{0};
    most_keys_ = pick(2) == 0 ? 5 : 200;
  }

  void compare_sorted() {
    const OperatorFactoryPtr plain = random_factory();
    const KeyGrowth growth = pick(2) == 0 ? KeyGrowth::none : KeyGrowth::with_rows;
    compare(plain, with_sorted_input(plain, payments(), key_fields_, growth), key_fields_);
  }

 private:
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

  BatchPtr random_batch() override {
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

  std::vector<std::size_t> key_fields_;
  std::uint64_t most_keys_;
};

}  // namespace

TEST_CASE("whatever memory its keys have, a batch gives the same") {
  for (const std::uint64_t seed : testing_support::seeds(400)) {
    CAPTURE(seed);
    RandomOperator{seed}.compare_sorted();
  }
}

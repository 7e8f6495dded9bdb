// Running aggregates over the same records in batches of another size: a large batch is folded in by key where that is
// worth it, a small one record by record, and both leave the same table.

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "libdataflow/operators/combines_input.hpp"
#include "libdataflow/windows/window_spec.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/seeds.hpp"
#include "tests/unit/windows/windowing.hpp"

namespace dataflow {

namespace {

using testing_support::Row;

/// So few records are never folded in by key.
constexpr std::size_t few = 40;

struct BatchesCase {
  explicit BatchesCase(std::uint64_t seed) : random{seed} {}

  std::mt19937_64 random;
  bool nulls = pick(3) == 0;
  bool large = pick(4) == 0;  ///< values whose sums come near the end of their type
  std::uint64_t keys = 1 + pick(pick(3) == 0 ? 1000 : 20);
  std::size_t key_fields = pick(4);  ///< the first so many: a number, a text that changes seldom, a double
  bool keeps = pick(2) == 0;         ///< batches, too, to combine them
  bool combines = pick(2) == 0;      ///< records may be combined, and the aggregates can do with that
  std::int64_t day = 0;

  std::uint64_t pick(std::uint64_t below) { return random() % below; }

  static SchemaPtr schema() {
    static const SchemaPtr made = make_schema({{"k", TypeKind::int64},
                                               {"day", TypeKind::string},
                                               {"half", TypeKind::float64},
                                               {"v", TypeKind::int64},
                                               {"i", TypeKind::int32},
                                               {"d", DataType::decimal(18, 2)},
                                               {"t", TypeKind::timestamp}});
    return made;
  }

  [[nodiscard]] WindowSpec spec() const {
    WindowSpec made = window_tests::windows_by_key(WindowKind::running,
                                                   {{"n", "count()"},
                                                    {"filled", "count(v)"},
                                                    {"low", "count() FILTER (WHERE v < 0)"},
                                                    {"middle", "count() FILTER (WHERE v >= 0 AND v < 100)"},
                                                    {"high", "count(v) FILTER (WHERE v >= 100)"},
                                                    {"odd", "count() FILTER (WHERE i % 2 = 1)"},
                                                    {"none", "count() FILTER (WHERE i > 1000000)"},
                                                    {"sum_v", "sum(v)"},
                                                    {"min_v", "min(v)"},
                                                    {"max_v", "max(v)"},
                                                    {"avg_v", "avg(v)"},
                                                    {"some", "sum(v) FILTER (WHERE i < 5)"},
                                                    {"min_i", "min(i)"},
                                                    {"sum_i", "sum(i)"},
                                                    {"sum_d", "sum(d)"},
                                                    {"avg_d", "avg(d)"},
                                                    {"min_t", "min(t)"},
                                                    {"max_t", "max(t)"},
                                                    {"last_v", "last(v)"},
                                                    {"kinds", "count(DISTINCT i)"},
                                                    {"sum_x", "sum(half * i)"}},
                                                   schema());
    if (combines) made.aggregates.erase(made.aggregates.end() - 3, made.aggregates.end());
    made.key_fields.clear();
    for (std::size_t i = 0; i < key_fields; ++i) made.key_fields.push_back(i);
    return made;
  }

  Row record() {
    const auto small = [&] { return static_cast<std::int64_t>(pick(300)) - 100; };
    if (pick(500) == 0) ++day;
    const std::int64_t sign = pick(2) == 0 ? 1 : -1;
    const std::int64_t v = large && pick(50) == 0 ? sign * (std::numeric_limits<std::int64_t>::max() >> 6) : small();
    const double half = pick(500) == 0 ? 1.5 : pick(2) == 0 ? 0.0 : -0.0;
    Row row{static_cast<std::int64_t>(pick(keys)) * 1'000'003,
            "2024-01-" + std::to_string(day),
            half,
            v,
            static_cast<std::int64_t>(pick(10)),
            small(),
            1'700'000'000'000'000 + small()};
    if (nulls && pick(100) == 0) row[pick(row.size())] = Value{};
    return row;
  }

  /// What is left when all changes have been applied: by key, the rest of the row.
  [[nodiscard]] std::map<std::string, std::string> table_of(const std::vector<BatchPtr>& batches,
                                                            bool combined = false) const {
    const auto factory = make_window_operator(spec(), schema());
    window_tests::Context context;
    const auto op = factory->create();
    REQUIRE(op->open(context).has_value());
    window_tests::Collected sent;
    const Duration keeps_for{keeps ? 1 : 0};
    if (const auto combiner = dynamic_cast<const CombinesInput&>(*factory).combiner(keeps_for); combined && combiner) {
      const auto combining = combiner->factory->create();
      REQUIRE(combining->open(context).has_value());
      for (const BatchPtr& batch : batches) REQUIRE(combining->process(0, batch, sent) == Step::done);
      REQUIRE(combining->end_of_data(sent) == Step::done);
    } else {
      sent.main = batches;
    }
    window_tests::Collected out;
    for (const BatchPtr& batch : sent.main) REQUIRE(op->process(0, batch, out).has_value());
    std::map<std::string, std::string> table;
    for (const BatchPtr& changes : out.main) {
      const auto values = testing_support::rows_of(*changes);
      for (std::uint32_t i = 0; i < changes->rows(); ++i) {
        std::string key;
        std::string rest = std::to_string(changes->timestamp(i).micros);
        for (std::size_t c = 0; c < values[i].size(); ++c) {
          (c < key_fields ? key : rest) += " " + window_tests::to_text(values[i][c]);
        }
        const bool gone = changes->kind(i) == RowKind::update_before || changes->kind(i) == RowKind::remove;
        if (!gone) {
          REQUIRE(table.emplace(key, rest).second);
          continue;
        }
        REQUIRE(table.contains(key));
        REQUIRE(table[key] == rest);
        table.erase(key);
      }
    }
    return table;
  }

  void run() {
    std::vector<Row> rows;
    std::vector<std::int64_t> times;
    for (std::uint64_t n = 1 + pick(3000); n-- > 0;) {
      rows.push_back(record());
      times.push_back(static_cast<std::int64_t>(rows.size() + pick(50)));
    }
    const auto in_batches_of = [&](auto&& size) {
      std::vector<BatchPtr> batches;
      for (std::size_t from = 0; from < rows.size();) {
        const std::size_t to = std::min(rows.size(), from + size());
        const auto part = [&](const auto& all) {
          return std::vector(all.begin() + static_cast<std::ptrdiff_t>(from),
                             all.begin() + static_cast<std::ptrdiff_t>(to));
        };
        batches.push_back(testing_support::make_batch(schema(), part(rows), part(times)));
        from = to;
      }
      return batches;
    };
    const auto by_record = in_batches_of([] { return few; });
    const auto by_key = in_batches_of([&] { return std::size_t{1} + pick(pick(2) == 0 ? 200 : 3000); });
    const auto expected = table_of(by_record);
    REQUIRE(table_of(by_key) == expected);
    if (combines) REQUIRE(table_of(by_key, true) == expected);
  }
};

}  // namespace

TEST_CASE("running aggregates leave the same table whatever batches their records come in, combined or not") {
  for (const std::uint64_t seed : testing_support::seeds(200)) {
    CAPTURE(seed);
    BatchesCase{seed}.run();
  }
}

}  // namespace dataflow

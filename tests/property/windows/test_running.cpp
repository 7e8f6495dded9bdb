// Running aggregates against a reference that keeps every row: whatever batches the rows came in, whatever was taken
// back, saved or found no room, applying the changes gives the reference's table.

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "libdataflow/include/dataflow/testing.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/windows/window_spec.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/windows/windowing.hpp"

namespace dataflow {

namespace {

using testing_support::Row;
using window_tests::to_text;

struct Case {
  explicit Case(std::uint64_t seed) : random{seed}, backends_{seed} {}

  std::mt19937_64 random;
  std::mt19937_64 backends_;
  std::map<std::string, std::vector<std::optional<std::int64_t>>> rows;  ///< of each key, in order of arrival
  std::map<std::string, std::string> table;                              ///< what the changes leave
  bool number_keys = pick(2) == 0;
  bool null_values = pick(2) == 0;

  std::uint64_t pick(std::uint64_t below) { return random() % below; }
  std::uint64_t backend_choice() { return backends_() % 16; }

  [[nodiscard]] SchemaPtr schema() const {
    static const SchemaPtr by_number = make_schema({{"key", TypeKind::int64}, {"v", TypeKind::int64}});
    return number_keys ? by_number : window_tests::input_schema();
  }

  /// Takes a change into `table`. What is taken back must be there, and what comes must not.
  void apply(const Batch& batch) {
    const auto values = testing_support::rows_of(batch);
    for (std::uint32_t i = 0; i < batch.rows(); ++i) {
      const std::string key = to_text(values[i][0]);
      std::string result;
      for (std::size_t c = 1; c < values[i].size(); ++c) result += to_text(values[i][c]) + " ";
      switch (batch.kind(i)) {
        case RowKind::insert: REQUIRE(table.emplace(key, result).second); break;
        case RowKind::update_after: REQUIRE(table.emplace(key, result).second); break;
        case RowKind::update_before:
        case RowKind::remove:
          REQUIRE(table.contains(key));
          REQUIRE(table[key] == result);
          table.erase(key);
          break;
      }
    }
  }

  [[nodiscard]] std::map<std::string, std::string> expected(bool takes_back) const {
    std::map<std::string, std::string> all;
    for (const auto& [key, values] : rows) {
      if (values.empty()) continue;
      std::int64_t sum = 0;
      std::int64_t count = 0;
      std::int64_t most = std::numeric_limits<std::int64_t>::min();
      std::set<std::int64_t> different;
      for (const auto& v : values) {
        if (!v) continue;
        sum += *v;
        ++count;
        most = std::max(most, *v);
        different.insert(*v);
      }
      std::string text = std::to_string(values.size()) + " " + (count == 0 ? "NULL" : std::to_string(sum)) + " " +
                         std::to_string(count) + " ";
      if (!takes_back) {
        text += (count == 0 ? "NULL" : std::to_string(most)) + " " + std::to_string(different.size()) + " ";
      }
      all.emplace(key, text);
    }
    return all;
  }

  void run() {
    const bool takes_back = pick(2) == 0;
    window_tests::Named calls{{"n", "count()"}, {"total", "sum(v)"}, {"filled", "count(v)"}};
    if (!takes_back) {
      calls.emplace_back("most", "max(v)");
      calls.emplace_back("different", "count(distinct v)");
    }
    const auto factory =
        make_window_operator(window_tests::windows_by_key(WindowKind::running, calls, schema()), schema());
    window_tests::Context context;
    const testing_support::TemporaryFolder folder;
    std::size_t backends = 0;
    // None, or one that has memory for no key, for some, or for most of them.
    const auto new_backend = [&]() -> StateBackendPtr {
      const auto path = folder / std::to_string(++backends);
      const std::uint64_t chosen = backend_choice();
      if (chosen % 4 == 0) return nullptr;
      if (chosen == 13) return *make_rocksdb_backend(path, 0);
      return *make_memory_backend(path, chosen % 4 == 1 ? 0 : chosen % 4 == 2 ? 5'000 : 200'000);
    };
    context.backend = new_backend();
    auto op = factory->create();
    REQUIRE(op->open(context).has_value());
    const std::uint64_t keys = 1 + pick(pick(4) == 0 ? 3000 : 20);
    for (std::uint64_t step = 2 + pick(15); step-- > 0;) {
      if (pick(4) == 0) {
        const std::string saved = testing::save_state(*op);
        op = factory->create();
        context.backend = new_backend();
        REQUIRE(op->open(context).has_value());
        testing::load_state(*op, saved);
      }
      window_tests::Collected out;
      out.always_full = pick(3) == 0;
      auto done = op->process(0, some_rows(keys, takes_back), out);
      while (done && *done == Step::yield) done = op->resume(out);
      REQUIRE(done.has_value());
      for (const BatchPtr& batch : out.main) apply(*batch);
      REQUIRE(table == expected(takes_back));
    }
  }

  BatchPtr some_rows(std::uint64_t keys, bool takes_back) {
    std::vector<Row> values;
    std::vector<RowKind> kinds;
    const bool only_inserts = !takes_back && pick(2) == 0;
    for (std::uint64_t n = 1 + pick(pick(4) == 0 ? 4000 : 40); n-- > 0;) {
      const std::uint64_t number = pick(keys);
      Value key;
      if (number_keys && number != 1) key = static_cast<std::int64_t>(number);
      if (!number_keys && number != 1) key = std::string(number % 3 * 10, 'k') + std::to_string(number);
      auto& of_key = rows[to_text(key)];
      if (takes_back && !of_key.empty() && pick(2) == 0) {
        const auto at = of_key.begin() + static_cast<std::ptrdiff_t>(pick(of_key.size()));
        values.push_back({key, *at ? Value{**at} : Value{}});
        kinds.push_back(pick(2) == 0 ? RowKind::remove : RowKind::update_before);
        of_key.erase(at);
        continue;
      }
      const std::optional<std::int64_t> v =
          null_values && pick(5) == 0 ? std::nullopt : std::optional{static_cast<std::int64_t>(pick(50)) - 25};
      of_key.push_back(v);
      values.push_back({key, v ? Value{*v} : Value{}});
      kinds.push_back(only_inserts || pick(2) == 0 ? RowKind::insert : RowKind::update_after);
    }
    return testing_support::make_batch(schema(), values, {}, kinds);
  }
};

}  // namespace

TEST_CASE("running aggregates leave the table that keeping all rows gives") {
  for (const std::uint64_t seed : testing_support::seeds(200)) {
    CAPTURE(seed);
    Case{seed}.run();
  }
}

}  // namespace dataflow

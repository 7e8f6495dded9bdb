// Session windows against a reading of their definition, record by record, that knows no heap, no batch and no merge of
// accumulators: a session is the list of its records.

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "libdataflow/state/state_backend.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::window_tests;

namespace {

struct Plan {
  std::int64_t gap;
  std::int64_t lateness;
  std::int64_t disorder;
  std::int64_t keys;
};

class Reference {
 public:
  explicit Reference(const Plan& plan) : plan_{plan} {}

  std::string results;
  std::string late;

  void push(const std::vector<Record>& batch) {
    for (const Record& record : batch) take(record);
    fire();
  }
  void watermark(std::int64_t time) {
    watermark_ = std::max(watermark_, time);
    fire();
    std::erase_if(sessions_, [this](const One& one) { return expired(one.end); });
  }

 private:
  struct One {
    std::string key;
    std::int64_t start;
    std::int64_t end;
    std::uint64_t opened;
    std::vector<std::int64_t> values;
    bool due = true;
  };

  [[nodiscard]] bool expired(std::int64_t end) const { return end - 1 + plan_.lateness <= watermark_; }

  void take(const Record& record) {
    One joined{*record.key, *record.time, *record.time + plan_.gap, opened_ + 1, {*record.v}};
    bool alone = true;
    for (One& other : sessions_) {
      if (other.key != joined.key || other.start > *record.time + plan_.gap || other.end < *record.time) continue;
      alone = false;
      joined.start = std::min(joined.start, other.start);
      joined.end = std::max(joined.end, other.end);
      joined.opened = std::min(joined.opened, other.opened);
      joined.values.insert(joined.values.end(), other.values.begin(), other.values.end());
      other.key = gone;
    }
    std::erase_if(sessions_, [](const One& one) { return one.key == gone; });
    if (alone) {
      if (expired(joined.end)) {
        late += *record.key + " " + std::to_string(*record.v) + "; ";
        return;
      }
      ++opened_;
    }
    sessions_.push_back(std::move(joined));
  }

  void fire() {
    std::sort(sessions_.begin(), sessions_.end(),
              [](const One& a, const One& b) { return a.end != b.end ? a.end < b.end : a.opened < b.opened; });
    for (One& one : sessions_) {
      if (!one.due || one.end - 1 > watermark_) continue;
      one.due = false;
      std::int64_t sum = 0;
      for (const std::int64_t value : one.values) sum += value;
      const auto [least, most] = std::minmax_element(one.values.begin(), one.values.end());
      results += one.key + " " + std::to_string(one.start) + " " + std::to_string(one.end) + " " +
                 std::to_string(one.values.size()) + " " + std::to_string(sum) + " " + std::to_string(*least) + " " +
                 std::to_string(*most) + "; ";
    }
  }

  static constexpr const char* gone = "-";
  Plan plan_;
  std::int64_t watermark_ = Timestamp::min().micros + 1'000'000;
  std::uint64_t opened_ = 0;
  std::vector<One> sessions_;
};

std::string with_end(std::string rows) {
  return rows.empty() ? rows : std::move(rows) + "; ";
}

/// Sessions that end together come in any order from a store.
std::string in_any_order(const std::string& rows) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < rows.size();) {
    const std::size_t end = rows.find("; ", at);
    all.push_back(rows.substr(at, end - at));
    at = end + 2;
  }
  std::sort(all.begin(), all.end());
  std::string text;
  for (const std::string& row : all) text += row + "; ";
  return text;
}

enum class Memory : std::uint8_t { enough, none, little };

void compare(std::uint64_t seed, Memory memory) {
  std::mt19937 random{static_cast<std::uint32_t>(seed)};
  const auto below = [&](std::int64_t n) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(n));
  };
  const Plan plan{1 + below(20), below(2) * below(60), below(100), 1 + below(memory == Memory::little ? 26 : 8)};
  INFO("seed ", seed, ": gap ", plan.gap, ", lateness ", plan.lateness, ", disorder ", plan.disorder, ", keys ",
       plan.keys);
  WindowSpec spec = windows_by_key(WindowKind::session,
                                   {{"n", "count()"}, {"total", "sum(v)"}, {"least", "min(v)"}, {"most", "max(v)"}});
  spec.gap = Duration{plan.gap};
  spec.allowed_lateness = Duration{plan.lateness};
  const testing_support::TemporaryFolder folder;
  const StateBackendPtr backend =
      memory == Memory::enough ? nullptr : *make_memory_backend(folder / "state", memory == Memory::none ? 0 : 2'000);
  Windowing windows{std::move(spec), input_schema(), backend};
  const auto order = [&](const std::string& rows) { return backend ? in_any_order(rows) : rows; };
  windows.out.always_full = seed % 2 == 0;
  Reference reference{plan};
  std::int64_t now = 0;
  for (int step = 0; step < 40; ++step) {
    std::vector<Record> batch;
    for (std::int64_t i = 0, n = 1 + below(12); i < n; ++i) {
      now += below(8);
      batch.push_back(
          {std::string(1, static_cast<char>('a' + below(plan.keys))), below(1000), now - below(plan.disorder + 1)});
    }
    windows.push(batch);
    reference.push(batch);
    REQUIRE(order(with_end(windows.results())) == order(std::exchange(reference.results, {})));
    REQUIRE(with_end(windows.late()) == std::exchange(reference.late, {}));
    if (below(2) == 0) continue;
    const std::int64_t watermark = now - below(plan.disorder + 1);
    windows.watermark(watermark);
    reference.watermark(watermark);
    REQUIRE(order(with_end(windows.results())) == order(std::exchange(reference.results, {})));
  }
}

}  // namespace

TEST_CASE("session windows give what their definition says, for any order, gap and lateness") {
  for (const std::uint64_t seed : testing_support::seeds(400)) compare(seed, Memory::enough);
}

TEST_CASE("session windows give the same with memory for none of them, or for few") {
  for (const std::uint64_t seed : testing_support::seeds(200)) {
    compare(seed, Memory::none);
    compare(seed, Memory::little);
  }
}

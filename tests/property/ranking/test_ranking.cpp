// `top` and `distinct` against references that keep every row, with rows and watermarks in any order, an output that is
// full at any moment, and checkpoints anywhere.

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/ranking/distinct.hpp"
#include "libdataflow/ranking/top.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/random_backends.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/stored_checkpoints.hpp"
#include "tests/unit/windows/windowing.hpp"

namespace dataflow {

namespace {

using testing_support::Row;

const SchemaPtr& schema() {
  static const SchemaPtr s = make_schema({{"key", TypeKind::string},
                                          {"window_end", TypeKind::timestamp},
                                          {"price", TypeKind::int64},
                                          {"weight", TypeKind::float64},
                                          {"note", TypeKind::string}});
  return s;
}

/// Full whenever it likes.
class MoodyOutput final : public OperatorOutput {
 public:
  explicit MoodyOutput(std::mt19937_64& random) : random_{random} {}
  void emit(BatchPtr batch, std::size_t) override { batches.push_back(std::move(batch)); }
  [[nodiscard]] bool full() const override { return random_() % 2 == 0; }

  std::vector<BatchPtr> batches;

 private:
  std::mt19937_64& random_;
};

/// The rows that a changelog leaves. Every row that is taken back must be there.
class Table {
 public:
  void apply(const std::vector<BatchPtr>& batches) {
    for (const BatchPtr& batch : batches) {
      for (std::uint32_t row = 0; row < batch->rows(); ++row) {
        std::string text;
        append_row_json(*batch, row, text);
        const RowKind kind = batch->kind(row);
        if (kind == RowKind::insert || kind == RowKind::update_after) {
          rows_.push_back(text);
        } else {
          const auto found = std::find(rows_.begin(), rows_.end(), text);
          REQUIRE(found != rows_.end());
          rows_.erase(found);
        }
      }
    }
  }
  [[nodiscard]] std::vector<std::string> sorted() const {
    std::vector<std::string> rows = rows_;
    std::sort(rows.begin(), rows.end());
    return rows;
  }

 private:
  std::vector<std::string> rows_;
};

/// NULL first; numbers before NaN.
bool less(const Value& a, const Value& b) {
  const bool a_null = std::holds_alternative<std::monostate>(a);
  const bool b_null = std::holds_alternative<std::monostate>(b);
  if (a_null || b_null) return a_null && !b_null;
  return a < b;
}

class Case {
 public:
  explicit Case(std::uint64_t seed) : random_{seed} {}

  void top(bool windowed) {
    TopSpec spec;
    if (pick(4) != 0) spec.key_fields.push_back(0);
    spec.at_end = windowed && pick(5) == 0;
    if (windowed && !spec.at_end) {
      spec.key_fields.push_back(1);
      spec.window_end = 1;
    }
    const std::vector<std::size_t> orders{2, 3, 4};
    for (std::size_t n = 1 + pick(2); n-- > 0;) spec.order.push_back({orders[pick(orders.size())], pick(2) == 0});
    spec.limit = 1 + pick(5);
    if (pick(2) == 0) spec.rank = "rank";
    spec.ties = windowed && pick(2) == 0;
    const auto factory = make_top(spec, schema());
    std::map<std::string, std::vector<Row>> groups;
    std::vector<std::string> expected;
    const auto before = [&](const Row& a, const Row& b) {
      for (const SortField& by : spec.order) {
        const Value& x = by.descending ? b[by.field] : a[by.field];
        const Value& y = by.descending ? a[by.field] : b[by.field];
        if (less(x, y) || less(y, x)) return less(x, y);
      }
      return false;
    };
    const auto give = [&](const std::vector<Row>& rows) {
      std::size_t rank = 0;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!spec.ties || i == 0 || before(rows[i - 1], rows[i])) rank = i;
        if (rank >= spec.limit) break;
        Row row = rows[i];
        if (!spec.rank.empty()) row.emplace_back(static_cast<std::int64_t>(rank) + 1);
        expected.push_back(json(top_output_schema(spec, *schema()), row));
      }
    };
    const auto last_moment = [&](const Row& row) {
      return spec.at_end ? Timestamp::max().micros : std::get<std::int64_t>(row[1]) - 1;
    };
    live(
        *factory,
        [&](const Row& row, std::int64_t passed) {
          if (windowed && last_moment(row) <= passed) return;
          std::vector<Row>& group = groups[key(row, spec.key_fields)];
          group.insert(std::upper_bound(group.begin(), group.end(), row, before), row);
        },
        [&](std::int64_t passed) {
          if (windowed) {
            for (auto at = groups.begin(); at != groups.end();) {
              if (last_moment(at->second.front()) > passed) {
                ++at;
                continue;
              }
              give(at->second);
              at = groups.erase(at);
            }
            return expected;
          }
          expected.clear();
          for (const auto& [key, rows] : groups) give(rows);
          return expected;
        },
        windowed);
  }

  void distinct() {
    DistinctSpec spec;
    spec.key_fields = pick(2) == 0 ? std::vector<std::size_t>{0} : std::vector<std::size_t>{2, 0};
    spec.keep = pick(2) == 0 ? DistinctSpec::Keep::first : DistinctSpec::Keep::last;
    const auto factory = make_distinct(spec, schema());
    std::map<std::string, Row> kept;
    live(
        *factory,
        [&](const Row& row, std::int64_t) {
          if (spec.keep == DistinctSpec::Keep::last) {
            kept.insert_or_assign(key(row, spec.key_fields), row);
          } else {
            kept.try_emplace(key(row, spec.key_fields), row);
          }
        },
        [&](std::int64_t) {
          std::vector<std::string> expected;
          for (const auto& [key, row] : kept) expected.push_back(json(schema(), row));
          return expected;
        },
        spec.keep == DistinctSpec::Keep::first);
  }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  template <class Take, class Expected>
  void live(const OperatorFactory& factory, const Take& take, const Expected& expected, bool append_only) {
    window_tests::Context context;
    context.backend = backends_.next(random_);
    const CheckpointStoragePtr storage = std::make_shared<MemoryStorage>();
    UploadedFiles uploaded;
    auto op = factory.create();
    REQUIRE(op->open(context).has_value());
    MoodyOutput out{random_};
    const auto finish = [&](Result<Step> step) {
      REQUIRE(step.has_value());
      while (*step == Step::yield) {
        step = op->resume(out);
        REQUIRE(step.has_value());
      }
    };
    Table table;
    std::int64_t now = 0;
    std::int64_t passed = Timestamp::min().micros;
    const std::size_t steps = 2 + pick(12);
    for (std::size_t step = 0; step <= steps; ++step) {
      CAPTURE(step);
      const bool last = step == steps;
      if (pick(4) == 0) {
        std::vector<CapturedStatePtr> captured(1);
        auto snapshot = op->snapshot();
        REQUIRE(snapshot.has_value());
        captured[0] = std::move(*snapshot);
        if (pick(2) == 0) op.reset();
        const auto checkpoint = testing_support::checkpoint_of(std::move(captured), pick(2) == 0, std::to_string(step),
                                                               storage, uploaded, context.max_parallelism());
        op = factory.create();
        context.backend = backends_.next(random_);
        REQUIRE(op->open(context).has_value());
        const Status restored = op->restore(*checkpoint->reader("op", 0, 1));
        REQUIRE_MESSAGE(restored.has_value(), (restored ? "" : restored.error().message()));
      }
      if (last || pick(3) == 0) {
        passed = last ? Timestamp::max().micros : std::max(passed, now - static_cast<std::int64_t>(pick(20)));
        context.event_time = Timestamp{passed};
        finish(op->on_watermark(context.event_time, out));
      } else {
        std::vector<Row> rows;
        for (std::size_t n = 1 + pick(pick(5) == 0 ? 3000 : 30); n-- > 0;) rows.push_back(random_row(now));
        for (const Row& row : rows) take(row, passed);
        finish(op->process(0, testing_support::make_batch(schema(), rows, times_of(rows)), out));
      }
      for (const BatchPtr& batch : out.batches) {
        if (append_only) REQUIRE(batch->kinds().empty());
      }
      table.apply(out.batches);
      out.batches.clear();
      std::vector<std::string> rows = expected(passed);
      std::sort(rows.begin(), rows.end());
      REQUIRE(table.sorted() == rows);
    }
  }

  Row random_row(std::int64_t& now) {
    if (pick(4) == 0) now += static_cast<std::int64_t>(pick(4));
    Row row(5);
    const std::uint64_t key = pick(7);
    if (key != 5)
      row[0] = (key % 2 == 0 ? std::string{"a longer key with a \0 in it ", 28} : "k") + std::to_string(key);
    if (!steady_ || pick(50) == 0) window_ = now / 10 + 1 - static_cast<std::int64_t>(pick(2));
    row[1] = window_ * 10;
    if (steady_ || pick(6) != 0) row[2] = static_cast<std::int64_t>(pick(40)) - 20;
    if (pick(6) != 0) row[3] = static_cast<double>(pick(7)) / 2 - 2;
    if (pick(6) != 0) row[4] = std::string(pick(4), static_cast<char>('a' + pick(3)));
    return row;
  }

  static std::vector<std::int64_t> times_of(const std::vector<Row>& rows) {
    std::vector<std::int64_t> times;
    for (const Row& row : rows) times.push_back(std::get<std::int64_t>(row[1]) - 1);
    return times;
  }

  static std::string json(const SchemaPtr& of, const Row& row) {
    std::string text;
    append_row_json(*testing_support::make_batch(of, std::vector<Row>{row}), 0, text);
    return text;
  }

  static std::string key(const Row& row, const std::vector<std::size_t>& fields) {
    std::string text;
    for (const std::size_t field : fields) text += window_tests::to_text(row[field]) + "|";
    return text;
  }

  std::mt19937_64 random_;
  testing_support::RandomBackends backends_;
  bool steady_ = pick(2) == 0;  ///< rows of a window come one after the other, all with a price
  std::int64_t window_ = 0;
};

}  // namespace

TEST_CASE("a top gives what sorting all rows gives") {
  for (const std::uint64_t seed : testing_support::seeds(200)) {
    CAPTURE(seed);
    Case{seed}.top(false);
  }
}

TEST_CASE("a top of windows gives each window's first rows once") {
  for (const std::uint64_t seed : testing_support::seeds(200)) {
    CAPTURE(seed);
    Case{seed}.top(true);
  }
}

TEST_CASE("a distinct gives one row of each key") {
  for (const std::uint64_t seed : testing_support::seeds(200)) {
    CAPTURE(seed);
    Case{seed}.distinct();
  }
}

}  // namespace dataflow

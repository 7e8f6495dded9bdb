// A top of windows' results gives the same when each batch leaves out what cannot be among the first.

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "libdataflow/operators/combines_input.hpp"
#include "libdataflow/ranking/top.hpp"
#include "tests/support/batches.hpp"
#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using testing_support::Row;

namespace {

const SchemaPtr& results() {
  static const SchemaPtr schema = make_schema({{"window_start", TypeKind::timestamp},
                                               {"window_end", TypeKind::timestamp},
                                               {"auction", TypeKind::int64},
                                               {"num", TypeKind::int64}});
  return schema;
}

TopSpec top_of_windows(std::uint64_t limit, bool ties, bool descending) {
  TopSpec top;
  top.key_fields = {0, 1};
  top.window_end = 1;
  top.order = {{3, descending}};
  top.limit = limit;
  top.ties = ties;
  return top;
}

std::optional<Combiner> combiner_of(const TopSpec& top) {
  const auto factory = make_top(top, results());
  return dynamic_cast<const CombinesInput&>(*factory).combiner(Duration{0});
}

/// A top, and perhaps its combiner in front of it, in one subtask.
class Ranking {
 public:
  Ranking(const TopSpec& top, bool combined) : op_{make_top(top, results())->create()} {
    REQUIRE(op_->open(context_).has_value());
    if (combined) before_ = combiner_of(top).value().factory->create();
    if (before_) REQUIRE(before_->open(context_).has_value());
  }
  void push(const BatchPtr& batch) {
    window_tests::Collected chosen;
    if (before_) REQUIRE(before_->process(0, batch, chosen) == Step::done);
    if (!before_) chosen.main = {batch};
    for (const BatchPtr& sent : chosen.main) {
      rows_sent += sent->rows();
      REQUIRE(op_->process(0, sent, out_).has_value());
    }
  }
  void watermark(std::int64_t time) {
    context_.event_time = Timestamp{time};
    REQUIRE(op_->on_watermark(context_.event_time, out_) == Step::done);
  }
  [[nodiscard]] std::string given() const { return window_tests::to_text(out_.main); }
  [[nodiscard]] std::uint64_t late() { return context_.counter("late").value(); }

  std::size_t rows_sent = 0;

 private:
  window_tests::Context context_;
  std::unique_ptr<Operator> op_;
  std::unique_ptr<Operator> before_;
  window_tests::Collected out_;
};

}  // namespace

TEST_CASE("a top of windows' results gives the same when batches leave out what is behind") {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8}) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const TopSpec top = top_of_windows(1 + random() % 4, seed % 2 == 0, seed % 3 != 0);
    Ranking all{top, false};
    Ranking chosen{top, true};
    for (std::int64_t end = 20; end < 300; end += 10) {
      std::vector<Row> rows;
      // Results of one window or two, and some of windows that are over.
      for (const std::int64_t late : {0, 0, 60}) {
        const std::int64_t of = end - late + static_cast<std::int64_t>(random() % 2) * 10;
        for (std::size_t n = random() % 200; n-- > 0;) {
          rows.push_back(
              {of - 20, of, static_cast<std::int64_t>(random() % 1000), static_cast<std::int64_t>(random() % 50)});
        }
      }
      if (rows.empty()) continue;
      const BatchPtr batch = testing_support::make_batch(results(), rows);
      all.push(batch);
      chosen.push(batch);
      all.watermark(end - 10);
      chosen.watermark(end - 10);
    }
    CHECK(chosen.given() == all.given());
    CHECK(chosen.late() == all.late());
    CHECK(chosen.late() > 0);
    CHECK(chosen.rows_sent < all.rows_sent / 2);
  }
}

TEST_CASE("of which tops batches leave something out") {
  CHECK(combiner_of(top_of_windows(1000, false, true)));
  CHECK(!combiner_of(top_of_windows(1001, false, true)));
  TopSpec running = top_of_windows(1, false, true);
  running.window_end.reset();
  CHECK(!combiner_of(running));
  TopSpec by_end_alone = top_of_windows(1, false, true);
  by_end_alone.key_fields = {1};
  CHECK(!combiner_of(by_end_alone));
}

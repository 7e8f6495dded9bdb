// What is sent to a top over windows: all that can be among the first, and little else.
#include "libdataflow/ranking/candidates.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/support/batches.hpp"
#include "tests/support/seeds.hpp"

using namespace dataflow;
using testing_support::make_batch;
using testing_support::Row;
using testing_support::seeds;

namespace {

constexpr std::int64_t window = 100;

SchemaPtr ranked_schema() {
  static const SchemaPtr schema = make_schema({{"price", TypeKind::int64},
                                               {"second", TypeKind::int64},
                                               {"window_start", TypeKind::timestamp},
                                               {"window_end", TypeKind::timestamp}});
  return schema;
}

struct Ranked {
  std::int64_t price;
  std::int64_t second;
  std::int64_t end;
  std::size_t number;  ///< in the order in which they come
};

Row row_of(const Ranked& ranked) {
  return {ranked.price, ranked.second, ranked.end - window, ranked.end};
}

TopSpec top_of(std::vector<SortField> order, std::uint64_t limit, bool ties) {
  TopSpec top;
  top.key_fields = {3};
  top.window_end = 3;
  top.order = std::move(order);
  top.limit = limit;
  top.ties = ties;
  return top;
}

/// The numbers of each window's first rows.
std::map<std::int64_t, std::vector<std::size_t>> first_of(std::vector<Ranked> rows, const TopSpec& top) {
  const auto before = [&](const Ranked& a, const Ranked& b) {
    for (const SortField& field : top.order) {
      const std::int64_t x = field.field == 0 ? a.price : a.second;
      const std::int64_t y = field.field == 0 ? b.price : b.second;
      if (x != y) return field.descending ? x > y : x < y;
    }
    return false;
  };
  std::stable_sort(rows.begin(), rows.end(), before);
  std::map<std::int64_t, std::vector<Ranked>> kept;
  for (const Ranked& row : rows) {
    auto& of_window = kept[row.end];
    const bool ties_with_last = top.ties && !of_window.empty() && !before(of_window.back(), row);
    if (of_window.size() < top.limit || ties_with_last) of_window.push_back(row);
  }
  std::map<std::int64_t, std::vector<std::size_t>> numbers;
  for (const auto& [end, of_window] : kept) {
    for (const Ranked& row : of_window) numbers[end].push_back(row.number);
  }
  return numbers;
}

}  // namespace

TEST_CASE("the first rows of what is chosen are the first rows of all") {
  for (const std::uint64_t seed : seeds(200)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
    const bool descending = below(2) == 0;
    std::vector<SortField> order{{0, descending}};
    if (below(2) == 0) order.push_back({1, below(2) == 0});
    const TopSpec top = top_of(order, static_cast<std::uint64_t>(1 + below(5)), below(2) == 0);
    REQUIRE(Candidates::worth_it(top));
    Candidates candidates{top};
    std::vector<Ranked> all;
    std::vector<Ranked> chosen;
    const std::uint64_t prices = below(2) == 0 ? 5 : 1'000'000;
    for (int i = 0; i < 20; ++i) {
      // Windows one after the other, some rows of the next or the one before.
      std::vector<Ranked> batch;
      const std::int64_t rows = 1 + below(200);
      for (std::int64_t row = 0; row < rows; ++row) {
        const std::int64_t end = window * (10 + i / 5 + (below(20) == 0 ? below(3) - 1 : 0));
        batch.push_back({below(prices) - 3, below(3), end, all.size() + batch.size()});
      }
      std::vector<Row> of_batch;
      for (const Ranked& row : batch) of_batch.push_back(row_of(row));
      std::vector<std::uint32_t> kept;
      // Time is behind, so that windows end only after their rows have come.
      const Timestamp watermark{window * (8 + i / 5)};
      const bool some = candidates.choose(make_batch(ranked_schema(), of_batch), watermark, kept);
      for (std::size_t row = 0; row < batch.size(); ++row) {
        all.push_back(batch[row]);
        if (!some || std::binary_search(kept.begin(), kept.end(), row)) chosen.push_back(batch[row]);
      }
    }
    CHECK(first_of(chosen, top) == first_of(all, top));
  }
}

TEST_CASE("what is behind as many as count is not sent; of a window that is over all is") {
  Candidates candidates{top_of({{0, true}}, 1, false)};
  std::vector<Row> rows;
  for (std::size_t i = 0; i < 100; ++i) rows.push_back(row_of({i == 10 ? 9 : 7, 0, 200, i}));
  std::vector<std::uint32_t> kept;
  REQUIRE(candidates.choose(make_batch(ranked_schema(), rows), Timestamp{0}, kept));
  CHECK(kept == std::vector<std::uint32_t>{0, 10});
  REQUIRE(candidates.choose(make_batch(ranked_schema(), rows), Timestamp{198}, kept));
  CHECK(kept.empty());
  CHECK(!candidates.choose(make_batch(ranked_schema(), rows), Timestamp{199}, kept));
}

TEST_CASE("rows that tie with the last one are sent, as are those of a column with NULLs") {
  Candidates with_ties{top_of({{0, false}}, 2, true)};
  std::vector<Row> rows;
  for (std::size_t i = 0; i < 100; ++i) rows.push_back(row_of({i < 50 ? 3 : 4, 0, 200, i}));
  std::vector<std::uint32_t> kept;
  REQUIRE(with_ties.choose(make_batch(ranked_schema(), rows), Timestamp{0}, kept));
  CHECK(kept.size() == 50);
  rows[7][0] = Value{};
  CHECK(!with_ties.choose(make_batch(ranked_schema(), rows), Timestamp{0}, kept));
}

TEST_CASE("a top with another key, or of many rows, gets all of them") {
  TopSpec by_auction = top_of({{0, true}}, 1, false);
  by_auction.key_fields = {1, 3};
  CHECK(!Candidates::worth_it(by_auction));
  CHECK(!Candidates::worth_it(top_of({{0, true}}, 100'000, false)));
}

// What only shows with many keys: the order of results, and that keys which are gone leave nothing behind.

#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::window_tests;

namespace {

/// One record for each key in [first, first + count), at `time`.
std::vector<Record> records_of_keys(std::int64_t first, std::int64_t count, std::int64_t time) {
  std::vector<Record> records;
  for (std::int64_t k = first; k < first + count; ++k) records.push_back({std::to_string(k), k, time});
  return records;
}

}  // namespace

TEST_CASE("a window's results come in the order of the keys' first records, also where hashes agree") {
  // Enough keys for many pairs with the same 16 hash bits in one neighbourhood of the index.
  constexpr std::int64_t keys = 300'000;
  WindowSpec spec = windows_by_key(WindowKind::tumbling, {{"n", "count()"}});
  spec.size = Duration{10};
  Windowing windows{std::move(spec)};
  for (std::int64_t first = 0; first < keys; first += 4'000) windows.push(records_of_keys(first, 4'000, 1));
  windows.push(records_of_keys(0, 1'000, 2));
  windows.drain();
  std::int64_t expected = 0;
  for (const BatchPtr& batch : windows.out.main) {
    for (std::size_t row = 0; row < batch->rows(); ++row) {
      REQUIRE(batch->column(0).text(row) == std::to_string(expected));
      REQUIRE(batch->column(3).as<std::int64_t>()[row] == (expected < 1'000 ? 2 : 1));
      ++expected;
    }
  }
  CHECK(expected == keys);
}

TEST_CASE("keys that come and go leave sliding windows right") {
  // Each slice has keys of its own, so that most of what the operator knows is gone after three slides.
  constexpr std::int64_t keys_a_slice = 3'000;
  WindowSpec spec = windows_by_key(WindowKind::sliding, {{"n", "count()"}, {"most", "max(key)"}});
  spec.size = Duration{30};
  spec.slide = Duration{10};
  Windowing windows{std::move(spec)};
  for (std::int64_t slice = 0; slice < 12; ++slice) {
    windows.push(records_of_keys(slice * keys_a_slice, keys_a_slice, slice * 10));
    windows.push({{"always", 1, slice * 10}});
    windows.watermark(slice * 10 + 9);
    const std::int64_t slices = std::min<std::int64_t>(slice + 1, 3);
    std::int64_t rows = 0;
    for (const BatchPtr& batch : std::exchange(windows.out.main, {})) {
      for (std::size_t row = 0; row < batch->rows(); ++row) {
        const std::string key{batch->column(0).text(row)};
        REQUIRE(batch->column(3).as<std::int64_t>()[row] == (key == "always" ? slices : 1));
        REQUIRE(batch->column(4).text(row) == key);
        if (key != "always") REQUIRE(std::stoll(key) >= (slice + 1 - slices) * keys_a_slice);
      }
      rows += batch->rows();
    }
    CHECK(rows == slices * keys_a_slice + 1);
  }
}

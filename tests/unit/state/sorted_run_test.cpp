#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "libdataflow/state/sorted_run.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {

namespace {

using Entries = std::multimap<std::string, std::string>;

SortedRunPtr written(const std::filesystem::path& file, const Entries& entries) {
  auto writer = SortedRunWriter::create(file);
  REQUIRE(writer.has_value());
  for (const auto& [key, value] : entries) REQUIRE((*writer)->add(key, value).has_value());
  auto run = (*writer)->finish();
  REQUIRE(run.has_value());
  return *run;
}

std::vector<std::pair<std::string, std::string>> read(StoreScan& scan) {
  std::vector<std::pair<std::string, std::string>> all;
  for (; scan.valid(); scan.next()) all.emplace_back(scan.key(), scan.value());
  return all;
}

}  // namespace

TEST_CASE("several runs are read as one, equal keys in the order of the runs") {
  for (const std::uint64_t seed : testing_support::seeds(20)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const testing_support::TemporaryFolder folder;
    std::vector<SortedRunPtr> runs;
    Entries all;
    for (std::size_t n = random() % 6; n > 0; --n) {
      Entries entries;
      for (std::size_t i = random() % 3000; i > 0; --i) {
        // Some that fill a buffer, many that are empty.
        const std::size_t length = random() % 50 == 0 ? random() % 200'000 : random() % 30;
        entries.emplace(std::to_string(random() % 2000), std::string(length, static_cast<char>('a' + n)));
      }
      runs.push_back(written(folder / std::to_string(n), entries));
      all.insert(entries.begin(), entries.end());
    }
    const auto scan = merge_runs(runs);
    CHECK(read(*scan) == std::vector<std::pair<std::string, std::string>>(all.begin(), all.end()));
    CHECK(scan->status().has_value());
  }
}

TEST_CASE("keys of several runs that begin alike are read in the order of their bytes") {
  const testing_support::TemporaryFolder folder;
  const std::string zero(1, '\0');
  const std::string long_key(16, 'k');
  std::vector<std::string> keys{"",
                                zero,
                                zero + zero,
                                "a",
                                "a" + zero,
                                "a" + zero + "b",
                                "ab",
                                long_key,
                                long_key + zero,
                                long_key + "a",
                                long_key + "\xff",
                                "\x7f",
                                "\x80",
                                "\xff",
                                std::string(17, '\xff')};
  std::sort(keys.begin(), keys.end());
  std::vector<std::pair<std::string, std::string>> expected;
  std::vector<Entries> entries(3);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    expected.emplace_back(keys[i], std::to_string(i));
    entries[i % 3].emplace(keys[i], std::to_string(i));
  }
  std::vector<SortedRunPtr> runs;
  for (std::size_t i = 0; i < 3; ++i) runs.push_back(written(folder / std::to_string(i), entries[i]));
  CHECK(read(*merge_runs(runs)) == expected);
}

TEST_CASE("keys are looked up in a run by its index") {
  for (const std::uint64_t seed : testing_support::seeds(20)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const testing_support::TemporaryFolder folder;
    std::map<std::string, std::string> entries;
    for (std::size_t i = random() % 5000; i > 0; --i) {
      const std::size_t length = random() % 200 == 0 ? random() % 300'000 : random() % 50;
      entries.emplace(std::to_string(random() % 10'000), std::string(length, static_cast<char>('a' + i % 26)));
    }
    auto writer = SortedRunWriter::create(folder / "run", RunIndex::pieces);
    REQUIRE(writer.has_value());
    for (const auto& [key, value] : entries) REQUIRE((*writer)->add(key, value).has_value());
    const auto run = (*writer)->finish();
    REQUIRE(run.has_value());
    std::set<std::string> wanted;
    for (std::size_t i = random() % 500; i > 0; --i) wanted.insert(std::to_string(random() % 12'000));
    const std::vector<std::string_view> keys(wanted.begin(), wanted.end());
    StoreValues values;
    REQUIRE(look_up(**run, keys, values).has_value());
    REQUIRE(values.size() == keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto entry = entries.find(std::string{keys[i]});
      CHECK(values[i].has_value() == (entry != entries.end()));
      if (values[i]) CHECK(*values[i] == entry->second);
    }
  }
}

TEST_CASE("a look-up notices a damaged piece") {
  const testing_support::TemporaryFolder folder;
  auto writer = SortedRunWriter::create(folder / "run", RunIndex::pieces);
  REQUIRE((*writer)->add("a", "1").has_value());
  const auto run = (*writer)->finish();
  std::fstream{folder / "run", std::ios::in | std::ios::out | std::ios::binary}.seekp(8) << 'x';
  StoreValues values;
  const std::vector<std::string_view> keys{"a"};
  const auto read = look_up(**run, keys, values);
  REQUIRE_FALSE(read.has_value());
  CHECK(read.error().code() == ErrorCode::malformed_data);
}

TEST_CASE("a run's file goes with its last reader") {
  const testing_support::TemporaryFolder folder;
  const auto file = folder / "run";
  auto run = written(file, {{"a", "1"}, {"b", "2"}});
  auto scan = merge_runs({run});
  run.reset();
  CHECK(read(*scan).size() == 2);
  CHECK(std::filesystem::exists(file));
  scan.reset();
  CHECK_FALSE(std::filesystem::exists(file));
}

TEST_CASE("a run that is not finished leaves no file, and one in the way is not written over") {
  const testing_support::TemporaryFolder folder;
  const auto file = folder / "run";
  {
    auto writer = SortedRunWriter::create(file);
    REQUIRE(writer.has_value());
    REQUIRE((*writer)->add("a", "1").has_value());
    CHECK_FALSE(SortedRunWriter::create(file).has_value());
  }
  CHECK_FALSE(std::filesystem::exists(file));
}

TEST_CASE("a run that is cut off, or has a bit turned, is named") {
  const testing_support::TemporaryFolder folder;
  const auto file = folder / "run";
  const Entries entries{{"a", std::string(1000, 'x')}, {"b", std::string(100'000, 'y')}};
  for (const bool cut : {true, false}) {
    CAPTURE(cut);
    const auto run = written(file, entries);
    if (cut) {
      std::filesystem::resize_file(file, run->bytes() - 10);
    } else {
      std::fstream content{file, std::ios::in | std::ios::out | std::ios::binary};
      content.seekp(500);
      content.put('z');
    }
    const auto scan = merge_runs({run});
    read(*scan);
    REQUIRE_FALSE(scan->status().has_value());
    CHECK(scan->status().error().code() == ErrorCode::malformed_data);
    CHECK(scan->status().error().message().find(file.string()) != std::string::npos);
  }
}

}  // namespace dataflow

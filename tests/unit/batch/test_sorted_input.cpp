// A batch's keys that memory has no room for: their rows are put aside, and every key is given all the same.

#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "libdataflow/batch/rows_aside.hpp"
#include "libdataflow/batch/sorted_input.hpp"
#include "libdataflow/ranking/distinct.hpp"
#include "libdataflow/ranking/top.hpp"
#include "libdataflow/windows/window_spec.hpp"
#include "tests/unit/batch/batch_job.hpp"

using namespace dataflow;
using namespace dataflow::batch_tests;
using testing_support::Row;

namespace {

const SchemaPtr& amounts() {
  static const SchemaPtr schema = make_schema({{"k", TypeKind::string}, {"n", TypeKind::int64}});
  return schema;
}

/// Rows of the keys k0, k1, .. with n = first, first + 1, ..
BatchPtr one_row_of_each(std::int64_t keys, std::int64_t first) {
  std::vector<Row> rows;
  std::vector<std::int64_t> times;
  for (std::int64_t k = 0; k < keys; ++k) {
    rows.push_back({Value{"k" + std::to_string(k)}, Value{first + k}});
    times.push_back(first + k);
  }
  return testing_support::make_batch(amounts(), rows, times);
}

OperatorFactoryPtr first_of_key() {
  return with_sorted_input(make_distinct({.key_fields = {0}, .ttl = {}}, amounts()), amounts(), {0}, KeyGrowth::none);
}

OperatorFactoryPtr largest_two() {
  TopSpec spec;
  spec.key_fields = {0};
  spec.order = {{1, true}};
  spec.limit = 2;
  spec.at_end = true;
  return with_sorted_input(make_top(spec, amounts()), amounts(), {0}, KeyGrowth::with_rows);
}

constexpr std::int64_t many_keys = 1000;
constexpr std::uint64_t room_for_some = 40'000;

BatchJob::Table twos() {
  BatchJob::Table table;
  for (std::int64_t k = 0; k < many_keys; ++k) {
    for (const std::int64_t n : {2000 + k, 4000 + k}) {
      table["0: k" + std::to_string(k) + " " + std::to_string(n) + " at " + std::to_string(n)] = 1;
    }
  }
  return table;
}

}  // namespace

TEST_CASE("a top gives the rows of every key, those that had to wait for the end among them") {
  BatchJob job{largest_two(), {0}};
  job.start(2, room_for_some);
  for (const std::int64_t first : {2000, 0, 4000}) job.push(one_row_of_each(many_keys, first));
  CHECK(job.given().empty());
  CHECK(job.end() == twos());
}

TEST_CASE("what there is room for is given at once, and no key twice") {
  BatchJob job{first_of_key(), {0}};
  job.start(1, room_for_some);
  job.push(one_row_of_each(many_keys, 0));
  job.push(one_row_of_each(2 * many_keys, 5000));
  const std::size_t at_once = job.given().size();
  CHECK(at_once == many_keys);  // the whole batch with which the room ended
  job.push(one_row_of_each(2 * many_keys, 9000));
  CHECK(job.given().size() == at_once);
  const auto table = job.end();
  CHECK(table.size() == 2 * many_keys);
  CHECK(table.contains("0: k0 0 at 0"));
  CHECK(table.contains("0: k1500 6500 at 6500"));
}

TEST_CASE("rows that were put aside go through checkpoints, and to other subtasks, which keep no key that waits") {
  for (const auto kind : {BatchJob::Kind::checkpoint, BatchJob::Kind::savepoint}) {
    BatchJob job{largest_two(), {0}};
    job.start(2, room_for_some);
    job.push(one_row_of_each(many_keys, 2000));
    job.push(one_row_of_each(many_keys, 0));
    const auto checkpoint = job.take(kind);
    job.push(one_row_of_each(many_keys, 7000));  // of an attempt that ends here
    for (const std::uint32_t parallelism : {1, 3}) {
      job.start(parallelism, parallelism == 1 ? std::optional<std::uint64_t>{1 << 20} : room_for_some);
      REQUIRE(job.restore(checkpoint).has_value());
      job.push(one_row_of_each(many_keys, 4000));
      CHECK(job.end() == twos());
    }
  }
}

TEST_CASE("a batch goes on with its state in stores, with the rows that it had put aside on the heap") {
  BatchJob job{largest_two(), {0}};
  job.start(1, room_for_some);
  job.push(one_row_of_each(many_keys, 2000));
  job.push(one_row_of_each(many_keys, 0));
  const auto checkpoint = job.take();
  job.start_on(2, *make_memory_backend(job.folder() / "stores", 0));
  REQUIRE(job.restore(checkpoint).has_value());
  job.push(one_row_of_each(many_keys, 4000));
  CHECK(job.end() == twos());
}

TEST_CASE("a batch that goes on from a stream's state keeps all keys, of which it does not know") {
  BatchJob stream{make_distinct({.key_fields = {0}, .ttl = {}}, amounts()), {0}};
  stream.start(1, std::nullopt);
  stream.push(one_row_of_each(10, 0));
  const auto checkpoint = stream.take(BatchJob::Kind::savepoint);
  BatchJob batch{first_of_key(), {0}};
  batch.start(1, 0);
  REQUIRE(batch.restore(checkpoint).has_value());
  batch.push(one_row_of_each(20, 100));
  CHECK(batch.given().size() == 10);
  CHECK(batch.end().size() == 10);
}

TEST_CASE("no file of what was put aside is left") {
  BatchJob job{largest_two(), {0}};
  job.start(1, 0);
  job.push(one_row_of_each(1, 0));                                 // there is room for this one
  for (int i = 0; i < 100; ++i) job.push(one_row_of_each(10, i));  // more runs than are read at once
  const auto files = [&] {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{job.folder().path()}) {
      count += entry.is_regular_file() ? 1 : 0;
    }
    return count;
  };
  CHECK(files() > 0);
  CHECK(files() <= 64);
  CHECK(job.end().size() == 20);
  CHECK(files() == 0);
}

TEST_CASE("a disk that is full fails the job with the file's name") {
  BatchJob job{largest_two(), {0}};
  job.start(1, 0);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit none{0, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &none) == 0);
  const BatchPtr batch = one_row_of_each(many_keys, 0);
  class Nowhere final : public OperatorOutput {
    void emit(BatchPtr, std::size_t) override {}
    [[nodiscard]] bool full() const override { return false; }
  } nowhere;
  REQUIRE(job.op(0).process(0, batch, nowhere).has_value());
  const auto failed = job.op(0).process(0, one_row_of_each(2 * many_keys, 0), nowhere);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, handler);
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code() == ErrorCode::io);
  CHECK(failed.error().message().find("cannot write " + job.folder().path().string()) != std::string::npos);
}

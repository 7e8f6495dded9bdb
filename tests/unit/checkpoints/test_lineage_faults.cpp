// Bugs that `dfnode simulate` has found in how a run's checkpoints are led and named.

#include <doctest/doctest.h>

#include "libdataflow/checkpoint/job_checkpoints.hpp"
#include "libdataflow/checkpoint/lineage.hpp"
#include "libdataflow/checkpoint/memory_storage.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

namespace dataflow {
namespace {

JobGraphPtr small_job() {
  testing_support::GraphBuilder builder;
  builder.graph.name = "job";
  builder.source("in", make_schema({{"id", TypeKind::int64}}),
                 std::make_shared<testing_support::ScriptedSource>(std::vector<testing_support::Script>{}));
  builder.sink("out", {"in"}, testing_support::pass_through());
  builder.graph.settings.checkpoint = CheckpointSettings{.storage = {}, .tolerable_failures = {}};
  return std::make_shared<const JobGraph>(
      *build_job_graph(std::make_shared<const StreamGraph>(std::move(builder.graph)), 1));
}

TEST_CASE("a bit that flips in the name of the latest checkpoint is noticed") {
  const std::string good = encode_latest({4, 17, 3, {}});
  REQUIRE(decode_latest(good, 4, "job/run-000001")->id == 17);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string damaged = good;
    damaged[bit / 8] = static_cast<char>(static_cast<unsigned char>(damaged[bit / 8]) ^ (1U << (bit % 8)));
    CAPTURE(damaged);
    CHECK_FALSE(decode_latest(damaged, 4, "job/run-000001"));
  }
}

TEST_CASE("the name of a latest checkpoint that an older program wrote is read") {
  const auto read = decode_latest("1 17 3\n", 4, "job/run-000001");
  REQUIRE(read);
  CHECK(read->id == 17);
  CHECK(read->epoch == 3);
}

TEST_CASE("a bit that flips in who began a run is noticed, and a run is not begun beside it") {
  MemoryStorage storage;
  REQUIRE(begin_run(storage, "job", "job-1", {"/savepoints/a", false}));
  const std::string key = "job/run-000001/epoch-000001";
  const std::string good = storage.files().at(key);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string damaged = good;
    damaged[bit / 8] = static_cast<char>(static_cast<unsigned char>(damaged[bit / 8]) ^ (1U << (bit % 8)));
    storage.files()[key] = damaged;
    CAPTURE(damaged);
    CHECK_FALSE(resume_run(storage, "job", "job-1"));
  }
}

TEST_CASE("a run that an older program began is taken up") {
  MemoryStorage storage;
  storage.files()["job/run-000001/epoch-000001"] = "job-1";
  const auto run = resume_run(storage, "job", "job-1");
  REQUIRE(run);
  REQUIRE(*run);
  CHECK((*run)->job_id == "job-1");
  storage.files()["job/run-000002/epoch-000001"] = "job-2\nfrom 1 drop /savepoints/a";
  const auto from = resume_run(storage, "job", "job-2");
  REQUIRE(from);
  CHECK((*from)->origin == RunOrigin{"/savepoints/a", true});
}

TEST_CASE("a master that stood still before it began its run does not begin one beside its successor's") {
  const auto storage = std::make_shared<MemoryStorage>();
  const auto successor = JobCheckpoints::open(small_job(), "job-1", {.from = StartFrom::own_run}, storage);
  REQUIRE(successor);
  const auto woken = JobCheckpoints::open(small_job(), "job-1", {}, storage);
  REQUIRE_FALSE(woken);
  CHECK(woken.error() == overtaken());
  CHECK(JobCheckpoints::open(small_job(), "job-2", {}, storage));
}

TEST_CASE("a master that was overtaken while it stood still starts no attempt") {
  const auto storage = std::make_shared<MemoryStorage>();
  const auto first = JobCheckpoints::open(small_job(), "job-1", {}, storage);
  REQUIRE(first);
  REQUIRE((*first)->restore_point());
  const auto successor = JobCheckpoints::open(small_job(), "job-1", {.from = StartFrom::own_run}, storage);
  REQUIRE(successor);
  const auto point = (*first)->restore_point();
  REQUIRE_FALSE(point);
  CHECK(point.error() == overtaken());
  CHECK((*successor)->restore_point());
}

}  // namespace
}  // namespace dataflow

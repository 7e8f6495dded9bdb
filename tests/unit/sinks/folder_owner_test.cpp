#include "libdataflow/sinks/folder_owner.hpp"

#include <doctest/doctest.h>

#include "libdataflow/sinks/output_folder.hpp"
#include "tests/unit/sinks/sinking.hpp"

using namespace dataflow;
using namespace dataflow::testing;

namespace {

using Guard = std::unique_ptr<JobGuard>;

Guard claim(const TemporaryFolder& folder, const SinkIdentity& sink, OnExisting on_existing = OnExisting::append,
            bool resumable = false) {
  auto guard = claim_folder(folder.path(), on_existing, sink.sink, {.id = sink.job_id, .resumable = resumable});
  REQUIRE_MESSAGE(guard, (guard ? "" : guard.error().message()));
  return std::move(*guard);
}

std::string refusal(const TemporaryFolder& folder, const SinkIdentity& sink, OnExisting on_existing) {
  const auto guard = claim_folder(folder.path(), on_existing, sink.sink, {.id = sink.job_id});
  REQUIRE_FALSE(guard);
  CHECK(guard.error().code() == ErrorCode::io);
  return guard.error().message();
}

/// A hidden part as a subtask leaves it.
void write_part(const std::string& folder, const SinkIdentity& sink) {
  std::filesystem::create_directories(folder);
  std::ofstream{folder + "/" + hidden_part_name(sink, 0, 0, 0) + ".json"} << "{}\n";
}

std::vector<std::string> hidden_names(const TemporaryFolder& folder) {
  std::vector<std::string> names;
  for (const auto& [name, content] : hidden_files(folder.path())) names.push_back(name);
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a hidden name says whose file it is") {
  CHECK(owner_in(".part.job.sink.0.1.2.json") == "job.sink");
  CHECK(owner_in(".replaced.job.sink") == "job.sink");
  CHECK(owner_in(".replaced.job.sink.3") == "job.sink");
  CHECK(owner_in(".lock." + owner_name({"a.b", "c d"})) == owner_name({"a.b", "c d"}));
  CHECK(owner_in(hidden_part_name({"a.b", "c/d"}, 0, 0, 0)) == owner_name({"a.b", "c/d"}));
  for (const char* foreign :
       {".part.job", ".part..x", ".part.job.", ".partition.job.sink", "part-0-0.json", ".DS_Store"}) {
    CHECK_FALSE(owner_in(foreign));
  }
}

TEST_CASE("a job that has ended leaves nothing hidden") {
  const TemporaryFolder folder;
  std::ofstream{folder.path() + "/part-0-0.json"} << "{}\n";
  const Guard guard = claim(folder, {"job1", "out"}, OnExisting::replace);
  write_part(folder.path() + "/city=Basel", {"job1", "out"});
  CHECK(hidden_names(folder).size() == 3);
  guard->job_ended();
  CHECK(hidden_names(folder).empty());
  CHECK(visible_files(folder.path()).size() == 1);
}

TEST_CASE("what a killed job left is removed by the next, whatever its sink was called") {
  const TemporaryFolder folder;
  std::ofstream{folder.path() + "/part-0-0.json"} << "{}\n";
  claim(folder, {"dead", "out"}, OnExisting::replace).reset();
  write_part(folder.path(), {"dead", "out"});
  write_part(folder.path() + "/city=Basel", {"dead", "out"});
  write_part(folder.path(), {"older", "renamed"});
  std::ofstream{folder.path() + "/.mine"} << "kept";
  const Guard next = claim(folder, {"next", "out"});
  CHECK(hidden_names(folder) == Names{".lock.next.out", ".mine"});
}

TEST_CASE("what belongs to a living job is left alone, in partitions too") {
  const TemporaryFolder folder;
  const Guard living = claim(folder, {"living", "out"});
  write_part(folder.path() + "/city=Basel", {"living", "out"});
  const Guard next = claim(folder, {"next", "out"});
  const auto below = claim_folder(folder.path() + "/city=Basel", OnExisting::append, "out", {.id = "below"});
  REQUIRE(below);
  CHECK(hidden_names(folder).size() == 4);
}

TEST_CASE("what a resumable job has pre-committed stays for it, dead or ended") {
  const TemporaryFolder folder;
  const SinkIdentity sink{"resumed", "out"};
  claim(folder, sink, OnExisting::append, true).reset();
  write_part(folder.path(), sink);
  const Names left = {".lock.resumed.out", ".part.resumed.out.0.0.0.json"};
  claim(folder, {"next", "out"})->job_ended();
  CHECK(hidden_names(folder) == left);
  {
    const Guard again = claim(folder, sink, OnExisting::append, true);
    again->job_ended();
  }
  CHECK(hidden_names(folder) == left);
  claim(folder, {"next", "out"})->job_ended();
  CHECK(hidden_names(folder) == left);

  const Guard last = claim(folder, sink, OnExisting::append, true);
  REQUIRE(remove_hidden_parts(*system_part_files(), folder.path(), sink));
  last->job_ended();
  CHECK(hidden_names(folder).empty());
}

TEST_CASE("a job that must have the folder for itself is refused beside a living one") {
  const TemporaryFolder folder;
  const Guard living = claim(folder, {"living", "out"});
  for (const OnExisting on_existing : {OnExisting::error, OnExisting::replace}) {
    const std::string message = refusal(folder, {"next", "out"}, on_existing);
    CHECK(message.find("another job (living) is writing to the folder " + folder.path()) == 0);
    CHECK(message.find("on_existing = \"append\"") != std::string::npos);
  }
  CHECK(hidden_names(folder) == Names{".lock.living.out"});
  living->job_ended();
  claim(folder, {"next", "out"}, OnExisting::error)->job_ended();
}

TEST_CASE("a job that goes on from a checkpoint is not refused for what it made visible, nor does it replace it") {
  const TemporaryFolder folder;
  std::ofstream{folder.path() + "/part-0-0.json"} << "{}\n";
  for (const OnExisting on_existing : {OnExisting::error, OnExisting::replace}) {
    const auto guard =
        claim_folder(folder.path(), on_existing, "out", {.id = "job", .resumable = true, .goes_on = true});
    REQUIRE(guard);
    CHECK(hidden_names(folder) == Names{".lock.job.out"});
  }
}

TEST_CASE("two sinks of one job may share a folder") {
  const TemporaryFolder folder;
  const Guard one = claim(folder, {"job", "one"}, OnExisting::error);
  const Guard two = claim(folder, {"job", "two"}, OnExisting::error);
  CHECK(hidden_names(folder) == Names{".lock.job.one", ".lock.job.two"});
}

TEST_CASE("a job that runs already is not started a second time") {
  const TemporaryFolder folder;
  const Guard living = claim(folder, {"job", "out"});
  CHECK(refusal(folder, {"job", "out"}, OnExisting::append).find("the job job is running already") == 0);
  CHECK(hidden_names(folder) == Names{".lock.job.out"});
}

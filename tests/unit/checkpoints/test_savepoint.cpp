// Savepoints as folders: exported from a checkpoint, found, moved, damaged.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "libdataflow/checkpoint/lineage.hpp"
#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/checkpoint/savepoint.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/checkpoint/state_listing.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {

namespace {

using namespace testing_support;
namespace fs = std::filesystem;

const SchemaPtr& schema() {
  static const SchemaPtr s = make_schema({{"key", TypeKind::int64}, {"text", TypeKind::string}});
  return s;
}

/// A checkpoint of two subtasks, one with little state and one with more than lies in the metadata.
constexpr const char* folder = "job/run-000001/chk-0000000007.e000001";

void write_checkpoint(CheckpointStorage& storage) {
  CheckpointMetadata metadata;
  metadata.id = 7;
  metadata.max_parallelism = 16;
  metadata.job_name = "my job";
  metadata.job_id = "id";
  metadata.operators.push_back({"op", {}, "position"});
  for (std::uint32_t subtask = 0; subtask < 2; ++subtask) {
    auto state = std::make_unique<CopiedState>();
    state->begin({"rows", StateKind::list, 1, schema()});
    state->add(make_batch(schema(), {{std::int64_t{subtask}, std::string(subtask == 0 ? 3 : 40'000, 'x')}}));
    state->begin({"more", StateKind::list, 1, schema()});
    state->add(make_batch(schema(), {{std::int64_t{subtask} + 10, "y"}}));
    CapturedStates states;
    states.emplace_back("op", std::move(state));
    auto written = write_task_state(std::move(states), storage, folder, "0-" + std::to_string(subtask) + ".a0");
    REQUIRE(written);
    metadata.files.push_back(written->file);
    metadata.operators[0].subtasks.push_back({written->operators[0].tables, subtask});
  }
  REQUIRE(storage.put(std::string{folder} + "/_metadata", encode_metadata(metadata)));
}

std::vector<std::string> rows_of(const RestoredCheckpoint& checkpoint, const std::string& state,
                                 const std::string& key = {}) {
  std::vector<std::string> rows;
  const Status shown = show_state(checkpoint, {.op = "op", .state = state, .key_json = key},
                                  [&](const std::string& row) { rows.push_back(row.substr(0, 30)); });
  INFO((shown ? std::string{} : shown.error().message()));
  CHECK(shown);
  return rows;
}

}  // namespace

TEST_CASE("a savepoint holds what the checkpoint held, and can be moved") {
  const TemporaryFolder place;
  MemoryStorage storage;
  write_checkpoint(storage);
  const auto path = export_savepoint(storage, folder, (place / "savepoints").native());
  REQUIRE_MESSAGE(path, path.error().message());
  CHECK(fs::path{*path}.filename() == "savepoint-my%20job-0000000007");
  storage.files().clear();

  fs::rename(*path, (place / "elsewhere").native());
  const auto loaded = load_savepoint((place / "elsewhere").native());
  REQUIRE_MESSAGE(loaded, loaded.error().message());
  CHECK((*loaded)->metadata().savepoint);
  CHECK((*loaded)->metadata().id == 7);
  CHECK((*loaded)->enumerator("op") == "position");
  CHECK(rows_of(**loaded, "rows") ==
        std::vector<std::string>{R"({"key":0,"text":"xxx"})", R"({"key":1,"text":"xxxxxxxxxxxxx)"});
  CHECK(rows_of(**loaded, "more", "11") == std::vector<std::string>{R"({"key":11,"text":"y"})"});
  CHECK(rows_of(**loaded, "more", R"({"text": "y", "key": 10})") ==
        std::vector<std::string>{R"({"key":10,"text":"y"})"});
}

TEST_CASE("two savepoints of one number do not meet, and one of several has to be named") {
  const TemporaryFolder place;
  MemoryStorage storage;
  write_checkpoint(storage);
  const auto first = export_savepoint(storage, folder, place.path().native());
  REQUIRE(first);
  CHECK(load_savepoint(place.path().native()));  // the only one
  CHECK(load_savepoint(*first + "/_metadata"));
  CHECK(load_savepoint("file://" + *first + "/"));
  const auto second = export_savepoint(storage, folder, place.path().native());
  REQUIRE(second);
  CHECK(*first != *second);
  const auto which = load_savepoint(place.path().native());
  REQUIRE_FALSE(which);
  CHECK(which.error().message().find(*first + " " + *second) != std::string::npos);
  const auto none = load_savepoint((place / "nothing").native());
  REQUIRE_FALSE(none);
  CHECK(none.error().code() == ErrorCode::not_found);
}

TEST_CASE("a checkpoint that is damaged is not exported, and the file is named") {
  const TemporaryFolder place;
  MemoryStorage storage;
  write_checkpoint(storage);
  const std::string file = std::string{folder} + "/0-1.a0";
  storage.files().at(file)[100] ^= 1;
  const auto path = export_savepoint(storage, folder, place.path().native());
  REQUIRE_FALSE(path);
  CHECK(path.error().message().find(file) != std::string::npos);
  CHECK(path.error().message().find("checksum") != std::string::npos);
  CHECK(fs::is_empty(place.path()));
}

TEST_CASE("a savepoint whose file is cut off says so when it is read") {
  const TemporaryFolder place;
  MemoryStorage storage;
  write_checkpoint(storage);
  const auto path = export_savepoint(storage, folder, place.path().native());
  REQUIRE(path);
  fs::resize_file(*path + "/1", 1000);
  const auto loaded = load_savepoint(*path);
  REQUIRE(loaded);
  const Status shown = show_state(**loaded, {.op = "op", .state = "rows"}, [](const std::string&) {});
  REQUIRE_FALSE(shown);
  CHECK(shown.error().code() == ErrorCode::malformed_data);
  CHECK(shown.error().message().find(*path + "/1") != std::string::npos);
}

TEST_CASE("whoever asks for state that is not there is told what is") {
  const TemporaryFolder place;
  MemoryStorage storage;
  write_checkpoint(storage);
  const auto loaded = RestoredCheckpoint::load(std::shared_ptr<CheckpointStorage>(&storage, [](auto*) {}), folder);
  REQUIRE(loaded);
  const auto no_operator = show_state(**loaded, {.op = "other", .state = "rows"}, [](const std::string&) {});
  CHECK(no_operator.error().message() == "there is no state of an operator \"other\"; there is of: op");
  const auto no_state = show_state(**loaded, {.op = "op", .state = "other"}, [](const std::string&) {});
  CHECK(no_state.error().message() == "\"op\" has no state \"other\"; it has: more, rows");
  const auto no_key = show_state(**loaded, {.op = "op", .state = "rows", .key_json = "abc"}, [](const std::string&) {});
  CHECK(no_key.error().code() == ErrorCode::invalid_argument);
}

TEST_CASE("state in a store is listed as such, and is not taken for none") {
  CheckpointMetadata metadata;
  StateTable table{{"values", StateKind::keyed, 1, make_schema({{"key1", TypeKind::int64}})}, {}};
  table.store = {{"CURRENT", 16, 1, false}, {"000007.sst", 84, 2, true}};
  metadata.operators.push_back({"totals", {{{table}, 0}}, std::nullopt});
  const StateSummary listed = list_state(metadata).at(0).states.at(0);
  CHECK(listed.in_store);
  CHECK(listed.bytes == 100);
  CHECK_FALSE(listed.empty());
}

TEST_CASE("a run that began from a savepoint says so to whoever takes it up") {
  MemoryStorage storage;
  const RunOrigin origin{"/savepoints/one with spaces", true};
  const Leadership run = begin_run(storage, "job", "job-1", origin).value();
  CHECK(run.origin == origin);
  const auto next = resume_run(storage, "job").value();
  CHECK(next->origin == origin);
  CHECK(next->job_id == "job-1");
  begin_run(storage, "job", "job-2").value();
  CHECK(resume_run(storage, "job").value()->origin == RunOrigin{});
}

TEST_CASE("a job takes up its own run, and not one of another job of its name") {
  MemoryStorage storage;
  const Leadership mine = begin_run(storage, "job", "job-1").value();
  begin_run(storage, "job", "job-2").value();
  CHECK(resume_run(storage, "job", "job-1").value()->lineage == mine.lineage);
  CHECK_FALSE(resume_run(storage, "job", "job-3").value());
}

TEST_CASE("a storage that is another one than before completes nothing") {
  MemoryStorage storage;
  const Leadership run = begin_run(storage, "job", "job-1").value();
  CHECK(confirm_storage(storage, run.lineage, run.epoch));
  storage.files().clear();  // as when a disk is not mounted any more
  const Status there = confirm_storage(storage, run.lineage, run.epoch);
  REQUIRE_FALSE(there);
  CHECK(there.error().code() == ErrorCode::unavailable);
  CompletedCheckpoint one{1, 1, 1, checkpoint_folder(run.lineage, 1, 1)};
  CHECK_FALSE(advance_latest(storage, run.lineage, one));
  CHECK(storage.list("job/").value().empty());
}

}  // namespace dataflow

// Storages of checkpoints, and the lineage of a job's runs in them.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "libdataflow/checkpoint/lineage.hpp"
#include "libdataflow/checkpoint/memory_storage.hpp"

namespace dataflow {

namespace {

struct LocalFolder {
  LocalFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "dataflow-storage-XXXXXX").native();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~LocalFolder() { std::filesystem::remove_all(path); }
  std::string path;
};

void check_contract(CheckpointStorage& storage) {
  CHECK(storage.put("a/b/one", "1").value() == PutOutcome::stored);
  CHECK(storage.put("a/b/one", "2").value() == PutOutcome::exists);
  CHECK(storage.get("a/b/one").value() == "1");
  CHECK(storage.put("a/b2/two", "0123456789").value() == PutOutcome::stored);
  const auto middle = storage.get_range("a/b2/two", 3, 4);
  REQUIRE(middle);
  CHECK(std::string_view{middle->as<char>(), middle->size()} == "3456");
  CHECK(storage.get_range("a/b2/two", 8, 4).error().code() == ErrorCode::malformed_data);
  CHECK(storage.get("a/none").error().code() == ErrorCode::not_found);
  CHECK(storage.list("a/b").value() == std::vector<std::string>{"a/b/one", "a/b2/two"});
  CHECK(storage.list("a/b/").value() == std::vector<std::string>{"a/b/one"});
  CHECK(storage.list("none/").value().empty());
  {
    auto unfinished = storage.create("a/b/three");
    REQUIRE(unfinished);
    REQUIRE((*unfinished)->append("lost"));
  }
  CHECK(storage.get("a/b/three").error().code() == ErrorCode::not_found);
  CHECK(storage.remove("a/b/one"));
  CHECK(storage.remove("a/b/one"));
  CHECK(storage.put("a/b/one", "3").value() == PutOutcome::stored);
}

}  // namespace

TEST_CASE("a storage puts what is absent, gives, lists and deletes") {
  SUBCASE("in memory") {
    MemoryStorage storage;
    check_contract(storage);
  }
  SUBCASE("in a folder") {
    const LocalFolder folder;
    check_contract(**open_checkpoint_storage("file://" + folder.path + "/made/on/demand"));
    for (const auto& entry : std::filesystem::recursive_directory_iterator{folder.path}) {
      CHECK_FALSE(entry.path().filename().native().starts_with("."));
    }
  }
}

TEST_CASE("a folder whose disk has vanished is not made anew in its place, and is used again when it is back") {
  const LocalFolder folder;
  const auto storage = *open_checkpoint_storage(folder.path + "/place");
  REQUIRE(storage->put("job/run-1/chk-1/a", "1"));
  std::filesystem::rename(folder.path + "/place", folder.path + "/away");
  std::filesystem::create_directory(folder.path + "/place");
  const auto put = storage->put("job/run-1/chk-2/a", "2");
  REQUIRE_FALSE(put);
  CHECK(put.error().message().find("has a disk vanished") != std::string::npos);
  CHECK(std::filesystem::is_empty(folder.path + "/place"));
  std::filesystem::remove(folder.path + "/place");
  std::filesystem::rename(folder.path + "/away", folder.path + "/place");
  CHECK(storage->put("job/run-1/chk-3/a", "3"));
  // What the storage has removed itself has not vanished.
  CHECK(storage->put("other/run-1/one/a", "1"));
  CHECK(storage->put("other/run-1/b", "1"));
  CHECK(storage->remove("other/run-1/one/a"));
  CHECK(storage->remove("other/run-1/b"));
  CHECK(storage->put("other/run-1/two/a", "1"));
}

TEST_CASE("other storages are refused, saying which there are") {
  CHECK(open_checkpoint_storage("s3://bucket").error().message().find("file:///FOLDER") != std::string::npos);
  CHECK_FALSE(open_checkpoint_storage("file://"));
}

TEST_CASE("only one of two coordinators completes a checkpoint") {
  MemoryStorage storage;
  const Leadership first = begin_run(storage, "my job", "job-1").value();
  CHECK(first.lineage == "my%20job/run-000001");
  CompletedCheckpoint one{1, 1, first.epoch, checkpoint_folder(first.lineage, 1, first.epoch)};
  CHECK(advance_latest(storage, first.lineage, one).value() == Advance::done);

  const auto second = resume_run(storage, "my job").value();
  REQUIRE(second);
  CHECK(second->epoch == 2);
  CHECK(second->job_id == "job-1");
  REQUIRE(second->completed.size() == 1);
  CHECK(second->completed[0].folder == one.folder);

  // The first one, which was only stopped for a while, has nothing more to say.
  CompletedCheckpoint late{2, 2, first.epoch, checkpoint_folder(first.lineage, 2, first.epoch)};
  CHECK(advance_latest(storage, first.lineage, late).value() == Advance::overtaken);
  CompletedCheckpoint two{2, 2, second->epoch, checkpoint_folder(first.lineage, 2, second->epoch)};
  CHECK(advance_latest(storage, first.lineage, two).value() == Advance::done);
  CHECK(begin_run(storage, "my job", "job-2").value().lineage == "my%20job/run-000002");
}

TEST_CASE("of two jobs of one name each goes on with its own run") {
  MemoryStorage storage;
  const Leadership first = begin_run(storage, "job", "job-1").value();
  const Leadership second = begin_run(storage, "job", "job-2").value();
  const auto again = resume_run(storage, "job", "job-1").value();
  REQUIRE(again);
  CHECK(again->lineage == first.lineage);
  CHECK(again->epoch == 2);
  CHECK(resume_run(storage, "job", "job-2").value()->lineage == second.lineage);
  CHECK_FALSE(resume_run(storage, "job", "job-3").value());
  CHECK(resume_run(storage, "job").value()->lineage == second.lineage);
}

TEST_CASE("an advance whose answer was lost is found out by the next one") {
  MemoryStorage storage;
  const Leadership run = begin_run(storage, "job", "job-1").value();
  bool lose = true;
  storage.decide_fates([&](MemoryStorage::Call call, const std::string&) {
    return call == MemoryStorage::Call::put && std::exchange(lose, false) ? MemoryStorage::Fate::unsure
                                                                          : MemoryStorage::Fate::works;
  });
  CompletedCheckpoint one{1, 1, 1, checkpoint_folder(run.lineage, 1, 1)};
  CHECK_FALSE(advance_latest(storage, run.lineage, one));
  CompletedCheckpoint two{1, 2, 1, checkpoint_folder(run.lineage, 2, 1)};
  CHECK(advance_latest(storage, run.lineage, two).value() == Advance::done);
  CHECK(two.sequence == 2);
  CHECK(list_completed(storage, run.lineage).value().size() == 2);
}

TEST_CASE("what checkpoints of dead coordinators have left is removed, but nothing that was completed") {
  MemoryStorage storage;
  const Leadership run = begin_run(storage, "job", "job-1").value();
  CompletedCheckpoint one{1, 1, 1, checkpoint_folder(run.lineage, 1, 1)};
  REQUIRE(storage.put(one.folder + "/_metadata", "x"));
  REQUIRE(storage.put(checkpoint_folder(run.lineage, 2, 1) + "/0-0.a0", "x"));
  REQUIRE(advance_latest(storage, run.lineage, one));
  const auto next = resume_run(storage, "job").value();
  REQUIRE(remove_leftovers(storage, *next));
  CHECK(storage.list(run.lineage + "/chk-").value() == std::vector<std::string>{one.folder + "/_metadata"});
}

}  // namespace dataflow

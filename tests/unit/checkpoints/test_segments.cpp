// Segments: rows of a table that stay as they are, written by one checkpoint and linked by those after it.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/savepoint.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/checkpoint/state_listing.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {

namespace {

using namespace testing_support;

constexpr std::uint32_t segment_key_groups = 16;
constexpr std::int64_t keys_of_one = 1000;  // more than lie in the metadata

const SchemaPtr& segment_schema() {
  static const SchemaPtr s = make_schema({{"key", TypeKind::int64}, {"text", TypeKind::string}});
  return s;
}

using Keys = std::vector<std::int64_t>;
using Content = std::shared_ptr<const Keys>;

Content keys_from(std::int64_t first, std::int64_t count = keys_of_one) {
  auto keys = std::make_shared<Keys>();
  for (std::int64_t key = first; key < first + count; ++key) keys->push_back(key);
  return keys;
}

Status write_keys(const Keys& keys, StateWriter& writer) {
  KeyGroupWriter rows{writer, {0}, segment_key_groups};
  std::vector<Row> batch;
  for (const std::int64_t key : keys) batch.push_back({Value{key}, Value{std::string(40, 'x')}});
  if (Status added = rows.add(make_batch(segment_schema(), batch)); !added) return added;
  return rows.finish();
}

/// A task that keeps keys, some of which never change.
class KeyTask {
 public:
  explicit KeyTask(CheckpointStoragePtr storage) : storage_{std::move(storage)} {}

  Keys changing{-1, -2};
  std::vector<Content> unchanging;
  int written = 0;  ///< segments, by all checkpoints

  /// Nothing: it did not succeed.
  Result<std::uint64_t> checkpoint(const std::string& folder) {
    auto state = write_task_state(captured(), *storage_, folder, "0-0.a1", &uploaded_);
    if (!state) return fail(state.error());
    auto arrived = decode_task_state(encode_task_state(*state));
    REQUIRE(arrived.has_value());
    const std::uint64_t new_bytes = arrived->new_bytes;
    CheckpointMetadata metadata = metadata_of(std::move(*arrived));
    size = metadata.size();
    CHECK(size == state->size());
    REQUIRE(storage_->put(folder + "/" + std::string{metadata_name}, encode_metadata(metadata)));
    return new_bytes;
  }
  std::uint64_t size = 0;  ///< of the newest checkpoint

  CapturedStates captured() {
    struct State final : CapturedState {
      KeyTask* task = nullptr;
      Status write(StateWriter& writer) override {
        if (Status begun = writer.begin({"rows", StateKind::keyed, 1, segment_schema()}); !begun) return begun;
        if (Status added = write_keys(task->changing, writer); !added) return added;
        for (const Content& content : task->unchanging) {
          Status added = writer.add_segment({content}, [&](StateWriter& rows) {
            ++task->written;
            return write_keys(*content, rows);
          });
          if (!added) return added;
        }
        return {};
      }
    };
    auto state = std::make_unique<State>();
    state->task = this;
    CapturedStates states;
    states.emplace_back("op", std::move(state));
    return states;
  }

  static CheckpointMetadata metadata_of(TaskState state) {
    CheckpointMetadata metadata;
    metadata.max_parallelism = segment_key_groups;
    metadata.job_name = "job";
    metadata.operators.push_back({"op", {}, std::nullopt});
    metadata.operators[0].subtasks.push_back({std::move(state.operators[0].tables), 0});
    metadata.files.push_back(std::move(state.file));
    return metadata;
  }

 private:
  CheckpointStoragePtr storage_;
  UploadedFiles uploaded_;
};

Status read_keys(const RestoredCheckpoint& checkpoint, std::multiset<std::int64_t>& keys, std::uint32_t subtask = 0,
                 std::uint32_t parallelism = 1) {
  const auto reader = checkpoint.reader("op", subtask, parallelism);
  return reader->read("rows", segment_schema(), [&](std::uint32_t group, const BatchPtr& rows) -> Status {
    CHECK(reader->key_groups().contains(group));
    for (const std::int64_t key : rows->column(0).as<std::int64_t>()) keys.insert(key);
    return {};
  });
}

std::multiset<std::int64_t> keys_in(const CheckpointStoragePtr& storage, const std::string& folder) {
  const auto checkpoint = RestoredCheckpoint::load(storage, folder);
  REQUIRE(checkpoint.has_value());
  std::multiset<std::int64_t> keys;
  const Status read = read_keys(**checkpoint, keys);
  REQUIRE_MESSAGE(read.has_value(), read.error().message());
  return keys;
}

std::multiset<std::int64_t> all_of(const KeyTask& task) {
  std::multiset<std::int64_t> keys{task.changing.begin(), task.changing.end()};
  for (const Content& content : task.unchanging) keys.insert(content->begin(), content->end());
  return keys;
}

void remove_folder(CheckpointStorage& storage, const std::string& folder) {
  const auto keys = storage.list(folder + "/").value();
  for (const std::string& key : keys) CHECK(storage.remove(key));
}

/// Has no second names for a file.
class WithoutLinks final : public CheckpointStorage {
 public:
  Result<std::unique_ptr<StoredFile>> create(const std::string& key) override { return memory_.create(key); }
  Result<std::string> get(const std::string& key) override { return memory_.get(key); }
  Result<Buffer> get_range(const std::string& key, std::uint64_t offset, std::uint64_t length) override {
    return memory_.get_range(key, offset, length);
  }
  Result<std::vector<std::string>> list(const std::string& prefix) override { return memory_.list(prefix); }
  Status remove(const std::string& key) override { return memory_.remove(key); }
  [[nodiscard]] std::string describe(const std::string& key) const override { return memory_.describe(key); }

 private:
  MemoryStorage memory_;
};

}  // namespace

TEST_CASE("a segment is written once, and each checkpoint that has it is whole without the others") {
  const TemporaryFolder folder;
  for (const CheckpointStoragePtr& storage :
       {make_local_storage(folder.path().native()), CheckpointStoragePtr{std::make_shared<MemoryStorage>()}}) {
    KeyTask task{storage};
    task.unchanging = {keys_from(0)};
    const std::uint64_t first = task.checkpoint("chk-1").value();
    CHECK(first == task.size);
    const std::uint64_t size = task.size;
    const auto in_first = all_of(task);

    CHECK(task.checkpoint("chk-2").value() < size / 10);
    CHECK(task.size == size);
    CHECK(task.written == 1);

    task.changing = {-3};
    task.unchanging.push_back(keys_from(keys_of_one));
    CHECK(task.checkpoint("chk-3").value() < size * 11 / 10);
    CHECK(task.size > size * 19 / 10);
    CHECK(task.written == 2);
    const auto in_third = all_of(task);

    CHECK(keys_in(storage, "chk-1") == in_first);
    remove_folder(*storage, "chk-1");
    CHECK(keys_in(storage, "chk-2") == in_first);
    remove_folder(*storage, "chk-2");
    CHECK(keys_in(storage, "chk-3") == in_third);

    // What is gone is not looked for, and what comes in its place is not taken for it.
    task.unchanging.erase(task.unchanging.begin());
    task.unchanging.push_back(keys_from(5 * keys_of_one));
    REQUIRE(task.checkpoint("chk-4").has_value());
    CHECK(task.written == 3);
    remove_folder(*storage, "chk-3");
    CHECK(keys_in(storage, "chk-4") == all_of(task));
    remove_folder(*storage, "chk-4");
    CHECK(storage->list("").value().empty());
  }
}

TEST_CASE("a segment whose file is gone with its checkpoint is written again") {
  const auto storage = std::make_shared<MemoryStorage>();
  KeyTask task{storage};
  task.unchanging = {keys_from(0)};
  REQUIRE(task.checkpoint("chk-1").has_value());
  remove_folder(*storage, "chk-1");  // given up
  const std::uint64_t new_bytes = task.checkpoint("chk-2").value();
  CHECK(new_bytes == task.size);
  CHECK(task.written == 2);
  CHECK(keys_in(storage, "chk-2") == all_of(task));
}

TEST_CASE("checkpoints that are given up do not cost the segments of the one before them") {
  const auto storage = std::make_shared<MemoryStorage>();
  KeyTask task{storage};
  task.unchanging = {keys_from(0)};
  REQUIRE(task.checkpoint("chk-1").has_value());
  for (const std::string given_up : {"chk-2", "chk-3", "chk-4"}) {
    REQUIRE(task.checkpoint(given_up).has_value());
    remove_folder(*storage, given_up);
  }
  REQUIRE(task.checkpoint("chk-5").has_value());
  CHECK(task.written == 1);
  remove_folder(*storage, "chk-1");
  REQUIRE(task.checkpoint("chk-6").has_value());
  CHECK(task.written == 1);
  CHECK(keys_in(storage, "chk-6") == all_of(task));
}

TEST_CASE("a storage without second names gets its segments with each checkpoint") {
  const auto storage = std::make_shared<WithoutLinks>();
  KeyTask task{storage};
  task.unchanging = {keys_from(0)};
  const std::uint64_t first = task.checkpoint("chk-1").value();
  CHECK(first == task.size);
  CHECK(task.checkpoint("chk-2").value() == first);
  remove_folder(*storage, "chk-1");
  CHECK(keys_in(storage, "chk-2") == all_of(task));
}

TEST_CASE("a checkpoint whose segments cannot be linked has failed, and the next one is whole") {
  const auto storage = std::make_shared<MemoryStorage>();
  using Fate = MemoryStorage::Fate;
  KeyTask task{storage};
  task.unchanging = {keys_from(0)};
  REQUIRE(task.checkpoint("chk-1").has_value());
  for (const Fate fate : {Fate::lost, Fate::unsure}) {
    storage->decide_fates([&](MemoryStorage::Call call, const std::string&) {
      return call == MemoryStorage::Call::link ? fate : Fate::works;
    });
    CHECK(task.checkpoint("chk-2").error().code() == ErrorCode::io);
    storage->decide_fates({});
    remove_folder(*storage, "chk-2");
  }
  REQUIRE(task.checkpoint("chk-3").has_value());
  CHECK(keys_in(storage, "chk-3") == all_of(task));
}

TEST_CASE("a segment with little in it lies in the metadata, and one with nothing nowhere") {
  const auto storage = std::make_shared<MemoryStorage>();
  KeyTask task{storage};
  task.unchanging = {keys_from(0, 10), keys_from(10, 0)};
  for (const std::string folder : {"chk-1", "chk-2"}) {
    const std::uint64_t new_bytes = task.checkpoint(folder).value();
    CHECK(new_bytes == task.size);
    CHECK(task.written == 2);
    CHECK(storage->list(folder).value().size() == 1);
    CHECK(keys_in(storage, folder) == all_of(task));
  }
}

TEST_CASE("a segment is dealt out to any number of subtasks, and counted when state is listed") {
  const auto storage = std::make_shared<MemoryStorage>();
  KeyTask task{storage};
  task.unchanging = {keys_from(0), keys_from(keys_of_one)};
  REQUIRE(task.checkpoint("chk-1").has_value());
  const auto checkpoint = *RestoredCheckpoint::load(storage, "chk-1");
  for (const std::uint32_t parallelism : {2U, 5U, segment_key_groups}) {
    std::multiset<std::int64_t> keys;
    for (std::uint32_t subtask = 0; subtask < parallelism; ++subtask) {
      CHECK(read_keys(*checkpoint, keys, subtask, parallelism));
    }
    CHECK(keys == all_of(task));
  }
  const StateSummary listed = list_state(checkpoint->metadata()).at(0).states.at(0);
  CHECK(listed.rows == all_of(task).size());
  CHECK(listed.bytes == task.size);
  CHECK(listed.key_groups == segment_key_groups);
}

TEST_CASE("a segment that is damaged, cut off or gone is refused, naming its file") {
  const auto storage = std::make_shared<MemoryStorage>();
  KeyTask task{storage};
  task.unchanging = {keys_from(0)};
  REQUIRE(task.checkpoint("chk-1").has_value());
  REQUIRE(task.checkpoint("chk-2").has_value());
  const auto error = [&] {
    const auto checkpoint = RestoredCheckpoint::load(storage, "chk-2");
    REQUIRE(checkpoint.has_value());
    std::multiset<std::int64_t> keys;
    const Status read = read_keys(**checkpoint, keys);
    REQUIRE_FALSE(read.has_value());
    return read.error();
  };
  const std::string key = "chk-2/0-0.a1.s1";
  std::string& file = storage->files().at(key);
  const std::string whole = file;
  file[file.size() / 3] ^= 1;
  CHECK(error().message().find("memory:" + key + " cannot be used: a checksum is wrong") != std::string::npos);
  file = whole.substr(0, whole.size() / 2);
  CHECK(error().message().find("memory:" + key + " is cut off") != std::string::npos);
  storage->files().erase(key);
  CHECK(error().code() == ErrorCode::not_found);
  CHECK(keys_in(storage, "chk-1") == all_of(task));
}

TEST_CASE("metadata whose segment lies outside of its file, or outside of the checkpoint, is refused") {
  KeyTask task{std::make_shared<MemoryStorage>()};
  TaskState state = *collect_task_state(task.captured());
  const auto refused = [&](const StateSegment& segment) {
    CheckpointMetadata metadata = KeyTask::metadata_of(state);
    metadata.operators[0].subtasks[0].tables[0].segments.push_back(segment);
    const auto decoded = decode_metadata(encode_metadata(metadata), "the/file");
    return decoded ? std::string{} : decoded.error().message();
  };
  CHECK(refused({{"s1", 100, {}}, {{0, 1, 0, 100, 0}}}).empty());
  CHECK(refused({{"s1", 100, {}}, {{0, 1, 1, 100, 0}}}).find("outside of its file") != std::string::npos);
  CHECK(refused({{"../s1", 100, {}}, {}}).find("not its own") != std::string::npos);
  CHECK(refused({{"", 100, "less"}, {}}).find("cut off") != std::string::npos);
}

TEST_CASE("what is to outlive the job has its segments as rows, in its own file") {
  const auto storage = std::make_shared<MemoryStorage>();
  KeyTask task{storage};
  task.unchanging = {keys_from(0), keys_from(keys_of_one)};
  REQUIRE(task.checkpoint("chk-1").has_value());
  TaskState state = *write_task_state(task.captured(), *storage, "chk-2", "0-0.a1");
  CHECK(state.operators[0].tables[0].segments.empty());
  REQUIRE(storage->put("chk-2/_metadata", encode_metadata(KeyTask::metadata_of(std::move(state)))));
  CHECK(storage->list("chk-2/").value() == std::vector<std::string>{"chk-2/0-0.a1", "chk-2/_metadata"});

  const TemporaryFolder place;
  const auto savepoint = export_savepoint(*storage, "chk-2", place.path().native());
  REQUIRE(savepoint.has_value());
  CHECK(export_savepoint(*storage, "chk-1", place.path().native()).error().code() == ErrorCode::unsupported);
  storage->files().clear();
  const auto loaded = load_savepoint(*savepoint);
  REQUIRE(loaded.has_value());
  std::multiset<std::int64_t> keys;
  CHECK(read_keys(**loaded, keys));
  CHECK(keys == all_of(task));
}

}  // namespace dataflow

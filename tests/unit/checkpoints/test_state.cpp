// State as checkpoints hold it: written, damaged, dealt out anew, read under another schema.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/state/schema_evolution.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {

namespace {

using namespace testing_support;

constexpr std::uint32_t key_groups = 16;

const SchemaPtr& schema() {
  static const SchemaPtr s = make_schema({{"key", TypeKind::int64}, {"text", TypeKind::string}});
  return s;
}

/// One subtask's tables: keyed rows with the given keys that it owns, and one list element.
TaskState task_state(CheckpointStorage* storage, std::uint32_t subtask, std::uint32_t parallelism, std::int64_t keys,
                     std::size_t text_size = 3) {
  const KeyGroupRange mine = key_groups_of_subtask(subtask, key_groups, parallelism);
  std::vector<Row> rows;
  for (std::int64_t key = 0; key < keys; ++key) {
    const BatchPtr one = make_batch(schema(), {{key, "x"}});
    std::vector<std::uint64_t> hash;
    const Column* column = &one->column(0);
    hash_rows({&column, 1}, 1, hash);
    if (mine.contains(key_group_of(hash[0], key_groups)))
      rows.push_back({Value{key}, Value{std::string(text_size, 'x')}});
  }
  auto state = std::make_unique<CopiedState>();
  state->begin({"rows", StateKind::keyed, 1, schema()});
  if (!rows.empty()) state->add_keyed(make_batch(schema(), rows), {0}, key_groups);
  state->begin({"list", StateKind::list, 1, schema()});
  state->add(make_batch(schema(), {{std::int64_t{subtask}, "list"}}));
  state->begin({"union", StateKind::union_all, 1, schema()});
  state->add(make_batch(schema(), {{std::int64_t{subtask}, "union"}}));
  state->begin({"broadcast", StateKind::broadcast, 1, schema()});
  state->add(make_batch(schema(), {{7, "same"}}));
  CapturedStates states;
  states.emplace_back("op", std::move(state));
  auto written = storage == nullptr ? collect_task_state(std::move(states))
                                    : write_task_state(std::move(states), *storage, "chk", std::to_string(subtask));
  REQUIRE(written);
  return std::move(*written);
}

CheckpointMetadata metadata_of(CheckpointStorage* storage, std::uint32_t parallelism, std::int64_t keys,
                               std::size_t text_size = 3) {
  CheckpointMetadata metadata;
  metadata.id = 5;
  metadata.max_parallelism = key_groups;
  metadata.operators.push_back({"op", {}, std::nullopt});
  for (std::uint32_t subtask = 0; subtask < parallelism; ++subtask) {
    TaskState state = task_state(storage, subtask, parallelism, keys, text_size);
    metadata.operators[0].subtasks.push_back({std::move(state.operators[0].tables), subtask});
    metadata.files.push_back(std::move(state.file));
  }
  return metadata;
}

std::multiset<std::int64_t> keys_read(StateReader& reader, const std::string& table) {
  std::multiset<std::int64_t> keys;
  const Status read = reader.read(table, schema(), [&](std::uint32_t group, const BatchPtr& rows) -> Status {
    if (table == "rows") CHECK(reader.key_groups().contains(group));
    for (const std::int64_t key : rows->column(0).as<std::int64_t>()) keys.insert(key);
    return {};
  });
  REQUIRE(read.has_value());
  return keys;
}

}  // namespace

TEST_CASE("state is dealt out to any number of subtasks, each row once") {
  constexpr std::int64_t keys = 100;
  for (const std::uint32_t before : {1U, 2U, 5U}) {
    const auto checkpoint = RestoredCheckpoint::of(metadata_of(nullptr, before, keys));
    for (const std::uint32_t now : {1U, 2U, 5U, 16U}) {
      CAPTURE(before);
      CAPTURE(now);
      std::multiset<std::int64_t> keyed;
      std::multiset<std::int64_t> listed;
      for (std::uint32_t subtask = 0; subtask < now; ++subtask) {
        const auto reader = checkpoint->reader("op", subtask, now);
        keyed.merge(keys_read(*reader, "rows"));
        const auto list = keys_read(*reader, "list");
        if (before == now) CHECK(list == std::multiset<std::int64_t>{subtask});
        listed.insert(list.begin(), list.end());
        CHECK(keys_read(*reader, "union").size() == before);
        CHECK(keys_read(*reader, "broadcast") == std::multiset<std::int64_t>{7});
      }
      CHECK(keyed.size() == keys);
      CHECK(std::set<std::int64_t>(keyed.begin(), keyed.end()).size() == keys);
      CHECK(listed.size() == before);
    }
  }
}

TEST_CASE("state that was never written is empty") {
  const auto checkpoint = RestoredCheckpoint::of(metadata_of(nullptr, 1, 1));
  CHECK(keys_read(*checkpoint->reader("another", 0, 1), "rows").empty());
  CHECK(checkpoint->reader("op", 0, 1)->find("none") == nullptr);
  CHECK(checkpoint->reader("op", 0, 1)->find("list")->kind == StateKind::list);
}

TEST_CASE("metadata that is cut off or damaged anywhere is refused, naming the file") {
  const std::string bytes = encode_metadata(metadata_of(nullptr, 2, 20));
  REQUIRE(decode_metadata(bytes, "file"));
  for (std::size_t size = 0; size < bytes.size(); size += size < 64 ? 1 : 37) {
    const auto cut = decode_metadata(std::string_view{bytes}.substr(0, size), "the/file");
    REQUIRE_FALSE(cut);
    CHECK(cut.error().message().find("the/file") != std::string::npos);
    std::string damaged = bytes;
    damaged[size] ^= 4;
    REQUIRE_FALSE(decode_metadata(damaged, "the/file"));
  }
}

TEST_CASE("a state file that is damaged, cut off or gone is refused, naming it") {
  MemoryStorage& storage = *new MemoryStorage;
  const CheckpointStoragePtr shared{&storage};
  const CheckpointMetadata metadata = metadata_of(&storage, 1, 1000, 100);
  REQUIRE(metadata.files[0].key == "0");  // not inline
  REQUIRE(storage.put("chk/_metadata", encode_metadata(metadata)));
  const auto read = [&] {
    const auto checkpoint = RestoredCheckpoint::load(shared, "chk");
    REQUIRE(checkpoint);
    return (*checkpoint)->reader("op", 0, 1)->read("rows", schema(), [](std::uint32_t, const BatchPtr&) -> Status {
      return {};
    });
  };
  CHECK(read());
  std::string& file = storage.files().at("chk/0");
  const std::string whole = file;
  file[file.size() / 3] ^= 1;
  CHECK(read().error().message().find("memory:chk/0") != std::string::npos);
  file = whole.substr(0, whole.size() / 2);
  CHECK(read().error().message().find("memory:chk/0 is cut off") != std::string::npos);
  storage.files().erase("chk/0");
  CHECK(read().error().code() == ErrorCode::not_found);
}

TEST_CASE("of a store's files those are new that no checkpoint before had, linked or copied") {
  const TemporaryFolder folder;
  struct Stored final : CapturedState {
    std::filesystem::path at;
    std::vector<StoreFile> files;
    Status write(StateWriter& writer) override {
      return writer.add_store({"values", StateKind::keyed, 1, schema()}, at, files);
    }
  };
  const auto file = [&](const std::string& name, const std::string& content) -> StoreFile {
    std::ofstream{folder / name} << content;
    return {name, content.size(), *checksum_of_file(folder / name), true};
  };
  const auto storage = make_local_storage((folder / "checkpoints").string());
  UploadedFiles uploaded;
  const auto new_bytes = [&](const std::string& checkpoint, std::vector<StoreFile> files) {
    auto stored = std::make_unique<Stored>();
    stored->at = folder.path();
    stored->files = std::move(files);
    CapturedStates states;
    states.emplace_back("op", std::move(stored));
    const auto written = write_task_state(std::move(states), *storage, checkpoint, "0-0", &uploaded);
    REQUIRE(written);
    return written->new_bytes;
  };
  const StoreFile first = file("1.sst", std::string(1000, 'a'));
  CHECK(new_bytes("chk-1", {first}) == 1000);
  CHECK(new_bytes("chk-2", {first, file("2.sst", std::string(30, 'b'))}) == 30);
}

TEST_CASE("a TaskState goes through its message") {
  const TaskState state = task_state(nullptr, 0, 1, 10);
  const auto back = decode_task_state(encode_task_state(state));
  REQUIRE(back);
  CHECK(back->file.content == state.file.content);
  REQUIRE(back->operators[0].tables.size() == 4);
  CHECK(back->operators[0].tables[0].description == state.operators[0].tables[0].description);
  CHECK_FALSE(decode_task_state("nonsense"));
}

TEST_CASE("rows are read under a schema with more, fewer and wider fields") {
  const SchemaPtr written =
      make_schema({{"a", TypeKind::int32}, {"gone", TypeKind::string}, {"d", DataType::decimal(5, 2)}});
  const SchemaPtr wanted =
      make_schema({{"new", TypeKind::string}, {"d", DataType::decimal(9, 2)}, {"a", TypeKind::int64}});
  const auto evolution = SchemaEvolution::between(written, wanted);
  REQUIRE(evolution);
  const BatchPtr rows = make_batch(written, {{1, "x", 150}, {nullptr, "y", nullptr}});
  CHECK(rows_of(*evolution->convert(rows)) == testing_support::rows({{nullptr, 150, 1}, {nullptr, nullptr, nullptr}}));
  CHECK(SchemaEvolution::between(written, written)->identical());
}

TEST_CASE("a field whose type changed otherwise is an error that names it") {
  const auto between = [](DataType from, DataType to) {
    return SchemaEvolution::between(make_schema({{"amount", from}}), make_schema({{"amount", to}}));
  };
  CHECK(between(TypeKind::int32, TypeKind::float64));
  CHECK_FALSE(between(TypeKind::int64, TypeKind::int32));
  CHECK_FALSE(between(TypeKind::int64, TypeKind::float64));
  CHECK_FALSE(between(TypeKind::string, TypeKind::bytes));
  CHECK_FALSE(between(DataType::decimal(9, 2), DataType::decimal(5, 2)));
  CHECK_FALSE(between(DataType::decimal(5, 2), DataType::decimal(9, 3)));
  const auto refused = between(TypeKind::string, TypeKind::int64);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == ErrorCode::invalid_argument);
  CHECK(refused.error().message().find("\"amount\" was string and is int64 now") != std::string::npos);
}

}  // namespace dataflow

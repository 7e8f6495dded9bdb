// A store that went on from a checkpoint with a damaged file says whose the file is.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/checkpoint/storage.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/state/state_store.hpp"
#include "serialization/schema.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {

namespace {

namespace fs = std::filesystem;

const SchemaPtr& stored_schema() {
  static const SchemaPtr schema = make_schema({{"key1", TypeKind::bytes}});
  return schema;
}

struct StoredFiles final : CapturedState {
  fs::path folder;
  std::vector<StoreFile> files;
  Status write(StateWriter& writer) override {
    return writer.add_store({"values", StateKind::keyed, 1, stored_schema()}, folder, files);
  }
};

}  // namespace

TEST_CASE("a damaged block of a store is named with the checkpoint that it came with") {
  const testing_support::TemporaryFolder folder;
  const auto storage = make_local_storage((folder / "checkpoints").string());
  const auto backend = *make_rocksdb_backend(folder / "state", 16U << 20);
  CheckpointMetadata metadata;
  metadata.max_parallelism = 16;
  {
    const auto store = *backend->open(backend->new_folder());
    StoreBatch rows;
    std::mt19937_64 random{1};
    for (int i = 0; i < 5000; ++i) rows.put(std::string{"\0\1", 2} + std::to_string(random()), std::string(50, 'x'));
    REQUIRE((*store)->write(rows));
    auto stored = std::make_unique<StoredFiles>();
    stored->folder = store->checkpoint_folder();
    stored->files = *(*store)->checkpoint(stored->folder);
    CapturedStates states;
    states.emplace_back("op", std::move(stored));
    UploadedFiles uploaded;
    auto written = write_task_state(std::move(states), *storage, "chk-1", "0-0", &uploaded);
    REQUIRE(written.has_value());
    metadata.files.push_back(written->file);
    metadata.operators.push_back({"op", {{std::move(written->operators[0].tables), 0}}, std::nullopt});
  }
  REQUIRE(storage->put("chk-1/" + std::string{metadata_name}, encode_metadata(metadata)));

  std::string damaged;
  for (const auto& entry : fs::directory_iterator{folder / "checkpoints" / "chk-1"}) {
    if (entry.path().extension() != ".sst") continue;
    damaged = entry.path().native();
    std::fstream file{entry.path(), std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(static_cast<std::streamoff>(entry.file_size() / 2));
    file.put('\x5a');
  }
  REQUIRE(!damaged.empty());

  const auto checkpoint = RestoredCheckpoint::load(storage, "chk-1");
  REQUIRE(checkpoint.has_value());
  const auto reader = (*checkpoint)->reader("op", 0, 1);
  const auto parts = reader->stored("values");
  REQUIRE(parts.has_value());
  const fs::path into = backend->new_folder();
  REQUIRE(parts->front().fetch(into));
  const auto store = *backend->open(into);
  const auto scan = (*store)->scan({}, {});
  while (scan->valid()) scan->next();
  REQUIRE_FALSE(scan->status().has_value());
  const std::string message = scan->status().error().message();
  CAPTURE(message);
  CHECK(scan->status().error().code() == ErrorCode::malformed_data);
  CHECK(message.find(damaged.substr(0, damaged.rfind('-') + 1)) != std::string::npos);
  CHECK(message.find("--from") != std::string::npos);
}

}  // namespace dataflow

// Copies of a store's files on this machine, beside a storage elsewhere.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "libdataflow/checkpoint/copied_storage.hpp"
#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "serialization/schema.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {

namespace {

namespace fs = std::filesystem;

struct CapturedStore final : CapturedState {
  fs::path folder;
  std::vector<StoreFile> files;
  Status write(StateWriter& writer) override {
    return writer.add_store({"values", StateKind::keyed, 1, make_schema({{"key1", TypeKind::bytes}})}, folder, files);
  }
};

/// A subtask with a store, its process's backend, and a storage that no file of its disk can be linked into.
class StoringTask {
 public:
  StoringTask() {
    storage_->decide_fates([this](MemoryStorage::Call call, const std::string& key) {
      if (call == MemoryStorage::Call::get && key.ends_with(".sst")) ++fetched;
      return MemoryStorage::Fate::works;
    });
    begin();
  }
  /// A process and an attempt anew, which go on from the checkpoint if there is one.
  void begin(const std::string& checkpoint = {}) {
    store_.reset();
    backend_ = *make_rocksdb_backend(folder_ / ("process-" + std::to_string(++processes_)), 16U << 20);
    uploaded_ = std::make_unique<UploadedFiles>();
    copied_ = with_local_copies(storage_, std::make_shared<LocalCopies>(copies));
    fs::path into = backend_->new_folder();
    if (!checkpoint.empty()) {
      const auto restored = RestoredCheckpoint::load(copied_, checkpoint);
      REQUIRE(restored);
      (*restored)->name_files(*uploaded_);
      const auto reader = (*restored)->reader("op", 0, 1);
      const auto parts = reader->stored("values");
      REQUIRE(parts);
      REQUIRE(parts->front().fetch(into));
    }
    store_ = *backend_->open(into);
  }
  void write(const std::string& value) {
    StoreBatch rows;
    for (int i = 0; i < 100; ++i) rows.put(std::string{"\0\1", 2} + value + std::to_string(i), value);
    REQUIRE((*store_)->write(rows));
  }
  /// New bytes.
  std::uint64_t checkpoint(const std::string& name) {
    auto captured = std::make_unique<CapturedStore>();
    captured->folder = store_->checkpoint_folder();
    captured->files = *(*store_)->checkpoint(captured->folder);
    files.clear();
    for (const StoreFile& file : captured->files) {
      if (file.shared) files.insert(file.shared_name());
    }
    CapturedStates states;
    states.emplace_back("op", std::move(captured));
    auto written = write_task_state(std::move(states), *copied_, name, "0-0", uploaded_.get());
    REQUIRE(written);
    CheckpointMetadata metadata;
    metadata.max_parallelism = 16;
    metadata.files.push_back(written->file);
    metadata.operators.push_back({"op", {{std::move(written->operators[0].tables), 0}}, std::nullopt});
    REQUIRE(copied_->put(name + "/" + std::string{metadata_name}, encode_metadata(metadata)));
    return written->new_bytes;
  }
  [[nodiscard]] std::size_t rows() const {
    std::size_t n = 0;
    const auto scan = (*store_)->scan({}, {});
    for (; scan->valid(); scan->next()) ++n;
    REQUIRE(scan->status());
    return n;
  }
  [[nodiscard]] std::set<std::string> in_copies() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator{copies}) names.insert(entry.path().filename());
    return names;
  }

 private:
  testing_support::TemporaryFolder folder_;
  std::shared_ptr<MemoryStorage> storage_ = std::make_shared<MemoryStorage>();
  int processes_ = 0;
  StateBackendPtr backend_;
  std::unique_ptr<UploadedFiles> uploaded_;
  CheckpointStoragePtr copied_;
  OwnedStorePtr store_;

 public:
  const fs::path copies = folder_ / "copies";
  int fetched = 0;              ///< files of stores that were read from the storage
  std::set<std::string> files;  ///< what the newest checkpoint shares with others
};

}  // namespace

TEST_CASE("the next process of a job goes on from copies of the files that it would have to fetch") {
  StoringTask task;
  task.write("a");
  task.checkpoint("chk-1");
  CHECK(task.in_copies() == task.files);
  task.write("b");
  task.checkpoint("chk-2");
  task.begin("chk-2");
  CHECK(task.rows() == 200);
  CHECK(task.fetched == 0);
  task.write("c");
  task.checkpoint("chk-3");
  task.begin("chk-3");
  CHECK(task.rows() == 300);
  CHECK(task.fetched == 0);
}

TEST_CASE("a copy that is gone or damaged is fetched, and there again") {
  StoringTask task;
  task.write("a");
  task.checkpoint("chk-1");
  REQUIRE(task.files.size() == 1);
  const fs::path copy = task.copies / *task.files.begin();
  SUBCASE("gone") {
    fs::remove(copy);
  }
  SUBCASE("damaged") {
    std::fstream file{copy, std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(20);
    file.put('\x5a');
  }
  SUBCASE("cut off") {
    fs::resize_file(copy, 20);
  }
  task.begin("chk-1");
  CHECK(task.fetched == 1);
  CHECK(task.rows() == 100);
  task.begin("chk-1");
  CHECK(task.fetched == 1);
  CHECK(task.rows() == 100);
}

TEST_CASE("what is in none of the newest three checkpoints is kept no longer, whoever has kept it") {
  StoringTask task;
  task.write("a");
  task.checkpoint("chk-1");
  const auto first = task.files;
  task.begin();  // from nothing: what the process before has kept is of no use
  task.write("b");
  task.checkpoint("chk-2");
  const auto second = task.files;
  task.checkpoint("chk-3");
  task.checkpoint("chk-4");
  CHECK(task.in_copies().contains(*first.begin()));
  task.begin();
  for (const std::string name : {"chk-5", "chk-6", "chk-7", "chk-8"}) {
    task.write(name);
    task.checkpoint(name);
  }
  CHECK_FALSE(task.in_copies().contains(*first.begin()));
  CHECK_FALSE(task.in_copies().contains(*second.begin()));
  const auto kept = task.in_copies();
  CHECK(std::includes(kept.begin(), kept.end(), task.files.begin(), task.files.end()));
}

TEST_CASE("an attempt that goes on from a checkpoint counts as new only what that one does not have") {
  StoringTask task;
  task.write(std::string(500, 'a'));
  const std::uint64_t first = task.checkpoint("chk-1");
  task.begin("chk-1");
  CHECK(task.checkpoint("chk-2") < first / 2);
  task.begin("chk-2");
  CHECK(task.rows() == 100);
}

}  // namespace dataflow

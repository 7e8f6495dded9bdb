#include "libdataflow/checkpoint/savepoint.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>
#include <vector>

namespace dataflow {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view savepoint_prefix = "savepoint-";
constexpr std::string_view file_scheme = "file://";

bool is_savepoint(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(folder / metadata_name, error);
}

/// Copies what the blocks of one of the checkpoint's files refer to, block behind block.
class FileExport {
 public:
  FileExport(CheckpointStorage& from, std::string source, CheckpointStorage& to, std::string destination)
      : from_{from}, source_{std::move(source)}, to_{to}, destination_{std::move(destination)} {}

  Status copy(StateBlock& block) {
    auto bytes = from_.get_range(source_, block.offset, block.length);
    if (!bytes) return fail(bytes.error());
    const std::string_view text{bytes->as<char>(), bytes->size()};
    if (block_hash(text) != block.hash) {
      return fail(ErrorCode::malformed_data, from_.describe(source_) + " cannot be used: a checksum is wrong (bytes " +
                                                 std::to_string(block.offset) + " to " +
                                                 std::to_string(block.offset + block.length) + ")");
    }
    if (!file_) {
      auto made = to_.create(destination_);
      if (!made) return fail(made.error());
      file_ = std::move(*made);
    }
    block.offset = size_;
    size_ += block.length;
    return file_->append(text);
  }

  /// Its size.
  Result<std::uint64_t> finish() {
    if (!file_) return std::uint64_t{0};
    const auto outcome = file_->finish();
    if (!outcome) return fail(outcome.error());
    if (*outcome == PutOutcome::exists) {
      return fail(ErrorCode::internal, to_.describe(destination_) + " has been written by somebody else");
    }
    return size_;
  }

 private:
  CheckpointStorage& from_;
  std::string source_;
  CheckpointStorage& to_;
  std::string destination_;
  std::unique_ptr<StoredFile> file_;
  std::uint64_t size_ = 0;
};

std::string folder_name(const CheckpointMetadata& metadata, int number) {
  char text[32];
  std::snprintf(text, sizeof text, "%010llu", static_cast<unsigned long long>(metadata.id));
  std::string name = std::string{savepoint_prefix} + escape_key(metadata.job_name) + "-" + text;
  if (number > 1) name += "-" + std::to_string(number);
  return name;
}

/// Of the file with that number, every block.
std::vector<StateBlock*> blocks_of(CheckpointMetadata& metadata, std::size_t file) {
  std::vector<StateBlock*> blocks;
  for (auto& op : metadata.operators) {
    for (auto& subtask : op.subtasks) {
      if (subtask.file != file) continue;
      for (StateTable& table : subtask.tables) {
        for (StateBlock& block : table.blocks) blocks.push_back(&block);
      }
    }
  }
  std::sort(blocks.begin(), blocks.end(), [](const auto* a, const auto* b) { return a->offset < b->offset; });
  return blocks;
}

Status copy_files(CheckpointStorage& from, const std::string& folder, CheckpointStorage& to,
                  const std::string& savepoint, CheckpointMetadata& metadata) {
  for (std::size_t i = 0; i < metadata.files.size(); ++i) {
    StateFile& file = metadata.files[i];
    if (file.key.empty()) continue;
    const std::string name = std::to_string(i);
    FileExport copy{from, folder + "/" + file.key, to, savepoint + "/" + name};
    for (StateBlock* const block : blocks_of(metadata, i)) {
      if (Status copied = copy.copy(*block); !copied) return copied;
    }
    const auto size = copy.finish();
    if (!size) return fail(size.error());
    file = {*size == 0 ? std::string{} : name, *size, {}};
  }
  return {};
}

void remove_folder(CheckpointStorage& storage, const std::string& folder) {
  const auto keys = storage.list(folder + "/");
  if (!keys) return;
  // What cannot be removed takes room; without metadata it is no savepoint.
  for (const std::string& key : *keys) static_cast<void>(storage.remove(key));
}

}  // namespace

Result<SavepointPlace> find_savepoint(std::string_view path) {
  if (path.starts_with(file_scheme)) path.remove_prefix(file_scheme.size());
  if (path.find("://") != std::string_view::npos) {
    return fail(ErrorCode::invalid_argument,
                "a savepoint cannot be read from \"" + std::string{path} + "\"; write file:///FOLDER or a path");
  }
  std::error_code error;
  fs::path folder = fs::absolute(fs::path{path}, error).lexically_normal();
  if (folder.filename().empty()) folder = folder.parent_path();
  if (folder.filename() == metadata_name) folder = folder.parent_path();
  if (!is_savepoint(folder)) {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator{folder, error}) {
      if (is_savepoint(entry.path())) found.push_back(entry.path().native());
    }
    if (found.empty()) {
      return fail(ErrorCode::not_found,
                  "there is no savepoint at " + folder.native() + ": it has no " + std::string{metadata_name});
    }
    if (found.size() > 1) {
      std::sort(found.begin(), found.end());
      std::string message = folder.native() + " has several savepoints; name one of them:";
      for (const std::string& one : found) message += " " + one;
      return fail(ErrorCode::invalid_argument, message);
    }
    folder = found.front();
  }
  return SavepointPlace{make_local_storage(folder.parent_path().native()), folder.filename().native()};
}

Result<RestoredCheckpointPtr> load_savepoint(std::string_view path) {
  auto place = find_savepoint(path);
  if (!place) return fail(place.error());
  return RestoredCheckpoint::load(std::move(place->storage), std::move(place->folder));
}

Status prepare_savepoint_folder(const std::string& target) {
  auto storage = open_checkpoint_storage(target);
  if (!storage) return fail(storage.error());
  // Given up before it has a name: it leaves nothing but the folder.
  auto probe = (*storage)->create("probe");
  // Whatever the reason, it is no job that has not been found.
  if (!probe) return fail(ErrorCode::io, probe.error().message());
  return (*probe)->append("probe");
}

Result<std::string> export_savepoint(CheckpointStorage& from, const std::string& folder, const std::string& target) {
  const auto to = open_checkpoint_storage(target);
  return to ? export_savepoint(from, folder, **to) : fail(to.error());
}

Result<std::string> export_savepoint(CheckpointStorage& from, const std::string& folder, CheckpointStorage& to) {
  const std::string key = folder + "/" + std::string{metadata_name};
  const auto bytes = from.get(key);
  if (!bytes) return fail(bytes.error());
  auto metadata = decode_metadata(*bytes, from.describe(key));
  if (!metadata) return fail(metadata.error());
  for (const auto& op : metadata->operators) {
    for (const auto& subtask : op.subtasks) {
      for (const StateTable& table : subtask.tables) {
        if (table.store.empty() && table.segments.empty()) continue;
        return fail(ErrorCode::unsupported, from.describe(folder) + " has state in files that belong to a running job");
      }
    }
  }
  metadata->savepoint = true;
  // Another job of that name may have put one of the same number there.
  for (int number = 1;; ++number) {
    const std::string savepoint = folder_name(*metadata, number);
    const auto there = to.list(savepoint + "/");
    if (!there) return fail(there.error());
    if (!there->empty()) continue;
    Status copied = copy_files(from, folder, to, savepoint, *metadata);
    if (copied) {
      const auto put = to.put(savepoint + "/" + std::string{metadata_name}, encode_metadata(*metadata));
      if (put && *put == PutOutcome::stored) return to.describe(savepoint);
      copied =
          put ? fail(ErrorCode::io, to.describe(savepoint) + " is being written by somebody else") : fail(put.error());
    }
    remove_folder(to, savepoint);
    return fail(copied.error().within("the savepoint"));
  }
}

}  // namespace dataflow

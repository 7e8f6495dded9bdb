#include "libdataflow/checkpoint/restored_checkpoint.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <numeric>
#include <set>

#include "libdataflow/checkpoint/state_file.hpp"
#include "libdataflow/state/schema_evolution.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/state/store_origin.hpp"
#include "libdataflow/state/stored_table.hpp"
#include "serialization/envelope.hpp"

namespace dataflow {

/// Deals the tables of an operator's old subtasks out to one of its new ones.
class RestoredCheckpoint::Reader final : public StateReader {
 public:
  Reader(const RestoredCheckpoint& checkpoint, const CheckpointMetadata::Operator* op, std::uint32_t subtask,
         std::uint32_t parallelism)
      : checkpoint_{checkpoint},
        op_{op},
        subtask_{subtask},
        parallelism_{parallelism},
        key_groups_{key_groups_of_subtask(subtask, checkpoint.metadata_.max_parallelism, parallelism)} {
    if (op_ == nullptr) return;
    for (const auto& old : op_->subtasks) {
      for (const StateTable& table : old.tables) tables_.emplace(table.description.name, &table.description);
    }
  }

  [[nodiscard]] const StateDescription* find(std::string_view name) const override {
    const auto at = tables_.find(name);
    return at == tables_.end() ? nullptr : at->second;
  }
  [[nodiscard]] std::vector<const StateDescription*> states() const override {
    std::vector<const StateDescription*> all;
    for (const auto& [name, description] : tables_) all.push_back(description);
    return all;
  }
  [[nodiscard]] KeyGroupRange key_groups() const override { return key_groups_; }
  [[nodiscard]] bool same_parallelism() const override {
    return op_ != nullptr && op_->subtasks.size() == parallelism_;
  }

  std::optional<std::vector<StoredPart>> stored(std::string_view name) override {
    if (op_ == nullptr) return std::nullopt;
    std::vector<StoredPart> parts;
    const auto old_parallelism = static_cast<std::uint32_t>(op_->subtasks.size());
    for (std::uint32_t old = 0; old < old_parallelism; ++old) {
      const KeyGroupRange theirs = key_groups_of_subtask(old, checkpoint_.metadata_.max_parallelism, old_parallelism);
      if (theirs.end <= key_groups_.first || theirs.first >= key_groups_.end) continue;
      for (const StateTable& table : op_->subtasks[old].tables) {
        if (table.description.name != name) continue;
        if (table.store.empty()) return std::nullopt;
        std::uint64_t bytes = 0;
        for (const StoredFileEntry& file : table.store) bytes += file.bytes;
        parts.push_back({&table.description, theirs, on_rocksdb(table), bytes,
                         [this, &table](const std::filesystem::path& into) { return fetch(table, into); }});
      }
    }
    if (parts.empty()) return std::nullopt;
    return parts;
  }

  Status read(std::string_view name, const SchemaPtr& schema, const Visit& visit) override {
    if (op_ == nullptr) return {};
    std::size_t element = 0;  // of a list, over all old subtasks
    for (std::size_t old = 0; old < op_->subtasks.size(); ++old) {
      const auto& tables = op_->subtasks[old].tables;
      const auto table =
          std::find_if(tables.begin(), tables.end(), [&](const StateTable& t) { return t.description.name == name; });
      if (table == tables.end()) continue;
      if (Status done = read_table(*table, op_->subtasks[old], old, schema, element, visit); !done) {
        return fail(done.error().within("state \"" + std::string{name} + "\" of \"" + op_->uid + "\""));
      }
      if (table->description.kind == StateKind::broadcast) return {};
    }
    return {};
  }

 private:
  Status read_table(const StateTable& table, const CheckpointMetadata::Subtask& from, std::size_t old,
                    const SchemaPtr& schema, std::size_t& element, const Visit& visit) {
    const StateKind kind = table.description.kind;
    if (kind == StateKind::list && same_parallelism() && old != subtask_) return {};
    auto evolution = SchemaEvolution::between(table.description.schema, schema);
    if (!evolution) return fail(evolution.error());
    if (!table.store.empty()) {
      return read_store(
          table, [&](std::uint32_t group, const BatchPtr& rows) { return visit(group, evolution->convert(rows)); });
    }
    const auto read_blocks = [&](const std::vector<StateBlock>& blocks, const StateFile& file) -> Status {
      for (const StateBlock& block : blocks) {
        if (kind == StateKind::keyed && !key_groups_.contains(block.key_group)) continue;
        auto rows = read_block(block, file, table.description.schema);
        if (!rows) return fail(rows.error());
        BatchPtr mine = *rows;
        if (kind == StateKind::list && !same_parallelism()) mine = share_of_list(mine, element);
        if (mine->rows() == 0) continue;
        if (Status visited = visit(block.key_group, evolution->convert(mine)); !visited) return visited;
      }
      return {};
    };
    Status done = read_blocks(table.blocks, checkpoint_.metadata_.files[from.file]);
    for (const StateSegment& segment : table.segments) {
      if (done) done = read_blocks(segment.blocks, segment.file);
    }
    return done;
  }

  static bool on_rocksdb(const StateTable& table) {
    return std::any_of(table.store.begin(), table.store.end(),
                       [](const StoredFileEntry& file) { return file.name == "CURRENT"; });
  }

  Status fetch(const StateTable& table, const std::filesystem::path& into) const {
    std::error_code error;
    std::filesystem::create_directories(into, error);
    if (error) return fail(ErrorCode::io, "cannot make the folder " + into.string() + ": " + error.message());
    for (const StoredFileEntry& file : table.store) {
      Status fetched = checkpoint_.storage_->fetch_file(
          checkpoint_.key_of(table, file), {file.name, file.bytes, file.checksum, file.immutable}, into / file.name);
      if (!fetched) return fetched;
    }
    note_origin(into, checkpoint_.storage_->describe(checkpoint_.folder_ + "/" + table.store_prefix));
    return {};
  }

  /// The rows of a store, for an operator that keeps its state elsewhere now, or has another schema.
  Status read_store(const StateTable& table, const Visit& visit) const {
    constexpr std::uint64_t memory_bytes = 32U << 20;
    static std::atomic<std::uint64_t> number{0};
    std::error_code error;
    auto folder = std::filesystem::temp_directory_path(error);
    if (error) return fail(ErrorCode::io, "there is no folder for temporary files: " + error.message());
    folder /= "dataflow-restore-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
    const auto backend =
        on_rocksdb(table) ? make_rocksdb_backend(folder, memory_bytes) : make_memory_backend(folder, memory_bytes);
    if (!backend) return fail(backend.error());
    const std::filesystem::path into = (*backend)->new_folder();
    if (Status fetched = fetch(table, into); !fetched) return fetched;
    const auto store = (*backend)->open(into);
    if (!store) return fail(store.error());
    const auto keys = static_cast<std::size_t>(
        std::count_if(table.description.schema->fields().begin(), table.description.schema->fields().end(),
                      [](const Field& field) { return field.name.starts_with("key"); }));
    return scan_stored_table(***store, {table.description.schema, keys}, key_groups_, visit);
  }

  BatchPtr share_of_list(const BatchPtr& rows, std::size_t& element) const {
    std::vector<std::uint32_t> mine;
    for (std::uint32_t row = 0; row < rows->rows(); ++row) {
      if (element++ % parallelism_ == subtask_) mine.push_back(row);
    }
    return rows->select_rows(mine);
  }

  Result<BatchPtr> read_block(const StateBlock& block, const StateFile& file, const SchemaPtr& schema) const {
    const std::string key = checkpoint_.folder_ + "/" + file.key;
    Buffer words;
    std::string where = checkpoint_.folder_ + "/" + std::string{metadata_name};
    if (file.key.empty()) {
      GrowingBuffer bytes;
      bytes.append(file.content.data() + block.offset, block.length);
      words = bytes.freeze();
      if (checkpoint_.storage_) where = checkpoint_.storage_->describe(where);
    } else {
      where = checkpoint_.storage_->describe(key);
      auto read = checkpoint_.storage_->get_range(key, block.offset, block.length);
      if (!read) return fail(read.error());
      words = std::move(*read);
    }
    const auto damaged = [&](const std::string& what) {
      return fail(ErrorCode::malformed_data,
                  where + " cannot be used: " + what + " (bytes " + std::to_string(block.offset) + " to " +
                      std::to_string(block.offset + block.length) + "): " + std::string{when_damaged});
    };
    if (block_hash({words.as<char>(), words.size()}) != block.hash) return damaged("a checksum is wrong");
    auto envelope = decode(words, schema);
    if (!envelope) return damaged(envelope.error().message());
    const auto* rows = std::get_if<BatchPtr>(&(*envelope)->envelope());
    if (rows == nullptr || (*rows)->rows() != block.rows) return damaged("it holds other rows than it should");
    return *rows;
  }

  const RestoredCheckpoint& checkpoint_;
  const CheckpointMetadata::Operator* op_;
  std::uint32_t subtask_;
  std::uint32_t parallelism_;
  KeyGroupRange key_groups_;
  std::map<std::string, const StateDescription*, std::less<>> tables_;
};

Result<RestoredCheckpointPtr> RestoredCheckpoint::load(CheckpointStoragePtr storage, std::string folder) {
  const std::string key = folder + "/" + std::string{metadata_name};
  auto bytes = storage->get(key);
  if (!bytes) return fail(bytes.error());
  auto metadata = decode_metadata(*bytes, storage->describe(key));
  if (!metadata) return fail(metadata.error());
  return RestoredCheckpointPtr(new RestoredCheckpoint(std::move(storage), std::move(folder), std::move(*metadata)));
}

RestoredCheckpointPtr RestoredCheckpoint::of(CheckpointMetadata metadata) {
  return RestoredCheckpointPtr(new RestoredCheckpoint(nullptr, "state", std::move(metadata)));
}

Status RestoredCheckpoint::check(const JobGraph& graph, UnclaimedState unclaimed) const {
  if (metadata_.max_parallelism != graph.max_parallelism) {
    return fail(ErrorCode::invalid_argument,
                "the checkpoint was written with max_parallelism = " + std::to_string(metadata_.max_parallelism) +
                    ", the job has " + std::to_string(graph.max_parallelism) +
                    "; key groups cannot be changed: set it back");
  }
  if (unclaimed == UnclaimedState::dropped) return {};
  std::set<std::string_view> uids;
  for (const StreamNode& node : graph.stream->nodes) uids.insert(node.state_id());
  for (const CheckpointMetadata::Operator& op : metadata_.operators) {
    if (uids.contains(op.uid)) continue;
    const bool has_state =
        op.enumerator || std::any_of(op.subtasks.begin(), op.subtasks.end(), [](const auto& subtask) {
          return std::any_of(subtask.tables.begin(), subtask.tables.end(), [](const StateTable& table) {
            return !table.description.name.starts_with('$') && !table.empty();
          });
        });
    if (!has_state) continue;
    return fail(ErrorCode::invalid_argument, "the checkpoint has state of \"" + op.uid +
                                                 "\", which the job does not have; give the operator that "
                                                 "name (uid) again, or let its state go with --allow-dropped-state");
  }
  return {};
}

std::unique_ptr<StateReader> RestoredCheckpoint::reader(std::string_view uid, std::uint32_t subtask,
                                                        std::uint32_t parallelism) const {
  return std::make_unique<Reader>(*this, metadata_.find(uid), subtask, parallelism);
}

std::uint64_t RestoredCheckpoint::last_message(std::string_view uid, std::uint32_t subtask,
                                               std::uint32_t parallelism) const {
  const auto* op = metadata_.find(uid);
  return op == nullptr || op->subtasks.size() != parallelism ? 0 : op->subtasks[subtask].messages;
}

void RestoredCheckpoint::name_files(UploadedFiles& uploaded) const {
  for (const auto& op : metadata_.operators) {
    for (const auto& subtask : op.subtasks) {
      for (const StateTable& table : subtask.tables) {
        for (const StoredFileEntry& file : table.store) {
          if (!file.immutable) continue;
          uploaded.add(StoreFile{file.name, file.bytes, file.checksum, true}, key_of(table, file));
        }
      }
    }
  }
}

std::optional<std::string> RestoredCheckpoint::enumerator(std::string_view uid) const {
  const auto* op = metadata_.find(uid);
  return op == nullptr ? std::nullopt : op->enumerator;
}

}  // namespace dataflow

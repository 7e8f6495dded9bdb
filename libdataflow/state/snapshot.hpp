#pragma once
// State as checkpoints and savepoints hold it, whatever keeps it in memory: each operator has named tables.
//
// A table has a schema, so that its rows can be shown, moved to another backend, dealt out to another number of
// subtasks and read by a newer program. What only user code can read is a `bytes` column of such a table.
//
// A snapshot has two parts. The synchronous one (Operator::snapshot) runs on the task's thread, at a barrier, between
// two events: it captures, and must be cheap. The asynchronous one (CapturedState::write) runs on some other thread
// while the operator goes on. (Carbone et al., "State management in Apache Flink", PVLDB 10(12), 2017.)

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/state/store_files.hpp"
#include "serialization/batch.hpp"
#include "serialization/checkpoint_metadata.hpp"
#include "serialization/key_hash.hpp"
#include "serialization/result.hpp"

namespace dataflow {

/// One old subtask's table that lies in the files of a store's checkpoint.
struct StoredPart {
  const StateDescription* description;
  KeyGroupRange key_groups;  ///< that it may have keys of
  bool on_rocksdb;           ///< that the files are RocksDB's
  std::uint64_t bytes;
  /// Brings the files into a folder that is made, on which a store can be opened. Errors: io; malformed_data naming the
  /// file.
  std::function<Status(const std::filesystem::path& into)> fetch;
};

/// Rows that are the same in every checkpoint: all that are made of something, or one of several parts of that.
struct SegmentId {
  std::shared_ptr<const void> content;  ///< which never changes; when it is gone, so are the rows
  std::uint32_t part = 0;
};

/// What the asynchronous part gives its tables to, one after the other. Errors: io of the storage behind it; the writer
/// is of no use afterwards.
class StateWriter {
 public:
  virtual ~StateWriter() = default;
  /// Begins a table. Each name once.
  virtual Status begin(const StateDescription& state) = 0;
  /// Rows of the table begun last, under its schema, in batches of any size. `key_group`: of all these rows, for keyed
  /// tables; in any order, and any number of batches for each group; large batches are read fastest. Else 0.
  virtual Status add(std::uint32_t key_group, const BatchPtr& rows) = 0;
  /// Whether rows that stay as they are, of about so many bytes, are to be given with add_segment: only to checkpoints
  /// of a running job, and not when they are too few for a file.
  [[nodiscard]] virtual bool takes_segment(std::uint64_t /*bytes*/) const { return false; }
  /// Rows of the table begun last, which `write` adds to the writer that it is given. They have a file of their own,
  /// which later checkpoints link: as long as that can be, `write` is not called for them again.
  virtual Status add_segment(const SegmentId& id, const std::function<Status(StateWriter&)>& write);
  /// Whether a keyed table may be given as a store's files instead, which only the checkpoints of a running job do:
  /// what outlives it has rows, whatever backend it had.
  [[nodiscard]] virtual bool takes_stores() const { return false; }
  /// A whole table, as the files of a store's checkpoint (of stored_table.hpp's form) in `folder`.
  virtual Status add_store(const StateDescription& state, const std::filesystem::path& folder,
                           std::span<const StoreFile> files);
};

/// An operator's state as it was at a barrier. Holds what `write` needs alive; destroying it gives that back.
class CapturedState {
 public:
  virtual ~CapturedState() = default;
  /// The asynchronous part: on any thread, once, while the operator goes on on its own.
  virtual Status write(StateWriter& writer) = 0;
};
using CapturedStatePtr = std::unique_ptr<CapturedState>;

/// What one subtask of an operator gets back. Read on the task's thread, after `open` and before the first event.
class StateReader {
 public:
  /// `rows` have the schema that was asked for. `key_group` is 0 unless the table is keyed.
  using Visit = std::function<Status(std::uint32_t key_group, const BatchPtr& rows)>;

  virtual ~StateReader() = default;
  /// The table as it was written; null when there is none of that name (a job that has none yet, or a new state).
  [[nodiscard]] virtual const StateDescription* find(std::string_view name) const = 0;
  /// Every table that there is, in the order of their names.
  [[nodiscard]] virtual std::vector<const StateDescription*> states() const = 0;
  /// This subtask's rows of the table, as `schema` has them: fields are matched by name, those that are missing are
  /// NULL, those that are gone are left out, numbers widen (int32 to int64, float64; int64 to decimal is none of
  /// these). No rows when there is no such table. Errors: io, malformed_data naming the file; invalid_argument naming
  /// the field whose type does not fit; what `visit` returns.
  virtual Status read(std::string_view name, const SchemaPtr& schema, const Visit& visit) = 0;
  /// The table as stores, when all of it that this subtask may own a part of was written so; with what other subtasks
  /// own of them. `read` gives its rows all the same.
  virtual std::optional<std::vector<StoredPart>> stored(std::string_view /*name*/) { return std::nullopt; }
  /// The key groups that this subtask owns now.
  [[nodiscard]] virtual KeyGroupRange key_groups() const = 0;
  /// Whether the operator has as many subtasks as the one that wrote: each then gets its own lists back.
  [[nodiscard]] virtual bool same_parallelism() const = 0;
};

/// Deals rows of a keyed table out to their key groups and gives them on in batches of a good size.
class KeyGroupWriter {
 public:
  /// The table has been begun at `writer`. The key is in the columns `key_fields`.
  KeyGroupWriter(StateWriter& writer, std::vector<std::size_t> key_fields, std::uint32_t max_parallelism);
  ~KeyGroupWriter();
  /// Rows of any keys.
  Status add(const BatchPtr& rows);
  /// After the last ones.
  Status finish();

 private:
  class GroupRows;
  StateWriter& writer_;
  std::vector<std::size_t> key_fields_;
  std::uint32_t max_parallelism_;
  std::vector<GroupRows> groups_;
};

/// State that is captured by copying it into batches: for what is small, or changes in place.
class CopiedState final : public CapturedState {
 public:
  /// Begins a table.
  void begin(StateDescription state) { tables_.push_back({std::move(state), {}, {}}); }
  /// Rows of a table that is not keyed.
  void add(BatchPtr rows) { tables_.back().batches.push_back(std::move(rows)); }
  /// Rows of a keyed table, dealt out by the asynchronous part: its key is in the columns `key_fields`, and
  /// `max_parallelism` is the job's.
  void add_keyed(BatchPtr rows, std::vector<std::size_t> key_fields, std::uint32_t max_parallelism);

  Status write(StateWriter& writer) override;

 private:
  struct Table {
    StateDescription state;
    std::vector<BatchPtr> batches;
    std::vector<std::size_t> key_fields;
  };
  std::vector<Table> tables_;
  std::uint32_t max_parallelism_ = 0;
};

}  // namespace dataflow

#pragma once
// What a checkpoint is made of: which state of which operator lies where (serialization/checkpoint.capnp).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/result.hpp"
#include "serialization/schema.hpp"
#include "serialization/time.hpp"

namespace dataflow {

inline constexpr std::uint16_t checkpoint_format_version = 3;

/// How a table's rows are dealt out to the subtasks that restore it. Numbers are part of the format.
enum class StateKind : std::uint8_t {
  keyed = 0,      ///< each row belongs to a key group: to the subtask that owns it
  list = 1,       ///< each row to one subtask: where it came from, or round robin when the parallelism has changed
  union_all = 2,  ///< every row of every subtask to every subtask
  broadcast = 3,  ///< all subtasks have the same rows: those of one of them to every subtask
};
std::string_view to_string(StateKind kind);

/// What a table is.
struct StateDescription {
  std::string name;  ///< unique in its operator, and kept from version to version of it
  StateKind kind = StateKind::keyed;
  std::uint32_t version = 1;  ///< of what the operator means by the rows, where names and types do not say it
  SchemaPtr schema;

  friend bool operator==(const StateDescription& a, const StateDescription& b) {
    return a.name == b.name && a.kind == b.kind && a.version == b.version && *a.schema == *b.schema;
  }
};

/// Rows of a table: an encoded batch in its subtask's file, or in a segment's.
struct StateBlock {
  std::uint32_t key_group = 0;
  std::uint32_t rows = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t hash = 0;
};

/// A file of a store's checkpoint.
struct StoredFileEntry {
  std::string name;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;  ///< XXH3, 64 bits
  bool immutable = false;      ///< other checkpoints may have the same file under another name
};

/// A file of the storage, or, for little state, its content.
struct StateFile {
  std::string key;  ///< relative to the folder of the metadata; empty: `content`
  std::uint64_t size = 0;
  std::string content;
};

/// Rows of a table in a file of their own, which other checkpoints may have under another name.
struct StateSegment {
  StateFile file;
  std::vector<StateBlock> blocks;
};

struct StateTable {
  StateDescription description;
  std::vector<StateBlock> blocks;
  std::vector<StateSegment> segments{};  ///< its other rows
  /// Of a keyed table: a store's checkpoint instead of blocks. Not empty: it is one.
  std::vector<StoredFileEntry> store{};
  std::string store_prefix{};  ///< in front of the names of its files, relative to the folder of the metadata

  [[nodiscard]] bool empty() const { return blocks.empty() && segments.empty() && store.empty(); }
};

/// What one subtask's chain gives to a checkpoint.
struct TaskState {
  struct Operator {
    std::string uid;
    std::vector<StateTable> tables;
  };
  StateFile file;
  std::vector<Operator> operators;
  std::uint64_t messages = 0;   ///< the newest message from outside that it had taken
  std::uint64_t new_bytes = 0;  ///< that no checkpoint before has: what an incremental checkpoint costs

  /// Bytes of state, wherever they lie.
  [[nodiscard]] std::uint64_t size() const;
};

struct CheckpointMetadata {
  struct Subtask {
    std::vector<StateTable> tables;
    std::uint32_t file = 0;      ///< in `files`
    std::uint64_t messages = 0;  ///< the newest message from outside that it had taken; 0: none
  };
  struct Operator {
    std::string uid;
    std::vector<Subtask> subtasks;
    std::optional<std::string> enumerator;
  };
  std::uint64_t id = 0;
  std::uint64_t leader_epoch = 0;
  bool savepoint = false;
  Timestamp started;
  Timestamp completed;
  std::string job_name;
  std::string job_id;
  std::uint32_t max_parallelism = 0;
  std::vector<StateFile> files;
  std::vector<Operator> operators;

  [[nodiscard]] const Operator* find(std::string_view uid) const;
  /// Bytes of state, wherever they lie.
  [[nodiscard]] std::uint64_t size() const;
};

/// The content of a `_metadata` file.
std::string encode_metadata(const CheckpointMetadata& metadata);
/// Errors: malformed_data, naming `file`: not a checkpoint, cut off, damaged, or of a newer program. Never throws.
Result<CheckpointMetadata> decode_metadata(std::string_view bytes, std::string_view file);

/// A TaskState as a message between nodes.
std::string encode_task_state(const TaskState& state);
Result<TaskState> decode_task_state(std::string_view bytes);

/// The hash in a StateBlock.
std::uint64_t block_hash(std::string_view bytes);

}  // namespace dataflow

#pragma once
// The StreamGraph: what the user wrote, from a topology file or the C++ API, node by node and checked.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/operators/operator.hpp"
#include "libdataflow/sources/source.hpp"
#include "serialization/schema.hpp"

namespace dataflow {

using NodeId = std::uint32_t;

/// How records are spread from the subtasks of one node over those of the next.
enum class Partitioning : std::uint8_t {
  forward,    ///< subtask i to subtask i; chained when parallelism is equal
  hash,       ///< by key group of the key fields
  rebalance,  ///< round robin by batch
  broadcast,  ///< every record to every subtask
};

std::string_view to_string(Partitioning p);

/// What changes an edge carries; operators declare what they take and give.
enum class ChangelogMode : std::uint8_t { append_only, upsert, retract };

std::string_view to_string(ChangelogMode m);

struct StreamEdge {
  NodeId from = 0;
  std::size_t output = 0;  ///< of `from`: 0 main, then its side outputs
  std::size_t input = 0;   ///< of the target
  /// Nothing: forward when parallelism is equal, else rebalance.
  std::optional<Partitioning> partitioning;
  std::vector<std::size_t> key_fields;  ///< for hash
};

struct StreamOutput {
  std::string name;  ///< empty for the main output
  SchemaPtr schema;
  bool event_time = false;
  ChangelogMode changelog = ChangelogMode::append_only;
};

struct StreamNode {
  NodeId id = 0;
  std::string name;
  std::string uid;                               ///< the identity of its state; the name unless said otherwise
  std::string type;                              ///< as in a topology: "filter", "window", "print"
  std::optional<std::uint32_t> parallelism;      ///< nothing: the job's
  std::optional<std::uint32_t> max_parallelism;  ///< 1 for a window without key
  bool stateful = false;
  std::vector<StreamEdge> inputs;
  std::vector<StreamOutput> outputs;  ///< at least the main one, except for sinks
  std::optional<SourceSpec> source;   ///< exactly one of source and factory
  OperatorFactoryPtr factory;
  std::string details;     ///< one line for plans: `temperature > 25`
  std::string defined_at;  ///< "topology.toml:18" or "fraud.cpp:31", for errors

  /// By which a checkpoint finds the node's state.
  [[nodiscard]] const std::string& state_id() const { return uid.empty() ? name : uid; }
  [[nodiscard]] bool is_source() const { return source.has_value(); }
  [[nodiscard]] bool is_sink() const { return outputs.empty(); }
};

enum class ExecutionMode : std::uint8_t {
  automatic,  ///< streaming
  streaming,
  batch,  ///< event time does not pass before the input's end
};

/// When and how often a failed job is started again (Flink's restart strategies).
struct RestartSettings {
  enum class Strategy : std::uint8_t { exponential, fixed, failure_rate, none };
  Strategy strategy = Strategy::exponential;
  std::uint32_t attempts = 3;                               ///< fixed: restarts before the job fails
  Duration delay = std::chrono::seconds{1};                 ///< fixed, failure_rate: before each restart
  Duration initial_delay = std::chrono::milliseconds{100};  ///< exponential: after the first, immediate restart
  Duration max_delay = std::chrono::seconds{10};
  Duration reset_after = std::chrono::minutes{1};  ///< exponential: without failure, back to the start
  std::uint32_t max_failures = 5;                  ///< failure_rate: more within `interval` fail the job
  Duration interval = std::chrono::minutes{5};
};

/// When a job saves its state, and where.
struct CheckpointSettings {
  Duration interval = std::chrono::seconds{10};
  std::string storage;                          ///< URI or path of a folder
  Duration timeout = std::chrono::minutes{10};  ///< one that takes longer is given up
  Duration min_pause{0};                        ///< least time between the end of one and the start of the next
  /// More failed ones in a row fail the job; nothing: it goes on, and is restored from an older one if need be.
  std::optional<std::uint32_t> tolerable_failures;
  std::uint32_t retain = 3;  ///< completed ones that are kept, at least 1
};

/// Where keyed state lives while a job runs.
enum class StateBackendKind : std::uint8_t {
  heap,     ///< in memory
  rocksdb,  ///< in RocksDB, on the node's disk, with a cache in memory
};
struct StateSettings {
  StateBackendKind backend = StateBackendKind::heap;
  /// What `rocksdb`, and what merges in a batch on the heap, may use in each worker process. Nothing: half of the job's
  /// memory.
  std::optional<std::uint64_t> memory_bytes;
  /// How long operators of a topology keep what a key has, when they do not say it themselves, and time or limits do
  /// not end it. Nothing: for ever.
  std::optional<Duration> ttl;
};

struct JobSettings {
  std::optional<std::uint32_t> parallelism;  ///< nothing: the number of slots
  std::uint32_t max_parallelism = 128;       ///< key groups
  ExecutionMode mode = ExecutionMode::automatic;
  std::uint64_t memory_bytes = 512ULL << 20;
  Duration buffer_timeout = std::chrono::milliseconds{5};  ///< partial batches leave after this; 0: at once
  RestartSettings restart;
  std::optional<CheckpointSettings> checkpoint;  ///< nothing: the job begins again from nothing when it fails
  StateSettings state;

  [[nodiscard]] std::uint64_t state_memory_bytes() const { return state.memory_bytes.value_or(memory_bytes / 2); }
};

struct StreamGraph {
  std::string name;
  JobSettings settings;
  std::vector<StreamNode> nodes;  ///< nodes[i].id == i, inputs come before their users

  [[nodiscard]] const StreamNode* find(std::string_view node_name) const;
  [[nodiscard]] bool bounded() const;
};

}  // namespace dataflow

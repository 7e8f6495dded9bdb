#pragma once
// The suite that the state of process functions passes whatever keeps it: every kind of state, TTL and timers, against
// a model, through checkpoints of either form, into any other backend and parallelism. Each backend has a file that
// runs it, with what is true of that one alone.

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataflow/keyed_runtime.hpp"
#include "dataflow/state.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/stored_checkpoints.hpp"

namespace dataflow::keyed_tests {

using testing_support::make_batch;
using testing_support::Row;

inline constexpr std::uint32_t key_groups = 16;
inline constexpr Duration ttl_time{1000};

struct Longest {
  std::string text;
  void add(const std::string& other) {
    if (other.size() > text.size()) text = other;
  }
  [[nodiscard]] std::string result() const { return text; }
};
DATAFLOW_RECORD(Longest, text)

struct Function : StateOwner {
  ValueState<std::int64_t> value{this, "value"};
  ListState<std::string> list{this, "list"};
  MapState<std::string, std::int64_t> map{this, "map"};
  ReducingState<std::int64_t> sum{this, "sum"};
  AggregatingState<Longest> longest{this, "longest"};
  ValueState<std::string> brief{this, "brief", ttl(ttl_time)};
};

struct Values {
  std::optional<std::int64_t> value;
  std::vector<std::string> list;
  std::map<std::string, std::int64_t> map;
  std::optional<std::int64_t> sum;
  std::optional<std::string> longest;
  std::optional<std::pair<std::string, std::int64_t>> brief;  ///< and when it was written

  void check(const Function& function, std::int64_t now) const {
    CHECK(function.value.has_value() == value.has_value());
    if (value && function.value) CHECK(*function.value == *value);
    CHECK(function.list.get() == list);
    CHECK(function.map.get() == map);
    CHECK((function.sum.get() == nullptr) == !sum.has_value());
    if (sum && function.sum) CHECK(*function.sum == *sum);
    CHECK(function.longest.get() == longest);
    const bool alive = brief && now - brief->second < ttl_time.count();
    CHECK(function.brief.has_value() == alive);
    if (alive && function.brief) CHECK(*function.brief == brief->first);
  }
};

/// A key is its number, by the form of keys under test.
struct KeyKind {
  const char* name;
  std::vector<DataType> types;
  bool optional;
  std::function<Row(std::int64_t)> row;
};
const std::vector<KeyKind>& key_kinds();

struct BackendKind {
  const char* name;
  std::function<StateBackendPtr(const std::filesystem::path&)> make;
};
const std::vector<BackendKind>& backend_kinds();
/// One of them, by its name.
const BackendKind& backend_kind(std::string_view name);

/// One subtask.
struct Subtask {
  Subtask(const KeyKind& kind, const StateBackendPtr& backend) : keys{kind} {
    std::vector<std::size_t> fields(kind.types.size());
    std::vector<Field> columns;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      fields[i] = i;
      columns.push_back({"k" + std::to_string(i), kind.types[i]});
    }
    schema = make_schema(std::move(columns));
    runtime = std::make_unique<KeyedRuntime>(function, fields, kind.types, kind.optional);
    if (backend) REQUIRE(runtime->use_backend(backend, key_groups).has_value());
  }
  /// Calls `use(key)` for each, with its state in scope.
  void batch(const std::vector<std::int64_t>& numbers, std::int64_t now, const std::function<void(std::int64_t)>& use) {
    std::vector<Row> rows;
    for (const std::int64_t number : numbers) rows.push_back(keys.row(number));
    const BatchPtr batch = make_batch(schema, rows);
    const auto slots = runtime->begin_batch(*batch, Timestamp{now});
    REQUIRE(slots.has_value());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      runtime->select((*slots)[i]);
      use(numbers[i]);
    }
    const Status ended = runtime->end_batch();
    REQUIRE_MESSAGE(ended.has_value(), (ended ? "" : ended.error().message()));
  }

  const KeyKind& keys;
  Function function;
  SchemaPtr schema;
  std::unique_ptr<KeyedRuntime> runtime;
};

/// The subtasks' states as a checkpoint: of stores as they are, or, `portable`, of rows.
inline std::shared_ptr<const RestoredCheckpoint> checkpoint_of(std::vector<CapturedStatePtr> captured, bool portable,
                                                               const std::string& folder,
                                                               const CheckpointStoragePtr& storage,
                                                               UploadedFiles& uploaded) {
  return testing_support::checkpoint_of(std::move(captured), portable, folder, storage, uploaded, key_groups);
}

// The suite.
void keeps_what_it_is_given(const BackendKind& backend);
/// Of this backend, into each.
void goes_through_checkpoints(const BackendKind& from);
void is_written_on_another_thread(const BackendKind& backend);
void fires_timers_in_order(const BackendKind& backend);
void is_dealt_out_to_other_subtasks(const BackendKind& backend);

}  // namespace dataflow::keyed_tests

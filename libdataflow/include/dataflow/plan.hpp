#pragma once
// The job under construction, without record types: nodes, their inputs, and mistakes with the line of the job's source
// that made them. Environment and Stream<T> are thin typed layers over it.

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "dataflow/kernels.hpp"
#include "dataflow/output.hpp"
#include "libdataflow/batch/key_growth.hpp"
#include "libdataflow/graph/stream_graph.hpp"
#include "libdataflow/windows/window_spec.hpp"

namespace dataflow {

struct AsyncOptions;
struct NexmarkOptions;
struct Trigger;

/// One output of one node.
struct StreamOrigin {
  NodeId node = 0;
  std::size_t output = 0;
};

/// A stream as the plan sees it: where its records come from and what they look like.
struct StreamInfo {
  std::vector<StreamOrigin> origins;  ///< several: a union
  SchemaPtr schema;
  bool event_time = false;
  ChangelogMode changelog = ChangelogMode::append_only;
  std::optional<Partitioning> partitioning;
  std::vector<std::size_t> key_fields;  ///< of a keyed stream
};

/// A node to be added; what is not said has its default.
struct NodeDraft {
  std::string type;     ///< "filter", "process", as in a topology
  std::string details;  ///< one line for plans
  std::vector<StreamOutput> outputs;
  OperatorFactoryPtr factory;
  /// Instead of a factory where the node's final name matters: called when the plan is complete.
  std::function<OperatorFactoryPtr(const StreamNode&)> late_factory;
  std::optional<SourceSpec> source;
  std::optional<RowPipeline> rows;  ///< instead of a factory
  bool stateful = false;            ///< needs a name
  bool keyed = false;               ///< inputs that have a key are spread by it
  bool single = false;              ///< runs in one subtask
  SideOutputsPtr sides;             ///< side outputs that the user's code may name later
  /// In a batch, keys that memory has no room for wait for the end: what is kept of a key. Nothing: none waits.
  std::optional<KeyGrowth> sorted_in_batch;
  /// The type of the user's that no checkpoint can hold; empty: there is none.
  std::string unstorable;
  /// Instead of `stateful`, where only an object of the user's class can tell. Asked of a node without a name; may
  /// throw what the class's constructor throws.
  std::function<bool()> declares_state;
};

class Plan {
 public:
  using Place = std::source_location;

  NodeId add(NodeDraft draft, const StreamInfo* input, const Place& where);
  /// A node with several inputs, in their order.
  NodeId add(NodeDraft draft, std::initializer_list<const StreamInfo*> inputs, const Place& where);
  /// The main output of a node as a stream.
  [[nodiscard]] StreamInfo stream_of(NodeId node) const;
  /// A declared side output, or one that the node's function may emit to; a mistake when there can be none.
  StreamInfo side_output(NodeId node, std::string_view name, const RecordInfo& record, const Place& where);

  void set_name(const StreamInfo& stream, std::string name, const Place& where);
  void set_parallelism(const StreamInfo& stream, std::uint32_t parallelism, const Place& where);
  /// At the source where `stream` is one's, which makes watermarks for each split, else by a node behind it.
  void set_event_time(StreamInfo& stream, std::size_t field, Duration out_of_orderness,
                      std::optional<Duration> idle_after, const Place& where);
  void mistake(const Place& where, std::string message);
  [[nodiscard]] JobSettings& settings() { return settings_; }

  /// Adds the nodes of a finished graph; where they are now, by node name.
  void embed(StreamGraph graph, const Place& where);
  /// The output named as in a topology ("daily", "daily.late").
  std::optional<StreamInfo> find(std::string_view name) const;

  /// Errors: invalid_argument with every mistake, a line each: `fraud.cpp:31: ...`.
  Result<StreamGraph> build(std::string_view job_name) const;

 private:
  struct Entry {
    StreamNode node;
    std::optional<RowPipeline> rows;
    std::function<OperatorFactoryPtr(const StreamNode&)> late_factory;
    std::optional<KeyGrowth> sorted_in_batch;
    SchemaPtr input;  ///< where it is sorted
    bool named = false;
    SideOutputsPtr sides;
    std::string unstorable;
    std::function<bool()> declares_state;
  };
  /// Errors: user_code when the user's class throws where it is asked.
  static Result<bool> keeps_state(const Entry& entry);
  void check_no_cycle(std::vector<std::string>& mistakes) const;
  void check_names(std::vector<std::string>& mistakes) const;
  void check_storable(std::vector<std::string>& mistakes) const;
  void give_names(std::vector<StreamNode>& nodes) const;

  std::vector<Entry> entries_;
  std::vector<std::string> mistakes_;
  JobSettings settings_;
};

/// "fraud.cpp:31".
std::string to_string(const std::source_location& place);

/// What Stream<T> adds that needs the expression language, apart so that a job without it does not pull it in.
void add_where(Plan& plan, StreamInfo& stream, std::string_view condition, const Plan::Place& where);
void add_select(Plan& plan, StreamInfo& stream, std::span<const std::pair<std::string, std::string>> fields,
                const RecordInfo& result, const Plan::Place& where);

/// The streams of a two-input node, where only one has event time: what has none holds the other's back no longer, for
/// it is behind a node that says so.
void free_time_of_connected(Plan& plan, StreamInfo& first, StreamInfo& second, const Plan::Place& where);

/// The side outputs of what came too late of the two streams that are in one node's windows.
inline std::string late_of_left(const std::string& late_output) {
  return late_output + "_left";
}
inline std::string late_of_right(const std::string& late_output) {
  return late_output + "_right";
}

/// Which rows of a join are results also without a match.
enum class Outer : std::uint8_t { none, left, right, both };
/// Which rows of two keyed streams belong together, and what becomes of each pair.
struct JoinDraft {
  enum class Mode : std::uint8_t {
    window,    ///< in the same window
    interval,  ///< the right's time is the left's plus `low` to plus `high`
    as_of,     ///< the newest right row that is not newer than the left
  };
  Mode mode = Mode::window;
  Outer outer = Outer::none;
  WindowSpec window;
  std::string late_output = "late";  ///< of a window join: see late_of_left
  Duration low{0};
  Duration high{0};
  bool optional_key = false;
  std::vector<std::uint16_t> left_positions;
  std::vector<std::uint16_t> right_positions;
  /// Of batches with the left record's fields, the right's, and for each side that may be missing one that is NULL
  /// then.
  std::shared_ptr<const RowMapFactory> pairs;
  SchemaPtr results;
};
NodeId add_join(Plan& plan, const StreamInfo& left, const RecordInfo& left_record, const StreamInfo& right,
                const RecordInfo& right_record, JoinDraft draft, const Plan::Place& where);

/// Mistakes in how asynchronous calls are to be made.
void check_async(Plan& plan, const StreamInfo& stream, const AsyncOptions& options, const Plan::Place& where);

/// The sinks.
NodeId add_print(Plan& plan, const StreamInfo& stream, std::string_view format, const Plan::Place& where);
NodeId add_file_sink(Plan& plan, const StreamInfo& stream, std::string_view path, std::string_view format,
                     std::string_view on_existing, const Plan::Place& where);
NodeId add_discard(Plan& plan, const StreamInfo& stream, const Plan::Place& where);

/// The sources.
NodeId add_collection(Plan& plan, SchemaPtr schema, std::vector<BatchPtr> batches, const Plan::Place& where);
/// How files are read.
struct ReadOptions {
  /// What becomes of a record that does not decode. `side_output`: it is in the side output "errors", a stream of
  /// RejectedRecord.
  ErrorPolicy on_error = ErrorPolicy::fail;
};
NodeId add_file_source(Plan& plan, const RecordInfo& record, std::string_view path, std::string_view format,
                       const ReadOptions& options, const Plan::Place& where);
NodeId add_nexmark(Plan& plan, const NexmarkOptions& options, const Plan::Place& where);

/// One output field of an aggregation made of ready-made pieces.
struct AggregatePiece {
  enum class Kind : std::uint8_t { key, window_start, window_end, call };
  Kind kind = Kind::call;
  std::string function;          ///< "sum", for call
  std::size_t input_field = 0;   ///< of the aggregated records; ignored by count
  std::size_t output_field = 0;  ///< of the result record
};
/// What window(...) has been told so far.
struct WindowDraft {
  WindowSpec spec;
  std::string late_output = "late";
  Plan::Place where;
};
NodeId add_piecewise_window(Plan& plan, const StreamInfo& stream, WindowDraft draft, const RecordInfo& input,
                            std::span<const std::uint16_t> positions, std::span<const AggregatePiece> pieces,
                            const RecordInfo& result, const Plan::Place& where);
/// Mistakes in sizes, or a window over event time on a stream that has none; false when there is one.
bool check_window_draft(Plan& plan, const StreamInfo& stream, const WindowDraft& draft);
/// The same for windows over two streams.
void check_co_group(Plan& plan, const StreamInfo& left, const StreamInfo& right, const WindowDraft& draft);
/// What a user's aggregator has and asks for.
struct AggregatorTraits {
  const std::type_info& type;
  bool merges = false;
  bool bounded = false;  ///< its result asks for the window's bounds
};
/// Mistakes of an aggregator in a window that it does not fit.
void check_aggregator(Plan& plan, const WindowDraft& draft, const AggregatorTraits& aggregator);

/// A trigger of the user's own, if there is one.
struct OwnTrigger {
  bool own = false;
  bool merges = false;
};
/// Mistakes of a trigger in windows that it does not fit.
void check_trigger(Plan& plan, const StreamInfo& stream, const WindowDraft& draft, const Trigger& trigger,
                   const OwnTrigger& own);
/// A mistake when `make`, which makes a function with sessions, throws.
void check_in_sessions(Plan& plan, const WindowDraft& draft, const std::function<void()>& make);

}  // namespace dataflow

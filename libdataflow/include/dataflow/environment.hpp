#pragma once
// The Environment: where a job begins. Sources are asked of it, and what is built on them becomes the job's
// StreamGraph.

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataflow/nexmark.hpp"
#include "dataflow/source.hpp"
#include "dataflow/stream.hpp"

namespace dataflow {

/// The arguments a job is started with: `--city=Basel`, `--verbose`, and what is left.
class Arguments {
 public:
  Arguments() = default;
  explicit Arguments(std::vector<std::string> arguments) : all_{std::move(arguments)} {}

  /// The value of `--name=value`; empty for a bare `--name`; nothing when it is not there. The last one wins.
  [[nodiscard]] std::optional<std::string> find(std::string_view name) const;
  [[nodiscard]] std::string get(std::string_view name, std::string_view otherwise) const;
  /// Throws std::invalid_argument, which refuses the job, when the value is no number.
  [[nodiscard]] std::int64_t get_integer(std::string_view name, std::int64_t otherwise) const;
  [[nodiscard]] bool has(std::string_view name) const { return find(name).has_value(); }
  [[nodiscard]] const std::vector<std::string>& all() const { return all_; }

 private:
  std::vector<std::string> all_;
};

/// A line of a text file.
struct Line {
  std::string line;
};
DATAFLOW_RECORD(Line, line)

/// What the side output "errors" of a file source has for each record that does not decode.
struct RejectedRecord {
  Bytes raw;
  std::string error;
  std::string position;
};
DATAFLOW_RECORD(RejectedRecord, raw, error, position)

/// The nodes of an embedded topology file.
class TopologyPart {
 public:
  explicit TopologyPart(std::shared_ptr<Plan> plan) : plan_{std::move(plan)} {}
  /// What leaves a node of the file, or one of its side outputs ("daily.late"), as records: T's fields are found by
  /// name, and there may be more.
  template <class T>
  Stream<T> stream(std::string_view name, Place where = Place::current()) const {
    auto found = plan_->find(name);
    if (!found) {
      plan_->mistake(where, "the topology has no node \"" + std::string{name} + "\" that gives records");
      found = StreamInfo{.origins = {}, .schema = schema_of<T>()};
    }
    return {plan_, std::move(*found), where};
  }

 private:
  std::shared_ptr<Plan> plan_;
};

class Environment {
 public:
  explicit Environment(Arguments arguments = {}) : arguments_{std::move(arguments)} {}
  /// For a program with a `main` of its own, which ends with `return env.execute("name");`. `args()` has what is left
  /// when `dfnode run`'s options are taken out. Needs dataflow::cli, as execute does.
  Environment(int argc, const char* const* argv);

  [[nodiscard]] const Arguments& args() const { return arguments_; }
  /// Subtasks of each node that does not say otherwise; the number of slots when this is not called.
  void parallelism(std::uint32_t subtasks) { plan_->settings().parallelism = subtasks; }
  /// Everything about the job that is not a node.
  [[nodiscard]] JobSettings& settings() { return plan_->settings(); }

  template <class T>
  Stream<T> from_collection(std::vector<T> records, Place where = Place::current()) {
    return source_of<T>(add_collection(*plan_, schema_of<T>(), to_batches(records), where), where);
  }
  template <class T>
  Stream<T> from_collection(std::initializer_list<T> records, Place where = Place::current()) {
    return from_collection(std::vector<T>(records), where);
  }
  /// A file, a folder or a glob; the header names the members. `.gz` and `.zst` by name.
  template <class T>
  Stream<T> read_csv(std::string_view path, ReadOptions options = {}, Place where = Place::current()) {
    return source_of<T>(add_file_source(*plan_, record_info<T>(), path, "csv", options, where), where);
  }
  /// One object a line; absent members are NULL.
  template <class T>
  Stream<T> read_json(std::string_view path, ReadOptions options = {}, Place where = Place::current()) {
    return source_of<T>(add_file_source(*plan_, record_info<T>(), path, "json", options, where), where);
  }
  Stream<Line> read_lines(std::string_view path, Place where = Place::current()) {
    return source_of<Line>(add_file_source(*plan_, record_info<Line>(), path, "lines", {}, where), where);
  }
  /// `make(0)`, `make(1)`, ... `make(count - 1)`; without end when `count` is negative.
  template <class F>
  auto generate(std::int64_t count, F make, Place where = Place::current()) {
    using T = std::remove_cvref_t<std::invoke_result_t<F&, std::int64_t>>;
    return from_source<T>(std::make_shared<const Generated<T, F>>(count, std::move(make)), where);
  }
  /// The events of the Nexmark benchmark. T's fields are found by name among those of the stream (NexmarkBid and the
  /// like have all of them). Event time is date_time, behind which no event is late.
  template <class T = NexmarkEvent>
  Stream<T> nexmark(const NexmarkOptions& options = {}, Place where = Place::current()) {
    return source_of<T>(add_nexmark(*plan_, options, where), where);
  }
  /// A source of one's own: `env.from_source<Quote>(std::make_shared<QuoteSource>(url))`.
  template <class T>
  Stream<T> from_source(std::shared_ptr<const Source<T>> source, Place where = Place::current()) {
    if (source == nullptr) plan_->mistake(where, "there is no source behind the pointer that from_source was given");
    StreamOutput output{.name = {}, .schema = schema_of<T>()};
    SourceSpec spec;
    spec.factory = std::make_shared<TypedSourceFactory<T>>(std::move(source));
    NodeDraft draft{.type = "source", .outputs = {std::move(output)}, .source = std::move(spec)};
    return source_of<T>(plan_->add(std::move(draft), nullptr, where), where);
  }
  /// Embeds a topology file, its sinks included; its nodes are then streams by name.
  TopologyPart topology(std::string_view path, Place where = Place::current());

  [[nodiscard]] const std::shared_ptr<Plan>& plan() const { return plan_; }
  /// The graph of what has been declared. Errors: invalid_argument with every mistake, each with its line.
  [[nodiscard]] Result<StreamGraph> build(std::string_view job_name) const { return plan_->build(job_name); }
  /// Runs the job here until its input ends or until Ctrl-C, as `dfnode run` does; the program's exit code. It takes
  /// `dfnode run`'s options from the arguments. Needs dataflow::cli, which dataflow_add_program links.
  int execute(std::string_view job_name) const;

 private:
  template <class T>
  Stream<T> source_of(NodeId node, const Place& where) {
    return {plan_, plan_->stream_of(node), where};
  }

  Arguments arguments_;
  std::vector<std::string> given_;  ///< to the program: with `dfnode run`'s options
  std::shared_ptr<Plan> plan_ = std::make_shared<Plan>();
};

/// Calls a job's function and plans what it declares. Errors: those of Environment::build; user_code when it throws.
Result<StreamGraph> build_job(std::string_view name, void (*function)(Environment&),
                              std::vector<std::string> arguments);

}  // namespace dataflow

#pragma once
// Node types and their options. Each type declares its keys once (name, kind, default, help, example); parsing,
// checking, completion, the reference page and the editors' JSON Schema all come from that one declaration.
//
// A new built-in is one file pair with a function returning its NodeType, one line in registry.cpp, one test file.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/graph/stream_graph.hpp"
#include "serialization/value.hpp"

namespace dataflow {

/// What an option's TOML value must be.
enum class OptionKind : std::uint8_t {
  text,
  choice,  ///< one of Option::choices
  integer,
  number,
  flag,        ///< true or false
  duration,    ///< "10s"
  size,        ///< "64MiB"
  path,        ///< relative to the topology file's folder
  expression,  ///< text that is an expression
  text_list,   ///< ["a", "b"], or one string for a list of one
  text_table,  ///< { name = "text", ... } in file order: fields, schema, aggregate, routes
  table,       ///< { ... } with the keys in Option::nested
  rows,        ///< [ { field = value, ... }, ... ]
};

struct Option {
  std::string name;
  OptionKind kind = OptionKind::text;
  std::string help;     ///< one sentence
  std::string example;  ///< as TOML, e.g. `"temperature > 25"`
  bool required = false;
  std::string default_value;         ///< as TOML without quotes ("0s", "json"); empty: none
  std::vector<std::string> choices;  ///< for choice
  std::vector<Option> nested;        ///< for table
  bool changeable = false;           ///< may be changed in a running job by a message
};

/// A position in the topology file, 1-based; length in characters.
struct FileSpan {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::uint32_t length = 1;
};

/// One row of a `rows` option: its members in file order, decoded from TOML without a schema (timestamps as text).
struct RowLiteral {
  std::vector<std::pair<std::string, Value>> members;
  FileSpan span;
};

/// A node's (or nested table's) values after they have been checked against its options: what is read here has
/// been declared (asserted), has the declared kind, and has its default when absent.
class Settings {
 public:
  virtual ~Settings() = default;
  /// Whether the file gives the key, or it has a default.
  [[nodiscard]] virtual bool has(std::string_view key) const = 0;
  [[nodiscard]] virtual std::string text(
      std::string_view key) const = 0;  ///< text, choice, expression, path (absolute)
  [[nodiscard]] virtual std::int64_t integer(std::string_view key) const = 0;
  [[nodiscard]] virtual double number(std::string_view key) const = 0;
  [[nodiscard]] virtual bool flag(std::string_view key) const = 0;
  [[nodiscard]] virtual Duration duration(std::string_view key) const = 0;
  [[nodiscard]] virtual std::uint64_t size(std::string_view key) const = 0;  ///< bytes
  [[nodiscard]] virtual std::vector<std::string> text_list(std::string_view key) const = 0;
  [[nodiscard]] virtual std::vector<std::pair<std::string, std::string>> text_table(std::string_view key) const = 0;
  [[nodiscard]] virtual const Settings& table(std::string_view key) const = 0;
  [[nodiscard]] virtual const std::vector<RowLiteral>& rows(std::string_view key) const = 0;
  /// Keys that are in no Option, when the type has `extra_keys` (a `process` node's own): as a JSON object.
  [[nodiscard]] virtual std::string extra_keys_json() const = 0;
};

/// What a node's inputs are when it is built.
struct InputInfo {
  std::string name;  ///< as the user wrote it: "readings", "daily.late"
  SchemaPtr schema;
  bool event_time = false;
  ChangelogMode changelog = ChangelogMode::append_only;
  bool bounded = false;                ///< every source that it comes from ends
  std::vector<std::string> sources{};  ///< names of those sources
};

/// Given to NodeType::build: knows the inputs, collects the node and the mistakes. `path` names an option, or
/// members of it with dots: "where", "fields.total", "event_time.field".
class NodeBuilder {
 public:
  virtual ~NodeBuilder() = default;
  [[nodiscard]] virtual const Settings& settings() const = 0;
  [[nodiscard]] virtual const std::string& name() const = 0;
  [[nodiscard]] virtual const std::string& type_name() const = 0;
  /// What the file says of the job as a whole.
  [[nodiscard]] virtual const JobSettings& job() const = 0;
  [[nodiscard]] virtual const std::vector<InputInfo>& inputs() const = 0;  ///< one for each input index

  /// Sources: the checked `schema` option in file order; empty when the file gives none. event_time, on_error and
  /// rate_limit are handled by the topology layer after build has set the main output's schema.
  [[nodiscard]] virtual const std::vector<SourceField>& source_schema() const = 0;

  /// A mistake at an option's value; `path` may lead into it: "fields.total", "rows.0.name".
  virtual void error(std::string_view path, std::string message, std::string suggestion = {}) = 0;
  virtual void error(std::string_view path, const ExpressionError& error) = 0;
  /// A mistake in the name of the member that `path` leads to, and not in its value.
  virtual void name_error(std::string_view path, std::string message, std::string suggestion = {}) = 0;
  /// Compiles the expression at `path` against input `input`, reporting its mistakes; nothing when it has some.
  virtual std::optional<Expression> compile(std::string_view path, std::string_view text, std::size_t input = 0) = 0;
  /// A field of input `input` named at `path`; reports an unknown name with the nearest known one.
  virtual std::optional<std::size_t> field(std::string_view path, std::string_view field_name,
                                           std::size_t input = 0) = 0;

  /// The node under construction: set outputs and factory or source; inputs' partitioning as below.
  virtual StreamNode& node() = 0;
  /// Records of all inputs go to subtasks by these fields of input `input`.
  virtual void key_by(std::vector<std::size_t> fields, std::size_t input = 0) = 0;
  /// Every subtask gets all records of input `input`.
  virtual void broadcast(std::size_t input) = 0;
  /// Puts a node without state between input `input` and this one, which then reads its main output instead: key_by
  /// names fields of that. `node` has outputs and a factory; it is called after this node and `suffix`.
  virtual void put_before(std::size_t input, std::string_view suffix, StreamNode node) = 0;
};

enum class NodeRole : std::uint8_t { source, transform, sink };

struct NodeType {
  std::string name;
  NodeRole role = NodeRole::transform;
  std::string summary;  ///< one sentence
  std::vector<Option> options;
  std::vector<std::string> side_outputs;  ///< those that always exist: {"late"}
  std::string example;                    ///< a whole node as TOML
  bool extra_keys = false;
  std::function<void(NodeBuilder&)> build;
  /// The keys that name its inputs, each an option of kind text_list: input i is inputs[i]. Empty for a source.
  std::vector<std::string> inputs = {"input"};

  /// Whether the common key `input` is one of them.
  [[nodiscard]] bool has_common_input() const;
};

/// All types in the order of the reference page. The common keys (input, parallelism, uid, ...) are not repeated in
/// each type's options: see common_options.
const std::vector<NodeType>& node_types();
const NodeType* find_node_type(NodeRole role, std::string_view name);
/// The keys that every node of the role takes.
const std::vector<Option>& common_options(NodeRole role);
/// Those of them that nodes of the type take: not `input` where it has others.
std::vector<Option> common_options_of(const NodeType& type);

}  // namespace dataflow

#pragma once
// The NodeBuilder behind which a node type builds a node of a topology file: mistakes become diagnostics with the
// place in the file of the option that has them.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libdataflow/topology/declared_node.hpp"
#include "libdataflow/topology/node_type.hpp"
#include "libdataflow/topology/substitution.hpp"

namespace dataflow {

class FileNodeBuilder final : public NodeBuilder {
 public:
  /// `declared`, `job`, `secrets` and `diagnostics` outlive the builder.
  FileNodeBuilder(const DeclaredNode& declared, const JobSettings& job, std::vector<InputInfo> inputs,
                  std::vector<SourceField> source_schema, const Secrets& secrets, std::vector<Diagnostic>& diagnostics);

  [[nodiscard]] const Settings& settings() const override { return declared_.settings; }
  [[nodiscard]] const std::string& name() const override { return declared_.name; }
  [[nodiscard]] const std::string& type_name() const override { return declared_.type->name; }
  [[nodiscard]] const JobSettings& job() const override { return job_; }
  [[nodiscard]] const std::vector<InputInfo>& inputs() const override { return inputs_; }
  [[nodiscard]] const std::vector<SourceField>& source_schema() const override { return source_schema_; }

  void error(std::string_view path, std::string message, std::string suggestion = {}) override;
  void error(std::string_view path, const ExpressionError& error) override;
  void name_error(std::string_view path, std::string message, std::string suggestion) override;
  std::optional<Expression> compile(std::string_view path, std::string_view text, std::size_t input = 0) override;
  std::optional<std::size_t> field(std::string_view path, std::string_view field_name, std::size_t input = 0) override;

  StreamNode& node() override { return node_; }
  void key_by(std::vector<std::size_t> fields, std::size_t input = 0) override;
  void broadcast(std::size_t input) override { broadcast_.push_back(input); }
  void put_before(std::size_t input, std::string_view suffix, StreamNode node) override;

  [[nodiscard]] bool has_errors() const { return has_errors_; }
  /// What key_by was last called with for the input; null when it was not.
  [[nodiscard]] const std::vector<std::size_t>* keys_of(std::size_t input) const;
  [[nodiscard]] bool is_broadcast(std::size_t input) const;
  /// What put_before was given, by input.
  [[nodiscard]] std::vector<std::pair<std::size_t, StreamNode>>& nodes_before() { return before_; }

 private:
  /// Whether a mistake of the option, a table, only follows from a key in it that it does not take.
  [[nodiscard]] bool follows_from_unknown_key(std::string_view option, const TomlValue* value) const;
  /// `value` is what is wrong; null for the node as a whole.
  void report(const TomlValue* value, const SourceSpan& place, std::string message, std::string suggestion);

  const DeclaredNode& declared_;
  const JobSettings& job_;
  std::vector<InputInfo> inputs_;
  std::vector<SourceField> source_schema_;
  const Secrets& secrets_;
  std::vector<Diagnostic>& diagnostics_;
  StreamNode node_;
  std::vector<std::pair<std::size_t, std::vector<std::size_t>>> keys_;
  std::vector<std::size_t> broadcast_;
  std::vector<std::pair<std::size_t, StreamNode>> before_;
  bool has_errors_ = false;
};

/// The value at a path such as "fields.total", or "rows.0.name" into an array, below `table`; null when there is none.
const TomlValue* find_path(const TomlValue& table, std::string_view path);
/// The member whose value that is; null also for an item of an array, which has no key.
const TomlMember* find_member_at(const TomlValue& table, std::string_view path);

/// The names of a schema's fields.
std::vector<std::string> field_names(const Schema& schema);

}  // namespace dataflow

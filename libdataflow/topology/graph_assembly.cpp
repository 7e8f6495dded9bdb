#include "libdataflow/topology/graph_assembly.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "libdataflow/topology/did_you_mean.hpp"
#include "libdataflow/topology/file_node_builder.hpp"
#include "libdataflow/topology/node_order.hpp"
#include "libdataflow/topology/source_settings.hpp"

namespace dataflow {

namespace {

bool has_substitution(const TomlValue& value) {
  return value.substituted ||
         std::any_of(value.members.begin(), value.members.end(),
                     [](const TomlMember& member) { return has_substitution(member.value); }) ||
         std::any_of(value.items.begin(), value.items.end(), has_substitution);
}

class Assembler {
 public:
  Assembler(std::vector<DeclaredNode>& declared, const JobSettings& job, const Secrets& secrets,
            std::vector<Diagnostic>& diagnostics)
      : declared_{declared}, job_{job}, secrets_{secrets}, diagnostics_{diagnostics}, ids_(declared.size()) {}

  std::vector<StreamNode> assemble() {
    for (std::size_t i = 0; i < declared_.size(); ++i) by_name_.emplace(declared_[i].name, i);
    resolve_inputs();
    const NodeOrder order = order_nodes(input_indices());
    for (const auto& cycle : order.cycles) report_cycle(cycle);
    check_parallelism();
    for (const std::size_t index : order.order) build(index);
    check_uids();
    check_standard_input();
    check_output_folders();
    check_mode();
    if (!unresolved_) warn_of_dead_ends();
    return std::move(nodes_);
  }

 private:
  void error(const SourceSpan& place, std::string message, std::string suggestion = {}) {
    diagnostics_.push_back(diagnose(Severity::error, place, std::move(message), std::move(suggestion)));
  }

  void resolve_inputs() {
    for (DeclaredNode& node : declared_) {
      if (node.role != NodeRole::source && node.inputs.empty()) unresolved_ = true;
      for (InputReference& reference : node.inputs) {
        const auto found = by_name_.find(reference.node);
        if (found == by_name_.end()) {
          unknown_input(node, reference);
        } else if (declared_[found->second].role == NodeRole::sink) {
          error(reference.place, "\"" + reference.node + "\" is a sink: nothing comes out of it");
        } else {
          reference.resolved = true;
          reference.target = found->second;
          continue;
        }
        node.broken = true;
        unresolved_ = true;
      }
    }
  }

  void unknown_input(const DeclaredNode& node, const InputReference& reference) {
    std::vector<std::string> known;
    for (const DeclaredNode& other : declared_) {
      if (other.role == NodeRole::sink || other.name == node.name) continue;
      known.push_back(other.name);
      if (other.type == nullptr) continue;
      for (const std::string& output : other.type->side_outputs) known.push_back(other.name + "." + output);
    }
    error(reference.place, "no node \"" + reference.node + "\"", did_you_mean(reference.text, known));
  }

  /// One of less than 1 has been reported with the settings.
  void check_parallelism() {
    for (const DeclaredNode& node : declared_) {
      if (!node.settings.has("parallelism") || node.settings.integer("parallelism") <= job_.max_parallelism) continue;
      error(node.member->value.find("parallelism")->place,
            "\"parallelism\" must be from 1 to " + std::to_string(job_.max_parallelism) + " (max_parallelism)");
    }
  }

  [[nodiscard]] std::vector<std::vector<std::size_t>> input_indices() const {
    std::vector<std::vector<std::size_t>> inputs(declared_.size());
    for (std::size_t i = 0; i < declared_.size(); ++i)
      for (const InputReference& reference : declared_[i].inputs)
        if (reference.resolved) inputs[i].push_back(reference.target);
    return inputs;
  }

  void report_cycle(const std::vector<std::size_t>& cycle) {
    std::string path;
    for (const std::size_t index : cycle) path += declared_[index].name + " -> ";
    const DeclaredNode& first = declared_[cycle.front()];
    const auto closing = std::find_if(first.inputs.begin(), first.inputs.end(), [&](const InputReference& reference) {
      return reference.resolved && reference.target == cycle.back();
    });
    error(closing != first.inputs.end() ? closing->place : first.member->key_place,
          "the nodes form a cycle: " + path + first.name, "records must not come back to where they were");
    for (const std::size_t index : cycle) declared_[index].broken = true;
  }

  /// The output of a built node that a reference names; nothing when that node is broken or has no such output.
  const StreamOutput* find_output(DeclaredNode& node, const InputReference& reference, StreamEdge& edge) {
    const std::optional<NodeId> id = ids_[reference.target];
    if (!id) {
      node.broken = true;  // a mistake further up, reported there
      return nullptr;
    }
    const StreamNode& source = nodes_[*id];
    edge.from = source.id;
    for (std::size_t i = 0; i < source.outputs.size(); ++i) {
      if (source.outputs[i].name != reference.output) continue;
      edge.output = i;
      return &source.outputs[i];
    }
    node.broken = true;
    unresolved_ = true;
    unknown_output(source, reference);
    return nullptr;
  }

  void unknown_output(const StreamNode& source, const InputReference& reference) {
    std::vector<std::string> outputs;
    for (const StreamOutput& output : source.outputs)
      if (!output.name.empty()) outputs.push_back(source.name + "." + output.name);
    std::string suggestion = did_you_mean(reference.text, outputs);
    if (suggestion.empty() && reference.output == "errors" && source.is_source()) {
      suggestion = "set on_error = \"side_output\" in \"" + source.name + "\"";
    } else if (suggestion.empty()) {
      suggestion = outputs.empty() ? "it has no side output" : "it has";
      for (const std::string& output : outputs) suggestion += " \"" + output + "\"";
    }
    error(reference.place, "\"" + source.name + "\" has no output \"" + reference.output + "\"", suggestion);
  }

  /// The unions of a node's inputs: all their edges, and what is true of all. False when some cannot be united.
  bool unite_inputs(DeclaredNode& node, std::vector<StreamEdge>& edges, std::vector<InputInfo>& united) {
    std::vector<const InputReference*> firsts(united.size(), nullptr);
    for (const InputReference& reference : node.inputs) {
      StreamEdge edge;
      if (!reference.resolved) return false;
      const StreamOutput* output = find_output(node, reference, edge);
      if (output == nullptr) continue;  // look at the other inputs too
      edge.input = reference.input;
      InputInfo& input = united[reference.input];
      const InputReference*& first = firsts[reference.input];
      if (first == nullptr) {
        first = &reference;
        input = {reference.text, output->schema, output->event_time, output->changelog, true, {}};
      } else if (*input.schema != *output->schema) {
        error(reference.place,
              "\"" + reference.text + "\" and \"" + first->text + "\" cannot be united: their schemas are " +
                  to_string(*output->schema) + " and " + to_string(*input.schema),
              "make them equal with a select");
        node.broken = true;
      } else {
        input.event_time = input.event_time && output->event_time;
        input.changelog = std::max(input.changelog, output->changelog);
      }
      add_sources(edge.from, input);
      edges.push_back(edge);
    }
    return !node.broken;
  }

  /// The sources behind a node, and whether all of them end.
  void add_sources(NodeId id, InputInfo& input) const {
    for (const NodeId source : sources_of_[id]) {
      const StreamNode& node = nodes_[source];
      if (std::count(input.sources.begin(), input.sources.end(), node.name) != 0) continue;
      input.sources.push_back(node.name);
      // One that has a mistake has no factory yet.
      input.bounded = input.bounded && (!node.source || node.source->factory->bounded());
    }
  }

  void push_node(StreamNode node) {
    std::set<NodeId> sources;
    for (const StreamEdge& edge : node.inputs)
      sources.insert(sources_of_[edge.from].begin(), sources_of_[edge.from].end());
    if (node.inputs.empty()) sources.insert(node.id);
    sources_of_.push_back(std::move(sources));
    nodes_.push_back(std::move(node));
  }

  void build(std::size_t index) {
    if (declared_[index].role == NodeRole::source) {
      build_source(index);
    } else {
      build_on_inputs(index);
    }
  }

  void build_source(std::size_t index) {
    DeclaredNode& declared = declared_[index];
    if (declared.type == nullptr) return;
    const std::size_t diagnostics_before = diagnostics_.size();
    std::vector<SourceField> schema = read_source_schema(declared, diagnostics_);
    if (diagnostics_.size() != diagnostics_before) declared.broken = true;
    if (declared.broken) return stand_in_for(index, std::move(schema), diagnostics_.size() != diagnostics_before);

    FileNodeBuilder builder{declared, job_, {}, std::move(schema), secrets_, diagnostics_};
    declared.type->build(builder);
    if (!builder.has_errors() && !builder.node().outputs.empty()) {
      const Schema& read = *builder.node().outputs.front().schema;
      finish_source(declared, read_event_time(declared, read, diagnostics_), builder);
    }
    // A mistake in event_time or rate_limit leaves the schema as it is.
    const bool schema_is_known = !builder.node().outputs.empty() && builder.node().source;
    if (diagnostics_.size() != diagnostics_before) declared.broken = true;
    if (!declared.broken || (schema_is_known && !builder.has_errors())) add(index, std::move(builder.node()));
  }

  /// A source with a mistake beside its schema: what reads it can still be checked.
  void stand_in_for(std::size_t index, std::vector<SourceField> fields, bool schema_is_wrong) {
    if (fields.empty() || schema_is_wrong) return;
    const DeclaredNode& declared = declared_[index];
    StreamNode node;
    node.name = declared.name;
    std::vector<Field> types;
    types.reserve(fields.size());
    for (SourceField& field : fields) types.push_back(std::move(field.field));
    node.outputs = {{.name = "", .schema = make_schema(std::move(types))}};
    read_event_time(declared, *node.outputs.front().schema, diagnostics_);
    node.outputs.front().event_time = declared.member->value.find("event_time") != nullptr;
    node.outputs.push_back({.name = "errors", .schema = source_error_schema()});
    add(index, std::move(node));
  }

  void build_on_inputs(std::size_t index) {
    DeclaredNode& declared = declared_[index];
    std::vector<StreamEdge> edges;
    std::vector<InputInfo> united(declared.type != nullptr ? declared.type->inputs.size() : 1);
    if (!unite_inputs(declared, edges, united)) return;
    FileNodeBuilder builder{declared, job_, std::move(united), {}, secrets_, diagnostics_};
    declared.type->build(builder);
    StreamNode& node = builder.node();
    const bool broken = builder.has_errors();
    declared.broken = broken;
    if (broken && !passes_schema_through(node, builder.inputs())) return;
    for (auto& [input, before] : builder.nodes_before()) {
      put_before(edges, input, std::move(before), has_substitution(declared.member->value));
    }
    for (StreamEdge& edge : edges) {
      if (const auto* keys = builder.keys_of(edge.input)) {
        edge.partitioning = Partitioning::hash;
        edge.key_fields = *keys;
      } else if (builder.is_broadcast(edge.input)) {
        edge.partitioning = Partitioning::broadcast;
      }
    }
    node.inputs = std::move(edges);
    add(index, std::move(node));
  }

  /// The edges of the input become those of `node`, which takes their place.
  void put_before(std::vector<StreamEdge>& edges, std::size_t input, StreamNode node, bool has_secrets) {
    const auto of_others = [&](const StreamEdge& edge) { return edge.input != input; };
    const auto own = std::stable_partition(edges.begin(), edges.end(), of_others);
    for (auto edge = own; edge != edges.end(); ++edge) {
      edge->input = 0;
      node.inputs.push_back(*edge);
    }
    edges.erase(own, edges.end());
    if (has_secrets) node.details = secrets_.redact_all(std::move(node.details));
    node.id = static_cast<NodeId>(nodes_.size());
    edges.push_back({.from = node.id, .input = input, .partitioning = {}, .key_fields = {}});
    push_node(std::move(node));
  }

  void add(std::size_t index, StreamNode node) {
    if (has_substitution(declared_[index].member->value)) node.details = secrets_.redact_all(std::move(node.details));
    node.id = static_cast<NodeId>(nodes_.size());
    ids_[index] = node.id;
    push_node(std::move(node));
  }

  /// A filter with a mistake in its condition still gives its input's rows: what reads it can be checked.
  static bool passes_schema_through(const StreamNode& node, const std::vector<InputInfo>& inputs) {
    return !node.outputs.empty() && !inputs.empty() && node.outputs.front().schema == inputs.front().schema;
  }

  void check_uids() {
    std::map<std::string, const DeclaredNode*> seen;
    for (const DeclaredNode& node : declared_) {
      if (node.type == nullptr) continue;
      const std::string uid = node.settings.has("uid") ? node.settings.text("uid") : node.name;
      const auto [first, is_new] = seen.emplace(uid, &node);
      if (is_new) continue;
      const DeclaredNode& said = node.settings.has("uid") ? node : *first->second;
      if (!said.settings.has("uid")) continue;  // two nodes of one name, reported already
      error(said.member->value.find("uid")->place,
            "\"" + first->second->name + "\" and \"" + node.name + "\" would have the same identity \"" + uid + "\"",
            "give each node a uid of its own");
    }
  }

  /// Two readers of one stream would each get some of its bytes.
  void check_standard_input() {
    const DeclaredNode* first = nullptr;
    for (const DeclaredNode& node : declared_) {
      if (node.type == nullptr || node.role != NodeRole::source || node.type->name != "stdin") continue;
      if (first != nullptr) {
        error(node.member->key_place,
              "\"" + first->name + "\" and \"" + node.name + "\" both read standard input: only one source can",
              "read \"" + first->name + "\" twice instead");
      } else {
        first = &node;
      }
    }
  }

  void check_mode() {
    if (job_.mode != ExecutionMode::batch) return;
    for (const StreamNode& node : nodes_) {
      if (!node.is_source() || node.source->factory->bounded()) continue;
      error(
          declared_[by_name_.at(node.name)].member->key_place,
          "\"" + node.name + "\" has no end, and a job with mode = \"batch\" gives its results at the end of its input",
          "give it an end, or leave mode out");
    }
  }

  /// Sinks of one job may share a folder, but two that want it for themselves hardly mean the same one.
  void check_output_folders() {
    std::map<std::string, const DeclaredNode*> seen;
    for (const DeclaredNode& node : declared_) {
      if (node.type == nullptr || node.role != NodeRole::sink || node.type->name != "file") continue;
      if (!node.settings.has("path") || !node.settings.has("on_existing")) continue;
      if (node.settings.text("on_existing") != "error") continue;
      // With or without a slash at its end.
      const auto folder = (std::filesystem::path{node.settings.text("path")} / "").lexically_normal().string();
      const auto [first, is_new] = seen.emplace(folder, &node);
      if (is_new) continue;
      const TomlValue& path = *node.member->value.find("path");
      error(place_within(path, 0, path.text.size()),
            "\"" + first->second->name + "\" and \"" + node.name + "\" would both write into this folder",
            "give each a folder of its own, or say on_existing = \"append\" to share it");
    }
  }

  void warn_of_dead_ends() {
    std::vector<bool> reaches(declared_.size(), false);
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < declared_.size(); ++i) {
      if (declared_[i].role != NodeRole::sink) continue;
      reaches[i] = true;
      open.push_back(i);
    }
    while (!open.empty()) {
      const DeclaredNode& node = declared_[open.back()];
      open.pop_back();
      for (const InputReference& reference : node.inputs) {
        if (!reference.resolved || reaches[reference.target]) continue;
        reaches[reference.target] = true;
        open.push_back(reference.target);
      }
    }
    for (std::size_t i = 0; i < declared_.size(); ++i) {
      if (reaches[i] || declared_[i].broken) continue;
      diagnostics_.push_back(
          diagnose(Severity::warning, declared_[i].member->key_place,
                   "\"" + declared_[i].name + "\" reaches no sink: what it gives is thrown away",
                   "a sink or an operator with input = \"" + declared_[i].name + "\" would read it"));
    }
  }

  std::vector<DeclaredNode>& declared_;
  const JobSettings& job_;
  const Secrets& secrets_;
  std::vector<Diagnostic>& diagnostics_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::vector<std::optional<NodeId>> ids_;  ///< of the nodes built, by declared index
  std::vector<StreamNode> nodes_;
  std::vector<std::set<NodeId>> sources_of_;  ///< behind each of them; a source's own
  bool unresolved_ = false;  ///< some input names nothing, so that other nodes may only seem to reach no sink
};

}  // namespace

std::vector<StreamNode> assemble_graph(std::vector<DeclaredNode>& declared, const JobSettings& job,
                                       const Secrets& secrets, std::vector<Diagnostic>& diagnostics) {
  return Assembler{declared, job, secrets, diagnostics}.assemble();
}

}  // namespace dataflow

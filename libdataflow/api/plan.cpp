#include "dataflow/plan.hpp"

#include <algorithm>
#include <cassert>
#include <map>
#include <set>

#include "libdataflow/batch/sorted_input.hpp"
#include "libdataflow/operators/event_time.hpp"

namespace dataflow {

namespace {

bool is_name(std::string_view name) {
  if (name.empty() || name[0] < 'a' || name[0] > 'z') return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace

std::string to_string(const std::source_location& place) {
  std::string_view file = place.file_name();
  file = file.substr(file.find_last_of('/') + 1);
  return std::string{file} + ":" + std::to_string(place.line());
}

void Plan::mistake(const Place& where, std::string message) {
  mistakes_.push_back(to_string(where) + ": " + std::move(message));
}

NodeId Plan::add(NodeDraft draft, const StreamInfo* input, const Place& where) {
  return input == nullptr ? add(std::move(draft), {}, where) : add(std::move(draft), {input}, where);
}

NodeId Plan::add(NodeDraft draft, std::initializer_list<const StreamInfo*> inputs, const Place& where) {
  Entry entry;
  StreamNode& node = entry.node;
  node.id = static_cast<NodeId>(entries_.size());
  node.type = std::move(draft.type);
  node.details = std::move(draft.details);
  node.defined_at = to_string(where);
  node.outputs = std::move(draft.outputs);
  node.factory = std::move(draft.factory);
  node.source = std::move(draft.source);
  node.stateful = draft.stateful;
  if (draft.single) node.max_parallelism = 1;
  std::size_t number = 0;
  for (const StreamInfo* input : inputs) {
    for (const StreamOrigin& origin : input->origins) {
      StreamEdge edge{
          .from = origin.node, .output = origin.output, .input = number, .partitioning = input->partitioning};
      if (draft.keyed && !input->key_fields.empty()) {
        edge.partitioning = Partitioning::hash;
        edge.key_fields = input->key_fields;
      }
      node.inputs.push_back(std::move(edge));
    }
    ++number;
  }
  entry.rows = std::move(draft.rows);
  entry.late_factory = std::move(draft.late_factory);
  if (draft.sorted_in_batch && inputs.size() == 1 && !(*inputs.begin())->key_fields.empty()) {
    entry.sorted_in_batch = draft.sorted_in_batch;
    entry.input = (*inputs.begin())->schema;
  }
  entry.sides = std::move(draft.sides);
  entry.unstorable = std::move(draft.unstorable);
  entry.declares_state = std::move(draft.declares_state);
  entries_.push_back(std::move(entry));
  return entries_.back().node.id;
}

StreamInfo Plan::stream_of(NodeId id) const {
  const StreamOutput& main = entries_[id].node.outputs[0];
  return {.origins = {{id, 0}}, .schema = main.schema, .event_time = main.event_time, .changelog = main.changelog};
}

StreamInfo Plan::side_output(NodeId id, std::string_view name, const RecordInfo& record, const Place& where) {
  Entry& entry = entries_[id];
  auto& outputs = entry.node.outputs;
  auto at = std::find_if(outputs.begin() + 1, outputs.end(), [&](const StreamOutput& o) { return o.name == name; });
  if (at == outputs.end()) {
    if (entry.sides) {
      entry.sides->push_back({std::string{name}, record.schema, std::string{record.name}});
    } else {
      mistake(where, "a " + entry.node.type + " has no side output \"" + std::string{name} + "\"");
    }
    outputs.push_back({.name = std::string{name}, .schema = record.schema, .event_time = outputs[0].event_time});
    at = outputs.end() - 1;
  }
  return {.origins = {{id, static_cast<std::size_t>(at - outputs.begin())}},
          .schema = at->schema,
          .event_time = at->event_time,
          .changelog = at->changelog};
}

void Plan::set_name(const StreamInfo& stream, std::string name, const Place& where) {
  if (stream.origins.size() != 1) return mistake(where, "a union has no node of its own that could be named");
  if (!is_name(name)) {
    return mistake(where,
                   "\"" + name + "\" is no name: names start with a small letter and have small letters, digits and _");
  }
  Entry& entry = entries_[stream.origins[0].node];
  entry.node.name = std::move(name);
  entry.named = true;
}

void Plan::set_parallelism(const StreamInfo& stream, std::uint32_t parallelism, const Place& where) {
  if (stream.origins.size() != 1)
    return mistake(where, "a union has no node of its own whose parallelism could be set");
  if (parallelism == 0) return mistake(where, "parallelism is at least 1");
  StreamNode& node = entries_[stream.origins[0].node].node;
  if (node.max_parallelism && parallelism > *node.max_parallelism) {
    return mistake(
        where, "this " + node.type + " runs in " + std::to_string(*node.max_parallelism) + " subtask: it has no key");
  }
  node.parallelism = parallelism;
}

void Plan::set_event_time(StreamInfo& stream, std::size_t field, Duration out_of_orderness,
                          std::optional<Duration> idle_after, const Place& where) {
  if (out_of_orderness < Duration{0}) {
    mistake(where, "out_of_orderness is how far a record may be behind the newest one, and not less than 0s");
  }
  if (idle_after && *idle_after <= Duration{0}) mistake(where, "idle_after must be more than 0s");
  const bool one_source = stream.origins.size() == 1 && entries_[stream.origins[0].node].node.is_source();
  if (one_source) {
    StreamNode& node = entries_[stream.origins[0].node].node;
    node.source->event_time = EventTimeSpec{field, out_of_orderness, idle_after};
    node.outputs[0].event_time = true;
    stream.event_time = true;
    return;
  }
  const NodeId node =
      add({.type = "event_time",
           .details = (*stream.schema)[field].name,
           .outputs = {{.name = {}, .schema = stream.schema, .event_time = true, .changelog = stream.changelog}},
           .factory = make_event_time_operator({field, out_of_orderness, idle_after})},
          &stream, where);
  stream = stream_of(node);
}

void Plan::embed(StreamGraph graph, const Place& where) {
  const auto offset = static_cast<NodeId>(entries_.size());
  for (StreamNode& node : graph.nodes) {
    node.id += offset;
    for (StreamEdge& edge : node.inputs) edge.from += offset;
    Entry entry;
    entry.node = std::move(node);
    entry.named = true;
    if (find(entry.node.name)) {
      mistake(where, "the topology's node \"" + entry.node.name + "\" has the name of another node");
    }
    entries_.push_back(std::move(entry));
  }
}

std::optional<StreamInfo> Plan::find(std::string_view name) const {
  const std::size_t dot = name.find('.');
  const std::string_view side = dot == std::string_view::npos ? std::string_view{} : name.substr(dot + 1);
  for (const Entry& entry : entries_) {
    if (entry.node.name != name.substr(0, dot)) continue;
    for (std::size_t i = 0; i < entry.node.outputs.size(); ++i) {
      const StreamOutput& output = entry.node.outputs[i];
      if (output.name != side) continue;
      return StreamInfo{.origins = {{entry.node.id, i}},
                        .schema = output.schema,
                        .event_time = output.event_time,
                        .changelog = output.changelog};
    }
  }
  return std::nullopt;
}

Result<bool> Plan::keeps_state(const Entry& entry) {
  try {
    return entry.node.stateful || (entry.declares_state && entry.declares_state());
  } catch (...) {
    return fail(error_of_current_exception("in its constructor"));
  }
}

/// Found by a checkpoint it would end every one of them, and the job that waits for its last one never.
void Plan::check_storable(std::vector<std::string>& mistakes) const {
  if (!settings_.checkpoint) return;
  for (const Entry& entry : entries_) {
    if (entry.unstorable.empty()) continue;
    const StreamNode& node = entry.node;
    mistakes.push_back(node.defined_at + ": " + (entry.named ? "\"" + node.name + "\"" : "this " + node.type) +
                       " keeps a " + entry.unstorable +
                       ", which cannot be in the job's checkpoints: declare its members with DATAFLOW_RECORD(" +
                       entry.unstorable + ", ...)");
  }
}

/// A stream is made of streams that are there already, so that the API has no words for a cycle; who adds nodes by hand
/// may find some. Barriers and the end of a stream would never come round it.
void Plan::check_no_cycle(std::vector<std::string>& mistakes) const {
  for (const Entry& entry : entries_) {
    for (const StreamEdge& edge : entry.node.inputs) {
      if (edge.from < entry.node.id) continue;
      mistakes.push_back(entry.node.defined_at + ": this " + entry.node.type +
                         " reads what is made of its own results: records must not come back to where they were. Keep "
                         "what is needed of them as state, or send them through a queue outside of the job");
    }
  }
}

void Plan::check_names(std::vector<std::string>& mistakes) const {
  std::map<std::string, std::string> first_place;
  for (const Entry& entry : entries_) {
    const StreamNode& node = entry.node;
    if (!entry.named) {
      const auto stateful = keeps_state(entry);
      if (!stateful) {
        mistakes.push_back(node.defined_at + ": this " + node.type + ": " + stateful.error().message());
      } else if (*stateful) {
        mistakes.push_back(
            node.defined_at + ": this " + node.type +
            " keeps state and needs a name, .named(\"...\"), so that its state finds it again after a change");
      }
      continue;
    }
    const auto [at, added] = first_place.emplace(node.name, node.defined_at);
    if (!added) {
      mistakes.push_back(node.defined_at + ": the name \"" + node.name + "\" is taken by the node at " + at->second);
    }
  }
}

/// Nodes without a name are called after their type: "filter", "filter_2", ...
void Plan::give_names(std::vector<StreamNode>& nodes) const {
  std::set<std::string> taken;
  for (const StreamNode& node : nodes) taken.insert(node.name);
  for (StreamNode& node : nodes) {
    if (node.name.empty()) {
      node.name = node.type;
      for (int i = 2; !taken.insert(node.name).second; ++i) node.name = node.type + "_" + std::to_string(i);
    }
    if (node.uid.empty()) node.uid = node.name;
  }
}

Result<StreamGraph> Plan::build(std::string_view job_name) const {
  std::vector<std::string> mistakes = mistakes_;
  check_no_cycle(mistakes);
  check_names(mistakes);
  check_storable(mistakes);
  if (job_name.empty()) mistakes.emplace_back("the job has no name: execute(\"...\") and DATAFLOW_JOB give it one");
  if (entries_.empty()) mistakes.emplace_back("the job has no nodes");
  if (!mistakes.empty()) {
    std::string all;
    for (const std::string& mistake : mistakes) (all += all.empty() ? "" : "\n") += mistake;
    return fail(ErrorCode::invalid_argument, std::move(all));
  }

  // A lambda filter that only one lambda map or filter reads becomes part of it: no batch is built between them.
  std::vector<std::uint32_t> readers(entries_.size(), 0);
  for (const Entry& entry : entries_) {
    for (const StreamEdge& edge : entry.node.inputs) ++readers[edge.from];
  }
  const auto joins = [&](const Entry& entry) {
    if (!entry.rows || entry.node.inputs.size() != 1) return false;
    const StreamEdge& edge = entry.node.inputs[0];
    const Entry& before = entries_[edge.from];
    return before.rows && !before.rows->map && !before.named && readers[edge.from] == 1 && !edge.partitioning &&
           entry.node.parallelism == before.node.parallelism;
  };
  std::vector<bool> joined(entries_.size(), false);
  for (const Entry& entry : entries_) {
    if (joins(entry)) joined[entry.node.inputs[0].from] = true;
  }

  StreamGraph graph{.name = std::string{job_name}, .settings = settings_, .nodes = {}};
  std::vector<NodeId> new_id(entries_.size(), 0);
  std::vector<std::optional<RowPipeline>> pipelines(entries_.size());
  for (const Entry& entry : entries_) {
    StreamNode node = entry.node;
    if (entry.rows) {
      RowPipeline rows = *entry.rows;
      if (joins(entry)) {
        const NodeId from = node.inputs[0].from;
        const RowPipeline& before = *pipelines[from];
        rows.filters.insert(rows.filters.begin(), before.filters.begin(), before.filters.end());
        if (rows.reads && before.reads) {
          rows.reads->insert(rows.reads->end(), before.reads->begin(), before.reads->end());
        } else {
          rows.reads.reset();
        }
        node.inputs = entries_[from].node.inputs;
        if (joins(entries_[from])) {  // its own input was taken over already
          NodeId first = from;
          while (joins(entries_[first])) first = entries_[first].node.inputs[0].from;
          node.inputs = entries_[first].node.inputs;
        }
      }
      pipelines[entry.node.id] = rows;
      if (joined[entry.node.id]) continue;
      node.factory = make_row_operator(std::move(rows));
    }
    if (entry.sorted_in_batch && node.factory && settings_.mode == ExecutionMode::batch) {
      const std::vector<std::size_t>& keys = node.inputs.front().key_fields;
      node.factory = with_sorted_input(std::move(node.factory), entry.input, keys, *entry.sorted_in_batch);
    }
    node.id = static_cast<NodeId>(graph.nodes.size());
    new_id[entry.node.id] = node.id;
    for (StreamEdge& edge : node.inputs) edge.from = new_id[edge.from];
    graph.nodes.push_back(std::move(node));
  }
  give_names(graph.nodes);
  for (const Entry& entry : entries_) {
    if (!entry.late_factory) continue;
    StreamNode& node = graph.nodes[new_id[entry.node.id]];
    node.factory = entry.late_factory(node);
  }
  return graph;
}

}  // namespace dataflow

#include "actors/cluster/job_json.hpp"

#include <algorithm>
#include <sstream>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "actors/checkpoint_json.hpp"
#include "libdataflow/diagnosis/held_time.hpp"

namespace dataflow {

namespace {

using nlohmann::ordered_json;

constexpr const char* backtrace_start = "\n  #0 ";

bool is_told(Timestamp watermark) {
  return watermark != Timestamp::min() && watermark != Timestamp::max();
}

/// When it entered each state, where it has, in the order in which that happened.
ordered_json entered_json(const Execution& execution) {
  std::vector<std::pair<Timestamp, std::size_t>> entered;
  for (std::size_t state = 0; state < execution.since.size(); ++state) {
    if (execution.since[state]) entered.emplace_back(*execution.since[state], state);
  }
  std::sort(entered.begin(), entered.end());
  ordered_json json = ordered_json::object();
  for (const auto& [at, state] : entered) {
    json[std::string{to_string(static_cast<ExecutionState>(state))}] = to_iso8601(at);
  }
  return json;
}

/// In and out of the chain as a whole: what its first node took (a source: read), and what its last node gave (a sink:
/// took).
void add_totals(const JobGraph& graph, const JobVertex& vertex, const msg::SubtaskReport& report, ordered_json& json) {
  json["records_in"] = 0;  // until its first report
  json["records_out"] = 0;
  for (const NodeMetrics& m : report.nodes) {
    const StreamNode& node = graph.node(m.node);
    if (m.node == vertex.chain.front()) json["records_in"] = node.is_source() ? m.records_out : m.records_in;
    if (m.node == vertex.chain.back()) {
      json["records_out"] = node.is_sink() ? m.records_in : m.records_out;
      if (is_told(m.watermark)) json["watermark"] = to_iso8601(m.watermark);
    }
  }
}

ordered_json subtask_json(const JobGraph& graph, const msg::SubtaskView& subtask) {
  const JobVertex& vertex = graph.vertices[subtask.id.vertex];
  const auto& since = subtask.execution.since[static_cast<std::size_t>(subtask.execution.state)];
  ordered_json json{{"subtask", subtask.id.subtask}, {"state", to_string(subtask.execution.state)}};
  if (since) json["since"] = to_iso8601(*since);
  json["entered"] = entered_json(subtask.execution);
  if (!subtask.execution.node.name.empty()) json["node"] = subtask.execution.node.name;
  json["attempt"] = subtask.execution.of.attempt;
  const TimeTotals& recent = subtask.recent;
  const double all = static_cast<double>((recent.busy + recent.back_pressured + recent.idle).count());
  const auto share = [all](Duration part) { return all > 0 ? static_cast<double>(part.count()) / all : 0.0; };
  json["busy"] = share(recent.busy);
  json["back_pressured"] = share(recent.back_pressured);
  json["idle"] = share(recent.idle);
  add_totals(graph, vertex, subtask.report, json);
  ordered_json nodes = ordered_json::array();
  for (const NodeMetrics& m : subtask.report.nodes) {
    const StreamNode& node = graph.node(m.node);
    ordered_json one{{"name", node.name}, {"records_in", m.records_in}, {"records_out", m.records_out}};
    if (is_told(m.watermark)) one["watermark"] = to_iso8601(m.watermark);
    for (const auto& [name, value] : m.counters) one[name] = value;
    nodes.push_back(std::move(one));
  }
  json["nodes"] = std::move(nodes);
  return json;
}

/// Operators that wait for event time, each with who holds it back.
ordered_json waiting_json(const JobGraph& graph, const msg::JobView& view) {
  ordered_json all = ordered_json::array();
  if (is_terminal(view.state)) return all;
  std::vector<SubtaskMetrics> subtasks;
  for (const msg::SubtaskView& subtask : view.subtasks) subtasks.push_back({subtask.id.subtask, subtask.report.nodes});
  for (const HeldTime& held : held_time(graph, subtasks)) {
    ordered_json one{
        {"name", graph.node(held.node).name}, {"subtask", held.subtask}, {"waits_for", to_iso8601(held.waits_for)}};
    if (is_told(held.watermark)) {
      one["watermark"] = to_iso8601(held.watermark);
      one["behind"] = to_string(held.waits_for - held.watermark);
    }
    const StreamNode& holder = graph.node(held.holder);
    ordered_json by = ordered_json::object();
    if (held.input) by["input"] = graph.node(*held.input).name;
    by[holder.is_source() ? "source" : "operator"] = holder.name;
    by["subtask"] = held.holder_subtask;
    if (!held.split.empty()) by["split"] = held.split;
    if (is_told(held.newest)) by["newest"] = to_iso8601(held.newest);
    if (const auto time = holder.is_source() ? holder.source->event_time : std::nullopt) {
      by["out_of_orderness"] = to_string(time->out_of_orderness);
      if (time->idle_after) by["idle_after"] = to_string(*time->idle_after);
    }
    one["held_by"] = std::move(by);
    one["advice"] = held.advice;
    all.push_back(std::move(one));
  }
  return all;
}

/// By node, summed over subtasks: what `dfnode run`'s summary has.
ordered_json totals_json(const JobGraph& graph, const msg::JobView& view) {
  std::map<NodeId, NodeMetrics> sums;
  for (const msg::SubtaskView& subtask : view.subtasks) {
    for (const NodeMetrics& m : subtask.report.nodes) {
      const auto [at, added] = sums.emplace(m.node, m);
      if (!added) at->second.add(m);
    }
  }
  ordered_json nodes = ordered_json::array();
  for (const auto& [id, m] : sums) {
    const StreamNode& node = graph.node(id);
    ordered_json one{{"name", node.name},
                     {"role", node.is_source() ? "source"
                              : node.is_sink() ? "sink"
                                               : "operator"},
                     {"records_in", m.records_in},
                     {"records_out", m.records_out}};
    for (const auto& [name, value] : m.counters) one[name] = value;
    nodes.push_back(std::move(one));
  }
  return nodes;
}

/// A crash's message may go on with its backtrace, a line for each frame.
void add_reason(const std::string& message, const char* key, ordered_json& json) {
  const std::size_t end = message.find(backtrace_start);
  json[key] = message.substr(0, end);
  if (end == std::string::npos) return;
  std::istringstream lines{message.substr(end + 1)};
  ordered_json frames = ordered_json::array();
  for (std::string line; std::getline(lines, line);) {
    frames.push_back(line.substr(std::min(line.find_first_not_of(' '), line.size())));
  }
  json["backtrace"] = std::move(frames);
}

ordered_json failure_json(const JobGraph& graph, const FailureRecord& failure, const Secrets& secrets) {
  ordered_json json{{"at", to_iso8601(failure.at)}, {"attempt", failure.of.attempt}};
  if (failure.subtask) {
    json["vertex"] = graph.vertices[failure.subtask->vertex].name;
    json["subtask"] = failure.subtask->subtask;
  }
  json["node"] = failure.node.name;
  add_reason(secrets.redact(failure.message), "reason", json);
  return json;
}

/// Where the vertex's records come from, and how they are distributed over its subtasks.
ordered_json inputs_json(const JobGraph& graph, const JobVertex& vertex) {
  ordered_json inputs = ordered_json::array();
  for (const JobEdge& edge : graph.edges) {
    if (edge.to_vertex != vertex.id) continue;
    const StreamNode& from = graph.node(edge.from_node);
    const std::string& output = from.outputs[edge.output].name;
    ordered_json one{{"vertex", graph.vertices[edge.from_vertex].name},
                     {"from", from.name + (output.empty() ? "" : "." + output)},
                     {"partitioning", to_string(edge.partitioning)}};
    if (edge.partitioning == Partitioning::hash) {
      ordered_json keys = ordered_json::array();
      for (const std::size_t field : edge.key_fields) keys.push_back((*edge.schema)[field].name);
      one["keys"] = std::move(keys);
    }
    inputs.push_back(std::move(one));
  }
  return inputs;
}

std::string as_text(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

std::string job_as_json(const std::string& job_id, const JobGraph& graph, const msg::JobView& view,
                        const Secrets& secrets) {
  ordered_json json{
      {"id", job_id}, {"name", graph.stream->name}, {"state", to_string(view.state)}, {"restarts", view.restarts}};
  if (view.started) json["started"] = to_iso8601(*view.started);
  if (view.ended) json["ended"] = to_iso8601(*view.ended);
  if (!view.waits_for.empty()) json["waits_for"] = view.waits_for;
  if (view.error) {
    add_reason(secrets.redact(view.error->message()), "error", json);
    json["error_code"] = to_string(view.error->code());
  }
  ordered_json vertices = ordered_json::array();
  for (const JobVertex& vertex : graph.vertices) {
    ordered_json subtasks = ordered_json::array();
    for (const msg::SubtaskView& subtask : view.subtasks) {
      if (subtask.id.vertex == vertex.id) subtasks.push_back(subtask_json(graph, subtask));
    }
    vertices.push_back({{"name", vertex.name},
                        {"parallelism", vertex.parallelism},
                        {"inputs", inputs_json(graph, vertex)},
                        {"subtasks", std::move(subtasks)}});
  }
  json["vertices"] = std::move(vertices);
  json["nodes"] = totals_json(graph, view);
  json["waiting"] = waiting_json(graph, view);
  ordered_json failures = ordered_json::array();
  for (const FailureRecord& failure : view.failures) {
    failures.push_back(failure_json(graph, failure, secrets));
  }
  json["failures"] = std::move(failures);
  if (graph.stream->settings.checkpoint) {
    json["checkpoints"] = ordered_json::parse(checkpoints_as_json(view.checkpoints, secrets));
  }
  return as_text(json);
}

std::string job_as_json(const StoredJob& job) {
  if (!job.shown.empty()) return job.shown;
  ordered_json json{
      {"id", job.id}, {"name", job.name}, {"state", to_string(job.state)}, {"submitted", to_iso8601(job.submitted_at)}};
  if (job.error) {
    add_reason(job.error->message(), "error", json);
    json["error_code"] = to_string(job.error->code());
  }
  return as_text(json);
}

std::string with_slots(std::string job, const std::vector<std::optional<SlotId>>& slots) {
  ordered_json json = ordered_json::parse(job, nullptr, false);
  if (!json.is_object() || !json.contains("vertices")) return job;
  for (ordered_json& vertex : json["vertices"]) {
    for (ordered_json& subtask : vertex["subtasks"]) {
      const std::size_t number = subtask.value("subtask", std::size_t{0});
      if (number >= slots.size() || !slots[number]) continue;
      // Where it was before it lost its node is another slot.
      if (subtask.value("node", "") == slots[number]->node.name) subtask["slot"] = slots[number]->index;
    }
  }
  return as_text(json);
}

std::string with_master_losses(std::string job, const std::vector<MasterLoss>& losses) {
  if (losses.empty()) return job;
  ordered_json json = ordered_json::parse(job, nullptr, false);
  if (!json.is_object()) return job;
  ordered_json& failures = json["failures"];
  for (const MasterLoss& loss : losses) {
    ordered_json one{{"at", to_iso8601(loss.at)}};
    if (loss.start != no_master) one["master"] = loss.start;
    add_reason(loss.reason, "reason", one);
    failures.push_back(std::move(one));
  }
  std::stable_sort(failures.begin(), failures.end(),
                   [](const ordered_json& a, const ordered_json& b) { return a.value("at", "") < b.value("at", ""); });
  return as_text(json);
}

}  // namespace dataflow

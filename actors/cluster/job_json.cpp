#include "actors/cluster/job_json.hpp"

#include <nlohmann/json.hpp>

#include "actors/checkpoint_json.hpp"

namespace dataflow {

namespace {

using nlohmann::ordered_json;

/// In and out of the chain as a whole: what its first node took, what its last nodes gave.
ordered_json subtask_json(const JobGraph& graph, const msg::SubtaskView& subtask) {
  const JobVertex& vertex = graph.vertices[subtask.id.vertex];
  ordered_json json{{"subtask", subtask.id.subtask}, {"state", to_string(subtask.execution.state)}};
  if (!subtask.execution.node.name.empty()) json["node"] = subtask.execution.node.name;
  json["slot"] = subtask.id.subtask;
  json["attempt"] = subtask.execution.of.attempt;
  const TimeTotals& recent = subtask.recent;
  const double all = static_cast<double>((recent.busy + recent.back_pressured + recent.idle).count());
  const auto share = [all](Duration part) { return all > 0 ? static_cast<double>(part.count()) / all : 0.0; };
  json["busy"] = share(recent.busy);
  json["back_pressured"] = share(recent.back_pressured);
  json["idle"] = share(recent.idle);
  ordered_json nodes = ordered_json::array();
  for (const NodeMetrics& m : subtask.report.nodes) {
    const StreamNode& node = graph.node(m.node);
    ordered_json one{{"name", node.name}, {"records_in", m.records_in}, {"records_out", m.records_out}};
    if (m.watermark != Timestamp::min() && m.watermark != Timestamp::max()) one["watermark"] = to_iso8601(m.watermark);
    for (const auto& [name, value] : m.counters) one[name] = value;
    if (m.node == vertex.chain.front()) {
      json["records_in"] = node.is_source() ? m.records_out : m.records_in;
    }
    nodes.push_back(std::move(one));
  }
  json["nodes"] = std::move(nodes);
  return json;
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

}  // namespace

std::string job_as_json(const std::string& job_id, const JobGraph& graph, const msg::JobView& view,
                        const Secrets& secrets) {
  ordered_json json{
      {"id", job_id}, {"name", graph.stream->name}, {"state", to_string(view.state)}, {"restarts", view.restarts}};
  if (!view.waits_for.empty()) json["waits_for"] = view.waits_for;
  if (view.error) {
    json["error"] = secrets.redact(view.error->message());
    json["error_code"] = to_string(view.error->code());
  }
  ordered_json vertices = ordered_json::array();
  for (const JobVertex& vertex : graph.vertices) {
    ordered_json subtasks = ordered_json::array();
    for (const msg::SubtaskView& subtask : view.subtasks) {
      if (subtask.id.vertex == vertex.id) subtasks.push_back(subtask_json(graph, subtask));
    }
    vertices.push_back({{"name", vertex.name}, {"parallelism", vertex.parallelism}, {"subtasks", std::move(subtasks)}});
  }
  json["vertices"] = std::move(vertices);
  json["nodes"] = totals_json(graph, view);
  ordered_json failures = ordered_json::array();
  for (const FailureRecord& failure : view.failures) {
    failures.push_back({{"at", to_iso8601(failure.at)},
                        {"attempt", failure.of.attempt},
                        {"node", failure.node.name},
                        {"reason", secrets.redact(failure.message)}});
  }
  json["failures"] = std::move(failures);
  if (graph.stream->settings.checkpoint) {
    json["checkpoints"] = ordered_json::parse(checkpoints_as_json(view.checkpoints, secrets));
  }
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace dataflow

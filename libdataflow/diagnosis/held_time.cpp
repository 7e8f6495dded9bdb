#include "libdataflow/diagnosis/held_time.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace dataflow {

namespace {

/// A node in one subtask.
struct Instance {
  NodeId node = 0;
  std::uint32_t subtask = 0;
  const NodeMetrics* metrics = nullptr;
};

class Trace {
 public:
  Trace(const StreamGraph& graph, const std::vector<SubtaskMetrics>& subtasks) : graph_{graph} {
    for (const SubtaskMetrics& subtask : subtasks) {
      for (const NodeMetrics& m : subtask.nodes) instances_[m.node].push_back({m.node, subtask.subtask, &m});
    }
  }

  /// The subtask of the node that waits for the earliest time which is not there.
  [[nodiscard]] std::optional<Instance> waiting(NodeId node) const {
    std::optional<Instance> first;
    for (const Instance& one : instances_of(node)) {
      const Timestamp waits_for = one.metrics->waits_for;
      if (waits_for == Timestamp::max() || waits_for <= one.metrics->watermark) continue;
      if (!first || waits_for < first->metrics->waits_for) first = one;
    }
    return first;
  }

  /// The source that holds back the node's time. Nothing while no source has said anything.
  [[nodiscard]] std::optional<Instance> holder(NodeId node) const {
    std::optional<Instance> least;
    // A path is no longer than the graph.
    for (std::size_t steps = 0; steps < graph_.nodes.size() && !graph_.nodes[node].is_source(); ++steps) {
      least = least_input(node);
      if (!least) return std::nullopt;
      node = least->node;
    }
    return least;
  }

  /// Whether another subtask of a source is further.
  [[nodiscard]] bool others_are_ahead(const Instance& of) const {
    return std::any_of(graph_.nodes.begin(), graph_.nodes.end(), [&](const StreamNode& node) {
      const auto& all = instances_of(node.id);
      return node.is_source() && std::any_of(all.begin(), all.end(), [&](const Instance& one) {
               return one.metrics->watermark > of.metrics->watermark;
             });
    });
  }

 private:
  [[nodiscard]] const std::vector<Instance>& instances_of(NodeId node) const {
    static const std::vector<Instance> none;
    const auto found = instances_.find(node);
    return found == instances_.end() ? none : found->second;
  }

  /// Of the subtasks that the node reads; idle ones hold nothing back unless all are.
  [[nodiscard]] std::optional<Instance> least_input(NodeId node) const {
    std::optional<Instance> least;
    for (const StreamEdge& edge : graph_.nodes[node].inputs) {
      for (const Instance& one : instances_of(edge.from)) {
        const bool before =
            !least || (least->metrics->idle && !one.metrics->idle) ||
            (least->metrics->idle == one.metrics->idle && one.metrics->watermark < least->metrics->watermark);
        if (before) least = one;
      }
    }
    return least;
  }

  const StreamGraph& graph_;
  std::map<NodeId, std::vector<Instance>> instances_;
};

/// What would let time reach `waits_for`.
std::string advice_for(const StreamNode& waiting, const StreamNode& source, const Instance& holder, Timestamp waits_for,
                       bool others_are_ahead) {
  if (!source.source->event_time) return "the source has no event time";
  const EventTimeSpec& spec = *source.source->event_time;
  const std::string idle_after = "idle_after in the source's event_time, e.g. \"30s\", lets time go on without it";
  const Timestamp newest = holder.metrics->newest;
  if (newest == Timestamp::min()) {
    if (others_are_ahead && !spec.idle_after) return "it has read no record yet; " + idle_after;
    return "it has read no record yet: time begins with its first one";
  }
  // A watermark says that everything before it is there: it is one microsecond behind the record less the delay.
  const Timestamp needed = waits_for + spec.out_of_orderness + Duration{1};
  std::string advice = "a record of " + to_iso8601(needed) + " or later releases it";
  if (newest > waits_for) {
    return advice + ", or an out_of_orderness of at most " + to_string(newest - waits_for - Duration{1}) +
           " instead of " + to_string(spec.out_of_orderness);
  }
  if (others_are_ahead && !spec.idle_after) return advice + "; if none may come for long, " + idle_after;
  if (waiting.type == "window") return advice + "; early in the window, e.g. \"10s\", gives results before it ends";
  return advice;
}

}  // namespace

std::vector<HeldTime> held_time(const JobGraph& graph, const std::vector<SubtaskMetrics>& subtasks) {
  const Trace trace{*graph.stream, subtasks};
  std::vector<HeldTime> all;
  for (const StreamNode& node : graph.stream->nodes) {
    const auto waiting = trace.waiting(node.id);
    if (!waiting) continue;
    const auto holder = trace.holder(node.id);
    if (!holder) continue;
    const StreamNode& source = graph.node(holder->node);
    const Timestamp waits_for = waiting->metrics->waits_for;
    all.push_back({.node = node.id,
                   .subtask = waiting->subtask,
                   .waits_for = waits_for,
                   .watermark = waiting->metrics->watermark,
                   .source = holder->node,
                   .source_subtask = holder->subtask,
                   .split = holder->metrics->split,
                   .newest = holder->metrics->newest,
                   .advice = advice_for(node, source, *holder, waits_for, trace.others_are_ahead(*holder))});
  }
  return all;
}

}  // namespace dataflow

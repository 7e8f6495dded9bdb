#include "libdataflow/diagnosis/held_time.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace dataflow {

namespace {

/// A node in one subtask.
struct Instance {
  NodeId node = 0;
  std::uint32_t subtask = 0;
  const NodeMetrics* metrics = nullptr;
};

/// Who holds back an operator's time, and how the way there went.
struct Holder {
  Instance at;
  std::optional<NodeId> input;   ///< the first step, where there were several
  std::optional<NodeId> lookup;  ///< the way went by its table
};

bool makes_time(const StreamNode& node) {
  return node.is_source() || node.type == "event_time";
}

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

  /// Who holds back the time of a subtask that waits. Nothing while no source has said anything.
  [[nodiscard]] std::optional<Holder> holder(const Instance& waiting) const {
    Holder holder{waiting, std::nullopt, std::nullopt};
    // A path is no longer than the graph.
    for (std::size_t steps = 0; steps < graph_.nodes.size(); ++steps) {
      const StreamNode& node = graph_.nodes[holder.at.node];
      if (steps != 0 && makes_time(node)) break;
      const auto least = least_input(node);
      if (!least) return std::nullopt;
      if (keeps_back(node, holder.at, least->from)) break;
      if (steps == 0 && node.inputs.size() > 1) holder.input = least->from.node;
      // What the plan has put before an input is called after the operator: nobody knows it by that name.
      if (steps == 1 && holder.input && node.name.starts_with(graph_.nodes[waiting.node].name + ".")) {
        holder.input = least->from.node;
      }
      if (node.type == "lookup" && least->input == 1) holder.lookup = node.id;
      holder.at = least->from;
    }
    return holder;
  }

  /// Whether another subtask of a source is further, and not at its end.
  [[nodiscard]] bool others_are_ahead(const Instance& of) const {
    return std::any_of(graph_.nodes.begin(), graph_.nodes.end(), [&](const StreamNode& node) {
      const auto& all = instances_of(node.id);
      return node.is_source() && std::any_of(all.begin(), all.end(), [&](const Instance& one) {
               return one.metrics->watermark > of.metrics->watermark && one.metrics->watermark != Timestamp::max();
             });
    });
  }

 private:
  [[nodiscard]] const std::vector<Instance>& instances_of(NodeId node) const {
    static const std::vector<Instance> none;
    const auto found = instances_.find(node);
    return found == instances_.end() ? none : found->second;
  }

  struct Input {
    Instance from;
    std::size_t input = 0;
  };

  /// Of the subtasks that the node reads; idle ones hold nothing back unless all are.
  [[nodiscard]] std::optional<Input> least_input(const StreamNode& node) const {
    std::optional<Input> least;
    for (const StreamEdge& edge : node.inputs) {
      for (const Instance& one : instances_of(edge.from)) {
        const bool idle = is_idle(one);
        const bool before = !least || (is_idle(least->from) && !idle) ||
                            (is_idle(least->from) == idle && one.metrics->watermark < least->from.metrics->watermark);
        if (before) least = Input{one, edge.input};
      }
    }
    return least;
  }
  /// A stream without event time that is connected to one with it says that nobody need wait for it.
  [[nodiscard]] bool is_idle(const Instance& one) const {
    return one.metrics->idle || graph_.nodes[one.node].type == "no_time";
  }
  /// Whether the time that a node has given is behind what it has been given, because calls are under way. Of other
  /// nodes such a difference is gone by the next report.
  [[nodiscard]] static bool keeps_back(const StreamNode& node, const Instance& at, const Instance& input) {
    return node.type == "async_map" && at.metrics->watermark < input.metrics->watermark;
  }

  const StreamGraph& graph_;
  std::map<NodeId, std::vector<Instance>> instances_;
};

/// Whether the node is written in C++, where settings are functions.
bool is_cpp(const StreamNode& node) {
  return node.defined_at.find(".toml:") == std::string::npos && !node.defined_at.empty();
}

/// How results come before a window's end, for its kind of job.
std::string advice_of_window(const StreamNode& window) {
  return std::string{"; "} + (is_cpp(window) ? ".trigger(df::early(10s))" : "early in the window, e.g. \"10s\",") +
         " gives results before it ends";
}

/// What would let time reach `waits_for` where an operator holds it.
std::string advice_of_operator(const StreamNode& holder, Timestamp waits_for) {
  if (holder.type == "async_map") {
    return "it keeps time back until the calls that are under way have their answers; a shorter timeout ends them, "
           "more capacity has more of them at once";
  }
  return "it makes event time anew of its records: one of " + to_iso8601(waits_for + Duration{1}) +
         " and its out_of_orderness, or later, releases it";
}

/// What would let time reach `waits_for` where a source holds it.
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
  if (waiting.type == "window" || waiting.type == "co_group") return advice + advice_of_window(waiting);
  return advice;
}

}  // namespace

std::vector<HeldTime> held_time(const JobGraph& graph, const std::vector<SubtaskMetrics>& subtasks) {
  const Trace trace{*graph.stream, subtasks};
  std::vector<HeldTime> all;
  for (const StreamNode& node : graph.stream->nodes) {
    const auto waiting = trace.waiting(node.id);
    if (!waiting) continue;
    const auto holder = trace.holder(*waiting);
    if (!holder) continue;
    const Instance& at = holder->at;
    const StreamNode& held_by = graph.node(at.node);
    const Timestamp waits_for = waiting->metrics->waits_for;
    std::string advice;
    if (holder->lookup) {
      advice = graph.node(*holder->lookup).name + " waits for its whole table: time goes on when that has been read";
    } else if (held_by.is_source()) {
      advice = advice_for(node, held_by, at, waits_for, trace.others_are_ahead(at));
    } else {
      advice = advice_of_operator(held_by, waits_for);
    }
    all.push_back({.node = node.id,
                   .subtask = waiting->subtask,
                   .waits_for = waits_for,
                   .watermark = waiting->metrics->watermark,
                   .input = holder->input,
                   .holder = at.node,
                   .holder_subtask = at.subtask,
                   .split = at.metrics->split,
                   .newest = at.metrics->newest,
                   .advice = std::move(advice)});
  }
  return all;
}

}  // namespace dataflow

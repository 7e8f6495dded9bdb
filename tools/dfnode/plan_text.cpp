#include "tools/dfnode/plan_text.hpp"

#include <algorithm>

#include "tools/dfnode/padded.hpp"
#include "tools/dfnode/plan_edges.hpp"

namespace dataflow::cli {

namespace {

std::string output_line(const StreamNode& node, const StreamOutput& output) {
  std::string line = output.name.empty() ? "gives " : node.name + "." + output.name + " gives ";
  line += to_string(*output.schema);
  if (output.changelog != ChangelogMode::append_only) line += ", " + std::string{to_string(output.changelog)};
  if (output.event_time) line += ", with event time";
  return line;
}

/// Text inside of a quoted Mermaid or Graphviz label.
std::string label(const StreamNode& node) {
  std::string text = node.name + "\n" + node.type + (node.details.empty() ? "" : ": " + node.details);
  std::string escaped;
  for (const char c : text) {
    if (c == '"') {
      escaped += '\'';
    } else if (c == '\\') {
      escaped += '/';
    } else if (c != '\n') {
      escaped += c;
    } else {
      escaped += "\\n";
    }
  }
  return escaped;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::string mermaid_label(const StreamNode& node) {
  std::string text = replaced(label(node), "&", "&amp;");
  text = replaced(replaced(text, "<", "&lt;"), ">", "&gt;");
  return replaced(text, "\\n", "<br/>");
}

/// What a drawn edge says: the side output, what rows it has but inserted ones, and how they change subtasks.
std::string edge_text(const PlannedEdge& edge) {
  std::string text = edge.output->name;
  const auto add = [&](std::string_view part) { text.append(text.empty() ? "" : ", ").append(part); };
  if (edge.output->changelog != ChangelogMode::append_only) add(to_string(edge.output->changelog));
  if (!edge.chained) add(describe(edge));
  return text;
}

}  // namespace

std::string plan_as_text(const JobGraph& plan) {
  const StreamGraph& graph = *plan.stream;
  std::string out = graph.name + ": " + std::to_string(graph.nodes.size()) + " nodes in " +
                    std::to_string(plan.vertices.size()) + (plan.vertices.size() == 1 ? " task" : " tasks") + ", " +
                    (graph.bounded() ? "ends with its input" : "runs until it is stopped") + "\n";
  std::size_t width = 0;
  for (const StreamNode& node : graph.nodes) width = std::max(width, node.name.size() + node.type.size() + 1);
  for (const JobVertex& vertex : plan.vertices) {
    out += "\ntask " + std::to_string(vertex.id + 1) + ", parallelism " + std::to_string(vertex.parallelism) + ": " +
           vertex.name + "\n";
    for (const NodeId id : vertex.chain) {
      const StreamNode& node = plan.node(id);
      std::string head = "  " + padded(node.name + " " + node.type, width) + "  " + node.details;
      head.erase(head.find_last_not_of(' ') + 1);
      out += head + "\n";
      for (const PlannedEdge& edge : planned_inputs(plan, node))
        out += "      reads " + edge.name + (edge.as.empty() ? "" : " as " + edge.as) + ", " + describe(edge) + "\n";
      for (const StreamOutput& output : node.outputs) out += "      " + output_line(node, output) + "\n";
    }
  }
  return out;
}

std::string plan_as_mermaid(const JobGraph& plan) {
  std::string out = "flowchart LR\n";
  for (const JobVertex& vertex : plan.vertices) {
    out += "  subgraph task" + std::to_string(vertex.id + 1) + "[\"task " + std::to_string(vertex.id + 1) + " x " +
           std::to_string(vertex.parallelism) + "\"]\n";
    for (const NodeId id : vertex.chain) {
      const StreamNode& node = plan.node(id);
      const char* open = node.is_source() ? "([\"" : node.is_sink() ? "[[\"" : "[\"";
      const char* close = node.is_source() ? "\"])" : node.is_sink() ? "\"]]" : "\"]";
      out += "    n" + std::to_string(id) + open + mermaid_label(node) + close + "\n";
    }
    out += "  end\n";
  }
  for (const StreamNode& node : plan.stream->nodes) {
    for (const PlannedEdge& edge : planned_inputs(plan, node)) {
      const std::string text = edge_text(edge);
      out += "  n" + std::to_string(edge.from->id) + " -->" + (text.empty() ? "" : "|\"" + text + "\"|") + " n" +
             std::to_string(node.id) + "\n";
    }
  }
  return out;
}

std::string plan_as_dot(const JobGraph& plan) {
  std::string out = "digraph job {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n";
  for (const JobVertex& vertex : plan.vertices) {
    out += "  subgraph cluster_" + std::to_string(vertex.id + 1) + " {\n    label=\"task " +
           std::to_string(vertex.id + 1) + " x " + std::to_string(vertex.parallelism) + "\";\n";
    for (const NodeId id : vertex.chain)
      out += "    n" + std::to_string(id) + " [label=\"" + label(plan.node(id)) + "\"];\n";
    out += "  }\n";
  }
  for (const StreamNode& node : plan.stream->nodes) {
    for (const PlannedEdge& edge : planned_inputs(plan, node)) {
      const std::string text = edge_text(edge);
      out += "  n" + std::to_string(edge.from->id) + " -> n" + std::to_string(node.id) +
             (text.empty() ? "" : " [label=\"" + replaced(text, "\"", "'") + "\"]") + ";\n";
    }
  }
  return out + "}\n";
}

}  // namespace dataflow::cli

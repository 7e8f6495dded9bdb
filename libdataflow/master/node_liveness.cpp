#include "libdataflow/master/node_liveness.hpp"

#include <algorithm>

namespace dataflow {

namespace {

constexpr Duration least_timeout = std::chrono::seconds{1};
constexpr Duration least_interval = std::chrono::milliseconds{50};

}  // namespace

std::string_view to_string(NodeState state) {
  switch (state) {
    case NodeState::alive: return "ALIVE";
    case NodeState::suspect: return "SUSPECT";
    case NodeState::dead: return "DEAD";
  }
  return "UNKNOWN";
}

Status LivenessSettings::check() const {
  if (heartbeat_interval < least_interval) {
    return fail(ErrorCode::invalid_argument, "heartbeat_interval is " + to_string(heartbeat_interval) +
                                                 "; it must be at least " + to_string(least_interval));
  }
  if (heartbeat_timeout < least_timeout) {
    return fail(ErrorCode::invalid_argument, "heartbeat_timeout is " + to_string(heartbeat_timeout) +
                                                 "; it must be at least " + to_string(least_timeout));
  }
  if (heartbeat_timeout < heartbeat_interval * 3) {
    return fail(ErrorCode::invalid_argument, "heartbeat_timeout is " + to_string(heartbeat_timeout) +
                                                 "; it must be at least three times " +
                                                 "heartbeat_interval, which is " + to_string(heartbeat_interval));
  }
  return {};
}

void NodeLiveness::pass(Timestamp now) {
  if (last_) observed_ += std::clamp(now - *last_, Duration{0}, settings_.heartbeat_interval);
  last_ = now;
}

LivenessEffects NodeLiveness::on_register(const NodeInstance& node, Timestamp now) {
  pass(now);
  LivenessEffects effects;
  const auto known = nodes_.find(node.name);
  if (known != nodes_.end()) {
    if (is_current(node)) {
      hear(node.name, known->second, effects);
      return effects;
    }
    if (node.incarnation <= known->second.incarnation) return refuse(node, &known->second);
    if (known->second.state != NodeState::dead)
      effects.emplace_back(NodeDied{{node.name, known->second.incarnation}, "it registered anew"});
  }
  nodes_[node.name] = {node.incarnation, NodeState::alive, observed_};
  effects.emplace_back(NodeJoined{node});
  return effects;
}

LivenessEffects NodeLiveness::on_heartbeat(const NodeInstance& node, Timestamp now) {
  pass(now);
  const auto known = nodes_.find(node.name);
  if (!is_current(node)) return refuse(node, known == nodes_.end() ? nullptr : &known->second);
  LivenessEffects effects;
  hear(node.name, known->second, effects);
  return effects;
}

void NodeLiveness::hear(const std::string& name, Node& node, LivenessEffects& effects) {
  node.heard = observed_;
  if (node.state == NodeState::suspect) effects.emplace_back(NodeTrusted{{name, node.incarnation}});
  node.state = NodeState::alive;
}

LivenessEffects NodeLiveness::refuse(const NodeInstance& node, const Node* known) const {
  const std::string reason =
      known == nullptr ? "the node is not registered"
      : node.incarnation < known->incarnation
          ? "the node has registered anew since (incarnation " + std::to_string(known->incarnation) + ")"
      : node.incarnation > known->incarnation ? "this life of the node is not registered"
                                              : "the node was declared dead";
  return {NodeRefused{node, reason}};
}

LivenessEffects NodeLiveness::on_lost(const NodeInstance& node, std::string reason, Timestamp now) {
  pass(now);
  if (!is_current(node)) return {};
  Node& known = nodes_.at(node.name);
  known.state = NodeState::dead;
  known.heard = observed_;
  return {NodeDied{node, std::move(reason)}};
}

LivenessEffects NodeLiveness::on_time(Timestamp now) {
  pass(now);
  LivenessEffects effects;
  for (auto at = nodes_.begin(); at != nodes_.end();) {
    auto& [name, node] = *at;
    const Duration silent = observed_ - node.heard;
    if (node.state == NodeState::dead) {
      at = silent >= settings_.forget_after ? nodes_.erase(at) : std::next(at);
      continue;
    }
    if (silent >= settings_.heartbeat_timeout) {
      node.state = NodeState::dead;
      effects.emplace_back(
          NodeDied{{name, node.incarnation}, "no heartbeat for " + to_string(settings_.heartbeat_timeout)});
    } else if (silent * 2 >= settings_.heartbeat_timeout && node.state == NodeState::alive) {
      node.state = NodeState::suspect;
      effects.emplace_back(NodeSuspected{{name, node.incarnation}});
    }
    ++at;
  }
  return effects;
}

std::optional<NodeState> NodeLiveness::state(const std::string& name) const {
  const auto at = nodes_.find(name);
  return at == nodes_.end() ? std::nullopt : std::optional{at->second.state};
}

std::optional<std::uint64_t> NodeLiveness::incarnation(const std::string& name) const {
  const auto at = nodes_.find(name);
  return at == nodes_.end() ? std::nullopt : std::optional{at->second.incarnation};
}

bool NodeLiveness::is_current(const NodeInstance& node) const {
  const auto at = nodes_.find(node.name);
  return at != nodes_.end() && at->second.incarnation == node.incarnation && at->second.state != NodeState::dead;
}

}  // namespace dataflow

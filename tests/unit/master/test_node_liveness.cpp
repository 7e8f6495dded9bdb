#include <doctest/doctest.h>

#include "libdataflow/master/node_liveness.hpp"

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

template <class E>
const E& only(const LivenessEffects& effects) {
  REQUIRE(effects.size() == 1);
  REQUIRE(std::holds_alternative<E>(effects[0]));
  return std::get<E>(effects[0]);
}

/// Time passes, looked at every second; what came of it.
LivenessEffects pass(NodeLiveness& nodes, Timestamp& now, Duration length) {
  LivenessEffects all;
  for (const Timestamp end = now + length; now < end;) {
    now = now + 1s;
    for (LivenessEffect& effect : nodes.on_time(now)) all.push_back(std::move(effect));
  }
  return all;
}

}  // namespace

TEST_CASE("a node that falls silent is suspected, then dead within ten seconds by default") {
  NodeLiveness nodes{LivenessSettings{}};
  Timestamp now{1h};
  CHECK(only<NodeJoined>(nodes.on_register({"a", 1}, now)).node == NodeInstance{"a", 1});
  CHECK(pass(nodes, now, 3s).empty());
  only<NodeSuspected>(pass(nodes, now, 1s));
  CHECK(nodes.state("a") == NodeState::suspect);
  CHECK(only<NodeDied>(pass(nodes, now, 4s)).reason == "no heartbeat for 8s");
  CHECK(now == Timestamp{1h + 8s});
  CHECK_FALSE(nodes.is_current({"a", 1}));
}

TEST_CASE("heartbeats keep a node alive, and a suspect that is heard again is trusted") {
  NodeLiveness nodes{LivenessSettings{}};
  Timestamp now{};
  nodes.on_register({"a", 1}, now);
  for (int i = 0; i < 100; ++i) {
    CHECK(pass(nodes, now, 2s).empty());
    CHECK(nodes.on_heartbeat({"a", 1}, now).empty());
  }
  pass(nodes, now, 5s);
  only<NodeTrusted>(nodes.on_heartbeat({"a", 1}, now));
  CHECK(nodes.state("a") == NodeState::alive);
}

TEST_CASE("a dead node that wakes is refused until it registers with a higher incarnation") {
  NodeLiveness nodes{LivenessSettings{}};
  Timestamp now{};
  nodes.on_register({"a", 7}, now);
  pass(nodes, now, 10s);
  CHECK(only<NodeRefused>(nodes.on_heartbeat({"a", 7}, now)).reason == "the node was declared dead");
  only<NodeRefused>(nodes.on_register({"a", 7}, now));
  only<NodeJoined>(nodes.on_register({"a", 8}, now));
  CHECK(only<NodeRefused>(nodes.on_heartbeat({"a", 7}, now)).reason ==
        "the node has registered anew since (incarnation 8)");
  CHECK(nodes.on_lost({"a", 7}, "connection lost", now).empty());
  CHECK(nodes.is_current({"a", 8}));
}

TEST_CASE("a node that registers anew ends its earlier life; one whose connection breaks is dead at once") {
  NodeLiveness nodes{LivenessSettings{}};
  nodes.on_register({"a", 1}, {});
  const LivenessEffects effects = nodes.on_register({"a", 2}, {});
  REQUIRE(effects.size() == 2);
  CHECK(std::get<NodeDied>(effects[0]).node == NodeInstance{"a", 1});
  CHECK(only<NodeDied>(nodes.on_lost({"a", 2}, "connection lost", {})).reason == "connection lost");
}

TEST_CASE("a clock that jumps, or a master that was stopped, kills nobody") {
  for (const Duration jump : {Duration{1h}, Duration{-1h}, Duration{24h}}) {
    CAPTURE(jump.count());
    NodeLiveness nodes{LivenessSettings{}};
    Timestamp now{48h};
    for (const char* name : {"a", "b", "c"}) nodes.on_register({name, 1}, now);
    now = now + jump;
    for (const LivenessEffect& effect : nodes.on_time(now)) CHECK(std::holds_alternative<NodeSuspected>(effect));
    CHECK(pass(nodes, now, 1s).empty());
    for (const char* name : {"a", "b"}) nodes.on_heartbeat({name, 1}, now);
    const LivenessEffects later = pass(nodes, now, 7s);
    CHECK(nodes.state("c") == NodeState::dead);
    CHECK(nodes.state("a") == NodeState::suspect);
  }
}

TEST_CASE("a timeout of one second is the least, and three intervals") {
  CHECK(LivenessSettings{}.check());
  CHECK(LivenessSettings{.heartbeat_interval = 250ms, .heartbeat_timeout = 1s}.check());
  CHECK(LivenessSettings{.heartbeat_interval = 250ms, .heartbeat_timeout = 900ms}.check().error().message() ==
        "heartbeat_timeout is 900ms; it must be at least 1s");
  CHECK_FALSE(LivenessSettings{.heartbeat_interval = 4s, .heartbeat_timeout = 10s}.check());
  CHECK_FALSE(LivenessSettings{.heartbeat_interval = 0s, .heartbeat_timeout = 10s}.check());
}

TEST_CASE("a dead node's incarnation is forgotten after a day") {
  NodeLiveness nodes{LivenessSettings{}};
  Timestamp now{};
  nodes.on_register({"a", 1}, now);
  nodes.on_lost({"a", 1}, "gone", now);
  pass(nodes, now, 23h);
  CHECK(nodes.state("a") == NodeState::dead);
  pass(nodes, now, 1h);
  CHECK_FALSE(nodes.state("a"));
}

TEST_CASE("a lease ends before the master gives the node up") {
  const LivenessSettings settings;
  NodeLiveness nodes{settings};
  NodeLease lease{settings.heartbeat_timeout, Timestamp{0s}};
  Timestamp now{100ms};
  nodes.on_register({"a", 1}, now);
  lease.renew(Timestamp{3s});  // sent then, and on its way for a second
  for (now = Timestamp{1s}; now < Timestamp{4s}; now = now + 1s) nodes.on_time(now);
  nodes.on_heartbeat({"a", 1}, now);
  lease.renew(Timestamp{1s});  // an answer that was overtaken
  CHECK_FALSE(lease.expired(Timestamp{11s - 1us}));
  CHECK(lease.expired(Timestamp{11s}));
  while (now < Timestamp{11s}) {
    now = now + 1s;
    nodes.on_time(now);
    CHECK(nodes.is_current({"a", 1}));
  }
  nodes.on_time(now + 1s);
  CHECK_FALSE(nodes.is_current({"a", 1}));
}

#pragma once
// Which nodes are alive, for the JobManager: heartbeats, leases and incarnations (design: a failure detector by timeout
// beside connection loss, for cuts that send no reset).
//
// Silence is counted in time that the master itself has seen pass: between two events at most one heartbeat interval
// counts, whatever the clock says. A clock that jumps, or a master that was stopped for a while, therefore kills
// nobody; nodes have the full timeout to be heard again. Events or on_time must come at least every interval, or death
// is noticed later.
//
// A node's life has an incarnation, a number that the node raises with each registration (its start time, say). What is
// not of the present life is refused, so a process that was stopped, declared dead and woken learns that it has to
// begin again. Safety does not rest on this: attempts fence, and the lease ends what a cut-off node still runs.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libdataflow/master/node_instance.hpp"
#include "serialization/result.hpp"
#include "serialization/time.hpp"

namespace dataflow {

struct LivenessSettings {
  Duration heartbeat_interval = std::chrono::seconds{2};
  Duration heartbeat_timeout = std::chrono::seconds{8};  ///< silent for so long: dead; within 10 s of a silent cut
  Duration forget_after = std::chrono::hours{24};        ///< how long a dead node's incarnation is remembered

  /// Errors: invalid_argument naming the setting. The timeout is at least 1 s and three intervals.
  [[nodiscard]] Status check() const;
};

enum class NodeState : std::uint8_t {
  alive,
  suspect,  ///< silent for half of the timeout: no new work, but nothing is taken away
  dead,
};
std::string_view to_string(NodeState state);

struct NodeJoined {
  NodeInstance node;
};
/// Tell it: what it says is of no life that counts; it may register with a higher incarnation.
struct NodeRefused {
  NodeInstance node;
  std::string reason;
};
struct NodeSuspected {
  NodeInstance node;
};
/// A suspect was heard again.
struct NodeTrusted {
  NodeInstance node;
};
struct NodeDied {
  NodeInstance node;
  std::string reason;
};
using LivenessEffect = std::variant<NodeJoined, NodeRefused, NodeSuspected, NodeTrusted, NodeDied>;
using LivenessEffects = std::vector<LivenessEffect>;

class NodeLiveness {
 public:
  explicit NodeLiveness(LivenessSettings settings) : settings_{settings} {}

  /// Said again for the present life it counts as a heartbeat.
  LivenessEffects on_register(const NodeInstance& node, Timestamp now);
  LivenessEffects on_heartbeat(const NodeInstance& node, Timestamp now);
  /// Its connection broke, or it said good-bye: dead at once.
  LivenessEffects on_lost(const NodeInstance& node, std::string reason, Timestamp now);
  LivenessEffects on_time(Timestamp now);

  /// Nothing for one that was never heard of, or is forgotten.
  [[nodiscard]] std::optional<NodeState> state(const std::string& name) const;
  /// Whether a message of that life is to be listened to.
  [[nodiscard]] bool is_current(const NodeInstance& node) const;
  /// Of its newest life; nothing for one that was never heard of, or is forgotten.
  [[nodiscard]] std::optional<std::uint64_t> incarnation(const std::string& name) const;
  [[nodiscard]] const LivenessSettings& settings() const { return settings_; }

 private:
  struct Node {
    std::uint64_t incarnation = 0;
    NodeState state = NodeState::alive;
    Duration heard{};  ///< in observed_ time
  };

  void pass(Timestamp now);
  void hear(const std::string& name, Node& node, LivenessEffects& effects);
  [[nodiscard]] LivenessEffects refuse(const NodeInstance& node, const Node* known) const;

  LivenessSettings settings_;
  std::map<std::string, Node> nodes_;
  Duration observed_{};  ///< time that has passed while the master looked
  std::optional<Timestamp> last_;
};

/// The node's side: it may run tasks for the master only while its lease lasts. Counted from when a heartbeat that was
/// answered was *sent*, so the lease ends before the master's patience does.
class NodeLease {
 public:
  NodeLease(Duration length, Timestamp registered_at) : length_{length}, valid_until_{registered_at + length} {}

  /// The master answered the heartbeat that was sent at `sent_at` (of a steady clock).
  void renew(Timestamp sent_at) { valid_until_ = std::max(valid_until_, sent_at + length_); }
  [[nodiscard]] bool expired(Timestamp now) const { return now >= valid_until_; }
  [[nodiscard]] Timestamp valid_until() const { return valid_until_; }

 private:
  Duration length_;
  Timestamp valid_until_;
};

}  // namespace dataflow

#pragma once
// The SlotAllocator: which slot of which node belongs to which job. Events in, effects out, for the JobManager.
//
// Needs are declared, not counted up (Flink's declarative slot pool, FLIP-138): a job says how many slots it wants to
// hold in all, and is given those that it lacks, all at once or none, so that two jobs never wait for each other's
// half. Jobs are served in the order in which they first asked; one that lost a slot to a dead node has its old place
// in that order. A job that waits holds up those behind it as long as it could be served by the nodes that exist, else
// big jobs would starve; one that needs more than exists holds up nobody. Every wait ends by its deadline, with the
// reason. A node that is silent keeps what runs on it, and is given nothing new until it is heard or gone.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libdataflow/master/node_instance.hpp"
#include "serialization/time.hpp"

namespace dataflow {

/// One slot of one life of a node.
struct SlotId {
  NodeInstance node;
  std::uint32_t index = 0;
  friend auto operator<=>(const SlotId&, const SlotId&) = default;
};

/// The job has all that it asked for: `slots[i]` is its slot i. Those it held before stay where they were.
struct SlotsAllocated {
  std::string job;
  std::vector<SlotId> slots;
};
/// The node is gone, and with it these of the job's slots, by their number in the job. It asks again when it wants.
struct SlotsRevoked {
  std::string job;
  NodeInstance node;
  std::vector<std::uint32_t> slots;
};
/// The request has waited for its whole time. What the job holds it keeps until it is released.
struct SlotsDenied {
  std::string job;
  std::string reason;
};
using SlotEffect = std::variant<SlotsAllocated, SlotsRevoked, SlotsDenied>;
using SlotEffects = std::vector<SlotEffect>;

/// Where missing slots are looked for.
enum class SlotPlacement : std::uint8_t {
  spread,    ///< on the nodes with the least load
  previous,  ///< where the job had them before, if there is room: its state may be there; then spread
};

class SlotAllocator {
 public:
  struct Settings {
    /// How long a request may wait (Flink's slot.request.timeout).
    Duration request_timeout = std::chrono::minutes{5};
  };
  SlotAllocator() : SlotAllocator(Settings{}) {}
  explicit SlotAllocator(Settings settings) : settings_{settings} {}

  /// A node offers slots. Heard again of the same life, or of an earlier one, it changes nothing; a new life ends the
  /// one before.
  SlotEffects on_node(const NodeInstance& node, std::uint32_t slots, Timestamp now);
  /// Ignored unless it is the node's present life.
  SlotEffects on_node_gone(const NodeInstance& node, Timestamp now);
  /// Nothing is placed on the node until it is heard again. Ignored unless it is the node's present life.
  void on_node_silent(const NodeInstance& node);
  SlotEffects on_node_heard(const NodeInstance& node, Timestamp now);
  /// The job wants to hold `count` slots (more than 0); replaces its request that may be waiting. One that holds them
  /// all already is told where they are at once. `vacant`: those of its slots that it wants anew because nothing of it
  /// runs in them any more; it holds them still, but for those on silent nodes.
  SlotEffects request(const std::string& job, std::uint32_t count, SlotPlacement placement, Timestamp now,
                      const std::vector<std::uint32_t>& vacant = {});
  /// The job needs no slots any more, nor waits for any.
  SlotEffects release(const std::string& job, Timestamp now);
  /// Denies what has waited too long. To be called at next_deadline, or more often.
  SlotEffects on_time(Timestamp now);

  [[nodiscard]] std::optional<Timestamp> next_deadline() const;
  /// Why the job waits, as a sentence; empty when it does not.
  [[nodiscard]] std::string waiting_reason(const std::string& job) const;
  /// What the job holds, by its slot numbers; nothing where a slot is missing.
  [[nodiscard]] std::vector<std::optional<SlotId>> slots_of(const std::string& job) const;
  [[nodiscard]] std::uint32_t used_slots(const NodeInstance& node) const;
  [[nodiscard]] std::uint32_t slots_in_all() const;
  [[nodiscard]] std::uint32_t free_slots() const;

 private:
  struct Node {
    std::uint64_t incarnation = 0;
    bool present = false;  ///< one that is gone is remembered for its incarnation
    bool silent = false;
    std::vector<std::string> used_by;  ///< by slot: the job, or empty
    [[nodiscard]] std::uint32_t used() const;
    /// Where something may be placed now.
    [[nodiscard]] std::optional<std::uint32_t> first_free() const;
    [[nodiscard]] std::uint32_t free() const { return static_cast<std::uint32_t>(used_by.size()) - used(); }
  };
  struct Job {
    std::uint64_t order = 0;  ///< when it first asked
    std::vector<std::optional<SlotId>> slots;
    std::vector<std::string> previous;  ///< names of the nodes, by slot
    SlotPlacement placement = SlotPlacement::spread;
    std::optional<Timestamp> deadline;  ///< while it waits
    [[nodiscard]] std::uint32_t missing() const;
  };

  Node* present_life(const NodeInstance& node);
  /// Free ones of nodes that are not silent.
  [[nodiscard]] std::uint32_t slots_to_give() const;
  void drop_node(const std::string& name, SlotEffects& effects);
  void forget_old_nodes();
  void free_slot(const SlotId& slot);
  /// Waiting jobs in the order in which they are served.
  [[nodiscard]] std::vector<std::string> waiting() const;
  /// The job needs more than all nodes together have.
  [[nodiscard]] bool too_big(const Job& job) const { return job.slots.size() > slots_in_all(); }
  void serve(SlotEffects& effects);
  void fill(const std::string& name, Job& job);
  void take(const std::string& name, Job& job, std::size_t slot, const std::string& node);
  [[nodiscard]] const std::string& least_loaded() const;

  Settings settings_;
  std::map<std::string, Node> nodes_;
  std::map<std::string, Job> jobs_;
  std::uint64_t next_order_ = 0;
};

}  // namespace dataflow

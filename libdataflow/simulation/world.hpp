#pragma once
// What everything in a simulated cluster shares: time, chance, the network, the disk, and the record of what happened.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/simulation/disk.hpp"
#include "libdataflow/simulation/event_loop.hpp"
#include "libdataflow/simulation/network.hpp"
#include "libdataflow/simulation/random.hpp"
#include "libdataflow/state/state_backend.hpp"

namespace dataflow::simulation {

/// Sizes, speeds and patience of one run: each seed chooses them anew.
struct Tuning {
  Duration least_latency{20};
  Duration most_latency{300};
  Duration step{60};   ///< what a step of a task takes, about
  Duration disk{400};  ///< what a blocking piece of work takes, about
  std::uint32_t least_rows = 1;
  std::uint32_t most_rows = 64;
  std::size_t window = 4096;  ///< of a channel, in bytes
  Duration silence{400'000};  ///< after which somebody who says nothing is taken for dead
  Duration yield{15};         ///< how long a message may wait for its turn
};

/// Steps that a defect may be planted in, for the proof that it is found. None in any build unless a test sets it.
enum class Defect : std::uint8_t {
  none,
  commit_before_completion,  ///< sinks commit at the barrier
  forgotten_state,           ///< one operator in ten gives an empty snapshot
  late_split,                ///< what is handed out while a checkpoint begins is in nobody's state
  unsynced_part,             ///< a part is not synced before it is listed
  older_checkpoint,          ///< an attempt starts from the checkpoint before the latest
  lost_credit,               ///< a receiver forgets to grant
  commit_twice,              ///< what was committed is not taken off the list
  lying_storage,             ///< a checkpoint is announced whose metadata was not written
  lost_watermark,            ///< a snapshot says that no watermark has passed
  missing_fence,             ///< a coordinator does not see that another leads since
};

struct Counts {
  std::map<std::string, std::uint64_t> faults;  ///< injected, by kind
  std::uint64_t restarts = 0;
  std::uint64_t checkpoints_completed = 0;
  std::uint64_t checkpoints_failed = 0;
  std::uint64_t records = 0;
  std::uint64_t masters = 0;
  std::uint64_t resubmitted = 0;
  std::uint64_t savepoints = 0;
  std::uint64_t rescales = 0;
  std::uint64_t last_state = 0;  ///< bytes of state in the last checkpoint
  void add(const Counts& other);
};

class Actor;

class World {
 public:
  World(std::uint64_t seed, Tuning its_tuning, bool traced, Defect planted);

  /// A line of the trace; `say` is called only where there is one.
  template <class Say>
  void note(const Say& say) {
    if (traced_) write_note(say());
  }
  void write_note(const std::string& text);
  [[nodiscard]] std::string& trace() { return trace_; }
  /// Something is wrong, whatever comes out in the end.
  void violation(std::string what);

  ProcessPtr start(const std::string& name, const std::string& machine, const ProcessPtr& parent = nullptr);
  /// With its children. Who is connected to it hears of it, and so does its parent.
  void kill(const ProcessPtr& process, const std::string& why);
  /// Stops everything on a machine; nobody hears of it.
  void stop(const std::string& machine);
  void go_on(const std::string& machine);
  [[nodiscard]] std::vector<ProcessPtr> processes_on(const std::string& machine) const;
  /// At the end: drops what is under way and what actors know of each other, since they hold each other. All actors
  /// have to be gone before their world is.
  void forget();

  /// As a process's wall clock and as a steady one show it.
  [[nodiscard]] Timestamp wall_clock(const Process& process) const { return loop.now() + process.clock_skew; }

  EventLoop loop;
  Random random;  ///< of the schedule: delays, sizes, order
  Tuning tuning;
  Disk disk;
  Network network;
  Defect defect;
  std::shared_ptr<StateBackend> state;  ///< for the operators of all subtasks; its files are real ones
  Counts counts;
  std::vector<std::string> violations;
  /// What a fault has met: "kill while advancing latest", "tears _metadata".
  std::map<std::string, std::uint64_t> met;
  /// Runs with the epochs in which somebody leads, or has led, them.
  std::set<std::pair<std::string, std::uint64_t>> led;
  const char* phase = "starting";  ///< what the job's newest master is at

 private:
  bool traced_;
  std::string trace_;
  std::vector<std::weak_ptr<Process>> processes_;
  friend class Actor;
  std::set<Actor*> actors_;  ///< those that exist
};

/// Something that handles one message after the other, in the order in which they come, and takes its time for each.
class Actor : public std::enable_shared_from_this<Actor> {
 public:
  Actor(World& world, ProcessPtr process, std::string name);
  virtual ~Actor();
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  /// `what` is for the trace.
  void post(const char* what, std::function<void()> handle);
  void after(Duration delay, const char* what, std::function<void()> handle);
  [[nodiscard]] const ProcessPtr& process() const { return process_; }
  [[nodiscard]] bool gone() const { return gone_ || !process_->alive; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] Timestamp wall_clock() const { return world_.wall_clock(*process_); }

 protected:
  /// At the end of the world: forgets the actors that it knows, some of which know it.
  virtual void let_go() {}
  /// What is handled now takes so long on a machine of usual speed.
  void take(Duration time);
  /// Handles nothing any more.
  void quit() { gone_ = true; }

  World& world_;        // NOLINT(misc-non-private-member-variables-in-classes): actors are written in terms of them
  ProcessPtr process_;  // NOLINT(misc-non-private-member-variables-in-classes)

 private:
  friend class World;
  struct Message {
    const char* what;
    std::function<void()> handle;
  };
  void schedule_turn();
  void turn();

  std::string name_;
  std::deque<Message> mailbox_;
  bool turn_due_ = false;
  bool gone_ = false;
  Timestamp free_at_{};
};

}  // namespace dataflow::simulation

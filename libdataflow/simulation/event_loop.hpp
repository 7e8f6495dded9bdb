#pragma once
// Virtual time: what happens in a simulated cluster is a queue of events, run one after the other in one thread. Each
// belongs to a process; those of one that has died are dropped, those of one that is stopped wait until it goes on.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "serialization/time.hpp"

namespace dataflow::simulation {

/// A process of the simulated cluster. It does not exist any more once it is dead; another one may take its place.
struct Process {
  Process(std::string its_name, std::string its_machine) : name{std::move(its_name)}, machine{std::move(its_machine)} {}

  std::string name;
  std::string machine;
  bool alive = true;
  bool stopped = false;
  double slowness = 1;                        ///< what a step takes, compared with others
  Duration clock_skew{0};                     ///< of its wall clock
  std::weak_ptr<Process> parent;              ///< it dies with it
  std::function<void()> ended;                ///< in the parent, which hears of the end
  std::deque<std::function<void()>> waiting;  ///< while it is stopped
};
using ProcessPtr = std::shared_ptr<Process>;

class EventLoop {
 public:
  [[nodiscard]] Timestamp now() const { return now_; }
  /// Runs `action` when `delay` has passed, as a step of `owner` (null: of the world outside).
  void after(Duration delay, ProcessPtr owner, std::function<void()> action);
  /// The next event. False when there is none.
  bool run_next();
  /// The process goes on: what has waited happens now, in its order.
  void wake(const ProcessPtr& process);
  /// Whose step runs now; null: the world's.
  [[nodiscard]] const ProcessPtr& current() const { return current_; }
  [[nodiscard]] std::uint64_t events() const { return events_; }
  /// Nothing that has not happened yet will.
  void clear();

 private:
  struct Event {
    Timestamp at;
    std::uint64_t order;
    ProcessPtr owner;
    std::function<void()> action;
  };
  static bool later(const Event& a, const Event& b) { return a.at != b.at ? a.at > b.at : a.order > b.order; }

  Timestamp now_{};
  std::vector<Event> queue_;  ///< a heap
  std::uint64_t scheduled_ = 0;
  std::uint64_t events_ = 0;
  ProcessPtr current_;
};

}  // namespace dataflow::simulation

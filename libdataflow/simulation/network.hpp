#pragma once
// The network between the simulated processes: connections that keep the order of what they carry, take their time for
// it, and break. What a machine's link does not let through waits, as TCP keeps it, until the link is mended or the
// connection is given up.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/simulation/event_loop.hpp"

namespace dataflow::simulation {

class World;

/// Between two processes. Whoever holds an end may send; nothing arrives when a side is gone.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(World& world, ProcessPtr a, ProcessPtr b);

  /// From the end of `from`; runs `deliver` at the other one, in order.
  void send(const ProcessPtr& from, std::function<void()> deliver);
  /// Called once when the connection is no more, in the process `at`, behind what still arrives there.
  void when_down(const ProcessPtr& at, std::function<void(const std::string&)> down);
  /// What is under way is lost, and both ends hear of it.
  void reset(const std::string& why);
  /// One end closes it or dies; what it has sent still arrives.
  void close(const ProcessPtr& by, const std::string& why);
  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] bool joins(const ProcessPtr& process) const {
    return sides_[0].process == process || sides_[1].process == process;
  }
  [[nodiscard]] bool joins(const std::string& a, const std::string& b) const;

 private:
  friend class Network;
  struct Side {
    ProcessPtr process;
    std::function<void(const std::string&)> down;
    std::deque<std::function<void()>> coming;  ///< to this side
    Timestamp last{};                          ///< when the newest of them arrives
    bool held = false;                         ///< the link lets nothing through
  };
  [[nodiscard]] std::size_t side_of(const ProcessPtr& process) const { return sides_[0].process == process ? 0 : 1; }
  void push(std::size_t to, std::function<void()> deliver);
  void arrive(std::size_t to);
  void release(std::size_t to);
  void tell_down(std::size_t side, const std::string& why);

  World& world_;
  Side sides_[2];
  bool open_ = true;
};
using ConnectionPtr = std::shared_ptr<Connection>;

class Network {
 public:
  explicit Network(World& world) : world_{world} {}

  /// `done` is called in `from` with the connection, or with null when nobody is there.
  void connect(const ProcessPtr& from, const ProcessPtr& to, std::function<void(ConnectionPtr)> done);
  /// One that is there at once: between processes of one machine.
  ConnectionPtr join(const ProcessPtr& a, const ProcessPtr& b);

  /// Nothing gets from machine `from` to machine `to` any more. Connections that this lasts too long for break.
  void cut(const std::string& from, const std::string& to);
  void mend(const std::string& from, const std::string& to);
  /// Breaks the connections between two machines, with what is under way. How many there were.
  std::size_t reset(const std::string& a, const std::string& b);
  void process_died(const ProcessPtr& process);
  /// Nothing arrives any more, and nobody is told of it.
  void forget();
  [[nodiscard]] bool is_cut(const std::string& from, const std::string& to) const { return cuts_.contains({from, to}); }

 private:
  std::vector<ConnectionPtr> connections();

  World& world_;
  std::vector<std::weak_ptr<Connection>> all_;
  std::set<std::pair<std::string, std::string>> cuts_;
};

}  // namespace dataflow::simulation

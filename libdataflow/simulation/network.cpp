#include "libdataflow/simulation/network.hpp"

#include <algorithm>

#include "libdataflow/simulation/world.hpp"

namespace dataflow::simulation {

Connection::Connection(World& world, ProcessPtr a, ProcessPtr b) : world_{world} {
  sides_[0].process = std::move(a);
  sides_[1].process = std::move(b);
}

bool Connection::joins(const std::string& a, const std::string& b) const {
  const std::string& first = sides_[0].process->machine;
  const std::string& second = sides_[1].process->machine;
  return (first == a && second == b) || (first == b && second == a);
}

void Connection::send(const ProcessPtr& from, std::function<void()> deliver) {
  if (open_ && from->alive) push(1 - side_of(from), std::move(deliver));
}

void Connection::push(std::size_t to, std::function<void()> deliver) {
  Side& side = sides_[to];
  side.coming.push_back(std::move(deliver));
  const Tuning& tuning = world_.tuning;
  const bool near = sides_[0].process->machine == sides_[1].process->machine;
  const Duration latency = near ? world_.random.between(Duration{2}, Duration{20})
                                : world_.random.between(tuning.least_latency, tuning.most_latency);
  side.last = std::max(side.last, world_.loop.now() + latency);
  world_.loop.after(side.last - world_.loop.now(), side.process, [self = shared_from_this(), to] { self->arrive(to); });
}

/// One event comes for each message; while the link is cut they come to nothing, and release() makes new ones.
void Connection::arrive(std::size_t to) {
  Side& side = sides_[to];
  if (side.coming.empty()) return;
  if (world_.network.is_cut(sides_[1 - to].process->machine, side.process->machine)) {
    side.held = true;
    return;
  }
  if (side.held) return;
  const std::function<void()> deliver = std::move(side.coming.front());
  side.coming.pop_front();
  deliver();
}

void Connection::release(std::size_t to) {
  Side& side = sides_[to];
  if (!side.held) return;
  side.held = false;
  for (std::size_t i = 0; i < side.coming.size(); ++i) {
    side.last = std::max(side.last, world_.loop.now() + world_.tuning.least_latency);
    world_.loop.after(side.last - world_.loop.now(), side.process,
                      [self = shared_from_this(), to] { self->arrive(to); });
  }
}

void Connection::when_down(const ProcessPtr& at, std::function<void(const std::string&)> down) {
  Side& side = sides_[side_of(at)];
  side.down = std::move(down);
  if (!open_) tell_down(side_of(at), "it was gone already");
}

void Connection::tell_down(std::size_t to, const std::string& why) {
  Side& side = sides_[to];
  if (!side.down || !side.process->alive) return;
  auto tell = [self = shared_from_this(), to, why] {
    if (const auto down = std::exchange(self->sides_[to].down, nullptr)) down(why);
  };
  if (!world_.network.is_cut(sides_[1 - to].process->machine, side.process->machine)) push(to, tell);
  // Through a link that is cut, now or before that arrives, nothing is heard: in time it is noticed that nothing comes.
  world_.loop.after(world_.tuning.silence * 2, side.process, std::move(tell));
}

void Connection::reset(const std::string& why) {
  if (!open_) return;
  open_ = false;
  for (std::size_t side = 0; side < 2; ++side) {
    sides_[side].coming.clear();
    sides_[side].held = false;
    tell_down(side, why);
  }
}

void Connection::close(const ProcessPtr& by, const std::string& why) {
  if (!open_) return;
  open_ = false;
  const std::size_t mine = side_of(by);
  sides_[mine].coming.clear();
  sides_[mine].down = nullptr;
  tell_down(1 - mine, why);
}

void Network::forget() {
  for (const auto& weak : all_) {
    const auto connection = weak.lock();
    if (connection == nullptr) continue;
    // Ends hold the connection, and it holds them.
    for (Connection::Side& side : connection->sides_) {
      side.down = nullptr;
      side.coming.clear();
    }
  }
}

std::vector<ConnectionPtr> Network::connections() {
  std::vector<ConnectionPtr> alive;
  std::erase_if(all_, [&](const std::weak_ptr<Connection>& weak) {
    auto connection = weak.lock();
    if (!connection) return true;
    if (connection->open()) alive.push_back(std::move(connection));
    return false;
  });
  return alive;
}

ConnectionPtr Network::join(const ProcessPtr& a, const ProcessPtr& b) {
  auto connection = std::make_shared<Connection>(world_, a, b);
  all_.push_back(connection);
  return connection;
}

void Network::connect(const ProcessPtr& from, const ProcessPtr& to, std::function<void(ConnectionPtr)> done) {
  const Tuning& tuning = world_.tuning;
  const bool cut_off = is_cut(from->machine, to->machine) || is_cut(to->machine, from->machine);
  if (cut_off || to->stopped || !to->alive) {
    // Nobody answers, or somebody says that nobody is there.
    const Duration wait = to->alive ? tuning.silence : tuning.most_latency;
    return world_.loop.after(wait, from, [done = std::move(done)] { done(nullptr); });
  }
  auto connection = join(from, to);
  world_.loop.after(world_.random.between(tuning.least_latency, tuning.most_latency), from,
                    [connection, done = std::move(done)] { done(connection->open() ? connection : nullptr); });
}

void Network::cut(const std::string& from, const std::string& to) {
  cuts_.insert({from, to});
  // Both ends find out that nothing is acknowledged any more.
  world_.loop.after(world_.tuning.silence * 2, nullptr, [this, from, to] {
    if (!is_cut(from, to)) return;
    for (const ConnectionPtr& connection : connections()) {
      if (connection->joins(from, to)) connection->reset("nothing came for too long");
    }
  });
}

void Network::mend(const std::string& from, const std::string& to) {
  cuts_.erase({from, to});
  for (const ConnectionPtr& connection : connections()) {
    if (!connection->joins(from, to)) continue;
    connection->release(0);
    connection->release(1);
  }
}

std::size_t Network::reset(const std::string& a, const std::string& b) {
  std::size_t count = 0;
  for (const ConnectionPtr& connection : connections()) {
    if (!connection->joins(a, b)) continue;
    connection->reset("the connection was reset");
    ++count;
  }
  return count;
}

void Network::process_died(const ProcessPtr& process) {
  for (const ConnectionPtr& connection : connections()) {
    if (connection->joins(process)) connection->close(process, "the process has ended");
  }
}

}  // namespace dataflow::simulation

#include "libdataflow/simulation/world.hpp"

#include <algorithm>
#include <cstdio>

namespace dataflow::simulation {

namespace {

/// Nothing is unbounded: not a mailbox either. What one that stands still is told meanwhile is far below that.
constexpr std::size_t most_messages = 20'000;

}  // namespace

void Counts::add(const Counts& other) {
  for (const auto& [kind, count] : other.faults) faults[kind] += count;
  restarts += other.restarts;
  checkpoints_completed += other.checkpoints_completed;
  checkpoints_failed += other.checkpoints_failed;
  records += other.records;
  masters += other.masters;
  resubmitted += other.resubmitted;
  savepoints += other.savepoints;
  rescales += other.rescales;
}

World::World(std::uint64_t seed, Tuning its_tuning, bool traced, Defect planted)
    : random{seed}, tuning{its_tuning}, disk{*this}, network{*this}, defect{planted}, traced_{traced} {}

void World::write_note(const std::string& text) {
  char time[32];
  std::snprintf(time, sizeof time, "%11.6f ", static_cast<double>(loop.now().micros) / 1e6);
  trace_ += time;
  trace_ += text;
  trace_ += '\n';
}

void World::violation(std::string what) {
  note([&] { return "VIOLATION: " + what; });
  violations.push_back(std::move(what));
}

ProcessPtr World::start(const std::string& name, const std::string& machine, const ProcessPtr& parent) {
  auto process = std::make_shared<Process>(name, machine);
  process->parent = parent;
  std::erase_if(processes_, [](const std::weak_ptr<Process>& p) { return p.expired() || !p.lock()->alive; });
  // A machine's speed and clock are those of all that runs on it.
  for (const auto& other : processes_on(machine)) {
    process->slowness = other->slowness;
    process->clock_skew = other->clock_skew;
  }
  processes_.push_back(process);
  note([&] { return "process " + name + " starts on " + machine; });
  return process;
}

std::vector<ProcessPtr> World::processes_on(const std::string& machine) const {
  std::vector<ProcessPtr> found;
  for (const auto& weak : processes_) {
    auto process = weak.lock();
    if (process && process->alive && process->machine == machine) found.push_back(std::move(process));
  }
  return found;
}

void World::kill(const ProcessPtr& process, const std::string& why) {
  // One that has died in the middle of a step is dead already, and nobody knows yet.
  process->alive = false;
  process->stopped = false;
  process->waiting.clear();
  note([&] { return "process " + process->name + " ends: " + why; });
  network.process_died(process);
  for (const auto& weak : std::vector{processes_}) {
    const auto child = weak.lock();
    if (child && child->alive && child->parent.lock() == process) kill(child, "its parent has ended");
  }
  if (const auto parent = process->parent.lock(); parent && parent->alive && process->ended) {
    loop.after(random.between(Duration{50}, Duration{2000}), parent, process->ended);
  }
  process->ended = nullptr;
}

void World::stop(const std::string& machine) {
  for (const auto& process : processes_on(machine)) process->stopped = true;
}

void World::go_on(const std::string& machine) {
  for (const auto& process : processes_on(machine)) {
    if (process->stopped) loop.wake(process);
  }
}

void World::forget() {
  loop.clear();
  network.forget();
  for (const auto& weak : processes_) {
    if (const auto process = weak.lock()) {
      process->ended = nullptr;
      process->waiting.clear();
    }
  }
  // None goes while they are gone through, though another that holds it lets go.
  std::vector<std::shared_ptr<Actor>> all;
  for (Actor* actor : actors_) all.push_back(actor->weak_from_this().lock());
  for (const auto& actor : all) {
    if (!actor) continue;
    actor->mailbox_.clear();
    actor->let_go();
  }
}

Actor::Actor(World& world, ProcessPtr process, std::string name)
    : world_{world}, process_{std::move(process)}, name_{std::move(name)} {
  world_.actors_.insert(this);
}

Actor::~Actor() {
  world_.actors_.erase(this);
}

void Actor::post(const char* what, std::function<void()> handle) {
  if (gone()) return;
  mailbox_.push_back({what, std::move(handle)});
  if (mailbox_.size() == most_messages) {
    world_.violation(process_->name + " " + name_ + " has more than " + std::to_string(most_messages) + " messages");
  }
  schedule_turn();
}

void Actor::after(Duration delay, const char* what, std::function<void()> handle) {
  world_.loop.after(delay, process_, [self = weak_from_this(), what, handle = std::move(handle)]() mutable {
    if (const auto actor = self.lock()) actor->post(what, std::move(handle));
  });
}

void Actor::take(Duration time) {
  const auto microseconds = static_cast<std::int64_t>(static_cast<double>(time.count()) * process_->slowness);
  free_at_ = std::max(free_at_, world_.loop.now()) + Duration{microseconds};
}

void Actor::schedule_turn() {
  if (turn_due_ || mailbox_.empty()) return;
  turn_due_ = true;
  const Duration busy = std::max(Duration{0}, free_at_ - world_.loop.now());
  world_.loop.after(busy + world_.random.between(Duration{0}, world_.tuning.yield), process_,
                    [self = weak_from_this()] {
                      if (const auto actor = self.lock()) actor->turn();
                    });
}

void Actor::turn() {
  turn_due_ = false;
  if (gone() || mailbox_.empty()) return;
  Message message = std::move(mailbox_.front());
  mailbox_.pop_front();
  world_.note([&] { return process_->name + " " + name_ + ": " + message.what; });
  take(Duration{1});
  message.handle();
  if (gone()) {
    mailbox_.clear();
  } else {
    schedule_turn();
  }
}

}  // namespace dataflow::simulation

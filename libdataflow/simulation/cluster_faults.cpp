// What each kind of fault does to a simulated cluster.

#include <algorithm>
#include <utility>

#include "libdataflow/simulation/cluster.hpp"

namespace dataflow::simulation {

void Cluster::count(FaultKind kind, const std::string& what) {
  ++world_.counts.faults[std::string{name_of(kind)}];
  ++world_.met[std::string{name_of(kind)} + " while " + world_.phase];
  world_.note([&] { return "FAULT " + std::string{name_of(kind)} + ": " + what; });
}

std::string Cluster::pick_machine(Random& random) const {
  const std::uint64_t choice = random.below(nodes_.size() * 4 + 1);
  return choice == nodes_.size() * 4 ? master_machine : nodes_[choice % nodes_.size()];
}

void Cluster::inject(const Fault& fault) {
  if (finished_) return;
  Random random{fault.chance};
  switch (fault.kind) {
    case FaultKind::kill: return kill(random);
    case FaultKind::stop: return stop(random);
    case FaultKind::cut: return cut(random);
    case FaultKind::slow: return slow(random);
    case FaultKind::disk: return break_disk(random);
    case FaultKind::clock: return set_clock(random);
    case FaultKind::failover: return fail_over(random);
    case FaultKind::rescale: return rescale(random);
    case FaultKind::savepoint: return take_savepoint();
  }
}

void Cluster::kill(Random& random) {
  const std::string machine = nodes_[random.below(nodes_.size())];
  if (random.chance(0.4)) {
    const DiskFault when = random.chance(0.5) ? DiskFault::kills : DiskFault::killed;
    world_.disk.arm(when, random.chance(0.2) ? master_machine : machine, random.below(6));
    return;  // counted when it happens
  }
  auto processes = world_.processes_on(machine);
  if (processes.empty()) return;
  const auto process = processes[random.below(processes.size())];
  // Now and then it stays away for long: others have to take its place.
  const Duration away = random.chance(0.2) ? world_.tuning.silence * 6 : random.between(Duration{0}, Duration{150'000});
  down_until_[machine] = world_.loop.now() + away;
  calm_at_ = std::max(calm_at_, world_.loop.now() + away);
  count(FaultKind::kill, process->name);
  world_.kill(process, "killed");
}

void Cluster::stop(Random& random) {
  const std::string machine = pick_machine(random);
  const Duration length =
      random.between(Duration{1000}, random.chance(0.5) ? world_.tuning.silence * 4 : world_.tuning.silence / 2);
  count(FaultKind::stop, machine + " for " + to_string(length));
  world_.stop(machine);
  calm_at_ = std::max(calm_at_, world_.loop.now() + length);
  world_.loop.after(length, nullptr, [this, machine] {
    world_.note([&] { return machine + " goes on"; });
    world_.go_on(machine);
  });
}

void Cluster::cut(Random& random) {
  const std::string a = pick_machine(random);
  std::string b = a;
  while (b == a) b = random.chance(0.4) ? std::string{master_machine} : pick_machine(random);
  if (random.chance(0.4)) {
    const std::size_t broken = world_.network.reset(a, b);
    if (broken > 0) count(FaultKind::cut, std::to_string(broken) + " connections between " + a + " and " + b);
    return;
  }
  const bool both = random.chance(0.5);
  const Duration length =
      random.between(Duration{500}, random.chance(0.5) ? world_.tuning.silence * 4 : world_.tuning.silence / 2);
  count(FaultKind::cut, a + (both ? " <-> " : " -> ") + b + " for " + to_string(length));
  world_.network.cut(a, b);
  if (both) world_.network.cut(b, a);
  calm_at_ = std::max(calm_at_, world_.loop.now() + length);
  world_.loop.after(length, nullptr, [this, a, b, both] {
    world_.network.mend(a, b);
    if (both) world_.network.mend(b, a);
  });
}

void Cluster::slow(Random& random) {
  const std::string machine = pick_machine(random);
  const auto factor = static_cast<double>(random.between(3, 40));
  const Duration length = random.between(Duration{5000}, Duration{500'000});
  count(FaultKind::slow,
        machine + " takes " + std::to_string(static_cast<int>(factor)) + " times as long for " + to_string(length));
  for (const auto& process : world_.processes_on(machine)) process->slowness = factor;
  calm_at_ = std::max(calm_at_, world_.loop.now() + length);
  world_.loop.after(length, nullptr, [this, machine] {
    for (const auto& process : world_.processes_on(machine)) process->slowness = 1;
  });
}

void Cluster::break_disk(Random& random) {
  const std::string machine = random.chance(0.4) ? std::string{master_machine} : pick_machine(random);
  switch (random.below(6)) {
    case 0: return world_.disk.arm(DiskFault::refuses, machine, random.below(8));
    case 1: return world_.disk.arm(DiskFault::unsure, machine, random.below(8));
    case 2: return world_.disk.arm(DiskFault::tears, machine, random.below(4));
    case 3: return world_.disk.arm(DiskFault::flips, machine, random.below(6));
    case 4: {
      const Duration length = random.between(Duration{2000}, Duration{200'000});
      count(FaultKind::disk, "no space for " + machine + " for " + to_string(length));
      world_.disk.fill(machine, world_.loop.now() + length);
      calm_at_ = std::max(calm_at_, world_.loop.now() + length);
      return;
    }
    default: return lose_power(machine, random);
  }
}

void Cluster::lose_power(const std::string& machine, Random& random) {
  const Duration away = random.between(Duration{10'000}, world_.tuning.silence * 3);
  count(FaultKind::disk, machine + " has no power for " + to_string(away));
  down_until_[machine] = world_.loop.now() + away;
  calm_at_ = std::max(calm_at_, world_.loop.now() + away);
  for (const auto& process : world_.processes_on(machine)) {
    if (process->alive) world_.kill(process, "no power");
  }
  world_.disk.lose_unsynced(machine);
}

void Cluster::set_clock(Random& random) {
  const std::string machine = pick_machine(random);
  const auto most = static_cast<std::uint64_t>(checkpoint_interval_.count()) * 8;
  const Duration jump{static_cast<std::int64_t>(random.below(2 * most + 1)) - static_cast<std::int64_t>(most)};
  count(FaultKind::clock, machine + " is set by " + to_string(jump));
  for (const auto& process : world_.processes_on(machine)) process->clock_skew += jump;
  calm_at_ = std::max(calm_at_, world_.loop.now() + Duration{static_cast<std::int64_t>(most)});
}

void Cluster::fail_over(Random& random) {
  const auto manager = job_manager();
  if (manager == nullptr) return;
  const std::uint64_t choice = random.below(3);
  if (choice == 0) {
    const auto master = manager->master();
    if (master == nullptr || master->gone()) return;
    count(FaultKind::failover, master->process()->name + " is killed");
    return world_.kill(master->process(), "killed");
  }
  if (choice == 1) {
    count(FaultKind::failover, manager->process()->name + " is killed");
    const Duration away = random.between(Duration{0}, Duration{200'000});
    down_until_[master_machine] = world_.loop.now() + away;
    calm_at_ = std::max(calm_at_, world_.loop.now() + away);
    return world_.kill(manager->process(), "killed");
  }
  // Another one takes over while it stands still; then it wakes up and knows of nothing.
  const std::string machine = manager->process()->machine;
  const std::string other = machine == master_machine ? standby_machine : master_machine;
  const Duration length = random.between(world_.tuning.silence / 2, world_.tuning.silence * 4);
  count(FaultKind::failover, machine + " stands still for " + to_string(length) + ", and " + other + " takes over");
  world_.stop(machine);
  calm_at_ = std::max(calm_at_, world_.loop.now() + length);
  world_.loop.after(random.between(Duration{1000}, world_.tuning.silence / 2), nullptr,
                    [this, other] { start_job_manager(other); });
  world_.loop.after(length, nullptr, [this, machine] {
    world_.note([&] { return machine + " goes on"; });
    world_.go_on(machine);
  });
}

/// Null when the job does not run.
std::shared_ptr<Master> Cluster::running_master() const {
  const auto manager = job_manager();
  const auto master = manager ? manager->master() : nullptr;
  return master != nullptr && !master->gone() && master->state() == JobState::running ? master : nullptr;
}

void Cluster::take_savepoint() {
  const auto master = running_master();
  if (master == nullptr) return;
  count(FaultKind::savepoint, "somebody wants one");
  master->post("take a savepoint", [at = master.get()] { at->take_savepoint(); });
}

void Cluster::rescale(Random& random) {
  const auto master = running_master();
  if (master == nullptr) return;
  count(FaultKind::rescale, "the job is stopped, to go on with another parallelism");
  rescaling_ = true;
  through_savepoint_ = random.chance(0.5);
  savepoints_before_ = savepoints_taken_.size();
  master->post("stop for rescaling", [at = master.get()] { at->stop_for_rescaling(); });
}

}  // namespace dataflow::simulation

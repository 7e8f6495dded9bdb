#include "libdataflow/master/slot_allocator.hpp"

#include <algorithm>
#include <cassert>

namespace dataflow {

namespace {

/// How many nodes that are gone are remembered, so that late words of them are told from new ones.
constexpr std::size_t most_gone_nodes = 4096;

std::string slots_text(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " slot" : " slots");
}

}  // namespace

std::uint32_t SlotAllocator::Node::used() const {
  return static_cast<std::uint32_t>(
      std::count_if(used_by.begin(), used_by.end(), [](const std::string& job) { return !job.empty(); }));
}

std::optional<std::uint32_t> SlotAllocator::Node::first_free() const {
  if (silent) return std::nullopt;
  const auto at = std::find(used_by.begin(), used_by.end(), std::string{});
  if (at == used_by.end()) return std::nullopt;
  return static_cast<std::uint32_t>(at - used_by.begin());
}

std::uint32_t SlotAllocator::Job::missing() const {
  return static_cast<std::uint32_t>(std::count(slots.begin(), slots.end(), std::nullopt));
}

std::uint32_t SlotAllocator::used_slots(const NodeInstance& node) const {
  const auto at = nodes_.find(node.name);
  return at == nodes_.end() || at->second.incarnation != node.incarnation ? 0 : at->second.used();
}

std::uint32_t SlotAllocator::slots_in_all() const {
  std::size_t all = 0;
  for (const auto& [name, node] : nodes_) all += node.used_by.size();
  return static_cast<std::uint32_t>(all);
}

std::uint32_t SlotAllocator::free_slots() const {
  std::uint32_t free = 0;
  for (const auto& [name, node] : nodes_) free += node.free();
  return free;
}

std::uint32_t SlotAllocator::slots_to_give() const {
  std::uint32_t free = 0;
  for (const auto& [name, node] : nodes_) free += node.silent ? 0 : node.free();
  return free;
}

std::vector<std::optional<SlotId>> SlotAllocator::slots_of(const std::string& job) const {
  const auto at = jobs_.find(job);
  return at == jobs_.end() ? std::vector<std::optional<SlotId>>{} : at->second.slots;
}

// ---- Nodes ----------------------------------------------------------------------------------------------------------

SlotEffects SlotAllocator::on_node(const NodeInstance& node, std::uint32_t slots, Timestamp) {
  SlotEffects effects;
  const auto known = nodes_.find(node.name);
  if (known != nodes_.end()) {
    if (node.incarnation <= known->second.incarnation) return {};
    drop_node(node.name, effects);
  }
  nodes_[node.name] = {node.incarnation, true, false, std::vector<std::string>(slots)};
  serve(effects);
  return effects;
}

SlotAllocator::Node* SlotAllocator::present_life(const NodeInstance& node) {
  const auto known = nodes_.find(node.name);
  const bool is = known != nodes_.end() && known->second.incarnation == node.incarnation && known->second.present;
  return is ? &known->second : nullptr;
}

void SlotAllocator::on_node_silent(const NodeInstance& node) {
  if (Node* const known = present_life(node)) known->silent = true;
}

SlotEffects SlotAllocator::on_node_heard(const NodeInstance& node, Timestamp) {
  Node* const known = present_life(node);
  if (known == nullptr || !known->silent) return {};
  known->silent = false;
  SlotEffects effects;
  serve(effects);
  return effects;
}

SlotEffects SlotAllocator::on_node_gone(const NodeInstance& node, Timestamp) {
  if (present_life(node) == nullptr) return {};
  SlotEffects effects;
  drop_node(node.name, effects);
  forget_old_nodes();
  serve(effects);  // fewer slots may make the first in line too big to hold up the others
  return effects;
}

void SlotAllocator::drop_node(const std::string& name, SlotEffects& effects) {
  Node& node = nodes_.at(name);
  for (auto& [job_name, job] : jobs_) {
    SlotsRevoked revoked{job_name, {name, node.incarnation}, {}};
    for (std::size_t i = 0; i < job.slots.size(); ++i) {
      if (!job.slots[i] || job.slots[i]->node.name != name) continue;
      job.slots[i].reset();
      revoked.slots.push_back(static_cast<std::uint32_t>(i));
    }
    if (!revoked.slots.empty()) effects.emplace_back(std::move(revoked));
  }
  node.present = false;
  node.silent = false;
  node.used_by.clear();
}

void SlotAllocator::forget_old_nodes() {
  const auto is_gone = [](const auto& entry) { return !entry.second.present; };
  if (static_cast<std::size_t>(std::count_if(nodes_.begin(), nodes_.end(), is_gone)) <= most_gone_nodes) return;
  auto oldest = nodes_.end();
  for (auto at = nodes_.begin(); at != nodes_.end(); ++at) {
    if (is_gone(*at) && (oldest == nodes_.end() || at->second.incarnation < oldest->second.incarnation)) oldest = at;
  }
  nodes_.erase(oldest);
}

// ---- Jobs -----------------------------------------------------------------------------------------------------------

SlotEffects SlotAllocator::request(const std::string& job_name, std::uint32_t count, SlotPlacement placement,
                                   Timestamp now, const std::vector<std::uint32_t>& vacant) {
  assert(count > 0);
  const auto [at, added] = jobs_.try_emplace(job_name);
  Job& job = at->second;
  if (added) job.order = next_order_++;
  for (std::size_t i = count; i < job.slots.size(); ++i) {
    if (job.slots[i]) free_slot(*job.slots[i]);
  }
  job.slots.resize(count);
  job.previous.resize(count);
  for (const std::uint32_t slot : vacant) {
    if (slot >= count || !job.slots[slot] || !nodes_.at(job.slots[slot]->node.name).silent) continue;
    free_slot(*job.slots[slot]);
    job.slots[slot].reset();
  }
  job.placement = placement;
  job.deadline = now + settings_.request_timeout;
  SlotEffects effects;
  serve(effects);
  return effects;
}

SlotEffects SlotAllocator::release(const std::string& job, Timestamp) {
  const auto at = jobs_.find(job);
  if (at == jobs_.end()) return {};
  for (const auto& slot : at->second.slots) {
    if (slot) free_slot(*slot);
  }
  jobs_.erase(at);
  SlotEffects effects;
  serve(effects);
  return effects;
}

void SlotAllocator::free_slot(const SlotId& slot) {
  nodes_.at(slot.node.name).used_by.at(slot.index).clear();
}

SlotEffects SlotAllocator::on_time(Timestamp now) {
  SlotEffects effects;
  // Reasons first: each says what was the case while it waited.
  for (const std::string& name : waiting()) {
    if (jobs_.at(name).deadline > now) continue;
    effects.emplace_back(
        SlotsDenied{name, waiting_reason(name) + "; gave up after " + to_string(settings_.request_timeout)});
  }
  for (const SlotEffect& effect : effects) jobs_.at(std::get<SlotsDenied>(effect).job).deadline.reset();
  if (!effects.empty()) serve(effects);
  return effects;
}

std::optional<Timestamp> SlotAllocator::next_deadline() const {
  std::optional<Timestamp> next;
  for (const auto& [name, job] : jobs_) {
    if (job.deadline && (!next || *job.deadline < *next)) next = job.deadline;
  }
  return next;
}

std::vector<std::string> SlotAllocator::waiting() const {
  std::vector<std::string> names;
  for (const auto& [name, job] : jobs_) {
    if (job.deadline) names.push_back(name);
  }
  std::sort(names.begin(), names.end(),
            [&](const std::string& a, const std::string& b) { return jobs_.at(a).order < jobs_.at(b).order; });
  return names;
}

void SlotAllocator::serve(SlotEffects& effects) {
  bool held_up = false;
  for (const std::string& name : waiting()) {
    Job& job = jobs_.at(name);
    if (too_big(job)) continue;
    // Who holds all that it needs takes nothing from those before it.
    if (job.missing() > 0 && (held_up || job.missing() > slots_to_give())) {
      held_up = true;
      continue;
    }
    fill(name, job);
    job.deadline.reset();
    SlotsAllocated allocated{name, {}};
    for (const auto& slot : job.slots) allocated.slots.push_back(*slot);
    effects.emplace_back(std::move(allocated));
  }
}

void SlotAllocator::fill(const std::string& name, Job& job) {
  if (job.placement == SlotPlacement::previous) {
    for (std::size_t i = 0; i < job.slots.size(); ++i) {
      const auto node = nodes_.find(job.previous[i]);
      if (!job.slots[i] && node != nodes_.end() && node->second.first_free()) take(name, job, i, node->first);
    }
  }
  for (std::size_t i = 0; i < job.slots.size(); ++i) {
    if (!job.slots[i]) take(name, job, i, least_loaded());
  }
}

void SlotAllocator::take(const std::string& name, Job& job, std::size_t slot, const std::string& node_name) {
  Node& node = nodes_.at(node_name);
  const std::uint32_t index = *node.first_free();
  node.used_by[index] = name;
  job.slots[slot] = SlotId{{node_name, node.incarnation}, index};
  job.previous[slot] = node_name;
}

/// The node with room whose share of used slots is the least; of equals the first by name.
const std::string& SlotAllocator::least_loaded() const {
  const std::pair<const std::string, Node>* best = nullptr;
  for (const auto& entry : nodes_) {
    const Node& node = entry.second;
    if (!node.first_free()) continue;
    const auto less = [](const Node& a, const Node& b) {
      return std::uint64_t{a.used()} * b.used_by.size() < std::uint64_t{b.used()} * a.used_by.size();
    };
    if (best == nullptr || less(node, best->second)) best = &entry;
  }
  assert(best != nullptr);
  return best->first;
}

std::string SlotAllocator::waiting_reason(const std::string& job_name) const {
  const auto at = jobs_.find(job_name);
  if (at == jobs_.end() || !at->second.deadline) return "";
  const Job& job = at->second;
  const std::uint32_t exist = slots_in_all();
  const std::string needs =
      "needs " + slots_text(job.slots.size()) + ", " + std::to_string(exist) + (exist == 1 ? " exists" : " exist");
  if (too_big(job)) return needs + "; start " + std::to_string(job.slots.size() - exist) + " more";
  if (job.missing() <= slots_to_give()) {
    for (const std::string& before : waiting()) {
      if (!too_big(jobs_.at(before))) return needs + "; waits behind job " + before;
    }
  }
  if (job.missing() <= free_slots()) {
    const std::uint32_t silent = free_slots() - slots_to_give();
    return needs + ", " + std::to_string(silent) + (silent == 1 ? " is" : " are") + " on nodes that are silent";
  }
  std::uint32_t used = 0;
  std::string users;
  for (const auto& [name, other] : jobs_) {
    const auto held = static_cast<std::uint32_t>(other.slots.size()) - other.missing();
    if (name == job_name || held == 0) continue;
    used += held;
    users += (users.empty() ? " " : ", ") + name;
  }
  const bool one_user = users.find(',') == std::string::npos;
  return needs + ", " + std::to_string(used) + (used == 1 ? " is" : " are") + " in use by job" + (one_user ? "" : "s") +
         users;
}

}  // namespace dataflow

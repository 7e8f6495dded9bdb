#include "actors/cluster/slot_table.hpp"

namespace dataflow {

std::uint32_t SlotTable::Node::used_count() const {
  std::uint32_t count = 0;
  for (const auto& [job, numbers] : used) count += static_cast<std::uint32_t>(numbers.size());
  return count;
}

void SlotTable::add_node(const std::string& node, std::uint32_t slots) {
  nodes_[node] = Node{slots, {}};
}

std::vector<std::string> SlotTable::remove_node(const std::string& node) {
  std::vector<std::string> jobs;
  const auto at = nodes_.find(node);
  if (at == nodes_.end()) return jobs;
  for (const auto& [job, numbers] : at->second.used) jobs.push_back(job);
  nodes_.erase(at);
  return jobs;
}

std::optional<std::map<std::string, std::vector<std::uint32_t>>> SlotTable::allocate(
    const std::string& job, const std::vector<std::uint32_t>& slots) {
  if (free() < slots.size()) return std::nullopt;
  std::map<std::string, std::vector<std::uint32_t>> placed;
  for (const std::uint32_t slot : slots) {
    auto emptiest = nodes_.end();
    std::uint32_t most = 0;
    for (auto at = nodes_.begin(); at != nodes_.end(); ++at) {
      const std::uint32_t left = at->second.slots - at->second.used_count();
      if (left > most) {
        most = left;
        emptiest = at;
      }
    }
    emptiest->second.used[job].insert(slot);
    placed[emptiest->first].push_back(slot);
  }
  return placed;
}

void SlotTable::release(const std::string& job) {
  for (auto& [name, node] : nodes_) node.used.erase(job);
}

void SlotTable::release(const std::string& job, const std::vector<std::uint32_t>& slots) {
  for (auto& [name, node] : nodes_) {
    const auto at = node.used.find(job);
    if (at == node.used.end()) continue;
    for (const std::uint32_t slot : slots) at->second.erase(slot);
    if (at->second.empty()) node.used.erase(at);
  }
}

std::uint32_t SlotTable::total() const {
  std::uint32_t sum = 0;
  for (const auto& [name, node] : nodes_) sum += node.slots;
  return sum;
}

std::uint32_t SlotTable::free() const {
  std::uint32_t sum = 0;
  for (const auto& [name, node] : nodes_) sum += node.slots - node.used_count();
  return sum;
}

std::uint32_t SlotTable::slots_of(const std::string& node) const {
  const auto at = nodes_.find(node);
  return at == nodes_.end() ? 0 : at->second.slots;
}

std::uint32_t SlotTable::used_of(const std::string& node) const {
  const auto at = nodes_.find(node);
  return at == nodes_.end() ? 0 : at->second.used_count();
}

}  // namespace dataflow

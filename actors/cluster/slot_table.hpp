#pragma once
// Which slots exist on which node, and which job has them.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace dataflow {

class SlotTable {
 public:
  void add_node(const std::string& node, std::uint32_t slots);
  /// Returns the jobs that had slots on it; those slots are gone, the jobs keep their others.
  std::vector<std::string> remove_node(const std::string& node);

  /// Places these of the job's slots, spread: each on the node that is the emptiest then. By node, the numbers of the
  /// job's slots. Nothing when there are too few free ones.
  std::optional<std::map<std::string, std::vector<std::uint32_t>>> allocate(const std::string& job,
                                                                            const std::vector<std::uint32_t>& slots);
  void release(const std::string& job);
  /// Only these of its slots.
  void release(const std::string& job, const std::vector<std::uint32_t>& slots);

  [[nodiscard]] std::uint32_t total() const;
  [[nodiscard]] std::uint32_t free() const;
  [[nodiscard]] std::uint32_t slots_of(const std::string& node) const;
  [[nodiscard]] std::uint32_t used_of(const std::string& node) const;

 private:
  struct Node {
    std::uint32_t slots = 0;
    std::map<std::string, std::set<std::uint32_t>> used;  ///< by job: the numbers of its slots
    [[nodiscard]] std::uint32_t used_count() const;
  };
  std::map<std::string, Node> nodes_;
};

}  // namespace dataflow

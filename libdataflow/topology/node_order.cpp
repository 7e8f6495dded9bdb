#include "libdataflow/topology/node_order.hpp"

#include <algorithm>
#include <set>

namespace dataflow {

namespace {

class Orderer {
 public:
  explicit Orderer(const std::vector<std::vector<std::size_t>>& inputs)
      : inputs_{inputs}, users_(inputs.size()), missing_(inputs.size()), done_(inputs.size(), false) {
    for (std::size_t node = 0; node < inputs.size(); ++node) {
      for (const std::size_t input : inputs[node]) users_[input].push_back(node);
      missing_[node] = inputs[node].size();
      if (missing_[node] == 0) ready_.insert(node);
    }
  }

  NodeOrder run() {
    take_ready();
    while (result_.order.size() < inputs_.size()) {
      for (const std::size_t node : find_cycle()) finish(node);
      take_ready();
    }
    return std::move(result_);
  }

 private:
  void take_ready() {
    while (!ready_.empty()) {
      const std::size_t node = *ready_.begin();
      ready_.erase(ready_.begin());
      finish(node);
    }
  }

  void finish(std::size_t node) {
    done_[node] = true;
    result_.order.push_back(node);
    for (const std::size_t user : users_[node])
      if (--missing_[user] == 0 && !done_[user]) ready_.insert(user);
    ready_.erase(node);
  }

  /// Every node that is left has an input that is left: going from input to input must come back.
  std::vector<std::size_t> find_cycle() {
    const auto first_left = std::find(done_.begin(), done_.end(), false);
    auto node = static_cast<std::size_t>(first_left - done_.begin());
    std::vector<std::size_t> path;
    std::vector<bool> seen(inputs_.size(), false);
    while (!seen[node]) {
      seen[node] = true;
      path.push_back(node);
      node = *std::find_if(inputs_[node].begin(), inputs_[node].end(), [&](std::size_t i) { return !done_[i]; });
    }
    path.erase(path.begin(), std::find(path.begin(), path.end(), node));
    std::reverse(path.begin(), path.end());  // records flow from input to user
    std::rotate(path.begin(), std::min_element(path.begin(), path.end()), path.end());
    result_.cycles.push_back(path);
    return path;
  }

  const std::vector<std::vector<std::size_t>>& inputs_;
  std::vector<std::vector<std::size_t>> users_;
  std::vector<std::size_t> missing_;
  std::vector<bool> done_;
  std::set<std::size_t> ready_;
  NodeOrder result_;
};

}  // namespace

NodeOrder order_nodes(const std::vector<std::vector<std::size_t>>& inputs) {
  return Orderer{inputs}.run();
}

}  // namespace dataflow

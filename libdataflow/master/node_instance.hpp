#pragma once
// Which life of which node: a node keeps its name over restarts and gets another incarnation with each, so that what an
// earlier life says, or what is said of it, is told from the present one.

#include <compare>
#include <cstdint>
#include <string>

namespace dataflow {

struct NodeInstance {
  std::string name;
  std::uint64_t incarnation = 0;
  friend auto operator<=>(const NodeInstance&, const NodeInstance&) = default;
};

}  // namespace dataflow

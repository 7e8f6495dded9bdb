#include "libdataflow/topology/node_order.hpp"

namespace dataflow {
namespace {

using Indices = std::vector<std::size_t>;

TEST_CASE("inputs come before their users, otherwise the order stays") {
  const NodeOrder order = order_nodes({{2}, {}, {1}, {}});
  CHECK(order.order == Indices{1, 2, 0, 3});
  CHECK(order.cycles.empty());
}

TEST_CASE("every cycle is found once, in the direction of the records") {
  // 0 reads 1 reads 2 reads 0; 3 reads itself; 4 reads 0.
  const NodeOrder order = order_nodes({{1}, {2}, {0}, {3}, {0}});
  REQUIRE(order.cycles.size() == 2);
  CHECK(order.cycles[0] == Indices{0, 2, 1});
  CHECK(order.cycles[1] == Indices{3});
  CHECK(order.order.size() == 5);
}

TEST_CASE("two cycles that share a node are both broken") {
  const NodeOrder order = order_nodes({{1, 2}, {0}, {0}});
  CHECK_FALSE(order.cycles.empty());
  CHECK(order.order.size() == 3);
}

}  // namespace
}  // namespace dataflow

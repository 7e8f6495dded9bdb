#include "libdataflow/simulation/network.hpp"

#include <doctest/doctest.h>

#include "libdataflow/simulation/world.hpp"

namespace dataflow::simulation {
namespace {

// Found by seed 620711002661 of "global and side by side": a job waited for ever for what went into a dead connection.
TEST_CASE("both ends hear that their connection is gone, also through a link that is cut just then") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    World world{seed, Tuning{}, false, Defect::none};
    const ProcessPtr one = world.start("one", "node-1");
    const ProcessPtr other = world.start("other", "node-2");
    const ConnectionPtr connection = world.network.join(one, other);
    int heard_by_one = 0;
    int heard_by_other = 0;
    connection->when_down(one, [&](const std::string&) { ++heard_by_one; });
    connection->when_down(other, [&](const std::string&) { ++heard_by_other; });
    connection->reset("the connection was reset");
    world.network.cut("node-1", "node-2");  // the news for the other end is under way
    while (world.loop.run_next()) {
    }
    CHECK(heard_by_one == 1);
    CHECK(heard_by_other == 1);
    world.network.forget();
  }
}

}  // namespace
}  // namespace dataflow::simulation

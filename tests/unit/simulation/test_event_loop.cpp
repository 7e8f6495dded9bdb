#include "libdataflow/simulation/event_loop.hpp"

#include <doctest/doctest.h>

#include "libdataflow/simulation/faults.hpp"
#include "libdataflow/simulation/world.hpp"

namespace dataflow::simulation {
namespace {

TEST_CASE("events run in the order of their time, and those of one time in the order in which they came") {
  EventLoop loop;
  std::string order;
  loop.after(Duration{20}, nullptr, [&] { order += 'c'; });
  loop.after(Duration{10}, nullptr, [&] { order += 'a'; });
  loop.after(Duration{10}, nullptr, [&] { order += 'b'; });
  while (loop.run_next()) {
  }
  CHECK(order == "abc");
  CHECK(loop.now() == Timestamp{20});
}

TEST_CASE("the events of a process that has ended do not happen") {
  EventLoop loop;
  const auto process = std::make_shared<Process>("p", "m");
  bool ran = false;
  loop.after(Duration{1}, process, [&] { process->alive = false; });
  loop.after(Duration{2}, process, [&] { ran = true; });
  while (loop.run_next()) {
  }
  CHECK_FALSE(ran);
}

TEST_CASE("a process that stands still does everything later, in its order") {
  EventLoop loop;
  const auto process = std::make_shared<Process>("p", "m");
  std::string order;
  process->stopped = true;
  loop.after(Duration{1}, process, [&] { order += 'a'; });
  loop.after(Duration{2}, process, [&] { order += 'b'; });
  loop.after(Duration{50}, nullptr, [&] {
    CHECK(order.empty());
    loop.wake(process);
  });
  while (loop.run_next()) {
  }
  CHECK(order == "ab");
  CHECK(loop.now() == Timestamp{50});
}

TEST_CASE("a connection keeps the order of what it carries, also through a cut") {
  World world{7, Tuning{}, false, Defect::none};
  const auto a = world.start("a", "node-1");
  const auto b = world.start("b", "node-2");
  const auto connection = world.network.join(a, b);
  std::string order;
  for (char c = 'a'; c <= 'e'; ++c) connection->send(a, [&order, c] { order += c; });
  world.network.cut("node-1", "node-2");
  world.loop.after(Duration{2000}, nullptr, [&] {
    CHECK(order.empty());
    world.network.mend("node-1", "node-2");
  });
  for (char c = 'f'; c <= 'j'; ++c) connection->send(a, [&order, c] { order += c; });
  while (world.loop.run_next()) {
  }
  CHECK(order == "abcdefghij");
}

TEST_CASE("a cut that lasts too long breaks the connection, and both ends hear of it") {
  World world{7, Tuning{}, false, Defect::none};
  const auto a = world.start("a", "node-1");
  const auto b = world.start("b", "node-2");
  const auto connection = world.network.join(a, b);
  int heard = 0;
  connection->when_down(a, [&](const std::string&) { ++heard; });
  connection->when_down(b, [&](const std::string&) { ++heard; });
  world.network.cut("node-1", "node-2");
  while (world.loop.run_next()) {
  }
  CHECK(heard == 2);
  CHECK_FALSE(connection->open());
}

TEST_CASE("what a process has sent before it is killed arrives, and then the end of the connection") {
  World world{7, Tuning{}, false, Defect::none};
  const auto a = world.start("a", "node-1");
  const auto b = world.start("b", "node-2");
  const auto connection = world.network.join(a, b);
  std::string heard;
  connection->when_down(b, [&](const std::string&) { heard += "down"; });
  connection->send(a, [&] { heard += "message "; });
  world.kill(a, "killed");
  connection->send(a, [&] { heard += "ghost "; });
  while (world.loop.run_next()) {
  }
  CHECK(heard == "message down");
}

TEST_CASE("the children of a process end with it, and its parent hears of its end") {
  World world{7, Tuning{}, false, Defect::none};
  const auto manager = world.start("manager", "node-1");
  const auto middle = world.start("middle", "node-1", manager);
  const auto leaf = world.start("leaf", "node-1", middle);
  bool heard = false;
  middle->ended = [&] { heard = true; };
  world.kill(middle, "killed");
  CHECK_FALSE(leaf->alive);
  CHECK(manager->alive);
  while (world.loop.run_next()) {
  }
  CHECK(heard);
}

TEST_CASE("a seed's faults are always the same, of the kinds that are asked for, and in the order of time") {
  const std::set<FaultKind> kinds{FaultKind::kill, FaultKind::disk};
  std::size_t count = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const auto faults = draw_faults(seed, kinds, Duration{1000});
    const auto again = draw_faults(seed, kinds, Duration{1000});
    REQUIRE(faults.size() == again.size());
    for (std::size_t i = 0; i < faults.size(); ++i) {
      CHECK(faults[i].at == again[i].at);
      CHECK(faults[i].chance == again[i].chance);
      CHECK(kinds.contains(faults[i].kind));
      CHECK(faults[i].at <= Timestamp{1000});
      if (i > 0) CHECK(faults[i - 1].at <= faults[i].at);
    }
    count += faults.size();
  }
  CHECK(count > 50);
}

TEST_CASE("every kind of fault has a name by which it is found") {
  for (std::size_t i = 0; i < fault_kind_count; ++i) {
    const auto kind = static_cast<FaultKind>(i);
    CHECK(fault_kind(name_of(kind)) == kind);
  }
  CHECK_FALSE(fault_kind("flood"));
}

}  // namespace
}  // namespace dataflow::simulation

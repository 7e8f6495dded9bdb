#include <doctest/doctest.h>

#include "libdataflow/master/slot_allocator.hpp"

using namespace dataflow;
using namespace std::chrono_literals;

namespace {

const auto spread = SlotPlacement::spread;

/// The nodes of the one job that was given slots, in the order of its slots: "a b a".
std::string nodes_of(const SlotEffects& effects) {
  REQUIRE(effects.size() == 1);
  std::string text;
  for (const SlotId& slot : std::get<SlotsAllocated>(effects[0]).slots)
    text += (text.empty() ? "" : " ") + slot.node.name;
  return text;
}

std::string allocated_job(const SlotEffects& effects) {
  REQUIRE(effects.size() == 1);
  return std::get<SlotsAllocated>(effects[0]).job;
}

}  // namespace

TEST_CASE("slots spread over nodes by load, and of equals the first by name is taken") {
  SlotAllocator slots;
  slots.on_node({"b", 1}, 2, {});
  slots.on_node({"a", 1}, 2, {});
  slots.on_node({"c", 1}, 4, {});
  CHECK(nodes_of(slots.request("j", 5, spread, {})) == "a b c c a");
  CHECK(nodes_of(slots.request("k", 3, spread, {})) == "b c c");
}

TEST_CASE("a request that needs more than there is says so, holds up nobody, and fails after its deadline") {
  SlotAllocator slots;
  slots.on_node({"a", 1}, 6, {});
  CHECK(slots.request("big", 8, spread, Timestamp{1min}).empty());
  CHECK(slots.waiting_reason("big") == "needs 8 slots, 6 exist; start 2 more");
  CHECK(allocated_job(slots.request("small", 2, spread, {})) == "small");
  CHECK(slots.next_deadline() == Timestamp{6min});
  CHECK(slots.on_time(Timestamp{6min - 1us}).empty());
  const SlotEffects effects = slots.on_time(Timestamp{6min});
  REQUIRE(effects.size() == 1);
  CHECK(std::get<SlotsDenied>(effects[0]).reason == "needs 8 slots, 6 exist; start 2 more; gave up after 5m");
  CHECK_FALSE(slots.next_deadline());
}

TEST_CASE("a node that joins serves the one that waits for it") {
  SlotAllocator slots;
  CHECK(slots.request("j", 1, spread, {}).empty());
  CHECK(slots.waiting_reason("j") == "needs 1 slot, 0 exist; start 1 more");
  CHECK(nodes_of(slots.on_node({"a", 1}, 1, {})) == "a");
  CHECK(slots.waiting_reason("j").empty());
}

TEST_CASE("jobs are served in the order they came: a small one does not pass a big one that will have its turn") {
  SlotAllocator slots;
  slots.on_node({"n", 1}, 8, {});
  slots.request("a", 3, spread, {});
  slots.request("b", 2, spread, {});
  CHECK(slots.request("big", 8, spread, {}).empty());
  CHECK(slots.request("small", 1, spread, {}).empty());
  CHECK(slots.waiting_reason("big") == "needs 8 slots, 8 exist, 5 are in use by jobs a, b");
  CHECK(slots.waiting_reason("small") == "needs 1 slot, 8 exist; waits behind job big");
  CHECK(slots.release("a", {}).empty());
  CHECK(slots.waiting_reason("big") == "needs 8 slots, 8 exist, 2 are in use by job b");
  CHECK(allocated_job(slots.release("b", {})) == "big");
  CHECK(allocated_job(slots.release("big", {})) == "small");
}

TEST_CASE("a lost node's slots are revoked, and the job gets others in their place and keeps the rest") {
  SlotAllocator slots;
  slots.on_node({"a", 1}, 2, {});
  slots.on_node({"b", 1}, 2, {});
  CHECK(nodes_of(slots.request("j", 4, spread, {})) == "a b a b");
  slots.on_node({"c", 1}, 2, {});
  const SlotEffects effects = slots.on_node_gone({"b", 1}, {});
  REQUIRE(effects.size() == 1);
  CHECK(std::get<SlotsRevoked>(effects[0]).slots == std::vector<std::uint32_t>{1, 3});
  CHECK(nodes_of(slots.request("j", 4, spread, {})) == "a c a c");
}

TEST_CASE("a job that lost a slot is served before those that came after it") {
  SlotAllocator slots;
  slots.on_node({"a", 1}, 1, {});
  slots.on_node({"b", 1}, 1, {});
  slots.request("first", 2, spread, {});
  slots.request("second", 1, spread, {});
  slots.on_node_gone({"b", 1}, {});
  slots.request("first", 2, spread, {});
  CHECK(allocated_job(slots.on_node({"c", 1}, 1, {})) == "first");
}

TEST_CASE("a job goes back to its previous nodes when it asks for that and there is room") {
  SlotAllocator slots;
  slots.on_node({"a", 1}, 2, {});
  slots.on_node({"b", 1}, 2, {});
  slots.request("j", 2, spread, {});
  slots.on_node_gone({"b", 1}, {});
  slots.on_node({"b", 2}, 2, {});
  slots.on_node({"aa", 1}, 2, {});
  CHECK(nodes_of(slots.request("j", 2, SlotPlacement::previous, {})) == "a b");
}

TEST_CASE("words of an earlier life of a node change nothing, and neither do words that come twice") {
  SlotAllocator slots;
  slots.on_node({"a", 5}, 2, {});
  slots.request("j", 2, spread, {});
  CHECK(slots.on_node({"a", 4}, 9, {}).empty());
  CHECK(slots.on_node({"a", 5}, 2, {}).empty());
  CHECK(slots.on_node_gone({"a", 4}, {}).empty());
  CHECK(slots.free_slots() == 0);
  CHECK(slots.slots_in_all() == 2);
  CHECK(slots.on_node_gone({"a", 5}, {}).size() == 1);
  CHECK(slots.on_node_gone({"a", 5}, {}).empty());
  CHECK(slots.on_node({"a", 5}, 2, {}).empty());
  CHECK(slots.slots_in_all() == 0);
}

TEST_CASE("a node that registers anew has lost what its earlier life held") {
  SlotAllocator slots;
  slots.on_node({"a", 1}, 2, {});
  slots.request("j", 2, spread, {});
  const SlotEffects effects = slots.on_node({"a", 2}, 2, {});
  REQUIRE(effects.size() == 1);
  CHECK(std::get<SlotsRevoked>(effects[0]).node == NodeInstance{"a", 1});
  CHECK(slots.free_slots() == 2);
}

TEST_CASE("a job that needs fewer slots gives the others back") {
  SlotAllocator slots;
  slots.on_node({"a", 1}, 3, {});
  slots.request("j", 3, spread, {});
  slots.request("j", 1, spread, {});
  CHECK(slots.free_slots() == 2);
}

TEST_CASE("a job that holds all it needs is told so at once, though others wait before it") {
  SlotAllocator slots;
  slots.on_node({"a", 1}, 2, {});
  slots.request("first", 1, spread, {});
  slots.request("second", 1, spread, {});
  CHECK(slots.request("first", 2, spread, {}).empty());  // now first in line, and waits for the second's slot
  CHECK(nodes_of(slots.request("second", 1, spread, {})) == "a");
  CHECK(slots.used_slots({"a", 1}) == 2);
  CHECK(slots.used_slots({"a", 2}) == 0);
}

TEST_CASE("a silent node gets nothing new until it is heard again, and keeps what it has") {
  SlotAllocator slots;
  slots.on_node({"a", 1}, 2, {});
  slots.on_node({"b", 1}, 2, {});
  CHECK(nodes_of(slots.request("j", 1, spread, {})) == "a");
  slots.on_node_silent({"a", 1});
  CHECK(nodes_of(slots.request("k", 2, spread, {})) == "b b");
  CHECK(slots.request("waits", 1, spread, {}).empty());
  CHECK(slots.waiting_reason("waits") == "needs 1 slot, 4 exist, 1 is on nodes that are silent");
  CHECK(slots.used_slots({"a", 1}) == 1);
  CHECK(slots.on_node_heard({"a", 2}, {}).empty());  // another life
  CHECK(nodes_of(slots.on_node_heard({"a", 1}, {})) == "a");
  CHECK(slots.on_node_heard({"a", 1}, {}).empty());
}

TEST_CASE("a job whose worker is lost on a silent node gets another slot, and its others stay where they are") {
  SlotAllocator slots;
  slots.on_node({"a", 1}, 1, {});
  slots.on_node({"b", 1}, 1, {});
  CHECK(nodes_of(slots.request("j", 2, spread, {})) == "a b");
  slots.on_node_silent({"b", 1});
  slots.on_node_silent({"a", 1});
  CHECK(slots.request("j", 2, SlotPlacement::previous, {}, {1}).empty());
  CHECK(slots.used_slots({"b", 1}) == 0);
  CHECK(nodes_of(slots.on_node({"c", 1}, 1, {})) == "a c");
}

TEST_CASE("a silent node that is lost takes along what it had, and one that comes back is not silent") {
  SlotAllocator slots;
  slots.on_node({"a", 1}, 1, {});
  slots.request("j", 1, spread, {});
  slots.on_node_silent({"a", 1});
  CHECK(slots.on_node_gone({"a", 1}, {}).size() == 1);
  CHECK(slots.request("j", 1, spread, {}).empty());
  CHECK(slots.waiting_reason("j") == "needs 1 slot, 0 exist; start 1 more");
  CHECK(nodes_of(slots.on_node({"a", 2}, 1, {})) == "a");
}

// Random nodes that come, go and speak out of turn, and random jobs: whatever happens, the books of the allocator agree
// with those kept here from its effects alone.
#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>

#include "libdataflow/master/slot_allocator.hpp"
#include "tests/support/seeds.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;
using namespace std::chrono_literals;

namespace {

/// What a JobManager would know that only listens.
struct Books {
  std::map<std::string, std::map<std::uint32_t, SlotId>> held;  ///< by job and slot number
  std::map<std::string, std::uint32_t> wanted;
  std::set<std::string> waiting;
  std::set<NodeInstance> silent;

  /// As many slots as are free on nodes that are heard.
  std::uint32_t to_give(const SlotAllocator& slots, const std::map<std::string, std::uint32_t>& sizes) const {
    std::uint32_t unheard = 0;
    for (const NodeInstance& node : silent) unheard += sizes.at(node.name) - slots.used_slots(node);
    return slots.free_slots() - unheard;
  }

  void take(const SlotEffects& effects) {
    for (const SlotEffect& effect : effects) std::visit([&](const auto& e) { note(e); }, effect);
  }
  void note(const SlotsAllocated& e) {
    REQUIRE(waiting.erase(e.job) == 1);
    REQUIRE(e.slots.size() == wanted.at(e.job));
    auto& mine = held[e.job];
    for (std::uint32_t i = 0; i < e.slots.size(); ++i) {
      const auto at = mine.find(i);
      if (at != mine.end()) REQUIRE(at->second == e.slots[i]);
      if (at == mine.end()) REQUIRE(silent.count(e.slots[i].node) == 0);
      mine[i] = e.slots[i];
    }
  }
  void note(const SlotsRevoked& e) {
    for (const std::uint32_t slot : e.slots) {
      REQUIRE(held.at(e.job).at(slot).node == e.node);
      held.at(e.job).erase(slot);
    }
  }
  void note(const SlotsDenied& e) {
    REQUIRE(waiting.erase(e.job) == 1);
    REQUIRE_FALSE(e.reason.empty());
  }
};

void check(const SlotAllocator& slots, const Books& books, const std::map<std::string, std::uint64_t>& alive,
           const std::map<std::string, std::uint32_t>& sizes) {
  std::set<SlotId> given;
  std::uint32_t count = 0;
  for (const auto& [job, held] : books.held) {
    for (const auto& [number, slot] : held) {
      ++count;
      REQUIRE(given.insert(slot).second);  // no slot is given twice
      REQUIRE(alive.at(slot.node.name) == slot.node.incarnation);
      REQUIRE(slots.slots_of(job).at(number) == slot);
    }
  }
  REQUIRE(slots.slots_in_all() - slots.free_slots() == count);  // none is lost
  // Whoever waits has a reason, and somebody waits only if the first who could ever be served cannot be now.
  bool first = true;
  for (const std::string& job : books.waiting) {
    REQUIRE_FALSE(slots.waiting_reason(job).empty());
    const std::uint32_t missing =
        books.wanted.at(job) - static_cast<std::uint32_t>(books.held.count(job) == 0 ? 0 : books.held.at(job).size());
    const bool fits = missing <= books.to_give(slots, sizes) && books.wanted.at(job) <= slots.slots_in_all();
    if (fits) REQUIRE(slots.waiting_reason(job).find("waits behind job ") != std::string::npos);
    first = first && fits;
  }
  REQUIRE((books.waiting.empty() || !first));
}

}  // namespace

TEST_CASE("no slot is given twice, none is lost, and nobody waits who could be served") {
  for (const std::uint64_t seed : seeds(300)) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const auto below = [&](std::uint64_t n) { return random() % n; };
    const auto node_name = [&] { return std::string(1, static_cast<char>('a' + below(4))); };
    SlotAllocator slots{{.request_timeout = 1min}};
    Books books;
    std::map<std::string, std::uint64_t> alive;   // present lives
    std::map<std::string, std::uint64_t> newest;  // last incarnation that was taken
    std::map<std::string, std::uint32_t> sizes;   // slots of the present life
    Timestamp now{};
    for (int step = 0; step < 200; ++step) {
      now = now + std::chrono::seconds{below(10)};
      const std::string job = "job-" + std::to_string(below(5));
      switch (below(8)) {
        case 0: {  // often of an earlier life, or heard twice
          const std::string name = node_name();
          const NodeInstance node{name,
                                  std::max<std::uint64_t>(1, newest[name] + below(3)) - (newest[name] > 1 ? 1 : 0)};
          const auto size = static_cast<std::uint32_t>(below(4));
          if (node.incarnation > newest[name]) {
            if (alive.count(name) != 0) books.silent.erase({name, alive[name]});
            newest[name] = alive[name] = node.incarnation;
            sizes[name] = size;
          }
          books.take(slots.on_node(node, size, now));
          break;
        }
        case 1: {
          const std::string name = node_name();
          const NodeInstance node{name, newest[name] - (newest[name] > 0 ? below(2) : 0)};
          const auto at = alive.find(name);
          if (at != alive.end() && at->second == node.incarnation) alive.erase(at);
          books.silent.erase(node);
          books.take(slots.on_node_gone(node, now));
          break;
        }
        case 2:
        case 3: {
          const auto count = static_cast<std::uint32_t>(1 + below(5));
          auto& held = books.held[job];
          held.erase(held.lower_bound(count), held.end());
          books.wanted[job] = count;
          books.waiting.insert(job);
          std::vector<std::uint32_t> vacant;
          for (std::uint32_t i = 0; i < 6; ++i) {
            if (below(3) != 0) continue;
            vacant.push_back(i);
            if (const auto at = held.find(i); at != held.end() && books.silent.count(at->second.node) != 0)
              held.erase(at);
          }
          const auto placement = below(2) == 0 ? SlotPlacement::spread : SlotPlacement::previous;
          books.take(slots.request(job, count, placement, now, vacant));
          break;
        }
        case 4:
          books.held.erase(job);
          books.waiting.erase(job);
          books.take(slots.release(job, now));
          break;
        case 5: books.take(slots.on_time(now)); break;
        case 6:
        case 7: {
          const std::string name = node_name();
          const NodeInstance node{name, newest[name] - (newest[name] > 0 ? below(2) : 0)};
          const bool is_present = alive.count(name) != 0 && alive[name] == node.incarnation;
          if (below(2) == 0) {
            if (is_present) books.silent.insert(node);
            slots.on_node_silent(node);
          } else {
            books.silent.erase(node);
            books.take(slots.on_node_heard(node, now));
          }
          break;
        }
      }
      check(slots, books, alive, sizes);
    }
    for (int j = 0; j < 5; ++j) {
      const std::string job = "job-" + std::to_string(j);
      books.held.erase(job);
      books.waiting.erase(job);
      books.take(slots.release(job, now));
    }
    REQUIRE(slots.free_slots() == slots.slots_in_all());
    REQUIRE_FALSE(slots.next_deadline());
  }
}

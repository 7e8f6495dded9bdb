#include "libdataflow/simulation/disk.hpp"

#include <doctest/doctest.h>

#include "libdataflow/simulation/storage.hpp"
#include "libdataflow/simulation/world.hpp"

namespace dataflow::simulation {
namespace {

/// A world with one process, whose steps can be run.
struct OneMachine {
  World world{1, Tuning{}, false, Defect::none};
  ProcessPtr process = world.start("writer", "node-1");

  void step(const std::function<void()>& action) {
    world.loop.after(Duration{1}, process, action);
    while (world.loop.run_next()) {
    }
  }
};

TEST_CASE("a power cut leaves no more of a file than was synced, nor a name that was not") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    World world{seed, Tuning{}, false, Defect::none};
    const ProcessPtr process = world.start("writer", "node-1");
    world.loop.after(Duration{1}, process, [&] {
      REQUIRE(world.disk.write("out/kept", "kept"));
      REQUIRE(world.disk.sync_file("out/kept"));
      REQUIRE(world.disk.sync_folder("out"));
      REQUIRE(world.disk.write("out/lost", "something long that is not synced"));
    });
    world.loop.run_next();
    world.disk.lose_unsynced("node-1");
    REQUIRE(world.disk.peek("out/kept") != nullptr);
    CHECK(*world.disk.peek("out/kept") == "kept");
    const std::string* lost = world.disk.peek("out/lost");
    if (lost != nullptr) CHECK(std::string{"something long that is not synced"}.starts_with(*lost));
  }
}

TEST_CASE("a file whose new name was not synced has one of its names after a power cut, never none and never both") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    World world{seed, Tuning{}, false, Defect::none};
    const ProcessPtr process = world.start("writer", "node-1");
    world.loop.after(Duration{1}, process, [&] {
      REQUIRE(world.disk.write("out/hidden", "rows"));
      REQUIRE(world.disk.sync_file("out/hidden"));
      REQUIRE(world.disk.sync_folder("out"));
      REQUIRE(*world.disk.rename_to_new("out/hidden", "out/visible"));
    });
    world.loop.run_next();
    world.disk.lose_unsynced("node-1");
    CHECK((world.disk.peek("out/hidden") != nullptr) != (world.disk.peek("out/visible") != nullptr));
  }
}

TEST_CASE("what another machine has written survives a power cut of this one") {
  OneMachine one;
  const ProcessPtr other = one.world.start("other", "node-2");
  one.world.loop.after(Duration{1}, other, [&] { REQUIRE(one.world.disk.write("out/other", "text")); });
  while (one.world.loop.run_next()) {
  }
  one.world.disk.lose_unsynced("node-1");
  REQUIRE(one.world.disk.peek("out/other") != nullptr);
  CHECK(*one.world.disk.peek("out/other") == "text");
}

TEST_CASE("a name is given to one file only, however many want it") {
  OneMachine one;
  one.step([&] {
    REQUIRE(one.world.disk.write("a", "1"));
    REQUIRE(one.world.disk.write("b", "2"));
    CHECK(*one.world.disk.rename_to_new("a", "c"));
    CHECK_FALSE(*one.world.disk.rename_to_new("b", "c"));
    CHECK(*one.world.disk.read("c") == "1");
    CHECK(*one.world.disk.read("b") == "2");
    CHECK_FALSE(*one.world.disk.link("b", "c"));
  });
}

TEST_CASE("a process that is killed between two steps on the disk does none of those that follow") {
  OneMachine one;
  one.world.disk.arm(DiskFault::killed, "node-1", 1);
  one.step([&] {
    CHECK(one.world.disk.write("first", "1"));
    CHECK_FALSE(one.world.disk.write("second", "2"));  // it was done, and nobody is told
    CHECK_FALSE(one.world.disk.write("third", "3"));
  });
  CHECK_FALSE(one.process->alive);
  CHECK(one.world.disk.exists("second"));
  CHECK_FALSE(one.world.disk.exists("third"));
}

TEST_CASE("a torn write fails and leaves a part") {
  OneMachine one;
  one.world.disk.arm(DiskFault::tears, "node-1", 0);
  one.step([&] { CHECK_FALSE(one.world.disk.write("torn", "0123456789")); });
  CHECK(*one.world.disk.peek("torn") == "01234");
}

TEST_CASE("a bit flips in what is read, and not in what is stored") {
  OneMachine one;
  one.world.disk.arm(DiskFault::flips, "node-1", 0);
  one.step([&] {
    REQUIRE(one.world.disk.write("file", "content"));
    CHECK(*one.world.disk.read("file") != "content");
    CHECK(*one.world.disk.read("file") == "content");
  });
}

TEST_CASE("a checkpoint storage on the disk keeps what was put, once") {
  OneMachine one;
  const auto storage = make_disk_storage(one.world.disk, "checkpoints");
  one.step([&] {
    CHECK(*storage->put("job/a", "1") == PutOutcome::stored);
    CHECK(*storage->put("job/a", "2") == PutOutcome::exists);
    CHECK(*storage->get("job/a") == "1");
    CHECK(storage->list("job/")->size() == 1);
  });
  one.world.disk.lose_unsynced("node-1");
  one.step([&] { CHECK(*storage->get("job/a") == "1"); });
  CHECK(one.world.disk.paths("checkpoints/job/.").empty());
}

}  // namespace
}  // namespace dataflow::simulation

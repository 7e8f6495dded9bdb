// A store that goes on between a barrier and the moment at which its checkpoint is made.

#include "libdataflow/state/sealable_store.hpp"

#include <atomic>
#include <thread>

#include "tests/support/backends.hpp"
#include "tests/support/stores.hpp"

namespace dataflow {

namespace {

using namespace testing_support;

#define FOR_EACH_BACKEND \
  for (const BackendKind& kind : backend_kinds()) SUBCASE(kind.name)

struct Sealable {
  explicit Sealable(const BackendKind& kind) : backend{*kind.make(folder / "state")} {}

  void put(const std::string& key, const std::string& value) {
    StoreBatch batch;
    batch.put(key, value);
    REQUIRE(store.write(batch));
  }
  Content now() {
    Content content;
    const auto scan = store.scan("", "");
    for (; scan->valid(); scan->next()) content.emplace(scan->key(), scan->value());
    return content;
  }
  SealedStorePtr seal() { return *store.seal(); }
  Content made(const SealedStore& sealed) {
    const auto into = backend->new_folder();
    REQUIRE(restore_files(sealed.folder(), sealed.files(), into));
    return content_of(***backend->open(into));
  }

  TemporaryFolder folder;
  StateBackendPtr backend;
  SealableStore store{*backend->open(backend->new_folder())};
};

}  // namespace

TEST_CASE("a checkpoint has what was there when the store was sealed, and the next one the rest") {
  FOR_EACH_BACKEND {
    Sealable sealable{kind};
    sealable.put("a", "1");
    sealable.put("b", "1");
    const auto first = sealable.seal();
    sealable.put("b", "2");
    sealable.put("c", "2");
    CHECK(first->is_under_way());
    CHECK(sealable.now() == Content{{"a", "1"}, {"b", "2"}, {"c", "2"}});
    REQUIRE(first->run());
    CHECK_FALSE(first->is_under_way());
    CHECK(sealable.made(*first) == Content{{"a", "1"}, {"b", "1"}});
    const auto second = sealable.seal();
    REQUIRE(second->run());
    CHECK(sealable.made(*second) == Content{{"a", "1"}, {"b", "2"}, {"c", "2"}});
  }
}

TEST_CASE("who writes more than can wait in memory makes the checkpoint") {
  FOR_EACH_BACKEND {
    Sealable sealable{kind};
    sealable.put("a", "1");
    const auto sealed = sealable.seal();
    sealable.put("b", std::string(600'000, 'x'));
    CHECK(sealed->is_under_way());
    sealable.put("b", std::string(600'000, 'y'));  // instead of the other
    CHECK_FALSE(sealed->is_under_way());
    CHECK(sealable.made(*sealed) == Content{{"a", "1"}});
    CHECK(sealable.now() == Content{{"a", "1"}, {"b", std::string(600'000, 'y')}});
  }
}

TEST_CASE("a checkpoint that is given up leaves no files, and those after it miss nothing") {
  FOR_EACH_BACKEND {
    Sealable sealable{kind};
    sealable.put("a", "1");
    const auto given_up = sealable.seal();
    sealable.put("b", "1");
    given_up->give_up();
    given_up->drop_files();
    CHECK_FALSE(given_up->is_under_way());
    const auto overtaken = sealable.seal();
    sealable.put("c", "1");
    const auto last = sealable.seal();
    REQUIRE(given_up->run());
    CHECK(given_up->files().empty());
    REQUIRE(overtaken->run());
    CHECK(overtaken->files().empty());
    REQUIRE(last->run());
    CHECK(sealable.made(*last) == Content{{"a", "1"}, {"b", "1"}, {"c", "1"}});
    const auto folder = last->folder();
    REQUIRE(std::filesystem::exists(folder));
    last->drop_files();
    CHECK_FALSE(std::filesystem::exists(folder));
  }
}

TEST_CASE("checkpoints are made on another thread while the store is written and read") {
  FOR_EACH_BACKEND {
    Sealable sealable{kind};
    Content content;
    const std::string value(2'000, 'v');
    const auto write = [&](int round) {
      StoreBatch batch;
      for (int i = 0; i < 50; ++i) {
        const std::string key = "k" + std::to_string((round * 17 + i) % 400);
        const std::string now = value + std::to_string(round);
        batch.put(key, now);
        content[key] = now;
      }
      const std::string gone = "k" + std::to_string(round % 400);
      batch.erase(gone);
      content.erase(gone);
      REQUIRE(sealable.store.write(batch));
    };
    int round = 0;
    for (int checkpoints = 0; checkpoints < 8; ++checkpoints) {
      for (int i = 0; i < 5; ++i) write(++round);
      const SealedStorePtr sealed = sealable.seal();
      const Content at_barrier = content;
      std::atomic<bool> good = false;
      std::thread writes_checkpoint{[&good, sealed] { good = sealed->run().has_value(); }};
      for (int i = 0; i < 20; ++i) {  // more than can wait
        write(++round);
        CHECK(sealable.now() == content);
      }
      writes_checkpoint.join();
      CHECK(good);
      CHECK(sealable.made(*sealed) == at_barrier);
      sealed->give_up();
      sealed->drop_files();
      CHECK(sealable.now() == content);
    }
  }
}

}  // namespace dataflow

// Random operations on a store, with checkpoints, restores and reopening, against a std::map.

#include <random>

#include "tests/support/seeds.hpp"
#include "tests/support/stores.hpp"

namespace dataflow {

namespace {

using namespace testing_support;
namespace fs = std::filesystem;

class Run {
 public:
  Run(const StoreKind& kind, std::uint64_t seed) : kind_{kind}, random_{seed} { open("store0"); }

  void step() {
    switch (pick(20)) {
      case 0: return erase_range();
      case 1: return make_checkpoint();
      case 2: return restore();
      case 3: return scan();
      case 4: return copy();
      default: break;
    }
    if (pick(2) == 0) {
      write();
    } else {
      look_up();
    }
  }
  void compare() { REQUIRE(content_of(*store_) == content_); }

 private:
  struct Made {
    fs::path folder;
    std::vector<StoreFile> files;
    Content content;
  };

  std::size_t pick(std::size_t below) { return random_() % below; }
  void open(const std::string& name) {
    auto store = kind_.open(folder_ / name);
    REQUIRE(store);
    store_ = std::move(*store);
  }
  void write() { write_at_random(*store_, content_, random_, 300); }
  void look_up() { look_up_at_random(*store_, content_, random_); }
  void erase_range() {
    const std::string from = random_key(random_);
    const std::string end = random_key(random_);
    REQUIRE(store_->erase_range(from, end));
    if (from < end) content_.erase(content_.lower_bound(from), content_.lower_bound(end));
  }
  void scan() {
    const std::string from = random_key(random_);
    const std::string end = pick(3) == 0 ? "" : random_key(random_);
    Content expected;
    if (end.empty() || from < end) {
      expected.insert(content_.lower_bound(from), end.empty() ? content_.end() : content_.lower_bound(end));
    }
    REQUIRE(content_of(*store_, from, end) == expected);
  }
  void make_checkpoint() {
    const fs::path folder = folder_ / ("made" + std::to_string(++number_));
    made_.push_back({folder, checkpoint(*store_, folder), content_});
    if (made_.size() <= 3) return;
    fs::remove_all(made_.front().folder);
    made_.erase(made_.begin());
  }
  void restore() {
    if (made_.empty()) return;
    const Made& from = made_[pick(made_.size())];
    const std::string name = "store" + std::to_string(++number_);
    REQUIRE(restore_files(from.folder, from.files, folder_ / name));
    open(name);
    content_ = from.content;
    compare();
  }
  void copy() {
    auto other = kind_.open(folder_ / ("other" + std::to_string(++number_)));
    REQUIRE(other);
    REQUIRE(copy_range(*store_, **other, "", ""));
    REQUIRE(content_of(**other) == content_);
  }

  const StoreKind& kind_;
  std::mt19937_64 random_;
  TemporaryFolder folder_;
  StateStorePtr store_;
  Content content_;
  std::vector<Made> made_;
  int number_ = 0;
};

}  // namespace

TEST_CASE("a store is a sorted map, through checkpoints and restores") {
  for (const StoreKind& kind : store_kinds()) {
    CAPTURE(kind.name);
    for (const std::uint64_t seed : seeds(10)) {
      CAPTURE(seed);
      Run run{kind, seed};
      for (int i = 0; i < 150; ++i) run.step();
      run.compare();
    }
  }
}

}  // namespace dataflow

// Random writes, seals and checkpoints of a store, one after the other on one thread, against std::maps: of what there
// is now, and of what there was at each barrier.

#include <random>

#include "libdataflow/state/sealable_store.hpp"
#include "tests/support/backends.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/stores.hpp"

namespace dataflow {

namespace {

using namespace testing_support;

class SealedRun {
 public:
  SealedRun(const BackendKind& kind, std::uint64_t seed) : random_{seed} {
    auto backend = kind.make(folder_ / "state");
    REQUIRE(backend);
    backend_ = std::move(*backend);
    auto store = backend_->open(backend_->new_folder());
    REQUIRE(store);
    store_ = std::make_unique<SealableStore>(std::move(*store));
  }

  void step() {
    switch (pick(16)) {
      case 0:
      case 1: return seal();
      case 2:
      case 3: return make();
      case 4: return give_up();
      case 5: return begin_scan();
      case 6:
      case 7: return go_on_with_scan();
      case 8:
      case 9:
      case 10: return look_up();
      default: return write();
    }
  }
  void compare() { REQUIRE(rest_of(*store_->scan("", "")) == content_); }

 private:
  std::size_t pick(std::size_t below) { return random_() % below; }
  static Content rest_of(StoreScan& scan) {
    Content content;
    for (; scan.valid(); scan.next()) REQUIRE(content.emplace(scan.key(), scan.value()).second);
    REQUIRE(scan.status());
    return content;
  }
  [[nodiscard]] Content between(const std::string& from, const std::string& end) const {
    if (!end.empty() && end <= from) return {};
    return {content_.lower_bound(from), end.empty() ? content_.end() : content_.lower_bound(end)};
  }

  void write() {
    // Now and then so much that it cannot wait in memory.
    write_at_random(*store_, content_, random_, pick(8) == 0 ? 300'000 : 300);
  }
  void look_up() { look_up_at_random(*store_, content_, random_); }
  /// One that sees what there is now, whatever is written before it is at its end.
  void begin_scan() {
    const std::string from = random_key(random_);
    const std::string end = pick(3) == 0 ? "" : random_key(random_);
    scan_left_ = between(from, end);
    scan_ = store_->scan(from, end);
  }
  void go_on_with_scan() {
    if (scan_ == nullptr) return;
    for (std::size_t left = pick(4); left != 0 && scan_->valid(); --left, scan_->next()) {
      REQUIRE_FALSE(scan_left_.empty());
      REQUIRE(scan_->key() == scan_left_.begin()->first);
      REQUIRE(scan_->value() == scan_left_.begin()->second);
      scan_left_.erase(scan_left_.begin());
    }
    if (pick(4) != 0) return;
    REQUIRE(rest_of(*scan_) == scan_left_);
    scan_.reset();
  }

  void seal() {
    const auto before = std::exchange(sealed_, nullptr);
    auto sealed = store_->seal();
    REQUIRE(sealed);
    if (before) {  // came too late
      REQUIRE_FALSE(before->is_under_way());
      REQUIRE(before->run());
      check(*before);
      before->drop_files();
    }
    sealed_ = std::move(*sealed);
    given_up_ = false;
    at_barrier_ = content_;
    REQUIRE(sealed_->is_under_way());
  }
  void make() {
    if (sealed_ == nullptr) return;
    REQUIRE(sealed_->run());
    REQUIRE((given_up_ || !sealed_->files().empty()));
    check(*sealed_);
    sealed_->drop_files();
    sealed_.reset();
  }
  void give_up() {
    if (sealed_ == nullptr) return;
    given_up_ = true;
    sealed_->give_up();
    sealed_->drop_files();
    REQUIRE_FALSE(sealed_->is_under_way());
    if (pick(2) == 0) sealed_.reset();  // else the next seal finds it
  }
  /// That its checkpoint is the store as of the barrier, if there is one.
  void check(const SealedStore& sealed) {
    if (sealed.files().empty() || sealed.folder().empty()) return;
    const auto into = backend_->new_folder();
    REQUIRE(restore_files(sealed.folder(), sealed.files(), into));
    const auto restored = backend_->open(into);
    REQUIRE(restored);
    REQUIRE(content_of(***restored) == at_barrier_);
  }

  std::mt19937_64 random_;
  TemporaryFolder folder_;
  StateBackendPtr backend_;
  std::unique_ptr<SealableStore> store_;
  Content content_;
  SealedStorePtr sealed_;
  Content at_barrier_;
  bool given_up_ = false;
  std::unique_ptr<StoreScan> scan_;
  Content scan_left_;
};

}  // namespace

TEST_CASE("a store that is written while it is sealed has checkpoints of its barriers, and reads as if it were not") {
  for (const BackendKind& kind : backend_kinds()) {
    CAPTURE(kind.name);
    for (const std::uint64_t seed : seeds(10)) {
      CAPTURE(seed);
      SealedRun run{kind, seed};
      for (int i = 0; i < 300; ++i) run.step();
      run.compare();
    }
  }
}

}  // namespace dataflow

#pragma once
// An operator of a batch that has any memory, beside one that has all that it wants: random batches, checkpoints,
// attempts, numbers of subtasks and full outputs, and in the end the same rows.

#include <random>
#include <vector>

#include "tests/unit/batch/batch_job.hpp"

namespace dataflow::batch_tests {

/// The rows of one that are not, or not as often, in the other.
inline std::string lines_not_in(const BatchJob::Table& one, const BatchJob::Table& other) {
  std::string lines;
  for (const auto& [row, times] : one) {
    const auto found = other.find(row);
    if (found == other.end() || found->second != times) lines += row + " (" + std::to_string(times) + ")\n";
  }
  return lines;
}

class RandomBatch {
 public:
  explicit RandomBatch(std::uint64_t seed) : random_{seed} { most_memory_ = pick(3) == 0 ? 300'000 : 20'000; }
  virtual ~RandomBatch() = default;

  /// `wanted` has all memory, `tested` some.
  void compare(const OperatorFactoryPtr& wanted, const OperatorFactoryPtr& tested,
               const std::vector<std::size_t>& key_fields) {
    BatchJob expected{wanted, key_fields};
    expected.start(1, std::nullopt);
    BatchJob actual{tested, key_fields};
    actual.full = [this] { return pick(4) == 0; };
    start(actual);
    BatchJob::Checkpoint checkpoint;
    std::vector<BatchPtr> since;
    for (std::uint64_t steps = 1 + pick(40); steps > 0; --steps) {
      switch (pick(8)) {
        case 0:
          checkpoint = actual.take(pick(3) == 0 ? BatchJob::Kind::savepoint : BatchJob::Kind::checkpoint);
          since.clear();
          break;
        case 1:
          if (checkpoint == nullptr) break;
          start(actual);
          REQUIRE(actual.restore(checkpoint).has_value());
          for (const BatchPtr& batch : since) actual.push(batch);
          break;
        default:
          since.push_back(random_batch());
          expected.push(since.back());
          actual.push(since.back());
      }
    }
    const BatchJob::Table all = expected.end();
    const BatchJob::Table given = actual.end();
    CHECK(lines_not_in(given, all) == "");
    CHECK(lines_not_in(all, given) == "");
  }

 protected:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  virtual BatchPtr random_batch() = 0;

 private:
  std::uint32_t subtasks() { return 1 + static_cast<std::uint32_t>(pick(3)); }
  /// With state on the heap, or, rarely, in stores.
  void start(BatchJob& job) {
    if (pick(6) == 0) {
      const auto folder = job.folder() / ("stores-" + std::to_string(++stores_));
      return job.start_on(subtasks(), *make_memory_backend(folder, pick(2) * 1500));
    }
    job.start(subtasks(), pick(4) == 0 ? 0 : pick(most_memory_));
  }

  std::mt19937_64 random_;
  std::uint64_t most_memory_;
  int stores_ = 0;
};

}  // namespace dataflow::batch_tests

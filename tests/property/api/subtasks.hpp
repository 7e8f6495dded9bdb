#pragma once
// A function over two streams, run by several subtasks that the test gives records, time and a new number of
// themselves.

#include <dataflow/testing.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "libdataflow/checkpoint/memory_storage.hpp"
#include "serialization/key_hash.hpp"
#include "tests/support/stored_checkpoints.hpp"

namespace dataflow::testing_support {

/// P gives texts. The key of a record is its first field; of a broadcast function the second stream has none.
template <class P>
class Subtasks {
  using A = typename P::first_type;
  using B = typename P::second_type;
  static constexpr std::uint32_t max_parallelism = 128;

  class World : public testing::Bench {
   public:
    World(std::uint32_t subtask, std::uint32_t parallelism) : subtask_{subtask}, parallelism_{parallelism} {}
    [[nodiscard]] std::uint32_t subtask() const override { return subtask_; }
    [[nodiscard]] std::uint32_t parallelism() const override { return parallelism_; }

   private:
    std::uint32_t subtask_;
    std::uint32_t parallelism_;
  };
  struct Subtask {
    std::unique_ptr<World> world;
    std::unique_ptr<Operator> op;
  };

 public:
  explicit Subtasks(std::uint32_t parallelism) {
    auto plan = std::make_shared<ProcessPlan>();
    plan->positions = every_field<A>();
    plan->second = ProcessInput{{}, every_field<B>()};
    plan->key_fields = {0};
    if constexpr (!BroadcastFunction<P>) plan->second->key_fields = {0};
    plan->key_types = KeyTraits<typename P::key_type>::types();
    plan->optional_key = KeyTraits<typename P::key_type>::optional;
    plan->output = schema_of<std::string>();
    plan->sides = std::make_shared<SideOutputs>();
    plan->event_time = true;
    factory_ = std::make_unique<ProcessFactory<P>>(std::move(plan), std::tuple<>{});
    open(parallelism);
  }

  [[nodiscard]] std::uint32_t parallelism() const { return static_cast<std::uint32_t>(subtasks_.size()); }

  void push_first(const A& record, Timestamp time) { push(owner_of(record), 0, batch_of(record, time)); }
  /// To the one that has the key, or, of rules, to all.
  void push_second(const B& record, Timestamp time) {
    const BatchPtr batch = batch_of(record, time);
    if constexpr (BroadcastFunction<P>) {
      for (std::uint32_t i = 0; i < parallelism(); ++i) push(i, 1, batch);
    } else {
      push(owner_of(record), 1, batch);
    }
  }
  void watermark(Timestamp time) {
    for (Subtask& subtask : subtasks_) {
      subtask.world->watermark_ = time;
      subtask.world->run(*subtask.op, [&] { return subtask.op->on_watermark(time, *subtask.world); });
    }
  }

  /// What each has given since it was asked last.
  std::vector<std::vector<std::string>> given_by_each() {
    std::vector<std::vector<std::string>> all;
    for (Subtask& subtask : subtasks_) {
      auto& texts = all.emplace_back();
      for (const BatchPtr& batch : subtask.world->emitted_[0]) REQUIRE(append_records(*batch, texts));
      subtask.world->emitted_.clear();
    }
    return all;
  }
  std::vector<std::string> given() {
    std::vector<std::string> all;
    for (auto& texts : given_by_each()) all.insert(all.end(), texts.begin(), texts.end());
    return all;
  }
  std::string ask(std::uint32_t subtask, std::string_view state) {
    return subtasks_[subtask].op->query(state, "").value_or("no answer");
  }

  /// Goes on from a checkpoint of all of them, as so many new ones.
  void restore(std::uint32_t parallelism) {
    const Timestamp watermark = subtasks_[0].world->watermark_;
    std::vector<CapturedStatePtr> captured;
    for (Subtask& subtask : subtasks_) {
      auto state = subtask.op->snapshot();
      REQUIRE(state);
      captured.push_back(std::move(*state));
    }
    UploadedFiles uploaded;
    const auto checkpoint = checkpoint_of(std::move(captured), true, "checkpoint", std::make_shared<MemoryStorage>(),
                                          uploaded, max_parallelism);
    subtasks_.clear();
    open(parallelism);
    for (std::uint32_t i = 0; i < parallelism; ++i) {
      const auto restored = subtasks_[i].op->restore(*checkpoint->reader("op", i, parallelism));
      REQUIRE_MESSAGE(restored.has_value(), (restored ? "" : restored.error().message()));
      subtasks_[i].world->watermark_ = watermark;
    }
  }

 private:
  template <class T>
  static std::vector<std::uint16_t> every_field() {
    std::vector<std::uint16_t> positions;
    for (std::size_t i = 0; i < field_count<T>; ++i) positions.push_back(static_cast<std::uint16_t>(i));
    return positions;
  }
  template <class T>
  static BatchPtr batch_of(const T& record, Timestamp time) {
    RowBuffer rows{schema_of<T>()};
    put_record(rows, record);
    rows.end_row(time);
    return rows.finish();
  }
  template <class T>
  [[nodiscard]] std::uint32_t owner_of(const T& record) const {
    const BatchPtr batch = batch_of(record, {});
    std::vector<std::uint64_t> hashes;
    const std::vector<const Column*> keys{&batch->column(0)};
    hash_rows(keys, 1, hashes);
    return subtask_of_key_group(key_group_of(hashes[0], max_parallelism), max_parallelism, parallelism());
  }
  void open(std::uint32_t parallelism) {
    for (std::uint32_t i = 0; i < parallelism; ++i) {
      Subtask& made = subtasks_.emplace_back(Subtask{std::make_unique<World>(i, parallelism), factory_->create()});
      REQUIRE(made.op->open(*made.world));
    }
  }
  void push(std::uint32_t subtask, std::size_t input, const BatchPtr& batch) {
    const Subtask& to = subtasks_[subtask];
    to.world->run(*to.op, [&] { return to.op->process(input, batch, *to.world); });
  }

  std::unique_ptr<ProcessFactory<P>> factory_;
  std::vector<Subtask> subtasks_;
};

}  // namespace dataflow::testing_support

// Window operators against a reference: random windows, keys, NULLs, disorder, lateness, watermarks, batch cuts, early
// results, output that is full at random, and records that are combined in front of them.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>
#include <utility>
#include <variant>

#include "dataflow/testing.hpp"
#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/operators/combines_input.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/windows/combined_rows.hpp"
#include "serialization/builder.hpp"
#include "tests/property/windows/windows_reference.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/stored_checkpoints.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/windows/windowing.hpp"

namespace dataflow {

namespace {

using namespace windows_reference;

class RandomOutput final : public OperatorOutput {
 public:
  explicit RandomOutput(std::mt19937_64& random) : random_{random} {}
  void emit(BatchPtr batch, std::size_t output) override { batches.at(output).push_back(std::move(batch)); }
  bool full() const override { return random_() % 2 == 0; }
  std::vector<std::string> take(std::size_t output) {
    std::vector<std::string> rows;
    for (const BatchPtr& batch : batches.at(output)) {
      for (std::size_t row = 0; row < batch->rows(); ++row) {
        std::string text;
        for (const ColumnPtr& column : batch->columns()) text += show(column->value(row)) + "|";
        rows.push_back(std::move(text));
      }
    }
    batches.at(output).clear();
    std::sort(rows.begin(), rows.end());
    return rows;
  }
  std::vector<std::vector<BatchPtr>> batches{2};

 private:
  std::mt19937_64& random_;
};

/// Of a combiner: batches and watermarks in their order.
class Sent final : public OperatorOutput {
 public:
  explicit Sent(window_tests::Context& context) : context_{context} {}
  void emit(BatchPtr batch, std::size_t) override { events.emplace_back(std::move(batch)); }
  void advance_watermark(Timestamp watermark) override {
    context_.event_time = watermark;
    events.emplace_back(watermark);
  }
  [[nodiscard]] bool full() const override { return false; }
  std::vector<std::variant<BatchPtr, Timestamp>> events;

 private:
  window_tests::Context& context_;
};

/// For how many records a batch of a combiner stands.
std::size_t records_of(const Batch& sent) {
  const Column& combined = *sent.columns().back();
  if (is_unread(combined)) return sent.rows();
  std::size_t records = 0;
  for (std::size_t row = 0; row < sent.rows(); ++row) {
    windows::CombinedHead head{};
    std::memcpy(&head, combined.text(row).data(), sizeof head);
    records += static_cast<std::size_t>(head.records);
  }
  return records;
}

class Case {
 public:
  enum class Life : std::uint8_t { one, many };
  /// Many lives: between steps the operator may give way to another that goes on from its checkpoint.
  Case(std::uint64_t seed, Life life, bool combines = false)
      : random_{seed}, seed_{seed}, life_{life}, combines_{combines} {}

  [[nodiscard]] std::size_t combined_batches() const { return combined_batches_; }
  /// How often a batch waited for the next.
  [[nodiscard]] std::size_t kept_back() const { return kept_back_; }

  void run() {
    WindowSpec spec = random_spec();
    CAPTURE(seed_);
    CAPTURE(static_cast<int>(spec.kind));
    Reference reference{spec, chosen_};
    const OperatorFactoryPtr factory = make_window_operator(spec, schema());
    constexpr Duration keeps_for{50};
    const auto combiner =
        combines_ ? dynamic_cast<const CombinesInput&>(*factory).combiner(seed_ % 3 == 0 ? Duration{0} : keeps_for)
                  : std::nullopt;
    const auto combining = combiner ? combiner->factory->create() : nullptr;
    std::vector<Record> kept;  // by the combiner
    std::uint64_t expected_late_records = 0;
    auto op = factory->create();
    window_tests::Context context;
    const testing_support::TemporaryFolder folder;
    std::size_t backends = 0;
    const auto new_backend = [&]() -> StateBackendPtr {
      const auto path = folder / std::to_string(++backends);
      if (seed_ % 2 == 0) return nullptr;
      if (life_ == Life::many && rebirths_() % 4 == 0) return nullptr;  // from one kind of backend to another
      // So little that every batch's groups are written at once, or after some batches, or only some of them.
      const std::uint64_t bytes = seed_ % 4 == 1 ? 0 : seed_ % 8 == 3 ? 20'000 : 100'000;
      return seed_ % 16 == 1 ? *make_rocksdb_backend(path, 0) : *make_memory_backend(path, bytes);
    };
    context.backend = new_backend();
    REQUIRE(op->open(context).has_value());
    window_tests::Context before_exchange;
    if (combining) REQUIRE(combining->open(before_exchange).has_value());
    // Checkpoints of a running job: each knows what those before it have written.
    const auto storage = std::make_shared<MemoryStorage>();
    auto uploaded = std::make_unique<UploadedFiles>(0);
    std::size_t checkpoints = 0;
    const auto checkpoint = [&] {
      std::vector<CapturedStatePtr> captured;
      captured.push_back(*op->snapshot());
      return testing_support::checkpoint_of(std::move(captured), false, std::to_string(++checkpoints), storage,
                                            *uploaded, context.max_parallelism());
    };
    RandomOutput out{random_};
    const auto finish = [&](Result<Step> step) {
      REQUIRE(step.has_value());
      while (*step == Step::yield) {
        step = op->resume(out);
        REQUIRE(step.has_value());
      }
    };
    const auto deliver = [&](const BatchPtr& sent, const std::vector<Record>& batch) {
      std::vector<std::size_t> late;
      const auto expected = reference.push(batch, late);
      if (sent->rows() < batch.size()) ++combined_batches_;
      finish(op->process(0, sent, out));
      require_same(out.take(0), expected);
      expected_late_records += late.size();
      REQUIRE(context.counter("late").value() == expected_late_records);
      std::vector<std::string> expected_late;
      for (const std::size_t n : late) {
        const Record& r = batch[n];
        expected_late.push_back(show(r.k) + "|" + show(r.i) + "|" + show(r.a) + "|" + show(r.x) + "|" + show(r.s) +
                                "|");
      }
      std::sort(expected_late.begin(), expected_late.end());
      if (sent->rows() < batch.size()) expected_late.clear();  // they are counted alone
      REQUIRE(out.take(1) == expected_late);
    };
    const auto advance = [&](Timestamp watermark) {
      context.event_time = watermark;
      finish(op->on_watermark(watermark, out));
      check_order(out, spec);
      require_same(out.take(0), reference.watermark(watermark.micros));
    };
    const auto deliver_all = [&](const Sent& sent) {
      for (const auto& event : sent.events) {
        if (const auto* watermark = std::get_if<Timestamp>(&event)) {
          advance(*watermark);
          continue;
        }
        const auto& batch = std::get<BatchPtr>(event);
        const auto end = kept.begin() + static_cast<std::ptrdiff_t>(records_of(*batch));
        const std::vector<Record> records(kept.begin(), end);
        kept.erase(kept.begin(), end);
        deliver(batch, records);
      }
    };
    std::int64_t now = static_cast<std::int64_t>(pick(200)) - 100;
    std::int64_t mark = first_micros;
    const std::size_t steps = 3 + pick(25);
    for (std::size_t step = 0; step <= steps; ++step) {
      CAPTURE(step);
      if (life_ == Life::many && rebirths_() % 3 == 0) checkpoint();
      if (life_ == Life::many && rebirths_() % 6 == 0) {
        const auto last = checkpoint();
        op = factory->create();
        uploaded = std::make_unique<UploadedFiles>(0);
        context.backend = new_backend();
        REQUIRE(op->open(context).has_value());
        REQUIRE(op->restore(*last->reader("op", 0, 1)).has_value());
      }
      if (life_ == Life::many && rebirths_() % 6 == 0) {
        const std::string saved = testing::save_state(*op);
        op = factory->create();
        uploaded = std::make_unique<UploadedFiles>(0);
        const bool was_on_heap = context.backend == nullptr;
        context.backend = new_backend();
        REQUIRE(op->open(context).has_value());
        testing::load_state(*op, saved);
        // Parts of a group, some of which were on disk, are put together.
        if (was_on_heap && !context.backend) REQUIRE(testing::save_state(*op).size() == saved.size());
      }
      if (spec.early && step != steps && pick(4) == 0) {
        context.clock = context.clock + *spec.early;
        const auto timer = op->next_processing_timer();
        if (timer) finish(op->on_processing_time(context.clock, out));
        require_same(out.take(0), reference.early());
        continue;
      }
      if (step == steps || pick(3) == 0) {
        const auto behind = static_cast<std::int64_t>(pick(40));
        mark = step == steps ? last_micros : std::max(mark, now - behind);
        if (!combining) {
          advance(Timestamp{mark});
          continue;
        }
        Sent sent{before_exchange};
        REQUIRE(combining->on_watermark(Timestamp{mark}, sent) == Step::done);
        if (step == steps) REQUIRE(combining->end_of_data(sent) == Step::done);
        deliver_all(sent);
        continue;
      }
      std::vector<Record> batch;
      const bool large = pick(dense_ ? 2 : 4) == 0;
      for (std::size_t rows = 1 + pick(large ? 600 : 20); rows-- > 0;) batch.push_back(random_record(now));
      if (!combining) {
        deliver(to_batch(batch), batch);
        continue;
      }
      kept.insert(kept.end(), batch.begin(), batch.end());
      Sent sent{before_exchange};
      REQUIRE(combining->process(0, to_batch(batch), sent) == Step::done);
      before_exchange.clock = before_exchange.clock + Duration{pick(static_cast<std::uint64_t>(keeps_for.count()))};
      const auto timer = combining->next_processing_timer();
      if (timer && *timer <= before_exchange.clock) {
        REQUIRE(combining->on_processing_time(before_exchange.clock, sent) == Step::done);
      }
      if (pick(8) == 0) REQUIRE(combining->give_kept(sent) == Step::done);
      deliver_all(sent);
      if (timer && !kept.empty()) ++kept_back_;
    }
    REQUIRE(kept.empty());
  }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  WindowSpec random_spec() {
    WindowSpec spec;
    spec.kind = static_cast<WindowKind>(pick(6));
    for (const auto& [name, text] : aggregates) {
      // Others depend on the order of records, or have states of their own.
      const std::set<std::string_view> combined{"n", "na", "sum_a", "max_x", "avg_a", "sum_pos", "ratio"};
      chosen_.push_back(!combines_ || combined.contains(name));
      if (!chosen_.back()) continue;
      auto compiled = compile_aggregate(text, *schema());
      REQUIRE(compiled.has_value());
      spec.aggregates.push_back({name, std::move(*compiled)});
    }
    const std::vector<std::vector<std::size_t>> keys = {{}, {0}, {1}, {3}, {0, 1}, {1, 3}};
    // Only one field of fixed width is taken key by key.
    spec.key_fields = combines_ && pick(4) != 0 ? keys[2] : keys[pick(keys.size())];
    const auto unit = static_cast<std::int64_t>(1 + pick(12));
    const auto times = static_cast<std::int64_t>(1 + pick(8));
    spec.size = Duration{unit * times};
    spec.slide =
        Duration{pick(3) == 0 ? 1 + static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(unit * times))) : unit};
    spec.step = Duration{unit};
    spec.gap = Duration{unit};
    spec.count = 1 + pick(7);
    if (spec.kind != WindowKind::session) spec.offset = Duration{static_cast<std::int64_t>(pick(60)) - 30};
    if (pick(2) == 0) spec.early = Duration{1000};
    if (pick(2) == 0 && has_window_bounds(spec.kind))
      spec.allowed_lateness = Duration{static_cast<std::int64_t>(pick(60))};
    key_count_ = 1 + pick(pick(2) == 0 ? 5 : 400);
    dense_ = combines_ || pick(3) == 0;
    if (dense_) key_count_ = 1 + pick(combines_ ? 20 : 60);
    return spec;
  }

  Record random_record(std::int64_t& now) {
    if (pick(dense_ ? 400 : 4) == 0) now += static_cast<std::int64_t>(pick(pick(20) == 0 ? 150 : 4));
    Record r;
    r.time = now - static_cast<std::int64_t>(dense_ ? pick(pick(1000) == 0 ? 120 : 3) : pick(pick(10) == 0 ? 120 : 6));
    const std::uint64_t key = pick(key_count_);
    if (key % 13 != 5) r.k = (key % 3 == 0 ? "a key that is longer than twelve bytes " : "k") + std::to_string(key);
    if (key % 11 != 3 || dense_) r.i = static_cast<std::int64_t>(key) - 2;
    if (pick(6) != 0) r.a = static_cast<std::int64_t>(pick(40)) - 20;
    if (pick(6) != 0) r.x = static_cast<double>(pick(7)) - 3;
    if (pick(6) != 0) r.s = std::string(pick(20), static_cast<char>('a' + pick(26)));
    return r;
  }

  static BatchPtr to_batch(const std::vector<Record>& records) {
    BatchBuilder builder{schema()};
    for (const Record& r : records) {
      const Value values[] = {r.k, r.i, r.a, r.x, r.s};
      builder.append_row(values, Timestamp{r.time});
    }
    return builder.finish();
  }

  static void require_same(const std::vector<std::string>& got, const std::vector<std::string>& expected) {
    const auto [g, e] = std::mismatch(got.begin(), got.end(), expected.begin(), expected.end());
    const std::string first_got = g == got.end() ? "(nothing)" : *g;
    const std::string first_expected = e == expected.end() ? "(nothing)" : *e;
    CAPTURE(got.size());
    CAPTURE(expected.size());
    REQUIRE(first_got == first_expected);
  }

  /// On a watermark windows fire in the order of their ends, and a result's time is its window's end minus one.
  static void check_order(const RandomOutput& out, const WindowSpec& spec) {
    if (!has_window_bounds(spec.kind)) return;
    std::int64_t last = first_micros;
    for (const BatchPtr& batch : out.batches[0]) {
      const auto ends = batch->column(spec.key_fields.size() + 1).as<std::int64_t>();
      for (std::size_t row = 0; row < batch->rows(); ++row) {
        REQUIRE(ends[row] >= last);
        REQUIRE(batch->timestamp(row).micros == ends[row] - 1);
        last = ends[row];
      }
    }
  }

  std::mt19937_64 random_;
  std::uint64_t seed_;
  Life life_;
  bool combines_;
  std::size_t combined_batches_ = 0;
  std::size_t kept_back_ = 0;
  std::vector<bool> chosen_;  ///< of the aggregates
  std::mt19937_64 rebirths_{seed_};
  std::uint64_t key_count_ = 1;
  bool dense_ = false;  ///< many records of a key at nearly the same time: what is taken key by key
};

}  // namespace

TEST_CASE("windows give what a reference that keeps every record gives") {
  for (const std::uint64_t seed : testing_support::seeds(600)) Case{seed, Case::Life::one}.run();
}

TEST_CASE("windows of records that were combined before give what all the records would") {
  std::size_t combined = 0;
  std::size_t kept_back = 0;
  const auto seeds = testing_support::seeds(600);
  for (const std::uint64_t seed : seeds) {
    Case windows{seed, Case::Life::one, true};
    windows.run();
    combined += windows.combined_batches();
    kept_back += windows.kept_back();
  }
  REQUIRE(combined >= seeds.size() / 2);
  REQUIRE(kept_back >= seeds.size() / 4);
}

TEST_CASE("windows that go through checkpoints at any moment give the same") {
  for (const std::uint64_t seed : testing_support::seeds(300)) Case{seed, Case::Life::many}.run();
}

}  // namespace dataflow

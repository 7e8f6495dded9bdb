// Windows and running aggregates with a state backend whose memory has no room for a single key, or for a few.

#include <map>
#include <set>

#include "dataflow/testing.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/windows/windowing.hpp"

using namespace dataflow;
using namespace dataflow::window_tests;

namespace {

struct LittleMemory {
  explicit LittleMemory(std::uint64_t bytes = 0) : backend{*make_memory_backend(folder / "state", bytes)} {}
  testing_support::TemporaryFolder folder;
  StateBackendPtr backend;
};

std::vector<Record> one_of_each(std::int64_t keys, std::int64_t time) {
  std::vector<Record> records;
  for (std::int64_t k = 0; k < keys; ++k) records.push_back({"k" + std::to_string(k), k, time});
  return records;
}

}  // namespace

TEST_CASE("an aggregate's keys that lie on disk go on where they were") {
  const LittleMemory memory;
  Windowing running{windows_by_key(WindowKind::running, {{"n", "count()"}, {"most", "max(v)"}}), input_schema(),
                    memory.backend};
  running.push({{"a", 5}, {"b", 1}});
  CHECK(running.results() == "a 1 5; b 1 1");
  running.push({{"b", 0}, {"c", 2}});
  CHECK(running.results() == "b 1 1; b 2 1; c 1 2");
  running.push({{"a", 7}});
  CHECK(running.results() == "a 1 5; a 2 7");
}

TEST_CASE("an aggregate's keys that lie on disk are forgotten after their time to live") {
  const LittleMemory memory;
  WindowSpec spec = windows_by_key(WindowKind::running, {{"n", "count()"}});
  spec.ttl = Duration{1'000'000};
  Windowing running{std::move(spec), input_schema(), memory.backend};
  constexpr std::int64_t keys = 10'000;
  running.push(one_of_each(keys, 0));
  CHECK(running.context.counter("forgotten").value() == 0);
  running.clock(2'000'000);
  CHECK(running.context.counter("forgotten").value() == static_cast<std::uint64_t>(keys));
  CHECK_FALSE(running.timer().has_value());
  running.results();
  running.push({{"k1", 1}});
  CHECK(running.results() == "k1 1");
}

TEST_CASE("sessions that lie on disk fire in the order of their ends, by the clock too") {
  const LittleMemory memory;
  WindowSpec spec = windows_by_key(WindowKind::session, {{"n", "count()"}});
  spec.gap = Duration{10};
  Windowing by_event{spec, input_schema(), memory.backend};
  by_event.push({{"a", 1, 30}, {"b", 1, 10}});
  by_event.push({{"c", 1, 20}, {"b", 1, 15}});
  by_event.watermark(29);
  CHECK(by_event.results() == "b 10 25 2; c 20 30 1");
  by_event.drain();
  CHECK(by_event.results() == "a 30 40 1");

  spec.time = TimeDomain::processing;
  Windowing by_clock{spec, input_schema(), memory.backend};
  by_clock.context.clock = Timestamp{100};
  by_clock.push({{"a", 1}});
  by_clock.clock(105);
  by_clock.push({{"b", 1}});
  by_clock.clock(109);
  CHECK(by_clock.results().empty());
  by_clock.clock(120);
  CHECK(by_clock.results() == "a 100 110 1; b 105 115 1");
  CHECK_FALSE(by_clock.timer().has_value());
}

TEST_CASE("a window that fired from disk fires again for a late record, with everything in it") {
  for (const WindowKind kind : {WindowKind::tumbling, WindowKind::sliding, WindowKind::cumulate}) {
    CAPTURE(static_cast<int>(kind));
    const LittleMemory memory;
    WindowSpec spec = windows_by_key(kind, {{"n", "count()"}, {"values", "count(distinct v)"}});
    spec.size = Duration{10};
    spec.slide = spec.step = Duration{10};
    spec.allowed_lateness = Duration{100};
    Windowing windows{std::move(spec), input_schema(), memory.backend};
    windows.push({{"b", 1, 3}, {"a", 1, 1}});
    windows.push({{"a", 2, 5}});
    windows.watermark(20);
    CHECK(windows.results() == "a 0 10 2 2; b 0 10 1 1");
    windows.push({{"b", 1, 4}, {"c", 1, 2}});
    CHECK(windows.results() == "b 0 10 2 1; c 0 10 1 1");
    windows.push({{"a", 3, 9}});
    CHECK(windows.results() == "a 0 10 3 3");
  }
}

TEST_CASE("early results from disk are of what has changed") {
  for (const WindowKind kind : {WindowKind::tumbling, WindowKind::session, WindowKind::global, WindowKind::count}) {
    CAPTURE(static_cast<int>(kind));
    const LittleMemory memory;
    WindowSpec spec = windows_by_key(kind, {{"n", "count()"}});
    spec.size = spec.gap = Duration{1000};
    spec.count = 10;
    spec.early = Duration{100};
    Windowing windows{std::move(spec), input_schema(), memory.backend};
    const auto counts = [&] {
      std::set<std::string> sorted;
      for (const BatchPtr& batch : std::exchange(windows.out.main, {})) {
        for (std::size_t row = 0; row < batch->rows(); ++row) {
          sorted.insert(std::string{batch->column(0).text(row)} +
                        std::to_string(batch->columns().back()->as<std::int64_t>()[row]));
        }
      }
      std::string all;
      for (const std::string& one : sorted) all += one + " ";
      return all;
    };
    windows.push({{"a", 1, 1}, {"b", 1, 1}});
    windows.clock(100);
    CHECK(counts() == "a1 b1 ");
    windows.push({{"b", 1, 2}});
    windows.clock(200);
    CHECK(counts() == "b2 ");
    windows.push({{"c", 1, 2}, {"a", 1, 2}});
    windows.clock(300);
    CHECK(counts() == "a2 c1 ");
    windows.drain();
    CHECK(counts() == "a2 b2 c1 ");
  }
}

TEST_CASE("what lies on disk is in a snapshot once, and goes on on the heap") {
  for (const WindowKind kind : {WindowKind::running, WindowKind::global, WindowKind::count, WindowKind::session,
                                WindowKind::tumbling, WindowKind::sliding}) {
    CAPTURE(static_cast<int>(kind));
    const LittleMemory memory{20'000};
    WindowSpec spec = windows_by_key(kind, {{"n", "count()"}});
    spec.size = spec.gap = Duration{1000};
    spec.slide = Duration{500};
    spec.count = 1000;
    const OperatorFactoryPtr factory = make_window_operator(spec, input_schema());
    std::string saved;
    constexpr std::int64_t keys = 2'000;
    Context context;
    for (const StateBackendPtr& backend : {memory.backend, StateBackendPtr{}, memory.backend}) {
      auto op = factory->create();
      context.backend = backend;
      REQUIRE(op->open(context).has_value());
      if (!saved.empty()) testing::load_state(*op, saved);
      Collected out;
      for (const std::int64_t first : {0, 1, 2, 0}) {
        BatchBuilder builder{input_schema()};
        for (std::int64_t k = first * keys / 4; k < (first + 1) * keys / 4; ++k) {
          builder.append_row(Row{Value{"key" + std::to_string(k)}, Value{k}}, Timestamp{1});
        }
        REQUIRE(op->process(0, builder.finish(), out).has_value());
      }
      saved = testing::save_state(*op);
    }
    auto op = factory->create();
    context.backend = nullptr;
    REQUIRE(op->open(context).has_value());
    testing::load_state(*op, saved);
    CHECK(testing::save_state(*op).size() <= saved.size());
    Collected out;
    BatchBuilder one_more{input_schema()};
    one_more.append_row(Row{Value{std::string{"key0"}}, Value{std::int64_t{1}}}, Timestamp{1});
    auto done =
        kind == WindowKind::running ? op->process(0, one_more.finish(), out) : op->on_watermark(Timestamp::max(), out);
    while (done && *done == Step::yield) done = op->resume(out);
    REQUIRE(done.has_value());
    std::int64_t rows = 0;
    std::int64_t records = 0;
    for (const BatchPtr& batch : out.main) {
      for (std::size_t row = 0; row < batch->rows(); ++row) {
        ++rows;
        records += batch->columns().back()->as<std::int64_t>()[row];
      }
    }
    const std::int64_t windows = kind == WindowKind::sliding ? 2 : 1;
    if (kind == WindowKind::running) {
      CHECK(rows == 2);
      CHECK(records == 6 + 7);  // what it was, and what it is
    } else {
      CHECK(rows == windows * keys * 3 / 4);
      CHECK(records == windows * keys * 3);
    }
  }
}

namespace {

/// What a checkpoint of a running job is given.
class Written final : public StateWriter {
 public:
  Status begin(const StateDescription& state) override {
    rows_ = &rows[state.name];
    return {};
  }
  Status add(std::uint32_t, const BatchPtr& batch) override {
    *rows_ += batch->rows();
    return {};
  }
  [[nodiscard]] bool takes_stores() const override { return true; }
  Status add_store(const StateDescription& state, const std::filesystem::path&,
                   std::span<const StoreFile> stored) override {
    for (const StoreFile& file : stored) files[state.name + "/" + file.shared_name()] = file.bytes;
    return {};
  }

  std::map<std::string, std::uint64_t> rows;   ///< of each table
  std::map<std::string, std::uint64_t> files;  ///< of stores, with their sizes

 private:
  std::uint64_t* rows_ = nullptr;
};

Written written(Operator& op) {
  Written written;
  auto captured = op.snapshot();
  REQUIRE(captured.has_value());
  REQUIRE((*captured)->write(written).has_value());
  return written;
}

}  // namespace

TEST_CASE("the next checkpoint carries what has changed, not what there is") {
  for (const WindowKind kind : {WindowKind::running, WindowKind::count, WindowKind::session}) {
    CAPTURE(static_cast<int>(kind));
    const testing_support::TemporaryFolder folder;
    Context context;
    context.backend = *make_rocksdb_backend(folder / "state", 0);
    WindowSpec spec = windows_by_key(kind, {{"n", "count()"}});
    spec.gap = Duration{1000};
    spec.count = 1000;
    const auto op = make_window_operator(std::move(spec), input_schema())->create();
    REQUIRE(op->open(context).has_value());
    Collected out;
    const auto push = [&](std::int64_t first, std::int64_t end) {
      BatchBuilder builder{input_schema()};
      for (std::int64_t k = first; k < end; ++k) {
        builder.append_row(Row{Value{std::to_string(k) + std::string(200, 'k')}, Value{k}}, Timestamp{1});
      }
      REQUIRE(op->process(0, builder.finish(), out).has_value());
    };
    constexpr std::int64_t keys = 4'000;
    for (std::int64_t k = 0; k < keys; k += 100) push(k, k + 100);
    const Written first = written(*op);
    CHECK(first.rows.at("groups") <= 200);
    push(0, 20);
    push(20, 40);
    const Written second = written(*op);
    CHECK(second.rows.at("groups") <= 200);
    std::uint64_t all = 0;
    std::uint64_t added = 0;
    for (const auto& [name, bytes] : second.files) {
      all += bytes;
      added += first.files.contains(name) ? 0 : bytes;
    }
    CHECK(all > static_cast<std::uint64_t>(keys) * 200);
    CHECK(added < all / 10);
  }
}

// Window operators against a reference that keeps every record of every window in a list and computes each result from
// scratch: random windows, keys, NULLs, disorder, lateness, watermarks, batch cuts, early results, and output that is
// full at random.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "dataflow/testing.hpp"
#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/windows/aggregates/quantile_sketch.hpp"
#include "libdataflow/windows/assign.hpp"
#include "serialization/builder.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/stored_checkpoints.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/windows/windowing.hpp"

namespace dataflow {

namespace {

struct Record {
  std::int64_t time;
  Value k;
  Value i;
  Value a;
  Value x;
  Value s;
};

const SchemaPtr& schema() {
  static const SchemaPtr s = make_schema({{"k", TypeKind::string},
                                          {"i", TypeKind::int32},
                                          {"a", TypeKind::int64},
                                          {"x", TypeKind::float64},
                                          {"s", TypeKind::string}});
  return s;
}

const std::vector<std::pair<std::string, std::string>> aggregates = {
    {"n", "count()"},
    {"na", "count(a)"},
    {"da", "count(distinct a)"},
    {"ds", "count(distinct s)"},
    {"sum_a", "sum(a)"},
    {"sum_x", "sum(x)"},
    {"min_a", "min(a)"},
    {"max_x", "max(x)"},
    {"min_s", "min(s)"},
    {"avg_a", "avg(a)"},
    {"first_a", "first(a)"},
    {"last_s", "last(s)"},
    {"dev", "stddev(x)"},
    {"sum_pos", "sum(a) FILTER (WHERE x > 0)"},
    {"ratio", "max(a) - count()"},
    {"approx", "approx_count_distinct(a)"},
    {"median", "approx_percentile(x, 0.5)"},
};

std::string show(const Value& v) {
  if (is_null(v)) return "NULL";
  if (const auto* n = std::get_if<std::int64_t>(&v)) return std::to_string(*n);
  if (const auto* d = std::get_if<double>(&v)) {
    char text[40];
    std::snprintf(text, sizeof text, "%.6g", *d == 0 ? 0.0 : *d);
    return text;
  }
  if (const auto* s = std::get_if<std::string>(&v)) return *s;
  return std::get<bool>(v) ? "true" : "false";
}

using Records = std::vector<const Record*>;

template <class Get>
std::vector<Value> values_of(const Records& records, Get get) {
  std::vector<Value> values;
  for (const Record* r : records) {
    if (!is_null(get(*r))) values.push_back(get(*r));
  }
  return values;
}

Value sum_of(const std::vector<Value>& values) {
  if (values.empty()) return {};
  std::int64_t sum = 0;
  for (const Value& v : values) sum += std::get<std::int64_t>(v);
  return sum;
}

/// The aggregates of records in order of arrival, as shown text.
std::string expected_results(const Records& records) {
  const auto as = values_of(records, [](const Record& r) { return r.a; });
  const auto xs = values_of(records, [](const Record& r) { return r.x; });
  const auto ss = values_of(records, [](const Record& r) { return r.s; });
  std::vector<Value> out;
  out.push_back(static_cast<std::int64_t>(records.size()));
  out.push_back(static_cast<std::int64_t>(as.size()));
  const auto distinct = static_cast<std::int64_t>(std::set<Value>(as.begin(), as.end()).size());
  out.push_back(distinct);
  out.push_back(static_cast<std::int64_t>(std::set<Value>(ss.begin(), ss.end()).size()));
  out.push_back(sum_of(as));
  double sum = 0;
  for (const Value& x : xs) sum += std::get<double>(x);
  out.push_back(xs.empty() ? Value{} : Value{sum});
  out.push_back(as.empty() ? Value{} : *std::min_element(as.begin(), as.end()));
  out.push_back(xs.empty() ? Value{} : *std::max_element(xs.begin(), xs.end()));
  out.push_back(ss.empty() ? Value{} : *std::min_element(ss.begin(), ss.end()));
  const Value total = sum_of(as);
  out.push_back(as.empty() ? Value{} : Value{double(std::get<std::int64_t>(total)) / double(as.size())});
  out.push_back(as.empty() ? Value{} : as.front());
  out.push_back(ss.empty() ? Value{} : ss.back());
  double squares = 0;
  for (const Value& x : xs) squares += std::pow(std::get<double>(x) - sum / double(xs.size()), 2);
  out.push_back(xs.size() < 2 ? Value{} : Value{std::sqrt(squares / double(xs.size() - 1))});
  Records positive;
  for (const Record* r : records) {
    if (!is_null(r->x) && std::get<double>(r->x) > 0) positive.push_back(r);
  }
  out.push_back(sum_of(values_of(positive, [](const Record& r) { return r.a; })));
  out.push_back(as.empty() ? Value{}
                           : Value{std::get<std::int64_t>(*std::max_element(as.begin(), as.end())) -
                                   static_cast<std::int64_t>(records.size())});
  out.push_back(distinct);
  windows::QuantileSketch sketch;
  for (const Value& x : xs) sketch.add(std::get<double>(x));
  out.push_back(xs.empty() ? Value{} : Value{sketch.quantile(0.5)});
  std::string text;
  for (const Value& v : out) text += show(v) + "|";
  return text;
}

struct Window {
  std::int64_t start;
  std::int64_t end;
  Records records;
  bool fired = false;
  bool changed = true;  ///< since the last early results
};

/// Everything by lists. Results of a step are a sorted list of texts.
class Reference {
 public:
  explicit Reference(const WindowSpec& spec) : spec_{spec} {}

  std::vector<std::string> push(const std::vector<Record>& batch, std::vector<std::size_t>& late) {
    results_.clear();
    std::set<std::pair<std::string, std::int64_t>> touched;  // key and end of windows to fire again
    for (std::size_t n = 0; n < batch.size(); ++n) {
      kept_.push_back(std::make_unique<Record>(batch[n]));
      const Record& record = *kept_.back();
      const std::string key = key_of(record);
      bool accepted = false;
      if (!has_window_bounds(spec_.kind)) {
        count_record(key, record);
        accepted = true;
      } else if (spec_.kind == WindowKind::session) {
        accepted = session_record(key, record);
      } else {
        for (const auto& [start, end] : windows_of(record.time)) {
          if (expired(end)) continue;
          accepted = true;
          Window& window = windows_[key].try_emplace(end, Window{start, end, {}}).first->second;
          window.records.push_back(&record);
          window.changed = true;
          if (complete(end)) {
            window.fired = true;
            touched.emplace(key, end);
          }
        }
      }
      if (!accepted) late.push_back(n);
    }
    for (const auto& [key, end] : touched) give(key, windows_[key].at(end));
    for (auto& [key, sessions] : windows_) {
      for (auto& [id, session] : sessions) {
        if (spec_.kind != WindowKind::session || !touched_sessions_.contains({key, id})) continue;
        if (!complete(session.end)) continue;
        session.fired = true;
        give(key, session);
      }
    }
    touched_sessions_.clear();
    return sorted();
  }

  std::vector<std::string> watermark(std::int64_t time) {
    results_.clear();
    watermark_ = std::max(watermark_, time);
    for (auto& [key, windows] : windows_) {
      for (auto it = windows.begin(); it != windows.end();) {
        Window& window = it->second;
        const bool timeless = !has_window_bounds(spec_.kind);
        const bool due = timeless ? watermark_ == last_micros : complete(window.end);
        if (due && !window.fired) {
          window.fired = true;
          give(key, window);
        }
        const bool gone = timeless ? due : expired(window.end);
        it = gone ? windows.erase(it) : std::next(it);
      }
    }
    return sorted();
  }

  std::vector<std::string> early() {
    results_.clear();
    for (auto& [key, windows] : windows_) {
      for (auto& [id, window] : windows) {
        const bool open = !has_window_bounds(spec_.kind) || !complete(window.end);
        if (std::exchange(window.changed, false) && open) give(key, window);
      }
    }
    return sorted();
  }

 private:
  bool complete(std::int64_t end) const { return end - 1 <= watermark_; }
  bool expired(std::int64_t end) const {
    return watermark_ != first_micros && end - 1 <= watermark_ - spec_.allowed_lateness.count();
  }
  std::string key_of(const Record& r) const {
    std::string key;
    for (const std::size_t field : spec_.key_fields) key += show(field == 0 ? r.k : field == 1 ? r.i : r.x) + "|";
    return key;
  }
  std::vector<std::pair<std::int64_t, std::int64_t>> windows_of(std::int64_t time) const {
    std::vector<std::pair<std::int64_t, std::int64_t>> found;
    const std::int64_t size = spec_.size.count();
    const std::int64_t every = spec_.kind == WindowKind::sliding ? spec_.slide.count() : size;
    // From a start far below, step by step.
    std::int64_t start = spec_.offset.count();
    while (start > time - 2 * size) start -= every;
    while (start + size <= time) start += every;
    for (; start <= time; start += every) {
      if (spec_.kind != WindowKind::cumulate) {
        found.emplace_back(start, start + size);
        continue;
      }
      for (std::int64_t end = start + spec_.step.count(); end <= start + size; end += spec_.step.count()) {
        if (end > time) found.emplace_back(start, end);
      }
    }
    return found;
  }
  void count_record(const std::string& key, const Record& record) {
    Window& window = windows_[key].try_emplace(0, Window{0, 0, {}}).first->second;
    window.records.push_back(&record);
    window.changed = true;
    if (spec_.kind == WindowKind::global || window.records.size() < spec_.count) return;
    give(key, window);
    windows_[key].erase(0);
  }
  bool session_record(const std::string& key, const Record& record) {
    Window merged{record.time, record.time + spec_.gap.count(), {&record}};
    auto& sessions = windows_[key];
    std::vector<std::int64_t> taken;
    for (const auto& [id, other] : sessions) {
      if (other.start <= record.time + spec_.gap.count() && other.end >= record.time) taken.push_back(id);
    }
    if (taken.empty() && expired(merged.end)) return false;
    for (const std::int64_t id : taken) {
      Window& other = sessions.at(id);
      merged.start = std::min(merged.start, other.start);
      merged.end = std::max(merged.end, other.end);
      merged.records.insert(merged.records.end(), other.records.begin(), other.records.end());
      sessions.erase(id);
      touched_sessions_.erase({key, id});
    }
    std::sort(merged.records.begin(), merged.records.end(),
              [this](const Record* a, const Record* b) { return arrival(a) < arrival(b); });
    const std::int64_t id = next_session_++;
    touched_sessions_.emplace(key, id);
    sessions.emplace(id, std::move(merged));
    return true;
  }
  std::size_t arrival(const Record* record) {
    for (; numbered_ < kept_.size(); ++numbered_) arrivals_[kept_[numbered_].get()] = numbered_;
    return arrivals_.at(record);
  }
  void give(const std::string& key, const Window& window) {
    std::string text = key;
    if (has_window_bounds(spec_.kind)) text += std::to_string(window.start) + "|" + std::to_string(window.end) + "|";
    results_.push_back(text + expected_results(window.records));
  }
  std::vector<std::string> sorted() {
    std::sort(results_.begin(), results_.end());
    return results_;
  }

  const WindowSpec& spec_;
  std::int64_t watermark_ = first_micros;
  std::vector<std::unique_ptr<Record>> kept_;
  std::map<const Record*, std::size_t> arrivals_;
  std::size_t numbered_ = 0;
  std::map<std::string, std::map<std::int64_t, Window>> windows_;  ///< by key, then end (sessions: number)
  std::set<std::pair<std::string, std::int64_t>> touched_sessions_;
  std::int64_t next_session_ = 0;
  std::vector<std::string> results_;
};

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

class Case {
 public:
  enum class Life : std::uint8_t { one, many };
  /// Many lives: between steps the operator may give way to another that goes on from its checkpoint.
  Case(std::uint64_t seed, Life life) : random_{seed}, seed_{seed}, life_{life} {}

  void run() {
    WindowSpec spec = random_spec();
    CAPTURE(seed_);
    CAPTURE(static_cast<int>(spec.kind));
    Reference reference{spec};
    const OperatorFactoryPtr factory = make_window_operator(spec, schema());
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
        finish(op->on_watermark(Timestamp{mark}, out));
        check_order(out, spec);
        require_same(out.take(0), reference.watermark(mark));
        continue;
      }
      std::vector<Record> batch;
      const bool large = pick(dense_ ? 2 : 4) == 0;
      for (std::size_t rows = 1 + pick(large ? 600 : 20); rows-- > 0;) batch.push_back(random_record(now));
      std::vector<std::size_t> late;
      const auto expected = reference.push(batch, late);
      finish(op->process(0, to_batch(batch), out));
      require_same(out.take(0), expected);
      std::vector<std::string> expected_late;
      for (const std::size_t n : late) {
        const Record& r = batch[n];
        expected_late.push_back(show(r.k) + "|" + show(r.i) + "|" + show(r.a) + "|" + show(r.x) + "|" + show(r.s) +
                                "|");
      }
      std::sort(expected_late.begin(), expected_late.end());
      REQUIRE(out.take(1) == expected_late);
    }
  }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  WindowSpec random_spec() {
    WindowSpec spec;
    spec.kind = static_cast<WindowKind>(pick(6));
    for (const auto& [name, text] : aggregates) {
      auto compiled = compile_aggregate(text, *schema());
      REQUIRE(compiled.has_value());
      spec.aggregates.push_back({name, std::move(*compiled)});
    }
    const std::vector<std::vector<std::size_t>> keys = {{}, {0}, {1}, {3}, {0, 1}, {1, 3}};
    spec.key_fields = keys[pick(keys.size())];
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
    dense_ = pick(3) == 0;
    if (dense_) key_count_ = 1 + pick(60);
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
  std::mt19937_64 rebirths_{seed_};
  std::uint64_t key_count_ = 1;
  bool dense_ = false;  ///< many records of a key at nearly the same time: what is taken key by key
};

}  // namespace

TEST_CASE("windows give what a reference that keeps every record gives") {
  for (const std::uint64_t seed : testing_support::seeds(600)) Case{seed, Case::Life::one}.run();
}

TEST_CASE("windows that go through checkpoints at any moment give the same") {
  for (const std::uint64_t seed : testing_support::seeds(300)) Case{seed, Case::Life::many}.run();
}

}  // namespace dataflow

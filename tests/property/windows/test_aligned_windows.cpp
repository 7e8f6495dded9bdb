// Tumbling, sliding and cumulating windows against a reference that keeps every record of every window.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "libdataflow/windows/assign.hpp"
#include "tests/support/window_runs.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

const SchemaPtr schema =
    make_schema({{"k", TypeKind::int64}, {"s", TypeKind::string}, {"v", TypeKind::int64}, {"at", TypeKind::timestamp}});

struct Record {
  Value k, s, v;
  std::int64_t at = 0;
};

std::vector<Value> key_of(const WindowSpec& spec, const Record& r) {
  const Value* fields[] = {&r.k, &r.s, &r.v};
  std::vector<Value> key;
  for (const std::size_t field : spec.key_fields) key.push_back(*fields[field]);
  return key;
}

/// count(), count(v), sum(v), min(s), max(v), first(v), last(v), sum(v) FILTER (WHERE v > 0)
std::vector<Value> aggregate(const std::vector<Record>& records) {
  std::int64_t count_v = 0;
  Value sum, least, greatest, first, last, positive;
  const auto add = [](Value& total, std::int64_t v) { total = is_null(total) ? v : std::get<std::int64_t>(total) + v; };
  for (const Record& r : records) {
    if (!is_null(r.s) && (is_null(least) || r.s < least)) least = r.s;
    if (is_null(r.v)) continue;
    const auto v = std::get<std::int64_t>(r.v);
    ++count_v;
    add(sum, v);
    if (v > 0) add(positive, v);
    if (is_null(greatest) || greatest < r.v) greatest = r.v;
    if (is_null(first)) first = r.v;
    last = r.v;
  }
  return {static_cast<std::int64_t>(records.size()), count_v, sum, least, greatest, first, last, positive};
}

class Reference {
 public:
  explicit Reference(const WindowSpec& spec) : spec_{spec} {}

  std::vector<Row> main;
  std::vector<Row> late;

  void push(const std::vector<Record>& batch) {
    std::set<Window> touched;
    for (const Record& r : batch) {
      bool anywhere = false;
      const auto visit = [&](std::int64_t start, std::int64_t end) {
        if (window_expired(end, spec_.allowed_lateness.count(), watermark_)) return;
        anywhere = true;
        const Window window{end, start, key_of(spec_, r)};
        contents_[window].push_back(r);
        if (window_complete(end, watermark_)) touched.insert(window);
      };
      switch (spec_.kind) {
        case WindowKind::tumbling: {
          const std::int64_t start = tumbling_start(r.at, spec_.size.count(), spec_.offset.count());
          visit(start, start + spec_.size.count());
          break;
        }
        case WindowKind::sliding:
          for_each_sliding_window(r.at, spec_.size.count(), spec_.slide.count(), spec_.offset.count(), visit);
          break;
        default: for_each_cumulating_window(r.at, spec_.size.count(), spec_.step.count(), spec_.offset.count(), visit);
      }
      if (!anywhere) late.push_back({r.k, r.s, r.v, r.at});
    }
    for (const Window& window : touched) fire(window);
  }

  void watermark(std::int64_t time) {
    const std::int64_t before = watermark_;
    watermark_ = std::max(watermark_, time);
    for (const auto& [window, records] : contents_) {
      if (window_complete(window.end, watermark_) && !window_complete(window.end, before)) fire(window);
    }
  }

 private:
  struct Window {
    std::int64_t end;
    std::int64_t start;
    std::vector<Value> key;
    friend auto operator<=>(const Window& a, const Window& b) {
      return std::tie(a.end, a.start, a.key) <=> std::tie(b.end, b.start, b.key);
    }
  };

  void fire(const Window& window) {
    Row row = window.key;
    row.emplace_back(window.start);
    row.emplace_back(window.end);
    for (Value& v : aggregate(contents_.at(window))) row.push_back(std::move(v));
    main.push_back(std::move(row));
  }

  const WindowSpec& spec_;
  std::int64_t watermark_ = first_micros;
  std::map<Window, std::vector<Record>> contents_;
};

WindowSpec random_spec(std::mt19937_64& random) {
  WindowSpec spec;
  const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
  switch (below(3)) {
    case 0:
      spec.kind = WindowKind::tumbling;
      spec.size = Duration{1 + below(50)};
      break;
    case 1:
      spec.kind = WindowKind::sliding;
      spec.slide = Duration{1 + below(12)};
      spec.size = spec.slide + Duration{below(40)};
      break;
    default:
      spec.kind = WindowKind::cumulate;
      spec.step = Duration{1 + below(12)};
      spec.size = spec.step * (1 + below(6));
  }
  spec.offset = Duration{below(100) - 50};
  if (below(2) == 0) spec.allowed_lateness = Duration{below(60)};
  const std::vector<std::size_t> keys[] = {{}, {0}, {1}, {0, 1}};
  spec.key_fields = keys[below(4)];
  spec.aggregates = compile_all({{"n", "count()"},
                                 {"n_v", "count(v)"},
                                 {"total", "sum(v)"},
                                 {"least", "min(s)"},
                                 {"greatest", "max(v)"},
                                 {"head", "first(v)"},
                                 {"tail", "last(v)"},
                                 {"positive", "sum(v) FILTER (WHERE v > 0)"}},
                                *schema);
  return spec;
}

Record random_record(std::mt19937_64& random, std::int64_t about) {
  const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
  const std::string names[] = {"", "a", "exactly12byt", "longer than twelve bytes", "longer than twelve!"};
  Record r;
  if (below(8) != 0) r.k = below(5);
  if (below(8) != 0) r.s = names[below(5)];
  if (below(8) != 0) r.v = below(21) - 10;
  r.at = about + below(60) - 30;
  return r;
}

BatchPtr batch_of(const std::vector<Record>& records) {
  std::vector<Row> values;
  std::vector<std::int64_t> times;
  for (const Record& r : records) {
    values.push_back({r.k, r.s, r.v, r.at});
    times.push_back(r.at);
  }
  return make_batch(schema, std::span<const Row>{values}, times);
}

std::vector<Row> difference(const std::vector<Row>& a, const std::vector<Row>& b) {
  std::vector<Row> only;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(only));
  return only;
}

std::string text_of(const std::vector<Row>& rows) {
  std::string text;
  for (const Row& row : rows) {
    for (const Value& v : row) {
      text += std::holds_alternative<std::string>(v) ? "'" + std::get<std::string>(v) + "' "
              : is_null(v)                           ? "NULL "
                                                     : std::to_string(std::get<std::int64_t>(v)) + " ";
    }
    text += "| ";
  }
  return text;
}

std::string describe(const WindowSpec& spec) {
  return "kind " + std::to_string(static_cast<int>(spec.kind)) + " size " + to_string(spec.size) + " slide " +
         to_string(spec.slide) + " step " + to_string(spec.step) + " offset " + to_string(spec.offset) + " lateness " +
         to_string(spec.allowed_lateness) + " keys " + std::to_string(spec.key_fields.size());
}

void check_seed(std::uint64_t seed) {
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  const WindowSpec spec = random_spec(random);
  Reference reference{spec};
  WindowRun run{spec, schema};
  const bool sometimes_full = random() % 2 == 0;
  run.out.is_full = [&] { return sometimes_full && random() % 3 == 0; };
  std::int64_t about = static_cast<std::int64_t>(random() % 400) - 200;
  const std::size_t steps = 1 + random() % 30;
  for (std::size_t step = 0; step < steps; ++step) {
    if (random() % 3 == 0) {
      const std::int64_t time = about - static_cast<std::int64_t>(random() % 50);
      reference.watermark(time);
      REQUIRE(run.watermark(Timestamp{time}));
    } else {
      std::vector<Record> records(1 + random() % 12);
      for (Record& r : records) r = random_record(random, about);
      reference.push(records);
      REQUIRE(run.push(batch_of(records)));
    }
    about += static_cast<std::int64_t>(random() % (random() % 10 == 0 ? 500 : 20));
  }
  reference.watermark(last_micros);
  REQUIRE(run.watermark(Timestamp::max()));

  CHECK(run.out.late == reference.late);
  CHECK(run.counted_late() == reference.late.size());
  auto got = run.out.main;
  auto expected = reference.main;
  std::sort(got.begin(), got.end());
  std::sort(expected.begin(), expected.end());
  CAPTURE(describe(spec));
  CAPTURE(text_of(difference(expected, got)));  // missing
  CAPTURE(text_of(difference(got, expected)));  // too many
  REQUIRE(got == expected);
}

}  // namespace

TEST_CASE("aligned windows give what a reference gives that keeps every record") {
  const char* rounds = std::getenv("DATAFLOW_ROUNDS");
  const std::uint64_t count = rounds != nullptr ? std::strtoull(rounds, nullptr, 10) : 2000;
  for (std::uint64_t seed = 1; seed <= count; ++seed) check_seed(seed);
}

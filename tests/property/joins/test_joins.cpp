// Every kind of join against a reference that looks at all pairs of rows: random rows with NULL keys, equal times,
// disorder and lateness, batches cut anywhere, an output that is full at any time, and checkpoints between which the
// number of subtasks changes, and whether state is on the heap or, but for some of it, in a store.

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>

#include "libdataflow/runtime/buggify.hpp"
#include "libdataflow/windows/assign.hpp"
#include "tests/support/joining.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/temporary_folder.hpp"

namespace dataflow {
namespace {

using testing_support::JoinBench;
using testing_support::Row;
constexpr std::size_t left = 0;
constexpr std::size_t right = 1;

using Rows = std::vector<std::string>;  // as text, in any order

struct Record {
  std::size_t side = left;
  std::optional<std::int64_t> k;
  std::optional<std::string> text;
  std::optional<std::int64_t> v;
  std::optional<std::int64_t> until;
  std::int64_t at = 0;
  bool deleted = false;
  std::optional<std::int64_t> best{};  ///< of a left row: the v of its best pair so far
  std::string best_pair{};             ///< and that pair, if it has come since the last look

  [[nodiscard]] Row row() const {
    Row row(5);
    if (k) row[0] = *k;
    if (text) row[1] = *text;
    if (v) row[2] = *v;
    if (until) row[3] = *until;
    row[4] = at;
    return row;
  }
  [[nodiscard]] std::string shown() const {
    return (k ? std::to_string(*k) : "NULL") + " " + text.value_or("NULL") + " " + (v ? std::to_string(*v) : "NULL");
  }
};

struct Interval {
  std::int64_t low, high;
};

/// In half of the cases joins do a few rows at a time.
class Few final : public Buggifier {
 public:
  explicit Few(std::uint64_t seed) : random_{seed} {
    if (random_() % 2 == 0) buggifier = this;
  }
  ~Few() override { buggifier = nullptr; }
  Few(const Few&) = delete;
  Few& operator=(const Few&) = delete;
  bool happens(Buggify place) override { return place == Buggify::few_join_results && random_() % 2 == 0; }

 private:
  std::mt19937_64 random_;
};

class Case {
 public:
  explicit Case(std::uint64_t seed) : random_{seed}, backends_{seed}, checkpoints_{seed + 2}, few_{seed + 1} {
    two_keys_ = pick(3) == 0;
    conditional_ = pick(2) == 0;
    kind_ = std::vector<std::string>{"inner", "left", "right", "full", "semi", "anti"}[pick(6)];
  }

  void windows() {
    const std::int64_t size = 1 + number(20);
    std::string window;
    std::function<void(std::int64_t, const std::function<void(std::int64_t, std::int64_t)>&)> for_each;
    switch (pick(3)) {
      case 0:
        window = "{ tumbling = \"" + micros(size) + "\", offset = \"3us\" }";
        for_each = [=](auto t, auto& visit) { visit(tumbling_start(t, size, 3), tumbling_end(t, size, 3)); };
        break;
      case 1: {
        const std::int64_t slide = 1 + number(static_cast<std::uint64_t>(size));
        window = "{ sliding = \"" + micros(size) + "\", every = \"" + micros(slide) + "\" }";
        for_each = [=](auto t, auto& visit) { for_each_sliding_window(t, size, slide, 0, visit); };
        break;
      }
      default:
        window = "{ cumulate = \"" + micros(size * 3) + "\", every = \"" + micros(size) + "\" }";
        for_each = [=](auto t, auto& visit) { for_each_cumulating_window(t, size * 3, size, 0, visit); };
        break;
    }
    start("window = " + window + "\n");
    using Bounds = std::pair<std::int64_t, std::int64_t>;  // end, start
    std::map<Bounds, std::vector<Record>> open;
    live(
        [&](const Record& record) {
          for_each(record.at, [&](std::int64_t from, std::int64_t end) {
            if (!window_complete(end, passed_)) open[{end, from}].push_back(record);
          });
        },
        [&] {
          Rows expected;
          for (auto at = open.begin(); at != open.end() && window_complete(at->first.first, passed_);
               at = open.erase(at)) {
            for (const std::string& row : joined(at->second, [](auto&, auto&) { return true; })) {
              expected.push_back(row + " @" + std::to_string(at->first.first - 1));
            }
          }
          return expected;
        });
  }

  void sessions() {
    const std::int64_t gap = 1 + number(10);
    start("window = { session = \"" + micros(gap) + "\" }\n");
    std::vector<Record> open;
    Rows at_once;
    const auto of_one_key = [&](const Record& a, const Record& b) {
      return *a.k == *b.k && (!two_keys_ || *a.text == *b.text);
    };
    live(
        [&](const Record& record) {
          const bool over = window_complete(record.at + gap, passed_);
          if (!has_key(record)) {
            if (!over && gives_alone(record.side))
              at_once.push_back(alone(record) + " @" + std::to_string(record.at + gap - 1));
            return;
          }
          const bool goes_on = std::any_of(open.begin(), open.end(), [&](const Record& other) {
            return of_one_key(record, other) && std::abs(record.at - other.at) <= gap;
          });
          if (goes_on || !over) open.push_back(record);
        },
        [&] {
          Rows expected = std::exchange(at_once, {});
          std::stable_sort(open.begin(), open.end(), [](const Record& a, const Record& b) { return a.at < b.at; });
          std::vector<Record> rest;
          while (!open.empty()) {
            std::vector<Record> session{open.front()};
            open.erase(open.begin());
            std::erase_if(open, [&](const Record& record) {
              if (!of_one_key(record, session[0]) || record.at - session.back().at > gap) return false;
              session.push_back(record);
              return true;
            });
            const std::int64_t end = session.back().at + gap;
            if (!window_complete(end, passed_)) {
              rest.insert(rest.end(), session.begin(), session.end());
              continue;
            }
            for (const std::string& row : joined(session, [](auto&, auto&) { return true; })) {
              expected.push_back(row + " @" + std::to_string(end - 1));
            }
          }
          open = std::move(rest);
          return expected;
        });
  }

  void intervals() {
    Interval bounds{number(20) - 10, 0};
    bounds.high = bounds.low + number(15);
    const bool own_ends = pick(2) == 0;  // each left row says how long it waits, or nothing, or a time before its own
    std::optional<std::string> best;     // of each left row only the best pairs so far
    if (kind_ == "inner" && pick(2) == 0) best = pick(2) == 0 ? "ASC" : "DESC";
    start("between = [\"" + micros(bounds.low) + "\", \"" + (own_ends ? "left.until" : micros(bounds.high)) + "\"]\n" +
          (best ? "best = \"right.v " + *best + "\"\n" : ""));
    const auto end_of = [=](const Record& l) {
      return own_ends ? l.until.value_or(Timestamp::min().micros) : l.at + bounds.high;
    };
    const auto within = [=](const Record& l, const Record& r) {
      return r.at >= l.at + bounds.low && r.at <= end_of(l);
    };
    if (best) return best_pairs(within, *best == "ASC");
    std::vector<Record> kept;
    Rows given;
    live(
        [&](const Record& record) {
          if (record.at > passed_) kept.push_back(record);
        },
        [&] {
          // Everything that can be known by now, less what has been given.
          Rows all;
          for (std::size_t i = 0; i < kept.size(); ++i) {
            const Record& own = kept[i];
            const std::int64_t due = own.side == left ? end_of(own) : own.at - bounds.low;
            bool matched = false;
            for (const Record& other : kept) {
              if (other.side == own.side) continue;
              const Record& l = own.side == left ? own : other;
              const Record& r = own.side == left ? other : own;
              if (!within(l, r) || !match(l, r)) continue;
              matched = true;
              if (own.side == left && gives_pairs())
                all.push_back(pair(&l, &r) + " @" + std::to_string(std::max(l.at, r.at)));
            }
            const std::string time = " @" + std::to_string(std::max(own.at, due));
            if (matched && own.side == left && kind_ == "semi") all.push_back(alone(own) + time);
            if (!matched && gives_alone(own.side) && (due <= passed_ || !has_key(own)))
              all.push_back(alone(own) + time);
          }
          Rows fresh = difference(all, given);
          given = std::move(all);
          return fresh;
        });
  }

  /// Of each left row the pairs that none before was better than, in the order in which their second rows come; those
  /// that are not the best at the batch's end may be missing.
  template <class Within>
  void best_pairs(const Within& within, bool least_is_best) {
    std::vector<Record> kept;
    Rows pairs;
    const auto meet = [&](Record& l, const Record& r) {
      if (!within(l, r) || !match(l, r) || !r.v) return;
      if (l.best && (least_is_best ? *r.v > *l.best : *r.v < *l.best)) return;
      l.best = r.v;
      l.best_pair = pair(&l, &r) + " @" + std::to_string(std::max(l.at, r.at));
      pairs.push_back(l.best_pair);
    };
    live(
        [&](Record record) {
          if (record.at <= passed_) return;
          for (Record& other : kept) {
            if (record.side == right && other.side == left) meet(other, record);
            if (record.side == left && other.side == right) meet(record, other);
          }
          // Rows that wait are met in the order of their times.
          const auto after = std::upper_bound(kept.begin(), kept.end(), record,
                                              [](const Record& a, const Record& b) { return a.at < b.at; });
          kept.insert(after, record);
        },
        [&](Rows given) {
          Rows wanted;
          for (Record& record : kept) {
            if (!record.best_pair.empty()) wanted.push_back(std::exchange(record.best_pair, {}));
          }
          for (Rows* rows : {&given, &wanted, &pairs}) std::sort(rows->begin(), rows->end());
          REQUIRE(std::includes(given.begin(), given.end(), wanted.begin(), wanted.end()));
          REQUIRE(std::includes(pairs.begin(), pairs.end(), given.begin(), given.end()));
          pairs.clear();
        });
  }

  void as_of() {
    is_as_of_ = true;
    kind_ = pick(2) == 0 ? "inner" : "left";
    const bool deletes = pick(2) == 0;
    start("as_of = true\n");
    std::vector<Record> waiting;
    std::vector<Record> versions;
    Rows at_once;
    live(
        [&](const Record& record) {
          if (record.side == right) {
            versions.push_back(record);
          } else if (record.at > passed_) {
            if (has_key(record)) {
              waiting.push_back(record);
            } else if (kind_ == "left") {
              at_once.push_back(pair(&record, nullptr) + " @" + std::to_string(record.at));
            }
          }
        },
        [&] {
          Rows expected = std::exchange(at_once, {});
          std::erase_if(waiting, [&](const Record& l) {
            if (l.at > passed_) return false;
            const Record* valid = nullptr;
            for (const Record& r : versions) {
              if (equal_keys(l, r) && r.at <= l.at && (valid == nullptr || r.at >= valid->at)) valid = &r;
            }
            if (valid != nullptr && (valid->deleted || !condition(l, *valid))) valid = nullptr;
            if (valid != nullptr || kind_ == "left") {
              expected.push_back(pair(&l, valid) + " @" + std::to_string(l.at));
            }
            return true;
          });
          return expected;
        },
        // A version that comes later than one that was deleted and forgotten would be taken for a new one.
        [&](Record& record) {
          if (record.side != right || !deletes) return true;
          record.deleted = pick(3) == 0;
          return record.at > passed_;
        });
  }

  void regular() {
    const bool updates = pick(2) == 0;
    start("", false, "join", updates ? "d" : "");
    std::vector<Record> table[2];
    Rows now;
    std::vector<std::string> changelog;
    const bool append_only = bench_->node().outputs[0].changelog == ChangelogMode::append_only;
    for (std::size_t steps = 3 + pick(12); steps-- > 0;) {
      maybe_restore();
      const std::size_t side = pick(2);
      std::vector<Row> rows;
      std::vector<RowKind> kinds;
      for (std::size_t n = 1 + pick(pick(6) == 0 ? 800 : 20); n-- > 0;) {
        if (updates && !table[side].empty() && pick(3) == 0) {
          const std::size_t at = pick(table[side].size());
          rows.push_back(table[side][at].row());
          table[side].erase(table[side].begin() + static_cast<std::ptrdiff_t>(at));
          kinds.push_back(pick(2) == 0 ? RowKind::remove : RowKind::update_before);
        } else {
          const Record record = random_record(side);
          rows.push_back(record.row());
          table[side].push_back(record);
          kinds.push_back(pick(2) == 0 ? RowKind::insert : RowKind::update_after);
        }
        rows.back().pop_back();  // no time
      }
      bench_->push(side, rows, kinds);
      for (const BatchPtr& batch : bench_->batches()) {
        if (append_only) REQUIRE(batch->kinds().empty());
        for (std::uint32_t row = 0; row < batch->rows(); ++row) apply(*batch, row, now);
      }
      std::vector<Record> all = table[left];
      all.insert(all.end(), table[right].begin(), table[right].end());
      compare(now, joined(all, [](auto&, auto&) { return true; }));
    }
  }

  void lookups() {
    kind_ = pick(2) == 0 ? "inner" : "left";
    start("", false, "lookup");
    std::vector<Record> all;
    Rows given;
    bool loaded = false;
    for (std::size_t steps = 4 + pick(8); steps-- > 0;) {
      if (pick(4) == 0) {
        bench_->restore(1 + static_cast<std::uint32_t>(pick(4)));
        if (loaded) bench_->end_of_input(right);
      }
      if (!loaded && (steps < 3 || pick(5) == 0)) {
        bench_->end_of_input(right);
        loaded = true;
      }
      const std::size_t side = loaded ? left : pick(2);
      std::vector<Row> rows;
      for (std::size_t n = 1 + pick(pick(6) != 0 ? 20 : few_keys_ ? 300 : 3000); n-- > 0;) {
        all.push_back(random_record(side));
        rows.push_back(all.back().row());
        rows.back().pop_back();
      }
      bench_->push(side, rows);
      const Rows out = texts();
      given.insert(given.end(), out.begin(), out.end());
      compare(given, loaded ? joined(all, [](auto&, auto&) { return true; }) : Rows{});
    }
  }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  std::int64_t number(std::uint64_t below) { return static_cast<std::int64_t>(pick(below)); }
  static std::string micros(std::int64_t n) { return std::to_string(n) + "us"; }

  [[nodiscard]] bool is_of_left() const { return kind_ == "semi" || kind_ == "anti"; }
  [[nodiscard]] bool gives_pairs() const { return !is_of_left(); }
  [[nodiscard]] bool gives_alone(std::size_t side) const {
    if (side == left) return kind_ == "left" || kind_ == "full" || kind_ == "anti";
    return kind_ == "right" || kind_ == "full";
  }
  [[nodiscard]] bool has_key(const Record& r) const { return r.k && (!two_keys_ || r.text); }
  [[nodiscard]] bool equal_keys(const Record& l, const Record& r) const {
    return has_key(l) && has_key(r) && *l.k == *r.k && (!two_keys_ || *l.text == *r.text);
  }
  [[nodiscard]] bool condition(const Record& l, const Record& r) const {
    return !conditional_ || (l.v && r.v && *l.v <= *r.v);
  }
  [[nodiscard]] bool match(const Record& l, const Record& r) const { return equal_keys(l, r) && condition(l, r); }
  [[nodiscard]] std::string pair(const Record* l, const Record* r) const {
    return (l ? l->shown() : "NULL NULL NULL") + " " + (r ? r->shown() : "NULL NULL NULL");
  }
  [[nodiscard]] std::string alone(const Record& own) const {
    if (is_of_left()) return own.shown();
    return own.side == left ? pair(&own, nullptr) : pair(nullptr, &own);
  }

  /// The join of all these rows, pairs for which `also` holds.
  template <class Also>
  Rows joined(const std::vector<Record>& rows, Also&& also) const {
    Rows result;
    for (const Record& own : rows) {
      bool matched = false;
      for (const Record& other : rows) {
        if (other.side == own.side) continue;
        const Record& l = own.side == left ? own : other;
        const Record& r = own.side == left ? other : own;
        if (!match(l, r) || !also(l, r)) continue;
        matched = true;
        if (own.side == left && gives_pairs()) result.push_back(pair(&l, &r));
      }
      if (matched ? own.side == left && kind_ == "semi" : gives_alone(own.side)) result.push_back(alone(own));
    }
    return result;
  }

  void start(const std::string& bounds, bool timed = true, const std::string& type = "join",
             const std::string& prefix = "") {
    const std::string fields = std::string{"k = \"int64\", text = \"string\", v = \"int64\", until = \"timestamp\""} +
                               (timed ? ", at = \"timestamp\"" : "");
    const std::string a = type == "join" ? "left" : "input";
    const std::string b = type == "join" ? "right" : "table";
    std::string node = "type = \"" + type + "\"\n" + a + " = \"" + prefix + "l\"\n" + b + " = \"" + prefix +
                       "r\"\non = \"" + a + ".k = " + b + ".k";
    if (two_keys_) node += " AND " + b + ".text = " + a + ".text";
    if (conditional_) node += " AND " + a + ".v <= " + b + ".v";
    node += "\"\nkind = \"" + kind_ + "\"\n" + bounds + "fields = { a = \"" + a + ".k\", b = \"" + a +
            ".text\", c = \"" + a + ".v\"";
    if (!is_of_left()) node += ", d = \"" + b + ".k\", e = \"" + b + ".text\", f = \"" + b + ".v\"";
    bench_.emplace(node + " }\n", fields, fields, 1 + static_cast<std::uint32_t>(pick(3)),
                   [&] { return new_backend(); });
    bench_->moods = &random_;
    if (checkpoints_() % 2 == 0) bench_->storage = std::make_shared<MemoryStorage>();
  }

  /// In a third of the attempts none; else so little memory that every batch's rows are written, or some of them.
  StateBackendPtr new_backend() {
    const auto folder = folder_ / std::to_string(++attempts_);
    switch (backends_() % 12) {
      case 0:
      case 1:
      case 2:
      case 3: return nullptr;
      case 4: return *make_rocksdb_backend(folder, backends_() % 2 == 0 ? 0 : 1U << 20);
      default: return *make_memory_backend(folder, std::uint64_t{backends_() % 4} * 20'000);
    }
  }

  Record random_record(std::size_t side) {
    Record record;
    record.side = side;
    const std::uint64_t keys = few_keys_ ? 3 : 40;
    if (pick(8) != 0) record.k = number(keys);
    if (pick(8) != 0) record.text = pick(2) == 0 ? "b" : "a text that is longer than a word";
    if (pick(6) != 0) record.v = number(6);
    if (pick(4) == 0) now_ += number(5);
    record.at = now_ - number(12);
    if (pick(6) != 0) record.until = record.at - 5 + number(30);
    return record;
  }

  void maybe_restore() {
    if (checkpoints_() % 4 == 0) bench_->checkpoint();
    if (pick(4) == 0) bench_->restore(1 + static_cast<std::uint32_t>(pick(4)));
  }

  Rows texts() {
    Rows rows;
    for (const BatchPtr& batch : bench_->batches()) {
      for (std::uint32_t row = 0; row < batch->rows(); ++row) rows.push_back(JoinBench::text_of(*batch, row));
    }
    return rows;
  }

  static void apply(const Batch& batch, std::uint32_t row, Rows& now) {
    const std::string text = JoinBench::fields_of(batch, row);
    const RowKind kind = batch.kind(row);
    if (kind == RowKind::insert || kind == RowKind::update_after) return now.push_back(text);
    const auto found = std::find(now.begin(), now.end(), text);
    REQUIRE_MESSAGE(found != now.end(), "taken back and not there: ", text);
    now.erase(found);
  }

  static void compare(Rows a, Rows b) {
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    REQUIRE(a == b);
  }
  static Rows difference(Rows all, Rows without) {
    std::sort(all.begin(), all.end());
    std::sort(without.begin(), without.end());
    Rows rest;
    std::set_difference(all.begin(), all.end(), without.begin(), without.end(), std::back_inserter(rest));
    REQUIRE(rest.size() + without.size() == all.size());  // nothing that was given becomes wrong
    return rest;
  }

  /// Rows and watermarks at random; after each what came out must be what is expected.
  template <class Take, class Expected>
  void live(const Take& take, const Expected& expected) {
    live(take, expected, [](Record&) { return true; });
  }
  template <class Take, class Expected, class Allow>
  void live(const Take& take, const Expected& expected, const Allow& allow) {
    const std::size_t steps = 3 + pick(14);
    for (std::size_t step = 0; step <= steps; ++step) {
      CAPTURE(step);
      maybe_restore();
      if (step == steps || pick(3) == 0) {
        passed_ = step == steps ? Timestamp::max().micros : std::max(passed_, now_ - number(16));
        bench_->watermark(Timestamp{passed_});
      } else {
        const std::size_t side = pick(2);
        std::vector<Row> rows;
        std::vector<RowKind> kinds;
        for (std::size_t n = 1 + pick(pick(8) == 0 ? 400 : 20); n-- > 0;) {
          Record record = random_record(side);
          if (!allow(record)) continue;
          take(record);
          rows.push_back(record.row());
          kinds.push_back(record.deleted ? RowKind::remove : RowKind::insert);
        }
        if (!rows.empty()) bench_->push(side, rows, kinds);
      }
      if constexpr (std::is_invocable_v<Expected, Rows>) {
        expected(texts());
      } else {
        compare(texts(), expected());
      }
    }
    // When time is over nothing is left, but the versions that are valid.
    const std::size_t rows = bench_->restore(1);
    REQUIRE((is_as_of_ || rows == 0));
  }

 private:
  std::mt19937_64 random_;
  std::mt19937_64 backends_;
  std::mt19937_64 checkpoints_;
  Few few_;
  std::size_t attempts_ = 0;
  testing_support::TemporaryFolder folder_;
  bool is_as_of_ = false;
  bool two_keys_ = false;
  bool conditional_ = false;
  bool few_keys_ = random_() % 2 == 0;
  std::string kind_;
  std::optional<JoinBench> bench_;
  std::int64_t now_ = 100;
  std::int64_t passed_ = Timestamp::min().micros;
};

TEST_CASE("a window join gives what joining each window's rows gives") {
  for (const std::uint64_t seed : testing_support::seeds(120)) {
    CAPTURE(seed);
    Case{seed}.windows();
  }
}

TEST_CASE("a join in sessions gives what joining each session's rows gives") {
  for (const std::uint64_t seed : testing_support::seeds(120)) {
    CAPTURE(seed);
    Case{seed}.sessions();
  }
}

TEST_CASE("an interval join gives what looking at all pairs gives") {
  for (const std::uint64_t seed : testing_support::seeds(120)) {
    CAPTURE(seed);
    Case{seed}.intervals();
  }
}

TEST_CASE("a join as of a time gives what looking through all versions gives") {
  for (const std::uint64_t seed : testing_support::seeds(120)) {
    CAPTURE(seed);
    Case{seed}.as_of();
  }
}

TEST_CASE("a regular join's changelog is the join of what has not been taken back") {
  for (const std::uint64_t seed : testing_support::seeds(120)) {
    CAPTURE(seed);
    Case{seed}.regular();
  }
}

TEST_CASE("a lookup gives what joining with the whole table gives") {
  for (const std::uint64_t seed : testing_support::seeds(200)) {
    CAPTURE(seed);
    Case{seed}.lookups();
  }
}

}  // namespace
}  // namespace dataflow

// Random patterns over random rows against a reference that tries every way: with disorder, equal times, several keys,
// any cuts into batches, an output that is full at any moment, and checkpoints from which another number of subtasks
// goes on; as a stream, and as a batch in which rows of some keys wait for the end.

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "libdataflow/checkpoint/memory_storage.hpp"
#include "libdataflow/topology/topology.hpp"
#include "serialization/key_hash.hpp"
#include "tests/property/patterns/reference.hpp"
#include "tests/support/random_backends.hpp"
#include "tests/support/seeds.hpp"
#include "tests/support/stored_checkpoints.hpp"
#include "tests/unit/windows/windowing.hpp"

namespace dataflow {

namespace {

using namespace pattern_tests;
using patterns::AfterMatch;
using patterns::PatternSyntax;
using Kind = PatternSyntax::Kind;

constexpr const char* names = "abcd";
constexpr std::uint32_t key_groups = 128;

const SchemaPtr& schema() {
  static const SchemaPtr s = make_schema(
      {{"key", TypeKind::string}, {"v", TypeKind::int64}, {"bit", TypeKind::int64}, {"t", TypeKind::timestamp}});
  return s;
}

struct Condition {
  const char* text;
  bool looks_back;
  ReferenceCondition holds;
};

std::optional<std::int64_t> current(const KeyRows& rows, const Mapping& mapping) {
  return rows[mapping.back().first].v;
}
/// The sum over the rows of a variable; nothing when there is no value.
std::optional<std::int64_t> sum_of(const KeyRows& rows, const Mapping& mapping, std::optional<patterns::Variable> of) {
  std::optional<std::int64_t> sum;
  for (const auto& [row, variable] : mapping) {
    if ((!of || variable == *of) && rows[row].v) sum = sum.value_or(0) + *rows[row].v;
  }
  return sum;
}

const std::vector<Condition>& conditions() {
  static const std::vector<Condition> all = {
      {"v > 4", false, [](const KeyRows& r, const Mapping& m) { return current(r, m) && *current(r, m) > 4; }},
      {"v < 6", false, [](const KeyRows& r, const Mapping& m) { return current(r, m) && *current(r, m) < 6; }},
      {"v % 2 = 0", false, [](const KeyRows& r, const Mapping& m) { return current(r, m) && *current(r, m) % 2 == 0; }},
      {"v IS NULL OR v < 3", false,
       [](const KeyRows& r, const Mapping& m) { return !current(r, m) || *current(r, m) < 3; }},
      {"TRUE", false, [](const KeyRows&, const Mapping&) { return true; }},
      {"v > last(v, 1)", true,
       [](const KeyRows& r, const Mapping& m) {
         if (m.size() < 2) return false;
         const auto before = r[m[m.size() - 2].first].v;
         return current(r, m) && before && *current(r, m) > *before;
       }},
      {"v >= first(v)", true,
       [](const KeyRows& r, const Mapping& m) {
         const auto first = r[m.front().first].v;
         return current(r, m) && first && *current(r, m) >= *first;
       }},
      {"sum(v) < 15", true,
       [](const KeyRows& r, const Mapping& m) {
         const auto sum = sum_of(r, m, std::nullopt);
         return sum && *sum < 15;
       }},
      {"coalesce(sum(a.v), 0) < 9", true,
       [](const KeyRows& r, const Mapping& m) { return sum_of(r, m, 0).value_or(0) < 9; }},
      {"count(a.*) <= 2", true,
       [](const KeyRows&, const Mapping& m) {
         return std::count_if(m.begin(), m.end(), [](const auto& one) { return one.second == 0; }) <= 2;
       }},
      {"v <> b.v", true,
       [](const KeyRows& r, const Mapping& m) {
         // In b's own definition b.v is the current row.
         for (std::size_t i = m.size(); i-- > 0;) {
           if (m[i].second == 1) return current(r, m) && r[m[i].first].v && *current(r, m) != *r[m[i].first].v;
         }
         return false;
       }},
  };
  return all;
}

/// How a NULL key is told.
constexpr std::string_view no_key = "no key";

/// Full whenever it likes.
class MoodyOutput final : public OperatorOutput {
 public:
  explicit MoodyOutput(std::mt19937_64& random) : random_{random} {}
  void emit(BatchPtr batch, std::size_t output) override { batches[output].push_back(std::move(batch)); }
  [[nodiscard]] bool full() const override { return random_() % 2 == 0; }

  std::vector<BatchPtr> batches[4];

 private:
  std::mt19937_64& random_;
};

class Case {
 public:
  explicit Case(std::uint64_t seed) : random_{seed} {}

  void run() {
    make_pattern();
    make_rows();
    has_late_ = pick(2) == 0;
    if (!expected_results(rows_)) return;
    CAPTURE(toml_);
    CAPTURE(described_);
    live();
    const auto expected = expected_results(on_time_);
    if (!expected) return;
    compare(0, expected->first);
    compare(1, expected->second);
    compare_late();
  }
  [[nodiscard]] std::size_t late() const { return late_.size(); }

 private:
  using PerKey = std::map<std::string, std::vector<std::string>>;

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  // The pattern.
  PatternSyntax row() {
    return {.kind = Kind::row, .variables = patterns::only(static_cast<patterns::Variable>(pick(variables_)))};
  }
  PatternSyntax random_part(unsigned depth) {
    PatternSyntax part = row();
    const std::uint64_t kind = pick(10);
    if (depth > 0 && kind < 2) {
      part = {.kind = Kind::alternation, .children = {random_part(depth - 1), random_part(depth - 1)}};
    } else if (depth > 0 && kind < 4) {
      part = {.kind = Kind::sequence, .children = {random_part(depth - 1), random_part(depth - 1)}};
    }
    if (pick(2) == 0 || patterns::can_be_empty(part)) return part;
    PatternSyntax repeat{.kind = Kind::repeat, .children = {part}};
    repeat.least = static_cast<std::uint32_t>(pick(3));
    repeat.most =
        pick(2) == 0 ? PatternSyntax::unbounded : std::max(1U, repeat.least + static_cast<std::uint32_t>(pick(2)));
    repeat.reluctant = pick(3) == 0;
    return repeat;
  }
  PatternSyntax absence() {
    PatternSyntax absent{.kind = Kind::absence};
    do {
      absent.variables |= patterns::only(static_cast<patterns::Variable>(pick(variables_)));
    } while (pick(4) == 0);
    return absent;
  }

  void make_pattern() {
    variables_ = 2 + pick(3);
    do {
      pattern_.syntax = {.kind = Kind::sequence};
      for (std::size_t n = 1 + pick(4); n > 0; --n) pattern_.syntax.children.push_back(random_part(2));
      auto& parts = pattern_.syntax.children;
      if (pick(3) == 0) parts.insert(parts.begin() + static_cast<std::ptrdiff_t>(1 + pick(parts.size())), absence());
      if (pick(4) == 0) parts.push_back(absence());
    } while (!patterns::compile_pattern(pattern_.syntax) ||
             patterns::named_variables(pattern_.syntax) != (patterns::Variables{1} << variables_) - 1);
    if (patterns::is_open_ended(pattern_.syntax) || pick(2) == 0) {
      pattern_.within = 1 + static_cast<std::int64_t>(pick(12));
    }
    std::string define;
    std::string measures;
    const bool look_back = pick(2) == 0;
    for (std::size_t v = 0; v < variables_; ++v) {
      const Condition* condition = nullptr;
      do {
        condition = &conditions()[pick(conditions().size())];
      } while ((condition->looks_back && !look_back) ||
               (std::string_view{condition->text}.find("b.v") != std::string_view::npos && variables_ < 2));
      pattern_.conditions.push_back(condition->holds);
      const std::string name(1, names[v]);
      define += (v == 0 ? "" : ", ") + name + " = \"" + condition->text + "\"";
      measures += (v == 0 ? "" : ", ") + ("rows_" + name + " = \"coalesce(sum(" + name + ".bit), 0)\"");
    }
    const std::string after = after_match();
    in_batch_ = pick(4) == 0;
    toml_ = std::string{in_batch_ ? "mode = \"batch\"\n" : ""} +
            "parallelism = 1\n[sources.rows]\ntype = \"collection\"\nschema = { key = \"string\", v = \"int64\", bit = "
            "\"int64\", t = \"timestamp\" }\nrows = []\nevent_time = { field = \"t\" }\n[operators.x]\ntype = "
            "\"pattern\"\ninput = \"rows\"\nkey_by = [\"key\"]\npattern = \"" +
            text_of(pattern_.syntax) + "\"\ndefine = { " + define + " }\nmeasures = { " + measures +
            " }\nafter_match = \"" + after + "\"\n" +
            (pattern_.within ? "within = \"" + std::to_string(*pattern_.within) + "us\"\n" : "") +
            "[sinks.out]\ntype = \"discard\"\ninput = \"x\"\n";
    const LoadedTopology loaded = parse_topology(toml_, "job.toml", "/");
    if (!loaded.topology) {
      std::string all;
      for (const Diagnostic& d : loaded.diagnostics) all += render(d);
      FAIL(all);
    }
    factory_ = loaded.topology->graph.find("x")->factory;
  }

  std::string after_match() {
    const patterns::Variables matched = patterns::matched_variables(pattern_.syntax);
    const auto program = patterns::compile_pattern(pattern_.syntax);
    switch (pick(6)) {
      case 0: pattern_.after_match = AfterMatch::next_row; return "skip_to_next_row";
      case 1: pattern_.after_match = AfterMatch::no_skip; return "no_skip";
      case 2:
      case 3: {
        pattern_.skip_to = static_cast<patterns::Variable>(pick(variables_));
        const patterns::Variables target = patterns::only(pattern_.skip_to);
        if ((matched & target) == 0 || program->starts_with == target) break;
        const bool first = pick(2) == 0;
        pattern_.after_match = first ? AfterMatch::first_of : AfterMatch::last_of;
        return std::string{first ? "skip_to_first(" : "skip_to_last("} + names[pattern_.skip_to] + ")";
      }
      default: break;
    }
    return "skip_past_last_row";
  }

  static std::string text_of(const PatternSyntax& syntax) {
    std::string text;
    switch (syntax.kind) {
      case Kind::row:
        for (std::size_t v = 0; v < 4; ++v) {
          if (syntax.variables == patterns::only(static_cast<patterns::Variable>(v))) return {names[v]};
        }
        return "?";
      case Kind::sequence:
        for (const PatternSyntax& child : syntax.children) {
          const std::string part = text_of(child);
          const bool grouped = child.kind == Kind::sequence || child.kind == Kind::alternation;
          text += (text.empty() ? "" : " ") + (grouped ? "(" + part + ")" : part);
        }
        return text;
      case Kind::alternation: return text_of(syntax.children[0]) + " | " + text_of(syntax.children[1]);
      case Kind::repeat:
        text = "(" + text_of(syntax.children[0]) + "){" + std::to_string(syntax.least);
        if (syntax.most == PatternSyntax::unbounded) {
          text += ",";
        } else if (syntax.most != syntax.least) {
          text += "," + std::to_string(syntax.most);
        }
        return text + (syntax.reluctant ? "}?" : "}");
      case Kind::absence:
        for (std::size_t v = 0; v < 4; ++v) {
          if ((syntax.variables & patterns::only(static_cast<patterns::Variable>(v))) == 0) continue;
          text += (text.empty() ? "" : " | ") + std::string(1, names[v]);
        }
        return "!(" + text + ")";
    }
    return text;
  }

  // The rows, in the order in which they arrive.
  void make_rows() {
    const std::size_t keys = 1 + pick(3);
    disorder_ = static_cast<std::int64_t>(pick(5));
    std::map<std::string, std::int64_t> bits;
    std::int64_t now = 0;
    for (std::size_t n = pick(keys * 9 + 1); n > 0; --n) {
      now += static_cast<std::int64_t>(pick(3));
      ReferenceRow row;
      row.key = pick(8) == 0 ? std::string{no_key} : "key" + std::to_string(pick(keys));
      if (pick(10) != 0) row.v = static_cast<std::int64_t>(pick(10));
      std::int64_t& bit = bits[row.key];
      row.bit = std::int64_t{1} << bit++;
      row.time = now - static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(disorder_) + 1));
      rows_.push_back(row);
      described_ += row.key + " v=" + (row.v ? std::to_string(*row.v) : "NULL") + " bit=" + std::to_string(row.bit) +
                    " t=" + std::to_string(row.time) + "\n";
    }
  }

  std::optional<std::pair<PerKey, PerKey>> expected_results(const std::vector<ReferenceRow>& arrived) {
    std::map<std::string, KeyRows> by_key;
    for (const ReferenceRow& row : arrived) by_key[row.key].push_back(row);
    std::pair<PerKey, PerKey> expected;
    for (auto& [key, rows] : by_key) {
      std::stable_sort(rows.begin(), rows.end(),
                       [](const ReferenceRow& a, const ReferenceRow& b) { return a.time < b.time; });
      const auto results = reference_results(pattern_, rows);
      if (!results) return std::nullopt;
      for (const Mapping& match : results->matches) expected.first[key].push_back(text_of(rows, match));
      for (const Mapping& partial : results->timeouts) expected.second[key].push_back(text_of(rows, partial));
    }
    return expected;
  }

  /// As the measures say it.
  std::string text_of(const KeyRows& rows, const Mapping& mapping) const {
    std::vector<std::int64_t> sums(variables_, 0);
    for (const auto& [row, variable] : mapping) sums[variable] += rows[row].bit;
    std::string text;
    for (const std::int64_t sum : sums) text += " " + std::to_string(sum);
    return text;
  }

  // The operator.
  /// On the heap, with room for few rows.
  StateBackendPtr batch_backend() { return *make_spill_backend(folder_ / std::to_string(++starts_), pick(3) * 4000); }
  void start(std::size_t subtasks) {
    operators_.clear();
    context_.backend = in_batch_ ? batch_backend() : backends_.next(random_);
    for (std::size_t i = 0; i < subtasks; ++i) {
      operators_.push_back(factory_->create());
      REQUIRE(operators_.back()->open(context_).has_value());
    }
  }

  void restart() {
    std::vector<CapturedStatePtr> captured;
    for (auto& op : operators_) {
      auto snapshot = op->snapshot();
      REQUIRE(snapshot.has_value());
      captured.push_back(std::move(*snapshot));
    }
    const auto checkpoint = testing_support::checkpoint_of(
        std::move(captured), pick(2) == 0, std::to_string(++checkpoints_), storage_, uploaded_, key_groups);
    start(1 + pick(3));
    for (std::uint32_t i = 0; i < operators_.size(); ++i) {
      const auto reader = checkpoint->reader("op", i, static_cast<std::uint32_t>(operators_.size()));
      const Status restored = operators_[i]->restore(*reader);
      if (!restored) FAIL(restored.error().message());
    }
  }

  void finish(Operator& op, Result<Step> step) {
    if (!step) FAIL(step.error().message());
    while (*step == Step::yield) {
      step = op.resume(out_);
      if (!step) FAIL(step.error().message());
    }
  }

  void push(std::span<const ReferenceRow> rows) {
    std::vector<BatchBuilder> builders;
    for (std::size_t i = 0; i < operators_.size(); ++i) builders.emplace_back(schema());
    for (const ReferenceRow& row : rows) {
      ColumnBuilder key{TypeKind::string};
      if (row.key == no_key) {
        key.append_null();
      } else {
        key.append_text(row.key);
      }
      const ColumnPtr column = key.finish();
      const Column* columns[] = {column.get()};
      std::vector<std::uint64_t> hashes;
      hash_rows(columns, 1, hashes);
      const std::uint32_t subtask = subtask_of_key_group(key_group_of(hashes[0], key_groups), key_groups,
                                                         static_cast<std::uint32_t>(operators_.size()));
      const std::vector<Value> values{row.key == no_key ? Value{} : Value{row.key}, row.v ? Value{*row.v} : Value{},
                                      row.bit, row.time};
      builders[subtask].append_row(values, Timestamp{row.time});
    }
    for (std::size_t i = 0; i < operators_.size(); ++i) {
      if (!builders[i].empty()) finish(*operators_[i], operators_[i]->process(0, builders[i].finish(), out_));
    }
  }

  void watermark(std::int64_t time) {
    passed_ = time;
    context_.event_time = Timestamp{time};
    for (auto& op : operators_) finish(*op, op->on_watermark(Timestamp{time}, out_));
  }

  void live() {
    start(1 + pick(3));
    std::size_t at = 0;
    std::int64_t newest = -100;
    while (at < rows_.size()) {
      const std::size_t count = std::min<std::size_t>(1 + pick(6), rows_.size() - at);
      push(std::span{rows_}.subspan(at, count));
      for (std::size_t i = at; i < at + count; ++i) {
        (rows_[i].time <= passed_ ? late_ : on_time_).push_back(rows_[i]);
      }
      for (std::size_t i = at; i < at + count; ++i) newest = std::max(newest, rows_[i].time);
      at += count;
      if (pick(4) == 0) restart();
      // A later row may be older than the newest by the disorder, and as much more as that one is older than its turn.
      // In some cases time does not wait for it.
      const std::int64_t waits = has_late_ ? 0 : disorder_ + 1;
      if (!in_batch_ && pick(2) == 0) {
        watermark(std::max(passed_, newest - waits - static_cast<std::int64_t>(pick(3))));
      }
      if (pick(4) == 0) restart();
    }
    watermark(Timestamp::max().micros);
  }

  /// What was late came out as it was, in the order in which it arrived for its key.
  void compare_late() {
    std::map<std::string, std::vector<std::int64_t>> expected;
    for (const ReferenceRow& row : late_) expected[row.key].push_back(row.bit);
    std::map<std::string, std::vector<std::int64_t>> actual;
    for (const testing_support::Row& row : testing_support::rows_of(out_.batches[2])) {
      actual[is_null(row[0]) ? std::string{no_key} : std::get<std::string>(row[0])].push_back(
          std::get<std::int64_t>(row[2]));
    }
    REQUIRE(actual == expected);
  }

  void compare(std::size_t output, const PerKey& expected) {
    PerKey actual;
    for (const testing_support::Row& row : testing_support::rows_of(out_.batches[output])) {
      std::string text;
      for (std::size_t i = 1; i < row.size(); ++i) text += " " + window_tests::to_text(row[i]);
      actual[is_null(row[0]) ? std::string{no_key} : std::get<std::string>(row[0])].push_back(text);
    }
    CAPTURE(output);
    REQUIRE(described(actual) == described(expected));
  }
  /// In the order of the keys; where every match is given, each once and in no order.
  [[nodiscard]] std::string described(const PerKey& results) const {
    std::string all;
    for (const auto& [key, texts] : results) {
      std::vector<std::string> rows = texts;
      if (pattern_.after_match == AfterMatch::no_skip) {
        std::sort(rows.begin(), rows.end());
        rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
      }
      for (const std::string& row : rows) all += key + row + "; ";
    }
    return all;
  }

  std::mt19937_64 random_;
  std::size_t variables_ = 0;
  ReferencePattern pattern_;
  std::string toml_;
  OperatorFactoryPtr factory_;
  std::vector<ReferenceRow> rows_;
  std::string described_;
  std::int64_t disorder_ = 0;
  bool has_late_ = false;
  std::int64_t passed_ = Timestamp::min().micros;  ///< the watermark
  std::vector<ReferenceRow> late_;
  std::vector<ReferenceRow> on_time_;
  window_tests::Context context_;
  bool in_batch_ = false;
  testing_support::TemporaryFolder folder_;
  std::size_t starts_ = 0;
  testing_support::RandomBackends backends_;
  CheckpointStoragePtr storage_ = std::make_shared<MemoryStorage>();
  UploadedFiles uploaded_;
  std::size_t checkpoints_ = 0;
  std::vector<std::unique_ptr<Operator>> operators_;
  MoodyOutput out_{random_};
};

}  // namespace

TEST_CASE("a pattern finds what trying every way finds") {
  std::size_t late = 0;
  for (const std::uint64_t seed : testing_support::seeds(3000)) {
    CAPTURE(seed);
    Case one{seed};
    one.run();
    late += one.late();
  }
  if (std::getenv("DATAFLOW_SEED") == nullptr) CHECK(late > 0);
}

}  // namespace dataflow

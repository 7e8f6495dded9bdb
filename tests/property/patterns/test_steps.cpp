// Random patterns of the C++ builder over random rows against a reference that tries every way through the steps.

#include <doctest/doctest.h>

#include <functional>
#include <random>
#include <set>

#include "libdataflow/patterns/pattern_logic.hpp"
#include "libdataflow/patterns/pattern_spec.hpp"
#include "libdataflow/patterns/steps.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/seeds.hpp"
#include "tests/unit/windows/windowing.hpp"

namespace dataflow {

namespace {

using namespace patterns;
using patterns::Step;

/// A row: which variables it is of, and its time. Its number is its place.
struct StepRow {
  Variables variables = 0;
  std::int64_t time = 0;
};

/// Variables and, for each, the rows.
using Mapping = std::vector<std::pair<std::size_t, Variable>>;

/// All ways through the steps from one row on.
class StepWays {
 public:
  StepWays(const std::vector<Step>& steps, const std::vector<StepRow>& rows, std::size_t start, std::int64_t within)
      : rows_{rows}, end_{start} {
    while (end_ < rows.size() && rows[end_].time < rows[start].time + within) ++end_;
    list(steps, 0, start, {}, Wait::none, true, [this](std::size_t) { complete.insert(mapping_); });
  }
  std::set<Mapping> complete;
  std::set<Mapping> incomplete;  ///< a row is waited for when the time is up

 private:
  struct Forbidden {
    Variables any = 0;
    Variables first = 0;
    Variables greedy = 0;
  };
  using Next = std::function<void(std::size_t)>;

  static bool is_absence(const Step& step) {
    return step.follows == Follows::not_directly || step.follows == Follows::not_later;
  }

  void list(const std::vector<Step>& steps, std::size_t i, std::size_t at, Forbidden forbidden, Wait first_wait,
            bool is_end, const Next& next) {
    for (; i < steps.size() && is_absence(steps[i]); ++i) {
      (steps[i].follows == Follows::not_later ? forbidden.any : forbidden.first) |= only(steps[i].variable);
    }
    if (i < steps.size()) return step(steps, i, at, forbidden, first_wait, is_end, next);
    if (!is_end || (forbidden.any | forbidden.first) == 0) return next(at);
    const std::size_t until = forbidden.any != 0 ? end_ : std::min(end_, at + 1);
    const Variables bad = forbidden.any | forbidden.first | forbidden.greedy;
    for (std::size_t row = at; row < until; ++row) {
      if ((rows_[row].variables & bad) != 0) return;
    }
    next(end_);
  }

  void step(const std::vector<Step>& steps, std::size_t i, std::size_t at, Forbidden forbidden, Wait first_wait,
            bool is_end, const Next& next) {
    const Step& step = steps[i];
    if (step.optional || step.least == 0) list(steps, i + 1, at, forbidden, first_wait, is_end, next);
    Wait wait = first_wait;
    if (i != 0) {
      wait = step.follows == Follows::later       ? Wait::until_taken
             : step.follows == Follows::later_any ? Wait::always
                                                  : Wait::none;
    }
    Forbidden between;
    for (std::size_t behind = i + 1; behind < steps.size() && is_absence(steps[behind]); ++behind) {
      if (steps[behind].follows == Follows::not_later) between.any |= only(steps[behind].variable);
    }
    if (step.until) {
      forbidden.any |= only(*step.until);
      between.any |= only(*step.until);
    }
    const Next leave = [&, i](std::size_t after) {
      list(steps, i + 1, after, {.greedy = step.greedy ? only(step.variable) : 0}, first_wait, is_end, next);
    };
    rounds(step, 0, at, forbidden, between, wait, leave);
  }

  void rounds(const Step& step, std::uint32_t done, std::size_t at, Forbidden forbidden, Forbidden between, Wait wait,
              const Next& leave) {
    const Next taken = [&, done](std::size_t after) {
      if (done + 1 >= std::max(1U, step.least)) leave(after);
      if (done + 1 < step.most) rounds(step, done + 1, after, between, between, step.between, leave);
    };
    if (!step.group.empty()) return list(step.group, 0, at, forbidden, wait, false, taken);
    for (std::size_t row = at;; ++row) {
      if (row == end_) {
        incomplete.insert(mapping_);
        return;
      }
      const Variables bad = forbidden.any | forbidden.greedy | (row == at ? forbidden.first : 0);
      if ((rows_[row].variables & bad) != 0) return;
      const bool is = (rows_[row].variables & only(step.variable)) != 0;
      if (is) {
        mapping_.emplace_back(row, step.variable);
        taken(row + 1);
        mapping_.pop_back();
      }
      // A match begins with the row that it is looked for from.
      if (wait == Wait::none || mapping_.empty() || (wait == Wait::until_taken && is)) return;
    }
  }

  const std::vector<StepRow>& rows_;
  std::size_t end_;
  Mapping mapping_;
};

/// Rows say themselves of which variables they are; a result is, for each variable, the sum of its rows' bits.
class BitLogic final : public PatternLogic {
 public:
  explicit BitLogic(std::size_t variables) : variables_{variables} {}
  [[nodiscard]] std::vector<DataType> kept_types() const override { return {TypeKind::int64}; }
  [[nodiscard]] Variables looking_back() const override { return 0; }
  Status load(const Batch& batch, Timestamp, LoadedRows& loaded, std::vector<RowError>&) override {
    const auto of = batch.column(0).as<std::int64_t>();
    loaded.conditions.assign(of.begin(), of.end());
    loaded.kept = {batch.columns()[1]};
    return {};
  }
  Result<bool> holds(Variable, const MatchList&, std::span<const RowId>, Timestamp) override { return false; }
  Result<MatchResults> results(const MatchList& matches, Timestamp, bool) override {
    MatchResults results;
    std::vector<ColumnBuilder> columns;
    for (std::size_t v = 0; v < variables_; ++v) columns.emplace_back(TypeKind::int64);
    for (std::uint32_t i = 0; i < matches.size(); ++i) {
      std::vector<std::int64_t> sums(variables_, 0);
      for (const MatchedRow& matched : matches[i]) {
        ColumnBuilder bit{TypeKind::int64};
        matches.rows->append_to(0, matched.row, bit);
        sums[matched.variable] += bit.finish()->as<std::int64_t>()[0];
      }
      for (std::size_t v = 0; v < variables_; ++v) columns[v].append_int64(sums[v]);
      results.matches.push_back(i);
    }
    for (ColumnBuilder& column : columns) results.columns.push_back(column.finish());
    return results;
  }

 private:
  std::size_t variables_;
};

class Case {
 public:
  explicit Case(std::uint64_t seed) : random_{seed} {}

  void run() {
    std::vector<Step> steps;
    Result<Program> program = fail(ErrorCode::internal, "");
    do {
      variables_ = 0;
      steps = random_steps(1);
      program = compile_steps(steps);
    } while (!program);
    const auto within = static_cast<std::int64_t>(1 + pick(10));
    make_rows();
    CAPTURE(describe(steps));
    CAPTURE(described_);
    CAPTURE(within);
    std::set<std::string> matches;
    std::set<std::string> timeouts;
    for (std::size_t start = 0; start < rows_.size(); ++start) {
      const StepWays ways{steps, rows_, start, within};
      for (const Mapping& mapping : ways.complete) matches.insert(text_of(mapping));
      for (const Mapping& mapping : ways.incomplete) {
        if (!mapping.empty()) timeouts.insert(text_of(mapping));
      }
    }
    const auto [found, timed_out] = operate(std::move(*program), within);
    REQUIRE(joined(found) == joined(matches));
    REQUIRE(joined(timed_out) == joined(timeouts));
  }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  Variable new_variable() { return static_cast<Variable>(variables_++); }

  std::vector<Step> random_steps(unsigned depth) {
    std::vector<Step> steps;
    for (std::size_t n = 1 + pick(3); n > 0; --n) steps.push_back(random_step(depth));
    return steps;
  }
  Step random_step(unsigned depth) {
    Step step;
    step.follows = static_cast<Follows>(pick(5));
    if (step.follows == Follows::not_directly || step.follows == Follows::not_later) {
      step.variable = new_variable();
      return step;
    }
    if (depth > 0 && pick(5) == 0) {
      step.group = random_steps(depth - 1);
    } else {
      step.variable = new_variable();
    }
    step.optional = pick(4) == 0;
    step.between = static_cast<Wait>(pick(3));
    if (pick(2) == 0) {
      step.least = static_cast<std::uint32_t>(1 + pick(2));
      step.most = pick(2) == 0 ? PatternSyntax::unbounded : step.least + static_cast<std::uint32_t>(pick(2));
    }
    step.greedy = step.group.empty() && pick(5) == 0;
    if (!step.greedy && step.group.empty() && step.most == PatternSyntax::unbounded && pick(3) == 0) {
      step.until = new_variable();
    }
    return step;
  }

  static std::string describe(const std::vector<Step>& steps) {
    std::string text;
    for (const Step& step : steps) {
      text += " [" + std::to_string(static_cast<int>(step.follows)) + " ";
      text += step.group.empty() ? "v" + std::to_string(step.variable) : "(" + describe(step.group) + ")";
      text += " {" + std::to_string(step.least) + "," + std::to_string(step.most) + "} between " +
              std::to_string(static_cast<int>(step.between)) + (step.optional ? " optional" : "") +
              (step.greedy ? " greedy" : "") + (step.until ? " until v" + std::to_string(*step.until) : "") + "]";
    }
    return text;
  }

  void make_rows() {
    std::int64_t now = 0;
    for (std::size_t n = pick(9); n > 0; --n) {
      now += static_cast<std::int64_t>(pick(3));
      Variables of = 0;
      for (std::size_t v = 0; v < variables_; ++v) {
        if (pick(5) < 2) of |= only(static_cast<Variable>(v));
      }
      rows_.push_back({of, now});
      described_ += std::to_string(of) + "@" + std::to_string(now) + " ";
    }
  }

  [[nodiscard]] std::string text_of(const Mapping& mapping) const {
    std::vector<std::int64_t> sums(variables_, 0);
    for (const auto& [row, variable] : mapping) sums[variable] += std::int64_t{1} << row;
    std::string text;
    for (const std::int64_t sum : sums) text += std::to_string(sum) + " ";
    return text;
  }
  static std::string joined(const std::set<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) all += text + "; ";
    return all;
  }

  std::pair<std::set<std::string>, std::set<std::string>> operate(Program program, std::int64_t within) {
    PatternSpec spec;
    spec.program = std::move(program);
    spec.within = Duration{within};
    spec.after_match = AfterMatch::no_skip;
    spec.every_match = true;
    spec.most_partial_matches = 1'000'000;
    std::vector<Field> fields;
    for (std::size_t v = 0; v < variables_; ++v) fields.push_back({"v" + std::to_string(v), TypeKind::int64});
    spec.output = make_schema(std::move(fields));
    spec.timeout_output = spec.output;
    spec.make_logic = [variables = variables_] { return std::make_unique<BitLogic>(variables); };
    const SchemaPtr input = make_schema({{"of", TypeKind::int64}, {"bit", TypeKind::int64}});
    const auto op = make_pattern_operator(std::move(spec), input)->create();
    window_tests::Context context;
    REQUIRE(op->open(context).has_value());
    Results out;
    BatchBuilder builder{input};
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      builder.column(0).append_int64(static_cast<std::int64_t>(rows_[i].variables));
      builder.column(1).append_int64(std::int64_t{1} << i);
      builder.end_row(Timestamp{rows_[i].time});
    }
    if (!builder.empty()) REQUIRE(op->process(0, builder.finish(), out).has_value());
    const auto step = op->on_watermark(Timestamp::max(), out);
    REQUIRE(step.has_value());
    REQUIRE(*step == Step_::done);
    return {out.texts[0], out.texts[1]};
  }

  using Step_ = dataflow::Step;

  class Results final : public OperatorOutput {
   public:
    void emit(BatchPtr batch, std::size_t output) override {
      for (const testing_support::Row& row : testing_support::rows_of(*batch)) {
        std::string text;
        for (const Value& value : row) text += window_tests::to_text(value) + " ";
        // A record of what is absent until the end and of what is complete at once may be found twice.
        texts[output].insert(text);
      }
    }
    [[nodiscard]] bool full() const override { return false; }
    std::set<std::string> texts[3];
  };

  std::mt19937_64 random_;
  std::size_t variables_ = 0;
  std::vector<StepRow> rows_;
  std::string described_;
};

}  // namespace

TEST_CASE("steps find what trying every way through them finds") {
  for (const std::uint64_t seed : testing_support::seeds(5000)) {
    CAPTURE(seed);
    Case{seed}.run();
  }
}

}  // namespace dataflow

// pattern(...).select(...): the steps of a Pattern<T> become a node.

#include <algorithm>
#include <set>

#include "dataflow/pattern.hpp"

namespace dataflow {

BatchPtr kept_batch(const patterns::KeptRows& rows, std::span<const patterns::MatchedRow> matched,
                    const SchemaPtr& schema) {
  std::vector<ColumnPtr> columns;
  for (std::size_t i = 0; i < schema->size(); ++i) {
    ColumnBuilder column{(*schema)[i].type, matched.size()};
    for (const patterns::MatchedRow& one : matched) rows.append_to(i, one.row, column);
    columns.push_back(column.finish());
  }
  return std::make_shared<const Batch>(schema, static_cast<std::uint32_t>(matched.size()), std::move(columns));
}

namespace {

std::string describe(const std::vector<patterns::Step>& steps) {
  std::string text;
  for (const patterns::Step& step : steps) {
    switch (step.follows) {
      case patterns::Follows::directly: text += text.empty() ? "" : " then "; break;
      case patterns::Follows::later: text += " ... "; break;
      case patterns::Follows::later_any: text += " ...any "; break;
      case patterns::Follows::not_directly: text += " then no "; break;
      case patterns::Follows::not_later: text += " ... no "; break;
    }
    text += step.group.empty() ? step.name : "(" + describe(step.group) + ")";
    if (step.least != 1 || step.most != 1) {
      text += "{" + std::to_string(step.least);
      if (step.most == patterns::PatternSyntax::unbounded) {
        text += ",";
      } else if (step.most != step.least) {
        text += "," + std::to_string(step.most);
      }
      text += step.between == patterns::Wait::none ? "} consecutive" : "}";
      if (step.between == patterns::Wait::always) text += " combinations";
    }
    if (step.until) text += " until";
    if (step.greedy) text += " greedy";
    if (step.optional) text += " optional";
  }
  return text;
}

/// Checks a draft; collects the mistakes.
class PatternChecker {
 public:
  PatternChecker(Plan& plan, const StreamInfo& stream, const PatternDraft& draft, const Plan::Place& where)
      : plan_{plan}, stream_{stream}, pattern_{draft.pattern}, where_{where} {}

  /// Fills in what follows from the steps. False when there are mistakes.
  bool check(patterns::PatternSpec& spec) {
    for (const std::string& said : pattern_.mistakes) mistake(said);
    if (!stream_.event_time) {
      mistake("a pattern needs a stream with event time: call event_time(&Record::member, ...) after the source");
    }
    if (stream_.changelog != ChangelogMode::append_only) {
      mistake("a pattern takes only records that are never taken back");
    }
    check_names();
    auto program = patterns::compile_steps(pattern_.steps);
    if (program) {
      spec.program = std::move(*program);
    } else {
      mistake(program.error().message());
    }
    if (pattern_.within && pattern_.within->count() <= 0) mistake("within is a time longer than nothing");
    if (!pattern_.within && patterns::is_open_ended(pattern_.steps)) {
      mistake("a match of this pattern may wait for ever: say .within(...)");
    }
    spec.within = pattern_.within;
    check_skip(spec);
    return good_;
  }

 private:
  void mistake(std::string message) {
    good_ = false;
    plan_.mistake(where_, std::move(message));
  }

  void check_names() {
    std::set<std::string> known;
    for (const std::string& name : pattern_.names) {
      if (!name.empty() && !known.insert(name).second) mistake("two steps of the pattern are named \"" + name + "\"");
    }
    if (pattern_.names.size() > patterns::most_variables) {
      mistake("a pattern has at most " + std::to_string(patterns::most_variables) + " steps");
    }
  }

  void check_skip(patterns::PatternSpec& spec) {
    const AfterMatchSkip& skip = pattern_.after_match;
    spec.after_match = skip.kind;
    spec.every_match = true;
    if (skip.kind != patterns::AfterMatch::first_of && skip.kind != patterns::AfterMatch::last_of) return;
    const auto found = std::find(pattern_.names.begin(), pattern_.names.end(), skip.step);
    if (skip.step.empty() || found == pattern_.names.end()) {
      return mistake("the pattern has no step \"" + skip.step + "\" to skip to");
    }
    spec.skip_to = static_cast<patterns::Variable>(found - pattern_.names.begin());
  }

  Plan& plan_;
  const StreamInfo& stream_;
  const PatternSteps& pattern_;
  const Plan::Place& where_;
  bool good_ = true;
};

}  // namespace

NodeId add_pattern(Plan& plan, const StreamInfo& stream, PatternDraft draft, const Plan::Place& where) {
  patterns::PatternSpec spec;
  const bool good = PatternChecker{plan, stream, draft, where}.check(spec);
  NodeDraft node{.type = "pattern", .stateful = true, .sorted_in_batch = KeyGrowth::with_rows};
  node.details = describe(draft.pattern.steps);
  if (spec.within) node.details += " within " + to_string(*spec.within);
  node.keyed = !stream.key_fields.empty();
  node.single = !node.keyed;
  const SchemaPtr timeouts = draft.timeouts ? draft.timeouts : draft.results;
  node.outputs = {{.name = {}, .schema = draft.results, .event_time = true},
                  {.name = "timeout", .schema = timeouts, .event_time = true},
                  {.name = "late", .schema = stream.schema, .event_time = true}};
  if (good) {
    spec.identity = "pattern " + describe(draft.pattern.steps);
    for (const std::uint16_t field : draft.reads) {
      spec.identity += "; keeps " + (*stream.schema)[field].name + " " + to_string((*stream.schema)[field].type);
    }
    spec.key_fields = stream.key_fields;
    spec.output = draft.results;
    spec.timeout_output = timeouts;
    spec.keys_in_output = false;
    spec.reads.assign(draft.reads.begin(), draft.reads.end());
    spec.make_logic = std::move(draft.make_logic);
    node.factory = patterns::make_pattern_operator(std::move(spec), stream.schema);
  }
  return plan.add(std::move(node), &stream, where);
}

}  // namespace dataflow

#include "libdataflow/patterns/pattern_type.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/batch/sorted_input.hpp"
#include "libdataflow/operators/keyed_input.hpp"
#include "libdataflow/operators/row_errors.hpp"
#include "libdataflow/patterns/expression_logic.hpp"
#include "libdataflow/patterns/pattern_spec.hpp"
#include "libdataflow/topology/did_you_mean.hpp"

namespace dataflow {

namespace {

using patterns::AfterMatch;

constexpr const char* after_match_help =
    "it is skip_past_last_row, skip_to_next_row, skip_to_first(x), skip_to_last(x) or no_skip";

bool is_variable_name(std::string_view name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && is_letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

/// Reads a node's options; reports every mistake, not only the first.
class PatternNode {
 public:
  explicit PatternNode(NodeBuilder& builder)
      : builder_{builder}, settings_{builder.settings()}, input_{builder.inputs()[0]} {}

  void build() {
    const bool changelog = check_append_only(builder_, "a pattern");
    const bool time = check_time();
    auto keys = read_key_fields(builder_);
    const bool names = read_names();
    if (names) {
      read_pattern();
      read_expressions();
    }
    read_within();
    if (names) read_after_match();
    read_limit();
    if (!good_ || !changelog || !time || !keys) return;
    spec_.key_fields = std::move(*keys);
    finish();
  }

 private:
  void error(std::string_view path, std::string message, std::string suggestion = {}) {
    good_ = false;
    builder_.error(path, std::move(message), std::move(suggestion));
  }
  void error(std::string_view path, const ExpressionError& mistake) {
    good_ = false;
    builder_.error(path, mistake);
  }
  void name_error(std::string_view path, std::string message, std::string suggestion = {}) {
    good_ = false;
    builder_.name_error(path, std::move(message), std::move(suggestion));
  }

  bool check_time() {
    if (input_.event_time) return true;
    error("input", "\"" + input_.name + "\" has no event time, which a pattern goes by",
          "add event_time = { field = \"...\" } to the source");
    return false;
  }

  bool read_names() {
    for (const auto& [name, text] : settings_.text_table("define")) {
      names_.push_back(name);
      if (!is_variable_name(name)) {
        name_error("define." + name, "a variable's name has letters, digits and _, and begins with no digit");
      }
    }
    if (names_.size() > patterns::most_variables) {
      error("define", "at most " + std::to_string(patterns::most_variables) + " variables");
      return false;
    }
    return true;
  }

  void read_pattern() {
    auto syntax = patterns::parse_pattern(settings_.text("pattern"), names_);
    if (!syntax) return error("pattern", syntax.error());
    const patterns::Variables used = patterns::named_variables(*syntax);
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if ((used & patterns::only(static_cast<patterns::Variable>(i))) == 0) {
        name_error("define." + names_[i], "the pattern has no \"" + names_[i] + "\"");
      }
    }
    auto program = patterns::compile_pattern(*syntax);
    if (!program) return error("pattern", program.error());
    spec_.program = std::move(*program);
    syntax_ = std::move(*syntax);
  }

  void read_expressions() {
    patterns::MatchExpressions expressions{*input_.schema, input_.name, names_};
    const auto define = settings_.text_table("define");
    for (patterns::Variable v = 0; v < define.size(); ++v) {
      auto definition = expressions.define(define[v].second, v);
      if (definition) {
        logic_.definitions.push_back(std::move(*definition));
      } else {
        error("define." + define[v].first, definition.error());
      }
    }
    for (const auto& [name, text] : settings_.text_table("measures")) {
      auto measure = expressions.measure(text);
      if (measure) {
        logic_.measures.push_back({name, std::move(*measure)});
      } else {
        error("measures." + name, measure.error());
      }
    }
    logic_.names = names_;
    logic_.kept = expressions.kept();
    logic_.rows_before = expressions.rows_before();
  }

  void read_within() {
    if (settings_.has("within")) {
      spec_.within = settings_.duration("within");
      if (spec_.within->count() <= 0) error("within", "must be more than nothing");
      return;
    }
    constexpr const char* suggestion = "within = \"10m\", for example";
    if (syntax_ && patterns::is_open_ended(*syntax_)) {
      error("pattern", "matches of this pattern may go on for ever: it needs `within`", suggestion);
    } else if (logic_.rows_before != 0) {
      error("define", "prev needs `within`, which says how long the row before is remembered", suggestion);
    }
  }

  void read_after_match() {
    struct Named {
      std::string_view text;
      AfterMatch value;
      bool takes_variable;
    };
    constexpr Named named[] = {{"skip_past_last_row", AfterMatch::past_last_row, false},
                               {"skip_to_next_row", AfterMatch::next_row, false},
                               {"skip_to_first", AfterMatch::first_of, true},
                               {"skip_to_last", AfterMatch::last_of, true},
                               {"no_skip", AfterMatch::no_skip, false}};
    std::string text = settings_.text("after_match");
    std::erase(text, ' ');
    const std::size_t open = text.find('(');
    const bool has_variable = open != std::string::npos && text.back() == ')';
    for (const Named& one : named) {
      if (text.substr(0, open) != one.text || one.takes_variable != has_variable) continue;
      if (open != std::string::npos && !has_variable) continue;
      spec_.after_match = one.value;
      spec_.every_match = one.value == AfterMatch::no_skip;
      if (has_variable) read_skip_target(text.substr(open + 1, text.size() - open - 2));
      return;
    }
    error("after_match", "\"" + settings_.text("after_match") + "\" is no strategy", after_match_help);
  }

  void read_skip_target(const std::string& name) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) {
      return error("after_match", "\"" + name + "\" is not defined", did_you_mean(name, names_));
    }
    spec_.skip_to = static_cast<patterns::Variable>(found - names_.begin());
    if (!syntax_) return;
    const patterns::Variables target = patterns::only(spec_.skip_to);
    if ((patterns::matched_variables(*syntax_) & target) == 0) {
      error("after_match", "no row of a match is of \"" + name + "\"");
    } else if (spec_.after_match == AfterMatch::first_of && spec_.program.starts_with == target) {
      error("after_match", "every match begins with a row of \"" + name + "\": it would be found again and again",
            "skip_to_next_row, for example");
    }
  }

  void read_limit() {
    const std::int64_t limit = settings_.integer("max_partial_matches");
    if (limit < 1) return error("max_partial_matches", "must be at least 1");
    spec_.most_partial_matches = static_cast<std::size_t>(limit);
  }

  /// Nothing when two fields have one name, which is reported.
  std::optional<SchemaPtr> output_schema() {
    std::vector<Field> fields;
    for (const std::size_t key : spec_.key_fields) fields.push_back((*input_.schema)[key]);
    const std::size_t keys = fields.size();
    for (const patterns::Measure& measure : logic_.measures) {
      const auto same = [&](const Field& field) { return field.name == measure.name; };
      if (std::any_of(fields.begin(), fields.begin() + static_cast<std::ptrdiff_t>(keys), same)) {
        name_error("measures." + measure.name, "the key is a field \"" + measure.name + "\" already");
      }
      fields.push_back({measure.name, measure.expression.result.type()});
    }
    return good_ ? std::optional{make_schema(std::move(fields))} : std::nullopt;
  }

  [[nodiscard]] std::string identity() const {
    std::string text = "pattern " + settings_.text("pattern");
    for (const auto& [name, condition] : settings_.text_table("define")) text += "; " + name + ": " + condition;
    text += "; after_match " + settings_.text("after_match");
    for (const Expression& kept : logic_.kept.expressions()) {
      const std::size_t first = std::min(kept.text().find_first_not_of(' '), kept.text().size());
      text += "; keeps " + kept.text().substr(first) + " " + to_string(kept.type());
    }
    return text;
  }

  void finish() {
    const auto output = output_schema();
    if (!output) return;
    spec_.output = *output;
    spec_.timeout_output = *output;
    spec_.on_error = parse_error_policy(settings_.text("on_error"));
    spec_.identity = identity();
    spec_.reads = patterns::fields_read(logic_);
    spec_.make_logic = [logic = std::make_shared<const patterns::ExpressionPattern>(std::move(logic_))] {
      return patterns::make_expression_logic(logic);
    };

    StreamNode& node = builder_.node();
    node.stateful = true;
    node.details = settings_.text("pattern");
    if (spec_.within) node.details += " within " + to_string(*spec_.within);
    if (spec_.after_match != AfterMatch::past_last_row) node.details += ", " + settings_.text("after_match");
    node.outputs = {{.name = "", .schema = *output, .event_time = true},
                    {.name = "timeout", .schema = *output, .event_time = true},
                    {.name = "late", .schema = input_.schema, .event_time = true}};
    declare_error_output(builder_);
    send_by_key(builder_, spec_.key_fields);
    const std::vector<std::size_t> keys = spec_.key_fields;
    node.factory = patterns::make_pattern_operator(std::move(spec_), input_.schema);
    sort_input_in_batch(builder_, input_.schema, keys, KeyGrowth::with_rows);
  }

  NodeBuilder& builder_;
  const Settings& settings_;
  const InputInfo& input_;
  bool good_ = true;
  std::vector<std::string> names_;
  std::optional<patterns::PatternSyntax> syntax_;
  patterns::ExpressionPattern logic_;
  patterns::PatternSpec spec_;
};

std::vector<Option> pattern_options() {
  return {
      {.name = "key_by",
       .kind = OptionKind::text_list,
       .help = "Fields by which rows are grouped; a pattern is looked for among the rows of each key in the order "
               "of event time. Without it there is one group.",
       .example = "[\"card\"]"},
      {.name = "pattern",
       .help = "Variables, one for each row, with | ( ) and the quantifiers * + ? {n} {n,} {n,m}, reluctant with "
               "another ?. `!x`: none of the rows in between is an x; at the end: no x comes until `within` is over.",
       .example = "\"small+ large\"",
       .required = true},
      {.name = "define",
       .kind = OptionKind::text_table,
       .help = "For each variable the condition on a row, which may look at the row before, prev(x), and at the rows "
               "matched so far: first(a.x), last(a.x, 1), sum(a.x), a.x for the last one.",
       .example = "{ small = \"amount < 1\", large = \"amount > 500\" }",
       .required = true},
      {.name = "within",
       .kind = OptionKind::duration,
       .help = "A match's last row comes less than this after its first one. Needed with * + {n,} and !x, whose "
               "matches would have no end.",
       .example = "\"5m\""},
      {.name = "measures",
       .kind = OptionKind::text_table,
       .help = "What is told of each match: a name and an expression over its rows.",
       .example = "{ smalls = \"count(small.*)\", total = \"sum(amount)\", at = \"large.time\" }",
       .required = true},
      {.name = "after_match",
       .help = "Where the next match may begin: skip_past_last_row, skip_to_next_row, skip_to_first(x), "
               "skip_to_last(x); no_skip: anywhere, and every possible match is given.",
       .example = "\"skip_to_next_row\"",
       .default_value = "skip_past_last_row"},
      {.name = "max_partial_matches",
       .kind = OptionKind::integer,
       .help = "The job fails when a key has more partial matches than this.",
       .example = "100000",
       .default_value = "10000"},
      on_error_option()};
}

}  // namespace

NodeType pattern_type() {
  return {
      .name = "pattern",
      .role = NodeRole::transform,
      .summary = "Finds sequences of rows of a key that match a pattern, as SQL's MATCH_RECOGNIZE.",
      .options = pattern_options(),
      .side_outputs = {"timeout", "late"},
      .example =
          "[operators.suspicious]\ntype     = \"pattern\"\ninput    = \"payments\"\nkey_by   = [\"card\"]\npattern  "
          "= \"small+ large\"\ndefine   = { small = \"amount < 1\", large = \"amount > 500\" }\nwithin   = "
          "\"5m\"\nmeasures = { smalls = \"count(small.*)\", amount = \"large.amount\" }\n",
      .build = [](NodeBuilder& builder) { PatternNode{builder}.build(); }};
}

}  // namespace dataflow

#include "libdataflow/joins/join_node.hpp"

#include <algorithm>

#include "libdataflow/operators/row_errors.hpp"
#include "libdataflow/operators/select.hpp"

namespace dataflow::joins {

namespace {

struct NamedKind {
  std::string_view name;
  JoinKind kind;
};
constexpr NamedKind named_kinds[] = {{"inner", JoinKind::inner}, {"left", JoinKind::left}, {"right", JoinKind::right},
                                     {"full", JoinKind::full},   {"semi", JoinKind::semi}, {"anti", JoinKind::anti}};

const std::string& input_key(const NodeBuilder& builder, std::size_t side) {
  return find_node_type(NodeRole::transform, builder.type_name())->inputs[side];
}

}  // namespace

Option fields_option(std::string_view example) {
  return {.name = "fields",
          .kind = OptionKind::text_table,
          .help =
              "What the result has: names and expressions over both sides; default: all fields of both, which then "
              "must have different names.",
          .example = std::string{example}};
}

Option on_option(std::string_view example) {
  return {.name = "on",
          .kind = OptionKind::expression,
          .help =
              "Which rows belong together: equalities between the two sides, of which there is at least one, and "
              "other conditions, joined by AND. A NULL is equal to nothing.",
          .example = std::string{example},
          .required = true};
}

Option pair_errors_option() {
  Option option = on_error_option();
  option.help =
      "What to do with a pair whose condition or fields cannot be computed: skip and side_output go on without it (as "
      "if "
      "it were no match; without that result). A row whose key cannot be computed is dropped by both. Every policy "
      "counts them.";
  return option;
}

void declare_pair_errors(NodeBuilder& builder) {
  declare_error_output(builder);
  // What fails may be a pair that is no result, which has no time.
  for (StreamOutput& output : builder.node().outputs) {
    if (output.name == "errors") output.event_time = false;
  }
}

std::optional<JoinKind> parse_kind(std::string_view text) {
  for (const NamedKind& named : named_kinds) {
    if (named.name == text) return named.kind;
  }
  return std::nullopt;
}

std::string_view to_string(JoinKind kind) {
  for (const NamedKind& named : named_kinds) {
    if (named.kind == kind) return named.name;
  }
  return "";
}

std::optional<JoinPlan> read_join(NodeBuilder& builder, bool windowed, IntervalTexts interval) {
  const Settings& settings = builder.settings();
  const auto side = [&](std::size_t i) {
    return NamedSide{input_key(builder, i), builder.inputs()[i].name, builder.inputs()[i].schema};
  };
  JoinTexts texts{settings.text("on"), {}, std::move(interval)};
  if (settings.has("fields")) texts.fields = settings.text_table("fields");
  std::vector<JoinMistake> mistakes;
  JoinPlan plan = plan_join(JoinNames{side(left_input), side(right_input), windowed},
                            *parse_kind(settings.text("kind")), texts, mistakes);
  for (JoinMistake& mistake : mistakes) {
    if (mistake.path.empty()) {
      builder.error("", mistake.error.message, mistake.error.suggestion);
    } else {
      builder.error(mistake.path, mistake.error);
    }
  }
  if (!mistakes.empty()) return std::nullopt;
  for (const std::size_t i : {left_input, right_input}) {
    plan.spec.sides[i].event_time = builder.inputs()[i].event_time;
    plan.spec.sides[i].takes_back = builder.inputs()[i].changelog != ChangelogMode::append_only;
  }
  plan.spec.on_error = parse_error_policy(settings.text("on_error"));
  return plan;
}

bool check_append_only(NodeBuilder& builder, std::size_t side, std::string_view what) {
  const InputInfo& input = builder.inputs()[side];
  if (input.changelog == ChangelogMode::append_only) return true;
  builder.error(input_key(builder, side), std::string{what} + " takes only rows that are never taken back; \"" +
                                              input.name + "\" is " +
                                              std::string{dataflow::to_string(input.changelog)});
  return false;
}

void put_projections_before(NodeBuilder& builder, JoinPlan& plan) {
  for (const std::size_t side : {left_input, right_input}) {
    if (!plan.projections[side]) continue;
    SideProjection& projection = *plan.projections[side];
    const InputInfo& input = builder.inputs()[side];
    StreamNode before;
    before.type = "select";
    for (const Expression& expression : projection.expressions) {
      if (!expression.as_field()) before.details += (before.details.empty() ? "" : ", ") + expression.text();
    }
    before.outputs = {{.schema = projection.schema, .event_time = input.event_time, .changelog = input.changelog}};
    before.factory = make_select(std::move(projection.expressions), projection.schema,
                                 plan.spec.on_error == ErrorPolicy::fail ? ErrorPolicy::fail : ErrorPolicy::skip);
    builder.put_before(side, input_key(builder, side), std::move(before));
  }
}

}  // namespace dataflow::joins

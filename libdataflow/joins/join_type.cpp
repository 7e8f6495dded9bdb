#include <algorithm>
#include <cctype>

#include "libdataflow/joins/join_node.hpp"
#include "libdataflow/joins/join_types.hpp"
#include "libdataflow/operators/keyed_input.hpp"
#include "libdataflow/topology/order_item.hpp"
#include "libdataflow/windows/window_type.hpp"

namespace dataflow {

namespace {

using joins::JoinKind;
using joins::left_input;
using joins::right_input;

/// What bounds a join in time.
enum class Mode : std::uint8_t { regular, window, interval, as_of };

/// Reads one join node; everything is looked at even when something is wrong, so that all mistakes show at once.
class JoinNode {
 public:
  explicit JoinNode(NodeBuilder& builder) : builder_{builder}, settings_{builder.settings()} {}

  void build() {
    kind_ = *joins::parse_kind(settings_.text("kind"));
    bool good = choose_mode();
    if (mode_ == Mode::interval) read_field_bound();
    good = read_best() && good;
    const auto plan = joins::read_join(builder_, mode_ == Mode::window, interval_);
    switch (mode_) {
      case Mode::regular: good = read_ttl(builder_, ttl_) && good; break;
      case Mode::window: good = check_bounded("a window join") && read_window() && good; break;
      case Mode::interval: good = check_bounded("an interval join") && read_bounds() && good; break;
      case Mode::as_of: good = check_as_of() && good; break;
    }
    if (good && plan) finish(*plan);
  }

 private:
  bool mistake(std::string_view path, std::string message, std::string suggestion = {}) {
    builder_.error(path, std::move(message), std::move(suggestion));
    return false;
  }

  bool choose_mode() {
    std::string chosen;
    bool good = true;
    const auto choose = [&](const char* key, Mode mode) {
      if (!chosen.empty()) {
        good = mistake(key, "a join has one of `window`, `between` and `as_of`; this one has `" + chosen + "` already");
        return;
      }
      chosen = key;
      mode_ = mode;
    };
    if (settings_.has("window")) choose("window", Mode::window);
    if (settings_.has("between")) choose("between", Mode::interval);
    if (settings_.has("as_of") && settings_.flag("as_of")) choose("as_of", Mode::as_of);
    if (settings_.has("ttl") && mode_ != Mode::regular) {
      good = mistake("ttl", "rows of a join with `" + chosen + "` go when time has passed them: leave `ttl` out");
    }
    return good;
  }

  bool check_event_time(std::size_t side, const std::string& what) {
    const InputInfo& input = builder_.inputs()[side];
    if (input.event_time) return true;
    return mistake(side == left_input ? "left" : "right",
                   "\"" + input.name + "\" has no event time, which " + what + " goes by",
                   "add event_time = { field = \"...\" } to its source");
  }

  bool check_bounded(const std::string& what) {
    bool good = true;
    for (const std::size_t side : {left_input, right_input}) {
      good = check_event_time(side, what) && good;
      good = joins::check_append_only(builder_, side, what) && good;
    }
    return good;
  }

  bool check_as_of() {
    bool good = check_event_time(left_input, "a join as of a time");
    good = check_event_time(right_input, "a join as of a time") && good;
    good = joins::check_append_only(builder_, left_input, "the left side of a join as of a time") && good;
    if (kind_ == JoinKind::inner || kind_ == JoinKind::left) return good;
    return mistake("kind", "a join as of a time gives left rows with their version: its kind is \"inner\" or \"left\"");
  }

  bool read_window() {
    const auto window = read_window_table(builder_);
    if (!window) return false;
    window_ = *window;
    switch (window_.kind) {
      case WindowKind::tumbling:
      case WindowKind::sliding:
      case WindowKind::cumulate:
      case WindowKind::session: break;
      default: return mistake("window", "rows can be joined in tumbling, sliding, cumulating and session windows");
    }
    if (window_.time == TimeDomain::event) return true;
    return mistake("window.time",
                   "a window join goes by the rows' own time: by the clock nothing says which rows meet");
  }

  /// The last time of the right row may be a field, as a duration begins with a number.
  void read_field_bound() {
    const std::vector<std::string> texts = settings_.text_list("between");
    if (texts.size() != 2 || texts[1].empty()) return;
    const char first = texts[1].front();
    if (std::isalpha(static_cast<unsigned char>(first)) != 0 || first == '_' || first == '"')
      interval_.meets_until = texts[1];
  }

  bool read_best() {
    if (!settings_.has("best")) return true;
    if (mode_ != Mode::interval || kind_ != JoinKind::inner) {
      return mistake("best", "only the pairs of an inner join with `between` are compared with one another");
    }
    const OrderItem item = split_order(settings_.text("best"));
    interval_.compared_by = item.field;
    least_is_best_ = item.direction == "ASC";
    if (least_is_best_ || item.direction == "DESC") return true;
    return mistake("best", "\"" + settings_.text("best") + "\" is not a field with ASC or DESC",
                   "best = \"price DESC\"");
  }

  bool read_bounds() {
    const std::vector<std::string> texts = settings_.text_list("between");
    if (texts.size() != 2) {
      return mistake(
          "between",
          "an interval has two bounds, the first and the last time of the right row, counted from the left's",
          "for example between = [\"-10m\", \"0s\"]; the last may be a timestamp field of the left");
    }
    Duration bounds[2];
    for (std::size_t i = 0; i < (interval_.meets_until ? 1U : 2U); ++i) {
      const auto bound = parse_duration(texts[i]);
      if (!bound) return mistake("between." + std::to_string(i), bound.error().message());
      bounds[i] = *bound;
    }
    low_ = bounds[0];
    high_ = bounds[1];
    if (interval_.meets_until || low_ <= high_) return true;
    return mistake("between", "the first bound is after the last one: no row could be between them",
                   "between = [\"" + texts[1] + "\", \"" + texts[0] + "\"]");
  }

  void finish(joins::JoinPlan plan) {
    StreamNode& node = builder_.node();
    node.stateful = true;
    node.details = std::string{joins::to_string(kind_)} + " on " + settings_.text("on") + mode_details();
    joins::put_projections_before(builder_, plan);
    for (const std::size_t side : {left_input, right_input}) builder_.key_by(plan.spec.sides[side].keys, side);
    plan.spec.event_time = plan.spec.sides[left_input].event_time && plan.spec.sides[right_input].event_time;
    const bool takes_back = mode_ == Mode::regular && !stays_append_only(plan.spec);
    node.outputs = {{.name = "",
                     .schema = plan.spec.output,
                     .event_time = plan.spec.event_time,
                     .changelog = takes_back ? ChangelogMode::retract : ChangelogMode::append_only}};
    joins::declare_pair_errors(builder_);
    switch (mode_) {
      case Mode::regular: node.factory = joins::make_regular_join({std::move(plan.spec), ttl_}); break;
      case Mode::window: node.factory = joins::make_window_join({std::move(plan.spec), window_}); break;
      case Mode::interval:
        node.factory = joins::make_interval_join({std::move(plan.spec), low_, high_, least_is_best_});
        break;
      case Mode::as_of: node.factory = joins::make_as_of_join({std::move(plan.spec)}); break;
    }
  }

  /// What has been found stays found when nothing is taken back, but what has not been found may still come.
  [[nodiscard]] bool stays_append_only(const joins::JoinSpec& spec) const {
    return !spec.sides[left_input].takes_back && !spec.sides[right_input].takes_back &&
           (kind_ == JoinKind::inner || kind_ == JoinKind::semi);
  }

  [[nodiscard]] std::string mode_details() const {
    switch (mode_) {
      case Mode::regular: return ttl_details(ttl_);
      case Mode::window: return ", " + describe(window_);
      case Mode::interval:
        return ", between " + to_string(low_) + " and " + interval_.meets_until.value_or(to_string(high_)) +
               (settings_.has("best") ? ", best by " + settings_.text("best") : "");
      case Mode::as_of: return ", as of the left's time";
    }
    return "";
  }

  NodeBuilder& builder_;
  const Settings& settings_;
  JoinKind kind_ = JoinKind::inner;
  Mode mode_ = Mode::regular;
  std::optional<Duration> ttl_;
  WindowSpec window_;
  Duration low_{0};
  Duration high_{0};
  joins::IntervalTexts interval_;  ///< fields: one in the place of `high_`, one that pairs are compared by
  bool least_is_best_ = false;
};

Option side_option(const char* name, const char* example) {
  return {.name = name,
          .kind = OptionKind::text_list,
          .help = std::string{"The "} + name +
                  " side: a node, a side output as NODE.OUTPUT, or several with equal "
                  "schemas: their union.",
          .example = example,
          .required = true};
}

}  // namespace

NodeType join_type() {
  return {
      .name = "join",
      .role = NodeRole::transform,
      .summary =
          "Rows of two inputs that belong together: in a window, within an interval of time, as of a time, or all "
          "that there are, as a changelog.",
      .options =
          {side_option("left", "\"orders\""),
           side_option("right", "\"payments\""),
           joins::on_option("\"orders.id = payments.order_id AND amount >= price\""),
           {.name = "kind",
            .kind = OptionKind::choice,
            .help = "inner: pairs; left, right, full: also rows of that side, or both, without a match, with NULL for "
                    "the other's fields; semi: left rows that have a match; anti: left rows that have none.",
            .example = "\"left\"",
            .default_value = "inner",
            .choices = {"inner", "left", "right", "full", "semi", "anti"}},
           {.name = "window",
            .kind = OptionKind::table,
            .help = "Rows meet that are in the same window, when it is over; the result has window_start and "
                    "window_end, of semi and anti joins where `fields` names them. A session is of a key's rows of "
                    "both sides.",
            .example = "{ tumbling = \"10s\" }",
            .nested = window_table_options()},
           {.name = "between",
            .kind = OptionKind::text_list,
            .help =
                "Rows meet when the right's time is so much from the left's, both bounds included. The second may be "
                "a timestamp field of the left side.",
            .example = "[\"-10m\", \"0s\"]"},
           {.name = "best",
            .help = "Of each left row only pairs that none before, or of the same batch, is better than, by this field "
                    "of the "
                    "right with ASC or DESC: for whoever wants its best one. For inner joins with `between`.",
            .example = "\"price DESC\""},
           {.name = "as_of",
            .kind = OptionKind::flag,
            .help =
                "Each left row meets the right row of its key that was valid at the left's time: the newest that is "
                "not newer. For inner and left.",
            .example = "true"},
           {.name = "ttl",
            .kind = OptionKind::duration,
            .help = "Without window, between and as_of: a row is forgotten so long after it came, by the clock; "
                    "default: `ttl` of [state], or never.",
            .example = "\"1d\""},
           joins::fields_option("{ id = \"orders.id\", late_by = \"paid_at - due\" }"),
           joins::pair_errors_option()},
      .example =
          "[operators.paid]\ntype    = \"join\"\nleft    = \"orders\"\nright   = \"payments\"\non      = "
          "\"orders.id = payments.order_id\"\nbetween = [\"0s\", \"1h\"]\nfields  = { order = \"orders.id\", "
          "amount = \"payments.amount\" }\n",
      .build = [](NodeBuilder& builder) { JoinNode{builder}.build(); },
      .inputs = {"left", "right"}};
}

}  // namespace dataflow

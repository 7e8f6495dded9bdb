#include "libdataflow/windows/window_type.hpp"

#include <optional>
#include <string>
#include <vector>

#include "libdataflow/batch/sorted_input.hpp"
#include "libdataflow/operators/keyed_input.hpp"
#include "libdataflow/operators/row_errors.hpp"
#include "libdataflow/windows/window_spec.hpp"

namespace dataflow {

namespace {

constexpr std::string_view kinds_help =
    "a window is one of { tumbling = \"1d\" }, { sliding = \"5m\", every = \"1m\" }, { session = \"30m\" }, { cumulate "
    "= "
    "\"1d\", every = \"1h\" }, { count = 100 }, { global = true }";

/// Reads the `window` table into a spec; reports what is wrong with it.
class WindowTable {
 public:
  explicit WindowTable(NodeBuilder& builder) : builder_{builder}, table_{builder.settings().table("window")} {}

  std::optional<WindowSpec> read() {
    if (!choose_kind() || !read_sizes()) return std::nullopt;
    if (table_.has("offset")) {
      if (!is_aligned())
        return mistake("window.offset",
                       "`offset` moves windows that are aligned to the epoch: tumbling, "
                       "sliding and cumulating ones");
      spec_.offset = table_.duration("offset");
    }
    spec_.time = table_.text("time") == "processing" ? TimeDomain::processing : TimeDomain::event;
    if (auto status = check_window(spec_); !status) return mistake("window", status.error().message());
    return spec_;
  }

 private:
  std::nullopt_t mistake(std::string_view path, std::string message) {
    builder_.error(path, std::move(message));
    return std::nullopt;
  }

  bool choose_kind() {
    struct Named {
      const char* key;
      WindowKind kind;
    };
    constexpr Named named[] = {{"tumbling", WindowKind::tumbling}, {"sliding", WindowKind::sliding},
                               {"session", WindowKind::session},   {"cumulate", WindowKind::cumulate},
                               {"count", WindowKind::count},       {"global", WindowKind::global}};
    std::string chosen;
    for (const Named& one : named) {
      if (!table_.has(one.key)) continue;
      if (!chosen.empty()) {
        mistake("window", "the window is both `" + chosen + "` and `" + one.key + "`; " + std::string{kinds_help});
        return false;
      }
      chosen = one.key;
      spec_.kind = one.kind;
    }
    if (chosen.empty()) mistake("window", std::string{kinds_help});
    return !chosen.empty();
  }

  bool read_sizes() {
    const bool steps = spec_.kind == WindowKind::sliding || spec_.kind == WindowKind::cumulate;
    if (steps != table_.has("every")) {
      mistake("window", steps ? "`every` is missing: how often a window begins or grows; " + std::string{kinds_help}
                              : std::string{"`every` belongs to sliding and cumulating windows"});
      return false;
    }
    switch (spec_.kind) {
      case WindowKind::tumbling: spec_.size = table_.duration("tumbling"); break;
      case WindowKind::sliding:
        spec_.size = table_.duration("sliding");
        spec_.slide = table_.duration("every");
        break;
      case WindowKind::cumulate:
        spec_.size = table_.duration("cumulate");
        spec_.step = table_.duration("every");
        break;
      case WindowKind::session: spec_.gap = table_.duration("session"); break;
      case WindowKind::count:
        if (table_.integer("count") <= 0) {
          mistake("window.count", "a count window needs at least one record");
          return false;
        }
        spec_.count = static_cast<std::uint64_t>(table_.integer("count"));
        break;
      case WindowKind::global:
        if (table_.flag("global")) break;
        mistake("window.global", "`global` can only be true; " + std::string{kinds_help});
        return false;
      case WindowKind::running: break;  // no `window` names it
    }
    return true;
  }

  [[nodiscard]] bool is_aligned() const {
    return spec_.kind == WindowKind::tumbling || spec_.kind == WindowKind::sliding ||
           spec_.kind == WindowKind::cumulate;
  }

  NodeBuilder& builder_;
  const Settings& table_;
  WindowSpec spec_;
};

/// What the time of the window and its lateness need of the input.
bool check_time(NodeBuilder& builder, WindowSpec& spec) {
  const Settings& settings = builder.settings();
  const bool by_event_time = spec.time == TimeDomain::event && has_window_bounds(spec.kind);
  if (by_event_time && !builder.inputs()[0].event_time) {
    builder.error("window", "\"" + builder.inputs()[0].name + "\" has no event time, which this window goes by",
                  "add event_time = { field = \"...\" } to the source, or time = \"processing\" to the window");
    return false;
  }
  spec.allowed_lateness = settings.duration("allowed_lateness");
  if (spec.allowed_lateness < Duration{0}) {
    builder.error("allowed_lateness", "\"allowed_lateness\" must not be negative");
    return false;
  }
  if (spec.allowed_lateness.count() != 0 && !by_event_time) {
    builder.error("allowed_lateness", "only windows in event time have late records");
    return false;
  }
  if (settings.has("early")) spec.early = settings.duration("early");
  if (spec.early && *spec.early <= Duration{0}) {
    builder.error("early", "\"early\" must be more than 0s");
    return false;
  }
  return true;
}

bool read_having(NodeBuilder& builder, WindowSpec& spec, const Schema& output) {
  if (!builder.settings().has("having")) return true;
  auto having = Expression::compile(builder.settings().text("having"), output, "the window's results");
  if (!having) {
    builder.error("having", having.error());
    return false;
  }
  if (having->type().kind() != TypeKind::boolean) {
    builder.error("having", "a condition must be bool, this is " + to_string(having->type()));
    return false;
  }
  spec.having = std::move(*having);
  return true;
}

}  // namespace

std::string describe(const WindowSpec& spec) {
  switch (spec.kind) {
    case WindowKind::tumbling: return "tumbling " + to_string(spec.size);
    case WindowKind::sliding: return "sliding " + to_string(spec.size) + " every " + to_string(spec.slide);
    case WindowKind::session: return "session " + to_string(spec.gap);
    case WindowKind::cumulate: return "cumulate " + to_string(spec.size) + " every " + to_string(spec.step);
    case WindowKind::count: return "count " + std::to_string(spec.count);
    case WindowKind::global: return "global";
    case WindowKind::running: return "running";
  }
  return "";
}

std::optional<KeyGrowth> growth_when_sorted(const WindowSpec& spec) {
  if (spec.early) return std::nullopt;
  if (spec.kind == WindowKind::count) return KeyGrowth::none;
  if (spec.kind == WindowKind::session && spec.time == TimeDomain::event) return KeyGrowth::with_rows;
  return std::nullopt;
}

std::optional<WindowSpec> read_window_table(NodeBuilder& builder) {
  return WindowTable{builder}.read();
}

namespace {

void build_window(NodeBuilder& builder) {
  const InputInfo& input = builder.inputs()[0];
  if (!check_append_only(builder, "a window")) return;
  auto spec = WindowTable{builder}.read();
  WindowSpec rest = spec.value_or(WindowSpec{});
  // Everything is read even when something is wrong, so that all mistakes show at once.
  auto keys = read_key_fields(builder);
  if (keys) rest.key_fields = std::move(*keys);
  const bool aggregates = read_aggregates(builder, rest);
  const bool time = spec && check_time(builder, rest);
  if (!keys || !aggregates || !time) return;
  const auto output = window_output_schema(rest, *input.schema);
  if (!output) return builder.error("aggregate", output.error().message());
  if (!read_having(builder, rest, **output)) return;

  StreamNode& node = builder.node();
  node.stateful = true;
  node.details = describe(rest);
  const bool results_have_time = window_results_have_time(rest.kind, rest.time, input.event_time);
  node.outputs = {{.name = "", .schema = *output, .event_time = results_have_time},
                  {.name = "late", .schema = input.schema, .event_time = input.event_time}};
  declare_error_output(builder);
  rest.on_error = parse_error_policy(builder.settings().text("on_error"));
  send_by_key(builder, rest.key_fields);
  const WindowSpec of_node = rest;
  node.factory = make_window_operator(std::move(rest), input.schema);
  if (const auto growth = growth_when_sorted(of_node)) {
    sort_input_in_batch(builder, input.schema, of_node.key_fields, *growth);
  }
}

}  // namespace

std::vector<Option> window_table_options() {
  return {{.name = "tumbling",
           .kind = OptionKind::duration,
           .help = "Windows side by side, each this long.",
           .example = "\"1d\""},
          {.name = "sliding",
           .kind = OptionKind::duration,
           .help = "Windows this long that overlap, one every `every`.",
           .example = "\"5m\""},
          {.name = "session",
           .kind = OptionKind::duration,
           .help = "A window lasts as long as records follow each other within this gap.",
           .example = "\"30m\""},
          {.name = "cumulate",
           .kind = OptionKind::duration,
           .help = "Windows that begin together and end `every` apart, up to this length.",
           .example = "\"1d\""},
          {.name = "every",
           .kind = OptionKind::duration,
           .help = "How often a sliding window begins, or a cumulating one grows.",
           .example = "\"1m\""},
          {.name = "count",
           .kind = OptionKind::integer,
           .help = "A window is this many records of a key.",
           .example = "100"},
          {.name = "global",
           .kind = OptionKind::flag,
           .help = "One window for all of time: its result comes when the input ends, and early.",
           .example = "true"},
          {.name = "offset",
           .kind = OptionKind::duration,
           .help = "Moves windows from where they begin by themselves, which is the Unix epoch.",
           .example = "\"-8h\""},
          {.name = "time",
           .kind = OptionKind::choice,
           .help = "Whether records belong to windows by their own time or by the clock when they arrive.",
           .example = "\"processing\"",
           .default_value = "event",
           .choices = {"event", "processing"}}};
}

bool read_aggregates(NodeBuilder& builder, WindowSpec& spec) {
  bool good = true;
  const InputInfo& input = builder.inputs()[0];
  for (const auto& [name, text] : builder.settings().text_table("aggregate")) {
    auto aggregate = compile_aggregate(text, *input.schema, input.name);
    if (aggregate) {
      spec.aggregates.push_back({name, std::move(*aggregate)});
    } else {
      builder.error("aggregate." + name, aggregate.error());
      good = false;
    }
  }
  return good;
}

NodeType window_type() {
  return {.name = "window",
          .role = NodeRole::transform,
          .summary = "Aggregates over windows of time or of records, per key.",
          .options = {{.name = "key_by",
                       .kind = OptionKind::text_list,
                       .help = "Fields by which records are grouped; without it there is one group.",
                       .example = "[\"city\"]"},
                      {.name = "window",
                       .kind = OptionKind::table,
                       .help = "Which records belong together.",
                       .example = "{ tumbling = \"1d\" }",
                       .required = true,
                       .nested = window_table_options()},
                      {.name = "aggregate",
                       .kind = OptionKind::text_table,
                       .help = "What is computed over each window: a name and an aggregate expression.",
                       .example = "{ hottest = \"max(temperature)\", n = \"count()\" }",
                       .required = true},
                      {.name = "having",
                       .kind = OptionKind::expression,
                       .help = "Only results for which this is true, over keys, bounds and aggregates.",
                       .example = "\"n > 10\""},
                      {.name = "allowed_lateness",
                       .kind = OptionKind::duration,
                       .help = "For so long after its end a window takes late records, and gives its result again.",
                       .example = "\"1h\"",
                       .default_value = "0s"},
                      {.name = "early",
                       .kind = OptionKind::duration,
                       .help = "So often, by the clock, windows that changed give the result they have so far.",
                       .example = "\"10s\""},
                      {.name = "on_error",
                       .kind = OptionKind::choice,
                       .help = "What to do with a record whose expression cannot be computed; every policy counts "
                               "them. A result that cannot be computed (an expression over aggregates, having) is left "
                               "out and counted with skip and side_output; a sum that leaves 64 bits fails the job "
                               "under every policy.",
                       .example = "\"side_output\"",
                       .default_value = "fail",
                       .choices = {"fail", "skip", "side_output"}}},
          .side_outputs = {"late"},
          .example =
              "[operators.daily]\ntype      = \"window\"\ninput     = \"readings\"\nkey_by    = [\"city\"]\nwindow    "
              "= { tumbling = \"1d\" }\naggregate = { hottest = \"max(temperature)\", n = \"count()\" }\n",
          .build = build_window};
}

}  // namespace dataflow

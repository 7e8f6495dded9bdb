#include <algorithm>
#include <string>

#include "libdataflow/batch/sorted_input.hpp"
#include "libdataflow/operators/keyed_input.hpp"
#include "libdataflow/ranking/candidates.hpp"
#include "libdataflow/ranking/top.hpp"
#include "libdataflow/topology/order_item.hpp"
#include "libdataflow/windows/row_windows.hpp"
#include "libdataflow/windows/window_type.hpp"

namespace dataflow {

namespace {

/// With a rank column one row may change the ranks of so many others, all of which are given again.
constexpr std::int64_t most_ranked = 10'000;

/// The windows that rows are put into before they are ranked.
struct TopWindow {
  WindowSpec window;
  SchemaPtr rows;  ///< with their windows
};

std::optional<TopWindow> read_top_window(NodeBuilder& builder) {
  const auto mistake = [&](std::string_view path, std::string message, std::string suggestion = {}) {
    builder.error(path, std::move(message), std::move(suggestion));
    return std::nullopt;
  };
  const InputInfo& input = builder.inputs()[0];
  const auto window = read_window_table(builder);
  if (!window) return std::nullopt;
  if (window->kind != WindowKind::tumbling) return mistake("window", "a row is ranked in one window: a tumbling one");
  if (window->time != TimeDomain::event) {
    return mistake("window.time", "a window's first rows are known by the rows' own time only");
  }
  if (!input.event_time) {
    return mistake("window", "\"" + input.name + "\" has no event time, which windows go by",
                   "add event_time = { field = \"...\" } to its source");
  }
  auto rows = row_windows_schema(*input.schema);
  if (!rows) return mistake("window", rows.error().message());
  return TopWindow{*window, *std::move(rows)};
}

void put_windows_before(NodeBuilder& builder, const TopWindow& top, const TopSpec& spec) {
  StreamNode before;
  before.type = "window";
  const bool chooses = Candidates::worth_it(spec);
  before.details = (chooses ? "rows that may be among the first, in " : "each row in ") + describe(top.window);
  before.outputs = {{.schema = top.rows, .event_time = true}};
  RowChoices choices;
  if (chooses) choices = [spec] { return std::make_unique<Candidates>(spec); };
  before.factory = make_row_windows(top.window, top.rows, std::move(choices));
  builder.put_before(0, "window", std::move(before));
}

bool read_keys(NodeBuilder& builder, TopSpec& spec) {
  auto fields = read_key_fields(builder);
  if (!fields) return false;
  spec.key_fields = std::move(*fields);
  const InputInfo& input = builder.inputs()[0];
  if (builder.settings().has("window")) {
    spec.window_end = input.schema->size() + 1;  // as row_windows_schema has it; it says where the window begins, too
    spec.key_fields.push_back(*spec.window_end);
    return true;
  }
  const auto end = input.schema->find("window_end");
  const bool is_key = std::find(spec.key_fields.begin(), spec.key_fields.end(), end) != spec.key_fields.end();
  const bool is_time = end && (*input.schema)[*end].type.kind() == TypeKind::timestamp;
  if (is_key && is_time && input.event_time) spec.window_end = end;
  return true;
}

bool read_order(NodeBuilder& builder, TopSpec& spec) {
  bool good = true;
  for (const std::string& text : builder.settings().text_list("order_by")) {
    const OrderItem item = split_order(text);
    if (!item.direction.empty() && item.direction != "ASC" && item.direction != "DESC") {
      builder.error("order_by", "\"" + text + "\" is not a field with ASC or DESC", "order_by = [\"price DESC\"]");
      good = false;
      continue;
    }
    const auto field = builder.field("order_by", item.field);
    good = good && field;
    if (field) spec.order.push_back({*field, item.direction == "DESC"});
  }
  return good;
}

bool read_limit(NodeBuilder& builder, TopSpec& spec) {
  const std::int64_t limit = builder.settings().integer("limit");
  if (limit < 1) {
    builder.error("limit", "must be at least 1");
    return false;
  }
  spec.limit = static_cast<std::uint64_t>(limit);
  if (!builder.settings().has("rank")) return true;
  spec.rank = builder.settings().text("rank");
  if (spec.rank.empty()) {
    builder.error("rank", "a column needs a name");
    return false;
  }
  const bool is_bound = builder.settings().has("window") && (spec.rank == "window_start" || spec.rank == "window_end");
  if (is_bound || builder.inputs()[0].schema->find(spec.rank)) {
    builder.error("rank", "the input has a field \"" + spec.rank + "\" already");
    return false;
  }
  if (limit > most_ranked && !spec.window_end) {
    builder.error("limit",
                  "with `rank` every row behind a new one changes: the limit is " + std::to_string(most_ranked));
    return false;
  }
  return true;
}

bool read_ties(NodeBuilder& builder, TopSpec& spec) {
  spec.ties = builder.settings().flag("ties");
  if (!spec.ties || spec.window_end || builder.job().mode == ExecutionMode::batch) return true;
  builder.error("ties",
                "a changelog would take any number of rows back for one that is before them: `ties` is for "
                "windows and for mode = \"batch\"",
                "add window = { tumbling = \"10s\" }, or a window's window_end to key_by");
  return false;
}

bool read_top_ttl(NodeBuilder& builder, TopSpec& spec) {
  if (!spec.window_end) return read_ttl(builder, spec.ttl);
  if (!builder.settings().has("ttl")) return true;
  builder.error("ttl", "the rows of a window go when it is over: leave `ttl` out");
  return false;
}

void build_top(NodeBuilder& builder) {
  const InputInfo& input = builder.inputs()[0];
  if (!check_append_only(builder, "a top")) return;
  TopSpec spec;
  // Everything is read even when something is wrong, so that all mistakes show at once.
  std::optional<TopWindow> window;
  if (builder.settings().has("window")) window = read_top_window(builder);
  const bool windows = window || !builder.settings().has("window");
  const bool keys = read_keys(builder, spec);
  const bool order = read_order(builder, spec);
  const bool limit = read_limit(builder, spec);
  const bool ties = read_ties(builder, spec);
  const bool ttl = read_top_ttl(builder, spec);
  if (!windows || !keys || !order || !limit || !ties || !ttl) return;
  StreamNode& node = builder.node();
  spec.at_end = builder.job().mode == ExecutionMode::batch && !spec.window_end;
  if (spec.at_end) spec.ttl.reset();
  node.stateful = true;
  const SchemaPtr rows = window ? window->rows : input.schema;
  node.details = "first " + std::to_string(spec.limit) + (spec.ties ? " with ties" : "") +
                 (window            ? " of each window, " + describe(window->window)
                  : spec.window_end ? " of each window"
                  : spec.at_end     ? " at the end"
                                    : ttl_details(spec.ttl));
  node.outputs = {{.schema = top_output_schema(spec, *rows),
                   .event_time = input.event_time,
                   .changelog = spec.window_end || spec.at_end ? ChangelogMode::append_only : ChangelogMode::retract}};
  if (window) put_windows_before(builder, *window, spec);
  send_by_key(builder, spec.key_fields);
  const TopSpec of_node = spec;
  node.factory = make_top(std::move(spec), rows);
  const KeyGrowth growth = of_node.limit == 1 && !of_node.ties ? KeyGrowth::none : KeyGrowth::with_rows;
  sort_input_in_batch(builder, rows, of_node.key_fields, growth);
}

}  // namespace

NodeType top_type() {
  return {
      .name = "top",
      .role = NodeRole::transform,
      .summary = "The first rows of each key in an order; of a window's results once, else as a changelog.",
      .options =
          {{.name = "key_by",
            .kind = OptionKind::text_list,
            .help = "Fields by which rows are grouped; with a window's window_end among them each group gives its "
                    "rows when the window is over, and never takes one back.",
            .example = "[\"window_start\", \"window_end\"]"},
           {.name = "window",
            .kind = OptionKind::table,
            .help = "Ranks the rows of each tumbling window of event time, per key, when it is over; the result has "
                    "window_start and window_end, and the window's last moment as its time.",
            .example = "{ tumbling = \"10s\" }",
            .nested = window_table_options()},
           {.name = "order_by",
            .kind = OptionKind::text_list,
            .help = "Fields with ASC (default) or DESC. NULL is less than any value; rows that are equal keep the "
                    "order in which they came.",
            .example = "[\"n DESC\"]",
            .required = true},
           {.name = "limit",
            .kind = OptionKind::integer,
            .help = "How many rows of each key.",
            .example = "10",
            .required = true},
           {.name = "ties",
            .kind = OptionKind::flag,
            .help =
                "Also gives all rows that are equal to the last of these in order_by (SQL's FETCH FIRST .. ROWS WITH "
                "TIES, or RANK() instead of ROW_NUMBER()). For windows and in batch mode.",
            .example = "true",
            .default_value = "false"},
           {.name = "ttl",
            .kind = OptionKind::duration,
            .help = "A key that no row came of for so long, by the clock, is forgotten, and its next row is the first "
                    "again; default: `ttl` of [state], or never. Not for windows.",
            .example = "\"1d\""},
           {.name = "rank",
            .help = "Adds a field of this name with the row's rank, from 1; with ties equal rows share it, and as many "
                    "are left out behind them.",
            .example = "\"place\""}},
      .example =
          "[operators.busiest]\ntype     = \"top\"\ninput    = \"per_minute\"\nkey_by   = [\"window_start\", "
          "\"window_end\"]\norder_by = [\"n DESC\"]\nlimit    = 3\n",
      .build = build_top};
}

}  // namespace dataflow

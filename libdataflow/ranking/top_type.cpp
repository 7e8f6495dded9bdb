#include <algorithm>
#include <cctype>
#include <string>

#include "libdataflow/operators/keyed_input.hpp"
#include "libdataflow/ranking/top.hpp"

namespace dataflow {

namespace {

/// With a rank column one row may change the ranks of so many others, all of which are given again.
constexpr std::int64_t most_ranked = 10'000;

struct OrderItem {
  std::string field;
  std::string direction;  ///< in capitals; empty: none was given
};

OrderItem split_order(const std::string& text) {
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  const auto begin = std::find_if_not(text.begin(), text.end(), is_space);
  const auto end = std::find_if(begin, text.end(), is_space);
  OrderItem item{{begin, end}, {}};
  for (auto at = end; at != text.end(); ++at) {
    if (!is_space(*at)) item.direction.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(*at))));
  }
  return item;
}

bool read_keys(NodeBuilder& builder, TopSpec& spec) {
  auto fields = read_key_fields(builder);
  if (!fields) return false;
  spec.key_fields = std::move(*fields);
  const InputInfo& input = builder.inputs()[0];
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
  if (builder.inputs()[0].schema->find(spec.rank)) {
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
  const bool keys = read_keys(builder, spec);
  const bool order = read_order(builder, spec);
  const bool limit = read_limit(builder, spec);
  const bool ttl = read_top_ttl(builder, spec);
  if (!keys || !order || !limit || !ttl) return;
  StreamNode& node = builder.node();
  spec.at_end = builder.job().mode == ExecutionMode::batch && !spec.window_end;
  if (spec.at_end) spec.ttl.reset();
  node.stateful = true;
  node.details = "first " + std::to_string(spec.limit) +
                 (spec.window_end ? " of each window"
                  : spec.at_end   ? " at the end"
                                  : ttl_details(spec.ttl));
  node.outputs = {{.schema = top_output_schema(spec, *input.schema),
                   .event_time = input.event_time,
                   .changelog = spec.window_end || spec.at_end ? ChangelogMode::append_only : ChangelogMode::retract}};
  send_by_key(builder, spec.key_fields);
  node.factory = make_top(std::move(spec), input.schema);
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
           {.name = "ttl",
            .kind = OptionKind::duration,
            .help = "A key that no row came of for so long, by the clock, is forgotten, and its next row is the first "
                    "again; default: `ttl` of [state], or never. Not for windows.",
            .example = "\"1d\""},
           {.name = "rank", .help = "Adds a field of this name with the row's rank, from 1.", .example = "\"place\""}},
      .example =
          "[operators.busiest]\ntype     = \"top\"\ninput    = \"per_minute\"\nkey_by   = [\"window_start\", "
          "\"window_end\"]\norder_by = [\"n DESC\"]\nlimit    = 3\n",
      .build = build_top};
}

}  // namespace dataflow

#pragma once
// Jobs for simulations: small, bounded, and of every node type that can be compared.

#include <string>
#include <utility>
#include <vector>

#include "libdataflow/simulation/simulation.hpp"
#include "libdataflow/topology/topology.hpp"

namespace dataflow::testing_support {

struct SimulatedJob {
  const char* name;
  const char* text;
};

/// 500 events, a second apart, of 13 keys.
inline constexpr const char* generated_events = R"toml(
[sources.events]
type = "generate"
count = 500
seed = 3
fields = { id = "seq()", at = "time()", key = "CAST(seq() * 7 % 13 AS string)", amount = "floor(random() * 1000)" }
start = "2024-01-01T00:00:00"
interval = "1s"
event_time = { field = "at" }
)toml";

inline const std::vector<SimulatedJob>& simulated_jobs() {
  static const std::vector<SimulatedJob> jobs{{"stateless", R"toml(
[operators.big]
type = "filter"
input = "events"
where = "amount > 200"
[operators.more]
type = "select"
input = "big"
add = { twice = "amount * 2" }
[operators.parts]
type = "route"
input = "more"
[operators.parts.routes]
large = "amount > 700"
[sinks.large]
type = "file"
input = "parts.large"
path = "large"
[sinks.rest]
type = "file"
input = "parts.default"
path = "rest"
)toml"},
                                              {"tumbling", R"toml(
[operators.minutes]
type = "window"
input = "events"
key_by = ["key"]
window = { tumbling = "1m" }
aggregate = { n = "count()", total = "sum(amount)", least = "min(amount)", kinds = "count(distinct amount)" }
[sinks.out]
type = "file"
input = "minutes"
path = "out"
)toml"},
                                              {"sliding and top", R"toml(
[operators.pairs]
type = "window"
input = "events"
key_by = ["key"]
window = { sliding = "2m", every = "30s" }
aggregate = { n = "count()", most = "max(amount)" }
[operators.best]
type = "top"
input = "pairs"
key_by = ["window_start", "window_end"]
order_by = ["n DESC", "most DESC", "key"]
limit = 3
[sinks.out]
type = "file"
input = "best"
path = "out"
)toml"},
                                              {"sessions", R"toml(
[operators.sparse]
type = "filter"
input = "events"
where = "amount > 700"
[operators.visits]
type = "window"
input = "sparse"
key_by = ["key"]
window = { session = "40s" }
aggregate = { n = "count()", total = "sum(amount)" }
[sinks.out]
type = "file"
input = "visits"
path = "out"
)toml"},
                                              {"cumulate and distinct", R"toml(
[operators.steps]
type = "window"
input = "events"
key_by = ["key"]
window = { cumulate = "4m", every = "1m" }
aggregate = { n = "count()", mean = "avg(amount)" }
[operators.once]
type = "distinct"
input = "steps"
key_by = ["key", "window_start", "n"]
[operators.counts]
type = "select"
input = "once"
fields = { key = "key", window_start = "window_start", n = "n" }
[sinks.out]
type = "file"
input = "counts"
path = "out"
)toml"},
                                              {"global and side by side", R"toml(
[operators.all]
type = "window"
input = "events"
window = { tumbling = "2m" }
aggregate = { n = "count()", total = "sum(amount)" }
[operators.big]
type = "filter"
input = "events"
where = "amount > 900"
[sinks.totals]
type = "print"
input = "all"
[sinks.large]
type = "file"
input = "big"
path = "large"
)toml"}};
  return jobs;
}

inline constexpr const char* nexmark_job = R"toml(
name = "nexmark"
[sources.bids]
type = "nexmark"
stream = "bid"
events = 800
event_time = { field = "date_time", out_of_orderness = "1s" }
[operators.hot]
type = "window"
input = "bids"
key_by = ["auction"]
window = { tumbling = "10ms" }
aggregate = { n = "count()", most = "max(price)" }
[sinks.out]
type = "file"
input = "hot"
path = "out"
)toml";

inline constexpr const char* rows_job = R"toml(
name = "rows"
[sources.a]
type = "collection"
schema = { id = "int64", at = "timestamp" }
event_time = { field = "at" }
rows = [ { id = 1, at = "2024-01-01T00:00:01" }, { id = 2, at = "2024-01-01T00:00:02" }, { id = 3, at = "2024-01-01T00:01:03" } ]
[sources.b]
type = "collection"
schema = { id = "int64", at = "timestamp" }
event_time = { field = "at" }
rows = [ { id = 4, at = "2024-01-01T00:00:05" }, { id = 5, at = "2024-01-01T00:02:00" } ]
[operators.minutes]
type = "window"
input = ["a", "b"]
window = { tumbling = "1m" }
aggregate = { n = "count()", ids = "sum(id)" }
[sinks.out]
type = "file"
input = "minutes"
path = "out"
)toml";

/// One reader, and records that come too late for their windows: which ones must not depend on where a batch ends, nor
/// on where a checkpoint is taken.
inline constexpr const char* late_job = R"toml(
name = "late"
[sources.events]
type = "generate"
count = 500
parallelism = 1
fields = { id = "seq()", key = "CAST(seq() % 5 AS string)", at = "epoch_ms(epoch_ms(time()) - 1000 * (seq() * 7919 % 180))" }
start = "2024-01-01T00:00:00"
interval = "1s"
event_time = { field = "at", out_of_orderness = "1m" }
[operators.minutes]
type = "window"
input = "events"
key_by = ["key"]
window = { tumbling = "1m" }
aggregate = { n = "count()", ids = "sum(id)" }
[operators.missed]
type = "select"
input = "minutes.late"
fields = { id = "id" }
[sinks.out]
type = "file"
input = "minutes"
path = "out"
[sinks.late]
type = "file"
input = "missed"
path = "late"
)toml";

inline constexpr const char* clock_job = R"toml(
name = "clock"
[sources.events]
type = "generate"
count = 100
fields = { id = "seq()" }
[operators.stamped]
type = "select"
input = "events"
add = { seen = "now()" }
[operators.few]
type = "filter"
input = "stamped"
where = "id % 3 = 0"
[sinks.out]
type = "file"
input = "few"
path = "out"
)toml";

inline constexpr const char* endless_job = R"toml(
name = "endless"
[sources.numbers]
type = "generate"
fields = { id = "seq()" }
[sinks.out]
type = "file"
input = "numbers"
path = "out"
)toml";

/// The graph of a topology's text.
inline StreamGraph graph_of(const std::string& text) {
  auto loaded = parse_topology(text, "job.toml", "/");
  std::string why;
  for (const Diagnostic& diagnostic : loaded.diagnostics) why += render(diagnostic);
  REQUIRE_MESSAGE(loaded.topology, why);
  return std::move(loaded.topology->graph);
}

inline StreamGraph graph_of(const SimulatedJob& job) {
  return graph_of(std::string{"name = \"job\"\n"} + generated_events + job.text);
}

}  // namespace dataflow::testing_support

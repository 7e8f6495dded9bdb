// Lookups in a table that is read whole first: the operator, and a whole job around it.
#include "libdataflow/runtime/local_executor.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/joining.hpp"

namespace dataflow {
namespace {

constexpr std::size_t stream = 0;
constexpr std::size_t table = 1;
using testing_support::JoinBench;

const std::string fields = "k = \"int64\", id = \"string\"";
const std::string node =
    "type = \"lookup\"\ninput = \"l\"\ntable = \"r\"\non = \"input.k = table.k\"\n"
    "fields = { i = \"input.id\", t = \"table.id\" }\n";

TEST_CASE("rows wait until the table is complete, and then come with their matches in the order in which they came") {
  JoinBench join{node, fields, fields};
  CHECK_FALSE(join.takes(stream));
  CHECK(join.takes(table));
  join.push(table, {{1, "x"}, {2, "y"}});
  join.push(stream, {{2, "a"}, {3, "b"}, {1, "c"}});
  join.push(table, {{1, "z"}, {nullptr, "n"}});
  CHECK(join.take().empty());
  join.end_of_input(table);
  CHECK(join.take() == "a y; c x; c z");
  CHECK(join.takes(stream));
  join.push(stream, {{nullptr, "d"}, {1, "e"}});
  CHECK(join.take() == "e x; e z");
}

TEST_CASE("a left lookup keeps rows without a match") {
  JoinBench join{node + "kind = \"left\"\n", fields, fields};
  join.push(table, {{1, "x"}});
  join.end_of_input(table);
  join.push(stream, {{1, "a"}, {2, "b"}, {nullptr, "c"}});
  CHECK(join.take() == "a x; b NULL; c NULL");
}

TEST_CASE("what takes a row back takes back its matches") {
  JoinBench join{node, fields, fields};
  join.push(table, {{1, "x"}});
  join.end_of_input(table);
  join.push(stream, {{1, "a"}, {1, "a"}, {1, "b"}}, {RowKind::insert, RowKind::update_before, RowKind::update_after});
  CHECK(join.take() == "a x; -U a x; +U b x");
}

TEST_CASE("a checkpoint while the table is read holds what there is of it, and the rows that wait") {
  JoinBench join{node, fields, fields, 2};
  join.push(table, {{1, "x"}});
  join.push(stream, {{1, "a"}, {2, "b"}, {1, "c"}});
  CHECK(join.restore(3) == 4);  // the table once, three rows
  join.push(table, {{2, "y"}});
  join.end_of_input(table);
  std::vector<std::string> rows;
  for (const BatchPtr& batch : join.batches()) {
    for (std::uint32_t row = 0; row < batch->rows(); ++row) rows.push_back(JoinBench::text_of(*batch, row));
  }
  std::sort(rows.begin(), rows.end());
  CHECK(rows == std::vector<std::string>{"a x", "b y", "c x"});
}

/// Gives `rows` rows, two thousand a batch, and says how many it has given.
std::string job(const std::string& lookup_keys) {
  return "[sources.numbers]\ntype = \"generate\"\ncount = 200000\nfields = { n = \"seq()\", x = \"random()\" }\n"
         "[sources.names]\ntype = \"generate\"\ncount = 60000\nfields = { m = \"seq()\", y = \"random()\" }\n"
         "[operators.named]\ntype = \"lookup\"\ninput = \"numbers\"\ntable = \"names\"\n" +
         lookup_keys + "[sinks.out]\ntype = \"discard\"\ninput = \"named\"\n";
}

std::size_t rows_of_job(const std::string& text, std::uint32_t parallelism) {
  auto loaded = parse_topology(text, "job.toml", "/");
  std::string mistakes;
  for (const Diagnostic& d : loaded.diagnostics) mistakes += render(d);
  REQUIRE_MESSAGE(loaded.topology, mistakes);
  const auto collected = std::make_shared<Collected>();
  for (StreamNode& one : loaded.topology->graph.nodes) {
    if (one.is_sink()) one.factory = make_collect_sink(collected);
  }
  auto executor = LocalExecutor::create(loaded.topology->graph, {.parallelism = parallelism});
  REQUIRE(executor.has_value());
  const Status ran = (*executor)->run();
  REQUIRE_MESSAGE(ran.has_value(), ran.error().message());
  std::size_t rows = 0;
  for (const BatchPtr& batch : collected->batches) rows += batch->rows();
  return rows;
}

TEST_CASE("in a job every subtask has the whole table, and keys may be computed on both sides") {
  for (const std::uint32_t parallelism : {1U, 3U}) {
    CAPTURE(parallelism);
    CHECK(rows_of_job(job("on = \"n = m\"\nfields = { n = \"n\" }\n"), parallelism) == 60'000);
    CHECK(rows_of_job(job("on = \"n % 100 = m\"\nfields = { n = \"n\" }\n"), parallelism) == 200'000);
    CHECK(rows_of_job(job("on = \"n % 100 = m / 2 AND x >= 0 AND y >= 0\"\nfields = { n = \"n\" }\n"), parallelism) ==
          400'000);
  }
}

}  // namespace
}  // namespace dataflow

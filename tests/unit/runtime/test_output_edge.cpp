// Which channel of an exchange a row goes to.
#include "libdataflow/runtime/output_edge.hpp"

#include <doctest/doctest.h>

#include <array>
#include <map>

#include "serialization/key_hash.hpp"
#include "tests/support/batches.hpp"

using namespace dataflow;
using testing_support::make_batch;
using testing_support::Row;
using testing_support::rows_of;

namespace {

constexpr std::uint32_t max_parallelism = 128;

class Channels final : public TaskHost {
 public:
  void send(std::size_t channel, EncodedEnvelopePtr envelope) override {
    const auto* batch = std::get_if<BatchPtr>(&envelope->envelope());
    if (batch == nullptr) return;
    const auto rows = rows_of(**batch);
    rows_[channel].insert(rows_[channel].end(), rows.begin(), rows.end());
  }
  void grant(std::size_t, std::size_t) override {}
  void request_split() override {}

  std::map<std::size_t, std::vector<Row>> rows_;
};

}  // namespace

TEST_CASE("hash: each row goes, in order, to the subtask that owns its key group") {
  const SchemaPtr schema = make_schema({{"key", TypeKind::int64},
                                        {"n", TypeKind::int32},
                                        {"x", TypeKind::float64},
                                        {"text", TypeKind::string},
                                        {"flag", TypeKind::boolean}});
  // Sizes around the eight rows that are taken at a time; a key that most rows have, and NULLs.
  for (const std::size_t count : {1, 7, 8, 9, 64, 1001}) {
    for (const bool nulls : {false, true}) {
      for (const std::uint32_t channels : {1U, 2U, 3U, 5U}) {
        CAPTURE(count);
        CAPTURE(nulls);
        CAPTURE(channels);
        std::vector<Row> rows;
        for (std::size_t i = 0; i < count; ++i) {
          const std::int64_t key = i % 5 == 0 ? static_cast<std::int64_t>(i) : 42;
          const auto n = static_cast<std::int64_t>(i);
          rows.push_back({nulls && i % 3 == 0 ? Value{} : Value{key}, n, static_cast<double>(i) / 2,
                          nulls && i % 4 == 0 ? Value{} : Value{std::string(i % 20, 'a')}, i % 7 == 0});
        }
        const BatchPtr batch = make_batch(schema, rows);
        std::vector<std::uint64_t> hashes;
        hash_rows(std::array{&batch->column(0)}, batch->rows(), hashes);
        std::map<std::size_t, std::vector<Row>> expected;
        for (std::size_t i = 0; i < count; ++i) {
          const std::uint32_t group = key_group_of(hashes[i], max_parallelism);
          expected[subtask_of_key_group(group, max_parallelism, channels)].push_back(rows[i]);
        }
        JobEdge edge;
        edge.partitioning = Partitioning::hash;
        edge.key_fields = {0};
        OutputEdge output{edge, max_parallelism, 0, channels, 0, Duration{0}, channel_window_bytes};
        Channels sent;
        output.emit(batch, Timestamp{0}, sent);
        output.flush(Timestamp{0}, sent);
        CHECK(sent.rows_ == expected);
      }
    }
  }
}

TEST_CASE("many small batches with watermarks between them do not wait for more rows") {
  const SchemaPtr schema = make_schema({{"n", TypeKind::int64}});
  JobEdge edge;
  edge.partitioning = Partitioning::forward;
  OutputEdge output{edge, max_parallelism, 0, 1, 0, std::chrono::hours{1}, channel_window_bytes};
  Channels sent;
  output.emit(make_batch(schema, {{0}}), Timestamp{0}, sent);  // at once; the next ones wait for the timeout
  std::int64_t n = 0;
  while (sent.rows_[0].size() == 1 && ++n < 1000) {
    REQUIRE(!output.blocked());
    output.emit(make_batch(schema, {{n}}), Timestamp{n}, sent);
    output.emit_to_all(Watermark{Timestamp{n}}, Timestamp{n}, sent);
  }
  CHECK(sent.rows_[0].size() > 8);
  CHECK(sent.rows_[0].size() < 100);
}

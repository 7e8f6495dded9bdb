#include "libdataflow/sources/collection_source.hpp"

#include <doctest/doctest.h>

#include "serialization/builder.hpp"
#include "tests/unit/sources/reading.hpp"

using namespace dataflow;
using dataflow::testing::read_all;

TEST_CASE("batches are given in order, in pieces when fewer rows are asked for") {
  const SchemaPtr schema = make_schema({{"n", TypeKind::int64}});
  std::vector<BatchPtr> batches;
  BatchBuilder rows{schema};
  for (std::int64_t n = 0; n < 10; ++n) {
    rows.append_row(std::vector<Value>{n});
    if (n == 5) batches.push_back(rows.finish());
  }
  batches.push_back(rows.finish());
  const auto source = make_collection_source(batches);
  const auto whole = read_all(*source);
  CHECK(whole.splits.size() == 2);
  CHECK(whole.rows.substr(0, 18) == "{\"n\":0}\n{\"n\":1}\n{\"");
  CHECK(read_all(*source, 1, 4).rows == whole.rows);
  CHECK(source->max_readers() == 2);
}

TEST_CASE("no rows are no records") {
  const auto got = read_all(*make_collection_source({}));
  CHECK(got.failure == "");
  CHECK(got.rows == "");
}

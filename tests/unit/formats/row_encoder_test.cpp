#include "libdataflow/formats/row_encoder.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "serialization/builder.hpp"

using namespace dataflow;

namespace {

const SchemaPtr schema = make_schema(
    {{"name", TypeKind::string}, {"n", TypeKind::int64}, {"f", TypeKind::float64}, {"at", TypeKind::timestamp}});

BatchPtr rows(RowKind second = RowKind::insert) {
  BatchBuilder builder{schema};
  builder.append_row(std::vector<Value>{std::string{"a,\"b\""}, std::int64_t{-1}, 2.5, std::int64_t{0}});
  builder.append_row(std::vector<Value>{std::string{}, {}, {}, {}}, std::nullopt, second);
  return builder.finish();
}

std::string encoded(OutputFormat format, const BatchPtr& batch, bool changelog = false) {
  const auto encoder = make_encoder(format, batch->schema(), changelog);
  std::string out;
  encoder->begin(out);
  encoder->encode(*batch, out);
  return out;
}

}  // namespace

TEST_CASE("JSON: one object a line in the schema's order") {
  CHECK(encoded(OutputFormat::json, rows()) ==
        "{\"name\":\"a,\\\"b\\\"\",\"n\":-1,\"f\":2.5,\"at\":\"1970-01-01T00:00:00Z\"}\n"
        "{\"name\":\"\",\"n\":null,\"f\":null,\"at\":null}\n");
}

TEST_CASE("JSON: what a row does to a changelog stands first") {
  CHECK(encoded(OutputFormat::json, rows(RowKind::remove)) ==
        "{\"op\":\"+I\",\"name\":\"a,\\\"b\\\"\",\"n\":-1,\"f\":2.5,\"at\":\"1970-01-01T00:00:00Z\"}\n"
        "{\"op\":\"-D\",\"name\":\"\",\"n\":null,\"f\":null,\"at\":null}\n");
}

TEST_CASE("CSV: quotes only where they are needed, and tells an empty text from NULL") {
  CHECK(encoded(OutputFormat::csv, rows()) == "name,n,f,at\n\"a,\"\"b\"\"\",-1,2.5,1970-01-01T00:00:00Z\n\"\",,,\n");
  CHECK(encoded(OutputFormat::csv, rows(RowKind::update_after), true) ==
        "op,name,n,f,at\n+I,\"a,\"\"b\"\"\",-1,2.5,1970-01-01T00:00:00Z\n+U,\"\",,,\n");
}

TEST_CASE("CSV keeps what JSON cannot: NaN and infinities") {
  BatchBuilder builder{make_schema({{"f", TypeKind::float64}})};
  for (const double f : {std::nan(""), HUGE_VAL, -HUGE_VAL}) builder.append_row(std::vector<Value>{f});
  const BatchPtr batch = builder.finish();
  CHECK(encoded(OutputFormat::csv, batch) == "f\nnan\ninf\n-inf\n");
  CHECK(encoded(OutputFormat::json, batch) == "{\"f\":null}\n{\"f\":null}\n{\"f\":null}\n");
}

TEST_CASE("a table is aligned, numbers to the right") {
  CHECK(encoded(OutputFormat::table, rows()) ==
        "name      n     f  at\n"
        "-----  ----  ----  --------------------\n"
        "a,\"b\"    -1   2.5  1970-01-01T00:00:00Z\n"
        "       NULL  NULL  NULL\n");
}

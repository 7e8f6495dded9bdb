#include <doctest/doctest.h>

#include "tests/support/batches.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

const SchemaPtr id_name = make_schema({{"id", TypeKind::int64}, {"name", TypeKind::string}});

}  // namespace

TEST_CASE("selected rows come in the order asked for, with their times and kinds") {
  const BatchPtr batch = make_batch(id_name, {{1, "one"}, {nullptr, "a text of more than sixteen bytes"}, {3, nullptr}},
                                    {10, 20, 30}, {RowKind::insert, RowKind::remove, RowKind::insert});
  const std::uint32_t indices[] = {2, 1, 1};
  const BatchPtr selected = batch->select_rows(indices);
  CHECK(rows_of(*selected) == rows({{3, nullptr},
                                    {nullptr, "a text of more than sixteen bytes"},
                                    {nullptr, "a text of more than sixteen bytes"}}));
  CHECK(event_times_of(*selected) == std::vector<std::int64_t>{30, 20, 20});
  CHECK(kinds_of(*selected) == std::vector<RowKind>{RowKind::insert, RowKind::remove, RowKind::remove});
}

TEST_CASE("a selection without NULLs and retractions carries neither validity nor kinds") {
  const BatchPtr batch =
      make_batch(id_name, {{1, "a"}, {nullptr, nullptr}}, {}, {RowKind::insert, RowKind::update_before});
  const std::uint32_t first[] = {0};
  const BatchPtr selected = batch->select_rows(first);
  CHECK_FALSE(selected->column(0).has_nulls());
  CHECK_FALSE(selected->column(1).has_nulls());
  CHECK(selected->kinds().empty());
}

TEST_CASE("texts that are all empty or NULL can be selected") {
  const BatchPtr batch = make_batch(id_name, {{1, ""}, {2, nullptr}});
  const std::uint32_t both[] = {1, 0};
  CHECK(rows_of(*batch->select_rows(both)) == rows({{2, nullptr}, {1, ""}}));
}

TEST_CASE("other columns under another schema share times and kinds") {
  const BatchPtr batch = make_batch(id_name, {{1, "a"}, {2, "b"}}, {5, 6}, {RowKind::remove, RowKind::insert});
  const BatchPtr names = batch->with_columns(make_schema({{"n", TypeKind::string}}), {batch->columns()[1]});
  CHECK(rows_of(*names) == rows({{"a"}, {"b"}}));
  CHECK(names->timestamps() == batch->timestamps());
  CHECK(names->kinds().data() == batch->kinds().data());
  CHECK(names->columns()[0] == batch->columns()[1]);
}

TEST_CASE("concatenated batches keep rows, NULLs, times and kinds; one alone is passed on as it is") {
  const BatchPtr a = make_batch(id_name, {{1, "a"}, {2, "b"}}, {1, 2});
  const BatchPtr b = make_batch(id_name, {{nullptr, "c"}}, {3}, {RowKind::remove});
  const BatchPtr parts[] = {a, b, a};
  const BatchPtr whole = concatenate(parts);
  CHECK(rows_of(*whole) == rows({{1, "a"}, {2, "b"}, {nullptr, "c"}, {1, "a"}, {2, "b"}}));
  CHECK(event_times_of(*whole) == std::vector<std::int64_t>{1, 2, 3, 1, 2});
  CHECK(whole->kind(2) == RowKind::remove);
  CHECK(whole->kind(4) == RowKind::insert);
  CHECK(concatenate(std::span{&a, 1}) == a);
}

TEST_CASE("a batch counts the bytes of all its blobs") {
  const BatchPtr plain = make_batch(id_name, {{1, "abc"}, {2, "de"}});
  CHECK(plain->byte_size() == 2 * 8 + (3 * 4 + 5));
  const BatchPtr timed = make_batch(id_name, {{1, "abc"}, {2, "de"}}, {1, 2}, {RowKind::insert, RowKind::remove});
  CHECK(timed->byte_size() == plain->byte_size() + 2 * 8 + 2);
}

TEST_CASE("a row's time without event time is before all time") {
  CHECK(make_batch(id_name, {{1, "a"}})->timestamp(0) == Timestamp::min());
}

TEST_CASE("a row as JSON has the schema's order and each type's form") {
  const SchemaPtr schema = make_schema({{"flag", TypeKind::boolean},
                                        {"small", TypeKind::int32},
                                        {"large \"one\"", TypeKind::int64},
                                        {"real", TypeKind::float64},
                                        {"price", DataType::decimal(10, 2)},
                                        {"name", TypeKind::string},
                                        {"raw", TypeKind::bytes},
                                        {"at", TypeKind::timestamp}});
  const BatchPtr batch = make_batch(schema, {{true, -1, 2, 3.0, 450, "x\ny", "hi", Timestamp{0}},
                                             {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr}});
  CHECK(to_json_lines(*batch) ==
        R"({"flag":true,"small":-1,"large \"one\"":2,"real":3.0,"price":4.50,"name":"x\ny","raw":"aGk=",)"
        R"("at":"1970-01-01T00:00:00Z"})"
        "\n"
        R"({"flag":null,"small":null,"large \"one\"":null,"real":null,"price":null,"name":null,"raw":null,)"
        R"("at":null})"
        "\n");
}

TEST_CASE("a cell's JSON is that of its value") {
  const BatchPtr batch = make_batch(id_name, {{1, "a\tb"}, {nullptr, nullptr}});
  for (const ColumnPtr& column : batch->columns()) {
    for (std::size_t row = 0; row < 2; ++row) {
      std::string cell;
      append_json(*column, row, cell);
      CHECK(cell == to_json(column->type, column->value(row)));
    }
  }
}

TEST_CASE("errors gain context in front and have names") {
  const Error error{ErrorCode::io, "disk full"};
  CHECK(error.within("sink 'alerts'") == Error{ErrorCode::io, "sink 'alerts': disk full"});
  CHECK(to_string(ErrorCode::malformed_data) == "malformed_data");
}

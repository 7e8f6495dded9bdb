#include <doctest/doctest.h>

#include "tests/support/batches.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

TEST_CASE("a frozen buffer is aligned, padded with zeros and leaves its builder empty") {
  GrowingBuffer growing;
  growing.append("abc", 3);
  const Buffer frozen = growing.freeze();
  CHECK(reinterpret_cast<std::uintptr_t>(frozen.data()) % 64 == 0);
  CHECK(frozen.size() == 3);
  CHECK(std::memcmp(frozen.data(), "abc\0\0\0\0\0", 8) == 0);
  CHECK(growing.size() == 0);
  growing.append("xyz", 3);
  CHECK(std::memcmp(frozen.data(), "abc", 3) == 0);
}

TEST_CASE("an empty buffer that was frozen has an address") {
  GrowingBuffer growing;
  const Buffer frozen = growing.freeze();
  CHECK(frozen.data() != nullptr);
  CHECK(frozen.empty());
}

TEST_CASE("a buffer that is filled again starts with the size of its last filling, but not with a giant's") {
  GrowingBuffer growing;
  growing.resize(5000);
  growing.freeze();
  growing.push('x');
  CHECK(growing.capacity() >= 5000);
  growing.resize(std::size_t{100} << 20);
  growing.freeze();
  growing.push('x');
  CHECK(growing.capacity() <= 256 * 1024);
}

TEST_CASE("a view of a buffer keeps the memory alive") {
  Buffer part;
  {
    GrowingBuffer growing;
    growing.append("0123456789abcdef", 16);
    const Buffer whole = growing.freeze();
    part = whole.view(whole.bytes().subspan(8, 8));
  }
  CHECK(std::memcmp(part.data(), "89abcdef", 8) == 0);
}

TEST_CASE("a column has no validity before its first NULL and the right bits after it") {
  ColumnBuilder builder{TypeKind::int64};
  for (int i = 0; i < 10; ++i) builder.append_int64(i);
  CHECK_FALSE(builder.finish()->has_nulls());
  for (int i = 0; i < 30; ++i) {
    if (i == 9 || i == 16) {
      builder.append_null();
    } else {
      builder.append_int64(i);
    }
  }
  const ColumnPtr column = builder.finish();
  CHECK(column->validity.size() == 4);
  for (std::size_t i = 0; i < 30; ++i) CHECK(column->is_null(i) == (i == 9 || i == 16));
}

TEST_CASE("values appended wholesale after a NULL are valid") {
  ColumnBuilder builder{TypeKind::int32};
  builder.append_null();
  auto* values = builder.append_uninitialised<std::int32_t>(20);
  for (int i = 0; i < 20; ++i) values[i] = i;
  builder.append_null();
  const ColumnPtr column = builder.finish();
  REQUIRE(column->rows == 22);
  CHECK(column->is_null(0));
  CHECK(column->is_null(21));
  for (std::size_t i = 0; i < 20; ++i) CHECK(column->value(i + 1) == Value{static_cast<std::int64_t>(i)});
}

TEST_CASE("truncating away every NULL leaves a column without validity") {
  ColumnBuilder builder{TypeKind::string};
  builder.append_text("a");
  builder.append_null();
  builder.append_text("b");
  builder.truncate(1);
  builder.append_text("c");
  const ColumnPtr column = builder.finish();
  REQUIRE(column->rows == 2);
  CHECK_FALSE(column->has_nulls());
  CHECK(column->text(0) == "a");
  CHECK(column->text(1) == "c");
}

TEST_CASE("a builder starts anew after finish") {
  ColumnBuilder builder{TypeKind::string, 4};
  builder.append_text("first");
  CHECK(builder.finish()->text(0) == "first");
  builder.append_text("second");
  const ColumnPtr column = builder.finish();
  REQUIRE(column->rows == 1);
  CHECK(column->text(0) == "second");
  CHECK(builder.finish()->rows == 0);
}

TEST_CASE("whole numbers fit float64 columns") {
  ColumnBuilder builder{TypeKind::float64};
  builder.append(Value{std::int64_t{3}});
  CHECK(builder.finish()->value(0) == Value{3.0});
}

TEST_CASE("an abandoned row leaves nothing behind") {
  const SchemaPtr schema = make_schema({{"id", TypeKind::int64}, {"name", TypeKind::string}});
  BatchBuilder builder{schema};
  builder.append_row(std::vector<Value>{std::int64_t{1}, "a"});
  builder.column(0).append_int64(2);
  builder.abandon_row();
  builder.column(0).append_null();
  builder.column(1).append_text("half");
  builder.abandon_row();
  builder.append_row(std::vector<Value>{std::int64_t{3}, "c"});
  CHECK(rows_of(*builder.finish()) == rows({{1, "a"}, {3, "c"}}));
}

TEST_CASE("row kinds appear with the first row that is no insert") {
  const SchemaPtr schema = make_schema({{"id", TypeKind::int64}});
  const BatchPtr inserts = make_batch(schema, {{1}, {2}}, {}, {RowKind::insert, RowKind::insert});
  CHECK(inserts->kinds().empty());
  const std::vector<RowKind> kinds{RowKind::insert, RowKind::update_after, RowKind::insert};
  CHECK(kinds_of(*make_batch(schema, {{1}, {2}, {3}}, {}, kinds)) == kinds);
  CHECK(kinds_of(*make_batch(schema, {{1}, {2}, {3}}, {1, 2, 3}, kinds)) == kinds);
}

TEST_CASE("a builder is full at the limit of rows or bytes") {
  const SchemaPtr schema = make_schema({{"name", TypeKind::string}});
  BatchBuilder by_rows{schema};
  while (!by_rows.full()) by_rows.append_row(std::vector<Value>{"x"});
  CHECK(by_rows.rows() == max_batch_rows);
  BatchBuilder by_bytes{schema};
  while (!by_bytes.full()) by_bytes.append_row(std::vector<Value>{std::string(1024, 'x')});
  CHECK(by_bytes.rows() > 200);
  CHECK(by_bytes.rows() <= 256);
}

#include <doctest/doctest.h>

#include "libdataflow/graph/column_pruning.hpp"
#include "libdataflow/operators/filter.hpp"
#include "libdataflow/runtime/local_executor.hpp"
#include "serialization/builder.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/graphs.hpp"
#include "tests/support/scripted_source.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

const SchemaPtr schema =
    make_schema({{"a", TypeKind::int64}, {"b", TypeKind::string}, {"c", TypeKind::int64}, {"d", TypeKind::timestamp}});

/// Only remembers which fields it was asked for.
class PlannedSource final : public SourceFactory {
 public:
  explicit PlannedSource(std::vector<bool> fields = {}) : fields_{std::move(fields)} {}
  [[nodiscard]] std::unique_ptr<SplitEnumerator> create_enumerator() const override { return nullptr; }
  [[nodiscard]] std::unique_ptr<SourceReader> create_reader() const override { return nullptr; }
  [[nodiscard]] bool bounded() const override { return true; }
  [[nodiscard]] SourceFactoryPtr reading(const std::vector<bool>& fields) const override {
    return std::make_shared<PlannedSource>(fields);
  }
  std::vector<bool> fields_;
};

class Using final : public OperatorFactory {
 public:
  explicit Using(FieldUse use) : use_{std::move(use)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override { return nullptr; }
  [[nodiscard]] std::optional<FieldUse> field_use() const override { return use_; }

 private:
  FieldUse use_;
};

/// Reads some fields and keeps what it was given.
class Reading final : public OperatorFactory {
 public:
  Reading(std::vector<std::size_t> fields, std::vector<BatchPtr>& given) : fields_{std::move(fields)}, given_{given} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<LambdaOperator>([this](const BatchPtr& batch, OperatorOutput&) -> Result<Step> {
      given_.push_back(batch);
      return Step::done;
    });
  }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    return FieldUse{.reads = fields_, .passing_outputs = {}};
  }

 private:
  std::vector<std::size_t> fields_;
  std::vector<BatchPtr>& given_;
};

std::vector<bool> fields_read(GraphBuilder& b) {
  prune_unread_columns(b.graph);
  return dynamic_cast<const PlannedSource&>(*b.graph.nodes[0].source->factory).fields_;
}

}  // namespace

TEST_CASE("a source decodes what a filter and the node behind it read, and its event time") {
  GraphBuilder b;
  b.source("in", schema, std::make_shared<PlannedSource>(), EventTimeSpec{.field = 3});
  b.transform("filter", {"in"}, std::make_shared<Using>(FieldUse{.reads = {0}, .passing_outputs = {0}}));
  b.sink("sum", {"filter"}, std::make_shared<Using>(FieldUse{.reads = {2}, .passing_outputs = {}}));
  CHECK(fields_read(b) == std::vector<bool>{true, false, true, true});
}

TEST_CASE("key fields are read by the exchange") {
  GraphBuilder b;
  b.source("in", schema, std::make_shared<PlannedSource>());
  auto& count = b.sink("count", {"in"}, std::make_shared<Using>(FieldUse{}));
  count.inputs[0].partitioning = Partitioning::hash;
  count.inputs[0].key_fields = {1};
  CHECK(fields_read(b) == std::vector<bool>{false, true, false, false});
}

TEST_CASE(
    "a source that leaves out malformed records decodes everything, or what it leaves out would depend on the rest") {
  for (const ErrorPolicy policy : {ErrorPolicy::skip, ErrorPolicy::side_output}) {
    GraphBuilder b;
    b.source("in", schema, std::make_shared<PlannedSource>()).source->on_error = policy;
    b.sink("narrow", {"in"}, std::make_shared<Using>(FieldUse{.reads = {0}, .passing_outputs = {}}));
    CHECK(fields_read(b).empty());
  }
}

TEST_CASE("the fields of a computed event time are decoded") {
  GraphBuilder b;
  const auto time = Expression::compile("to_timestamp(b)", *schema);
  REQUIRE(time);
  b.source("in", schema, std::make_shared<PlannedSource>(), EventTimeSpec{.expression = *time});
  b.sink("narrow", {"in"}, std::make_shared<Using>(FieldUse{.reads = {0}, .passing_outputs = {}}));
  CHECK(fields_read(b) == std::vector<bool>{true, true, false, false});
}

TEST_CASE("an operator that does not say what it reads gets everything") {
  GraphBuilder b;
  b.source("in", schema, std::make_shared<PlannedSource>());
  b.sink("narrow", {"in"}, std::make_shared<Using>(FieldUse{.reads = {0}, .passing_outputs = {}}));
  b.collect("out", {"in"});
  CHECK(fields_read(b).empty());
}

TEST_CASE("a filter gives what is read behind it, whatever it reads itself and whether it drops a row or not") {
  const SchemaPtr abc = make_schema({{"a", TypeKind::int64}, {"b", TypeKind::string}, {"c", TypeKind::int64}});
  std::vector<BatchPtr> given;
  GraphBuilder b;
  b.source("in", abc,
           std::make_shared<ScriptedSource>(
               std::vector<Script>{{make_batch(abc, {{1, "x", 10}, {2, "y", 20}, {3, "z", 30}})}}));
  b.transform("some", {"in"}, make_filter(Expression::compile("a > 1", *abc).value(), abc));
  b.transform("one", {"some"}, make_filter(Expression::compile("b <> 'y'", *abc).value(), abc));
  b.transform("all", {"one"}, make_filter(Expression::compile("c > 0", *abc).value(), abc));
  b.sink("sum", {"all"}, std::make_shared<Reading>(std::vector<std::size_t>{2}, given));
  prune_unread_columns(b.graph);
  REQUIRE((*LocalExecutor::create(std::move(b.graph)))->run());
  REQUIRE(given.size() == 1);
  CHECK(is_unread(given[0]->column(0)));
  CHECK(is_unread(given[0]->column(1)));
  CHECK(given[0]->column(2).value(0) == Value{std::int64_t{30}});
}

TEST_CASE("an unread column is free to gather and is left out of a row's JSON") {
  BatchBuilder builder{make_schema({{"a", TypeKind::int64}})};
  builder.column(0).append_int64(7);
  builder.end_row();
  builder.column(0).append_int64(8);
  builder.end_row();
  const Batch batch{make_schema({{"a", TypeKind::int64}, {"b", TypeKind::string}}),
                    2,
                    {builder.finish()->columns()[0], unread_column(TypeKind::string, 2)}};
  const BatchPtr second = batch.select_rows(std::vector<std::uint32_t>{1});
  CHECK(is_unread(second->column(1)));
  std::string json;
  append_row_json(*second, 0, json);
  CHECK(json == "{\"a\":8}");
}

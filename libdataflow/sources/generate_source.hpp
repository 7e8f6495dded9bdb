#pragma once
// The `generate` source: rows computed by expressions from a row's number and a seed.
//
// Row n is the same at any parallelism and in any order, since nothing in it depends on the rows before: seq() is n,
// random() is a hash of the seed, the field, the call within the field, and n; time() is start + n * interval. The
// calls are made columns of an input batch before the expression sees them: `seq()` and the column name `"seq"` have
// the same length, so a mistake in the expression is still shown at its place.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/expressions/expression.hpp"
#include "libdataflow/sources/source.hpp"

namespace dataflow {

struct GeneratedField {
  std::string name;
  Expression value;  ///< over GeneratorPlan::input
};

/// A random() call: a column of its own, float64 in [0, 1).
struct RandomCall {
  std::string field;
  std::size_t number = 0;  ///< within the field, from 0
};

/// The fields with what they are computed from.
struct GeneratorPlan {
  SchemaPtr input;  ///< seq int64, time timestamp, then one float64 column a random() call
  std::vector<RandomCall> randoms;
  std::vector<GeneratedField> fields;
};

/// Where a field's text is wrong.
struct GeneratorMistake {
  std::string field;
  ExpressionError error;
};

/// Compiles `name = "expression"` pairs. Errors: the first mistake of each wrong field.
tl::expected<GeneratorPlan, std::vector<GeneratorMistake>> plan_generator(
    const std::vector<std::pair<std::string, std::string>>& fields);

struct GenerateSourceSpec {
  GeneratorPlan plan;
  std::optional<std::uint64_t> count;  ///< rows; nothing: without end
  std::uint64_t seed = 0;
  Timestamp start{};
  Duration interval = std::chrono::milliseconds{1};
  std::vector<bool> read{};  ///< which fields somebody reads; empty: all
};

SchemaPtr schema_of(const GeneratorPlan& plan);
/// A row whose expressions cannot be computed is a malformed record "row N".
SourceFactoryPtr make_generate_source(GenerateSourceSpec spec);

}  // namespace dataflow

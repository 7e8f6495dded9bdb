#pragma once
// Random expressions, and what they mean: a tree of its own that writes itself as SQL text and computes one row at a
// time, in the plainest way. It shares nothing with the library.

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "serialization/batch.hpp"
#include "tests/support/random_batches.hpp"

namespace dataflow::expression_tests {

enum class Kind { int32, int64, float64, boolean };

/// NULL, a row error, or a value.
struct Null {};
struct Failure {};
using Cell = std::variant<Null, Failure, bool, std::int64_t, double>;

struct Tree {
  virtual ~Tree() = default;
  [[nodiscard]] virtual std::string text() const = 0;
  [[nodiscard]] virtual Cell evaluate(const Batch& batch, std::size_t row) const = 0;
  [[nodiscard]] virtual Kind kind() const = 0;
};
using TreePtr = std::shared_ptr<const Tree>;

/// The fields of the batches: i1 i2 int32, n1 n2 int64, x1 x2 float64, b1 b2 bool.
SchemaPtr random_schema();
BatchPtr random_batch(testing_support::RandomBatches& random);
TreePtr random_tree(testing_support::RandomBatches& random, Kind kind, unsigned depth);

}  // namespace dataflow::expression_tests

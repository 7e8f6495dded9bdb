#pragma once
// Rows that were written under one schema, read under another: fields are matched by name; a new one is NULL, one that
// is gone is left out, a number may widen. Everything else is an error before the job starts.

#include "serialization/batch.hpp"
#include "serialization/result.hpp"

namespace dataflow {

class SchemaEvolution {
 public:
  /// Errors: invalid_argument naming the field and both types.
  static Result<SchemaEvolution> between(SchemaPtr written, SchemaPtr wanted);

  /// Whether rows pass unchanged.
  [[nodiscard]] bool identical() const { return identical_; }
  /// `rows` have the written schema; event times and kinds are kept.
  [[nodiscard]] BatchPtr convert(const BatchPtr& rows) const;

 private:
  SchemaEvolution() = default;

  static constexpr std::size_t missing = SIZE_MAX;
  SchemaPtr written_;
  SchemaPtr wanted_;
  std::vector<std::size_t> from_;  ///< for each wanted field its position among the written ones
  bool identical_ = false;
};

}  // namespace dataflow

#pragma once
// The names and types of a stream's fields.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/data_type.hpp"

namespace dataflow {

class Schema {
 public:
  Schema() = default;
  /// Field names must be unique (asserted).
  explicit Schema(std::vector<Field> fields);

  [[nodiscard]] const std::vector<Field>& fields() const { return fields_; }
  [[nodiscard]] std::size_t size() const { return fields_.size(); }
  [[nodiscard]] const Field& operator[](std::size_t i) const { return fields_[i]; }
  /// Position of a field, or nothing. Linear: for planning, not for records.
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const;

  friend bool operator==(const Schema&, const Schema&) = default;

 private:
  std::vector<Field> fields_;
};

using SchemaPtr = std::shared_ptr<const Schema>;

inline SchemaPtr make_schema(std::vector<Field> fields) {
  return std::make_shared<const Schema>(std::move(fields));
}

/// `{ date timestamp, pressure float64 }`, for plans and errors.
std::string to_string(const Schema& schema);

}  // namespace dataflow

#pragma once
// A row for each key, of a schema that only the plan knows: the state of operators that a topology names. Its fields
// are columns of the state's table, so that they can be shown, and are matched by name when the rows of a newer program
// have others. In memory, in a store and between them a row is its fields one after the other (see stored_table.hpp).

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "dataflow/state.hpp"
#include "serialization/schema.hpp"

namespace dataflow {

struct StoredRow {
  std::string fields;
};

template <>
struct Codec<StoredRow> {
  static constexpr bool known = true;
  static void encode(const StoredRow& row, std::string& out) { out += row.fields; }
  static void decode(ByteReader& in, StoredRow& row) { row.fields = in.rest(); }
};
/// Only who has the schema can.
inline std::string state_to_json(const StoredRow& /*row*/) {
  return "null";
}

class RowState final : public SlotState<StoredRow> {
 public:
  /// The first field of `schema` is never NULL.
  RowState(StateOwner* owner, std::string name, SchemaPtr schema, Ttl ttl = {})
      : SlotState{owner, std::move(name), ttl}, schema_{std::move(schema)} {}

  [[nodiscard]] SchemaPtr row_schema() const override { return schema_; }

  /// The key's row; null when it has none, or none any more. Valid until the state changes.
  [[nodiscard]] const StoredRow* get() const { return find(); }
  /// The key's row to be written: empty when it had none, else as it was. Counts as written now.
  std::string& put() { return write().fields; }
  /// The key has been seen: with a TTL its time begins anew. It must have a row (asserted).
  void touch() {
    assert(find() != nullptr);
    if (has_ttl()) write();
  }

 private:
  SchemaPtr schema_;
};

}  // namespace dataflow

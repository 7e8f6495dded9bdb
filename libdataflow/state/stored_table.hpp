#pragma once
// A keyed table in a store: how its rows become keys and values, and how its checkpoints become rows again, whatever
// backend restores them.
//
// A key is the row's key group (so that a subtask's share is a range) and its key columns, a value the other columns.
// Each column is a byte that says whether there is a value, and the value: fixed-width ones as they lie, others behind
// their length. Of a key with several rows the value has the columns of one behind those of the other. The encoding is
// part of the checkpoint format: a change of it is a new version of the store.

#include <functional>

#include "libdataflow/state/snapshot.hpp"
#include "libdataflow/state/state_store.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

/// Appends one column's value in one row.
void append_stored_field(const Column& column, std::uint32_t row, std::string& out);
/// Appends a field that is no column's: bytes, or nothing.
void append_stored_text(std::optional<std::string_view> text, std::string& out);
void append_stored_int64(std::optional<std::int64_t> value, std::string& out);

/// Reads fields in their order; after the first one that is cut off `ok` is false, and all are NULL.
class StoredFields {
 public:
  explicit StoredFields(std::string_view bytes) : left_{bytes} {}
  /// Appends the next field, which is of the column's type.
  void read(const DataType& type, ColumnBuilder& column);
  /// The next field of a bytes or string column.
  std::optional<std::string_view> text();
  std::optional<std::int64_t> int64();
  /// The bytes of the next fields, which are a row's; nothing when its first one is NULL.
  std::optional<std::string_view> row(const Schema& schema);
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return left_.empty(); }
  [[nodiscard]] std::string_view left() const { return left_; }

 private:
  std::string_view take(std::size_t count);
  std::string_view left_;
  bool ok_ = true;
};

/// A state's value in a table's row: its fields, or, without `row`, what its Codec wrote; and when it was written.
/// Nothing: the key has none.
struct StoredState {
  std::optional<std::string_view> value;
  std::optional<std::int64_t> written;
};
void append_stored_state(const Schema* row, const StoredState& state, std::string& out);
StoredState read_stored_state(const Schema* row, StoredFields& fields);
/// Of a key with several rows: each of `rows`, which lie one after the other, as append_stored_state writes one.
void append_stored_rows(const Schema& row, std::string_view rows, std::optional<std::int64_t> written,
                        std::string& out);

/// What lies in a store: the schema of its rows, of which the first `keys` columns are the key.
struct StoredTableForm {
  SchemaPtr schema;
  std::size_t keys = 0;
  bool many_rows = false;  ///< a key may have several: what is put goes behind those that it has
};

/// Calls `visit` with the rows of the key groups in `range`, group after group. Errors: of the store; malformed_data
/// when an entry is no row of the form; what `visit` returns.
Status scan_stored_table(StateStore& store, const StoredTableForm& form, KeyGroupRange range,
                         const StateReader::Visit& visit);
/// Puts rows into a store; `max_parallelism` is the job's.
Status put_stored_rows(StateStore& store, const StoredTableForm& form, const Batch& rows,
                       std::uint32_t max_parallelism);

/// Erases what does not belong to the key groups in `range`.
Status keep_key_groups(StateStore& store, KeyGroupRange range);

}  // namespace dataflow

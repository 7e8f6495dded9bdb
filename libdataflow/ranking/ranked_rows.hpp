#pragma once
// Private to this folder.
//
// The first rows of one key: each as its fields, and as bytes by which it is compared with others.

#include <absl/container/inlined_vector.h>

#include <string>
#include <string_view>
#include <vector>

#include "dataflow/state.hpp"
#include "libdataflow/ranking/row_bytes.hpp"
#include "libdataflow/ranking/sort_key.hpp"
#include "serialization/batch.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

/// In one piece, since there may be many.
struct RankedRow {
  std::string bytes;  ///< its order, then its fields
  std::uint32_t order_bytes = 0;

  /// Its sort key, ended by a number that no other row of its key has.
  [[nodiscard]] std::string_view order() const { return {bytes.data(), order_bytes}; }
  /// Its sort key: what rows that are equal in the order share.
  [[nodiscard]] std::string_view key() const { return without_number(order()); }
  /// Its event time, that number, and the row's own, as RowBytes writes them.
  [[nodiscard]] std::string_view fields() const { return std::string_view{bytes}.substr(order_bytes); }
};

/// How many rows of a key are kept.
struct RowLimit {
  std::uint64_t rows = 1;
  bool with_ties = false;  ///< and all that are equal to the last of them
};

/// Of one key: ascending by their order.
struct RankedRows {
  absl::InlinedVector<RankedRow, 1> rows;  ///< of most tops a key has one
  std::uint64_t next_number = 0;           ///< above those of the rows

  /// How many come before one with that order.
  [[nodiscard]] std::size_t rank_of(std::string_view order) const;
  /// Whether a row that belongs there is within the limit.
  [[nodiscard]] bool lets_in(std::size_t rank, std::string_view order, const RowLimit& limit) const;
  /// The first of the rows that are beyond the limit once there is one more at `rank`; their number when none is.
  [[nodiscard]] std::size_t first_beyond(std::size_t rank, const RowLimit& limit) const;
  /// How many come before one of them without being equal to it.
  [[nodiscard]] std::size_t before_equals_of(std::size_t row) const;
};

/// What rows of an input become.
class RankedForm {
 public:
  RankedForm(const Schema& input, std::vector<SortField> order);

  /// Of what is kept of a row.
  [[nodiscard]] const SchemaPtr& schema() const { return schema_; }
  /// Into `out`: the order of a row of the input that comes as the key's `number`-th.
  void order_of(const Batch& batch, std::uint32_t row, std::uint64_t number, std::string& out) const;
  /// What is kept of it.
  void append_fields(const Batch& batch, std::uint32_t row, Timestamp time, std::uint64_t number,
                     std::string& out) const;
  /// Appends the input's fields to the first columns of `rows`, whose row is not ended. The row's event time.
  Timestamp restore(const RankedRow& row, BatchBuilder& rows) const;
  /// A row that is kept, from its fields; false when they are not such.
  bool read(std::string_view fields, RankedRow& row) const;

 private:
  std::vector<SortField> order_;
  std::vector<DataType> types_;  ///< of the input's fields
  RowBytes codec_;
  SchemaPtr schema_;
};

template <>
struct Codec<RankedRows> {
  static constexpr bool known = true;
  static void encode(const RankedRows& rows, std::string& out) {
    for (const RankedRow& row : rows.rows) out += row.fields();
  }
  /// Only who knows the order can: see RankedState.
  static void decode(ByteReader& /*in*/, RankedRows& /*rows*/) {}
};
inline std::string state_to_json(const RankedRows& /*rows*/) {
  return "null";
}

/// The first rows of every key.
class RankedState final : public SlotState<RankedRows> {
 public:
  /// `form` outlives it.
  RankedState(StateOwner* owner, std::string name, const RankedForm& form, RowLimit limit, Ttl ttl)
      : SlotState{owner, std::move(name), ttl}, form_{form}, limit_{limit} {}

  [[nodiscard]] SchemaPtr row_schema() const override { return form_.schema(); }
  [[nodiscard]] bool many_rows() const override { return true; }
  bool decode(std::uint32_t slot, std::string_view fields) override;
  [[nodiscard]] std::size_t more_bytes(std::uint32_t slot) const override;
  [[nodiscard]] std::string value_type() const override { return "null"; }

  /// The key's rows; null when it has none, or none any more. Valid until the state changes.
  [[nodiscard]] const RankedRows* get() const { return find(); }
  /// The key's rows to be changed. Counts as written now.
  RankedRows& put() { return write(); }
  void clear() { erase(); }
  /// The key has been seen: with a TTL its time begins anew. It must have rows (asserted).
  void touch() {
    assert(find() != nullptr);
    if (has_ttl()) write();
  }

 private:
  const RankedForm& form_;
  RowLimit limit_;
};

}  // namespace dataflow

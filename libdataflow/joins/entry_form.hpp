#pragma once
// How what a join keeps of a key lies in a store: the rows of both sides as rows of one table, so that the store's
// files are a table of a checkpoint, which any backend reads. A row of the table has the key, which side it is of, the
// numbers that the join keeps with it, and the fields of both sides, of which the other one's are NULL. A key's first
// row says when something is to be done about the key.

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/joins/row_state.hpp"
#include "libdataflow/state/state_store.hpp"
#include "libdataflow/state/stored_table.hpp"
#include "libdataflow/windows/key_batch.hpp"

namespace dataflow::joins {

/// A key's rows, and when they are wanted.
struct KeyEntry {
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

  std::string rows;            ///< as append_row writes them
  std::int64_t wakes = never;  ///< microseconds: when something is to be done
  bool ends = false;           ///< which is to forget it

  void wake_at(std::int64_t time) { wakes = std::min(time, never - 1); }

  void clear() {
    rows.clear();
    wakes = never;
    ends = false;
  }
};

/// What a store says of a key without its rows being read.
struct EntrySummary {
  std::int64_t wakes = KeyEntry::never;
  bool ends = false;
};

/// Rows that were read from entries. They refer to it.
struct DecodedRows {
  struct Row {
    std::size_t key;  ///< whose entry it was in
    RowEntry entry;
  };
  std::vector<Row> rows;                ///< those of a key one behind the other, as they were put
  std::vector<EntrySummary> summaries;  ///< by key

  std::vector<std::uint64_t> bytes;  ///< packed
};

/// Immutable: used on several threads at a time.
class EntryForm {
 public:
  /// Of the tables that the join's sides have in checkpoints.
  EntryForm(const RowTable& left, const RowTable& right, std::uint32_t max_parallelism);

  /// Of the table.
  [[nodiscard]] const StateDescription& description() const { return description_; }
  [[nodiscard]] StoredTableForm stored() const { return {description_.schema, keys_, true}; }
  [[nodiscard]] std::uint32_t max_parallelism() const { return max_parallelism_; }

  /// The store's keys of these.
  void encode_keys(std::span<const windows::KeyRef> keys, std::vector<std::string>& out) const;
  /// One that encode_keys made, to which the result may refer.
  [[nodiscard]] windows::KeyRef decode_key(std::string_view stored) const;

  /// The values of entries with rows.
  void encode(std::span<const KeyEntry> entries, std::vector<std::string>& out) const;
  /// Of keys and the store's values, nothing where it has none. Errors: malformed_data.
  Status decode(std::span<const windows::KeyRef> keys, std::span<const std::optional<std::string_view>> values,
                DecodedRows& out) const;

  /// Without its rows' fields; `visit(numbers)` for each row. Errors: malformed_data.
  template <class Visit>
  Result<EntrySummary> summary(std::string_view value, Visit&& visit) const {
    EntrySummary summary;
    StoredFields fields{value};
    for (bool first = true; !fields.at_end(); first = false) {
      const auto row = fields.row(*values_);
      if (!row) return damaged();
      StoredFields head{*row};
      head.int64();  // the side
      RowNumbers numbers{};
      for (std::size_t n = 0; n < numbers_; ++n) numbers[n] = head.int64().value_or(0);
      visit(numbers);
      if (first) summary = read_summary(head);
    }
    return summary;
  }

  /// Those of the table's rows that are of the side, as rows of its table.
  [[nodiscard]] BatchPtr rows_of(std::size_t side, const Batch& rows) const;

 private:
  [[nodiscard]] static tl::unexpected<Error> damaged();
  [[nodiscard]] static EntrySummary read_summary(StoredFields& fields);
  [[nodiscard]] std::size_t first_field(std::size_t side) const;
  [[nodiscard]] std::size_t fields_of(std::size_t side) const { return layouts_[side]->stored().size() - keys_; }

  std::uint32_t max_parallelism_;
  std::size_t keys_;
  std::size_t numbers_;
  std::array<SchemaPtr, 2> sides_;                              ///< of the sides' tables
  std::array<std::shared_ptr<const PackedLayout>, 2> layouts_;  ///< of rows as the join has them
  StateDescription description_;
  SchemaPtr values_;                         ///< of the table without its key
  windows::KeyReader key_reader_;            ///< of the table
  std::vector<PackedLayout> table_layouts_;  ///< the same bytes, from the table's rows
};
using EntryFormPtr = std::shared_ptr<const EntryForm>;

}  // namespace dataflow::joins

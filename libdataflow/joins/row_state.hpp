#pragma once
// The rows that a join remembers, in checkpoints: a keyed table for each side, with the stored fields and, behind them,
// numbers that the join keeps with each row. Capturing copies bytes; the columns are made by whoever writes them.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libdataflow/joins/join_spec.hpp"
#include "libdataflow/joins/row_entry.hpp"
#include "libdataflow/state/sealable_store.hpp"
#include "libdataflow/state/snapshot.hpp"
#include "libdataflow/state/sorted_run.hpp"

namespace dataflow::joins {

class RowTable {
 public:
  /// `numbers`: the names of the int64 fields that stand behind the stored ones.
  RowTable(std::size_t side, std::shared_ptr<const PackedLayout> layout, const std::vector<std::string>& numbers);

  [[nodiscard]] std::size_t side() const { return side_; }
  /// "left by id": what has other keys is another table.
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const PackedLayout& layout() const { return *layout_; }
  [[nodiscard]] const std::shared_ptr<const PackedLayout>& shared_layout() const { return layout_; }
  [[nodiscard]] const SchemaPtr& schema() const { return schema_; }
  /// How rows of the table's own batches are packed: the same bytes as from the input's.
  [[nodiscard]] const PackedLayout& own_layout() const { return own_layout_; }
  [[nodiscard]] std::vector<std::size_t> key_fields() const;
  [[nodiscard]] std::size_t numbers() const { return schema_->size() - layout_->stored().size(); }
  /// A number of a batch of the table.
  [[nodiscard]] std::span<const std::int64_t> number(const Batch& rows, std::size_t i) const {
    return rows.column(layout_->stored().size() + i).as<std::int64_t>();
  }
  /// Whether the state was written without it.
  [[nodiscard]] bool is_unknown(const Batch& rows, std::size_t number, std::size_t row) const {
    return rows.column(layout_->stored().size() + number).is_null(row);
  }

  /// Errors: invalid_argument when the state has rows of the side under other keys; those of StateReader::read.
  Status restore(StateReader& state, const std::function<Status(const BatchPtr&)>& visit) const;

 private:
  std::size_t side_;
  std::string prefix_;  ///< of its name
  std::string name_;
  std::shared_ptr<const PackedLayout> layout_;
  SchemaPtr schema_;
  PackedLayout own_layout_;
};

class EntryForm;

/// Rows on disk as they were at a barrier, in entries of runs.
struct StoredRows {
  std::shared_ptr<const void> home;  ///< what they lie in
  std::vector<SortedRunPtr> runs;    ///< the rows of each may be a segment
};

/// Rows as they were at a barrier.
class CapturedRows final : public CapturedState {
 public:
  explicit CapturedRows(std::uint32_t max_parallelism) : max_parallelism_{max_parallelism} {}
  ~CapturedRows() override;
  CapturedRows(const CapturedRows&) = delete;
  CapturedRows& operator=(const CapturedRows&) = delete;

  /// Begins a table, which outlives the capture's making but not its writing. `bytes`: of its rows, at most; what is
  /// not used costs nothing.
  void begin(const RowTable& table, std::size_t bytes);
  /// A row of the table begun last, with its numbers.
  void add(const std::byte* row, const RowNumbers& numbers);
  /// Rows of the table begun last, too. There may be such of the other side among them.
  void add_stored(StoredRows rows);
  /// Rows of both sides that lie in a store, in entries of the form.
  void add_store(SealedStorePtr store, std::shared_ptr<const EntryForm> form);
  /// What is written beside them.
  void also(std::unique_ptr<CapturedState> more) { more_ = std::move(more); }

  Status write(StateWriter& writer) override;

 private:
  struct Rows {
    std::vector<std::byte> bytes;  ///< of all rows, one after the other
    std::vector<std::size_t> starts;
    std::vector<std::int64_t> numbers;
  };
  struct Table {
    StateDescription description;
    std::vector<std::size_t> key_fields;
    std::shared_ptr<const PackedLayout> layout;
    Rows rows;
    std::size_t side;
    std::vector<StoredRows> stored;

    [[nodiscard]] std::size_t numbers() const { return description.schema->size() - layout->stored().size(); }
  };
  Status write_table(Table& table, StateWriter& writer) const;
  Status write_segments(const Table& table, StoredRows& stored, StateWriter& writer) const;
  static Status write_rows(const Table& table, const Rows& rows, KeyGroupWriter& writer);
  static Status write_stored(const Table& table, const StoredRows& stored, KeyGroupWriter& writer);

  std::uint32_t max_parallelism_;
  std::vector<Table> tables_;
  SealedStorePtr store_;  ///< null: there is none
  std::shared_ptr<const EntryForm> form_;
  std::unique_ptr<CapturedState> more_;
};

}  // namespace dataflow::joins

#pragma once
// Private to this folder.
//
// The operator around the automaton: rows wait for the watermark, go to their key's matches in order, and what is found
// goes out in batches.

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "libdataflow/operators/row_errors.hpp"
#include "libdataflow/patterns/key_index.hpp"
#include "libdataflow/patterns/later_rows.hpp"
#include "libdataflow/patterns/matcher.hpp"
#include "libdataflow/patterns/row_queue.hpp"
#include "libdataflow/patterns/stored_matches.hpp"

namespace dataflow::patterns {

class PatternOperator final : public Operator {
 public:
  PatternOperator(const PatternSpec& spec, SchemaPtr input);

  Status open(OperatorContext& context) override;
  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) override;
  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) override;
  Result<Step> resume(OperatorOutput& out) override;
  [[nodiscard]] std::optional<Timestamp> waits_for() const override;
  Result<CapturedStatePtr> snapshot() override;
  Status restore(StateReader& state) override;

 private:
  /// So many results are made at once.
  static constexpr std::size_t results_in_a_batch = 1024;

  struct Found {
    FoundMatch match;
    KeySlot slot = no_slot;
  };
  /// When an attempt's time is up, or a row for `prev` may go.
  struct Deadline {
    std::int64_t time = 0;  ///< the first one at which it has passed
    std::uint64_t sequence = 0;
    KeySlot slot = no_slot;
    std::uint32_t generation = 0;  ///< of the slot: it may have another key by then
    bool of_row_before = false;
  };

  // The way of rows.
  [[nodiscard]] Result<BatchPtr> on_time(const BatchPtr& batch, OperatorOutput& out);
  Status take_in(const BatchPtr& batch, OperatorOutput& out);
  Status take(WaitingRows& rows);
  Result<bool> advance(KeyMatches& matches, const WaitingRows& rows, std::uint32_t row);
  void fire(const Deadline& deadline);
  [[nodiscard]] bool fire_next(std::int64_t until);
  [[nodiscard]] bool finish_next();
  void keep_found(KeySlot slot);
  [[nodiscard]] std::int64_t deadline_of(std::int64_t time) const;

  // The same with state in a store: pattern_stored.cpp.
  struct DueRow {
    std::shared_ptr<WaitingRows> rows;
    std::uint32_t row = 0;
    KeySlot slot = no_slot;  ///< once its key has been looked for
  };
  Status open_store(const StateBackendPtr& backend);
  void wait_in_memory(std::shared_ptr<WaitingRows> rows);
  Status wait(std::shared_ptr<WaitingRows> rows);
  Status spill_waiting();
  [[nodiscard]] bool rows_are_due() const;
  Status fill_due();
  void read_key(const WaitingRows& rows, std::uint32_t row);
  void find_key_groups(WaitingRows& rows) const;
  Status look_ahead();
  [[nodiscard]] std::int64_t stored_until() const;
  Result<Step> resume_stored(OperatorOutput& out);
  Status take_stored(const DueRow& due);
  void fire_stored(const StoredDeadline& deadline, KeySlot slot);
  Status begin_finish();

  // The way of results.
  Result<Step> flush(OperatorOutput& out);
  Status write(std::span<const Found> found, bool timed_out, OperatorOutput& out);
  [[nodiscard]] BatchPtr make_results(std::span<const Found> found, MatchResults results,
                                      const SchemaPtr& schema) const;
  void write_keys(const std::vector<KeySlot>& slots, std::vector<ColumnBuilder>& columns) const;

  // Checkpoints: pattern_snapshot.cpp.
  Status restore_clock(StateReader& state);
  Status restore_waiting(StateReader& state);
  Status restore_keys(StateReader& state, const char* table, const SchemaPtr& schema);
  Result<CapturedStatePtr> snapshot_stored();
  Status restore_stored_deadlines();
  [[nodiscard]] BatchPtr clock() const;
  [[nodiscard]] BatchPtr waiting(const WaitingRows& rows) const;
  Result<std::shared_ptr<WaitingRows>> again_waiting(const BatchPtr& batch, std::vector<std::uint64_t> sequences);
  void restore_deadlines();
  Status add_waiting(const BatchPtr& batch, std::vector<std::uint64_t> sequences);

  const PatternSpec spec_;
  SchemaPtr input_;
  std::unique_ptr<PatternLogic> logic_;
  MatchBuffer buffer_;
  Matcher matcher_;
  windows::KeyReader key_reader_;  ///< for its form, and for writing keys
  KeyIndex keys_;
  RowErrors errors_;
  OperatorContext* context_ = nullptr;
  Counter* late_counter_ = nullptr;
  Counter* errors_counter_ = nullptr;

  std::int64_t passed_;  ///< the watermark
  std::uint64_t sequence_ = 1;
  RowQueue waiting_;
  std::deque<Deadline> deadlines_;  ///< ascending, since rows are taken in order and all have the same time left
  std::int64_t newest_;             ///< the time of the newest row taken, or the watermark before and 1
  bool finishing_ = false;          ///< the end of all time has come, and there is no `within` that ends attempts
  std::vector<KeySlot> to_finish_;  ///< then: the keys with attempts, the last one first
  std::unique_ptr<StoredMatches> stored_;  ///< null: on the heap, by keys_ and deadlines_
  std::unique_ptr<LaterRows> later_rows_;  ///< with a store: all that wait are before them
  std::size_t waiting_rows_ = 0;           ///< with a store: those in memory
  std::size_t waiting_bytes_ = 0;
  std::vector<DueRow> due_;  ///< taken from those that wait, with their keys in memory
  std::size_t next_due_ = 0;
  std::vector<Found> found_;
  std::vector<FoundMatch> found_now_;  // scratch
  std::vector<RowError> row_errors_;
  MatchList matches_;
  std::vector<KeySlot> ahead_;
  std::string key_;
};

}  // namespace dataflow::patterns

#pragma once
// What all window operators share: the way of a batch (keys, windows, aggregates), of time (watermark or clock), of
// late records, and of results that may have to wait for room.
//
// A kind of window implements `absorb`, which folds a batch into its state, and `produce`, which gives the next results
// that are due. Everything else, pausing included, happens here.

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "libdataflow/operators/operator.hpp"
#include "libdataflow/operators/row_errors.hpp"
#include "libdataflow/windows/aggregation.hpp"
#include "libdataflow/windows/assign.hpp"
#include "libdataflow/windows/combined_rows.hpp"
#include "libdataflow/windows/key_batch.hpp"
#include "libdataflow/windows/result_writer.hpp"
#include "libdataflow/windows/stored_groups.hpp"
#include "libdataflow/windows/window_spec.hpp"
#include "libdataflow/windows/window_state.hpp"

namespace dataflow::windows {

class WindowOperator : public Operator {
 public:
  WindowOperator(const WindowSpec& spec, SchemaPtr input);

  Status open(OperatorContext& context) final;
  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) final;
  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) final;
  Result<Step> on_processing_time(Timestamp now, OperatorOutput& out) final;
  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const final;
  [[nodiscard]] std::optional<Timestamp> waits_for() const final;
  Result<Step> resume(OperatorOutput& out) final;
  Result<CapturedStatePtr> snapshot() final;
  Status restore(StateReader& state) final;

 protected:
  enum class More : std::uint8_t { no, yes };

  /// One batch on its way into the state. `times` has each record's time in the window's domain.
  struct Records {
    const Batch* batch = nullptr;
    KeyReader* key_reader = nullptr;
    std::span<const std::int64_t> times;
    std::uint64_t first_sequence = 1;
    std::optional<CombinedRows> combined;  ///< nothing: they are records

    [[nodiscard]] std::int64_t records_in(std::size_t row) const { return combined ? combined->head(row).records : 1; }

    /// Of all records; valid until the reader reads again.
    [[nodiscard]] const KeyBatch& keys() const { return key_reader->read(*batch); }
  };

  /// Before anything else.
  virtual Status opened() { return {}; }
  /// Folds the records into the state; appends those that are late to `late`, ascending.
  virtual Status absorb(const Records& records, std::vector<std::uint32_t>& late) = 0;
  /// Adds results that are due to the writer, up to its room. `more`: call again after a flush or for the next window.
  virtual Result<More> produce(ResultWriter& writer) = 0;
  /// The writer's results have been emitted: what they referred to may go.
  virtual void flushed() {}
  /// Arranges for `produce` to give the current results of windows that changed since the last time.
  virtual void start_early() = 0;
  /// The end of the open window that ends first, of those with bounds.
  [[nodiscard]] virtual std::optional<std::int64_t> first_open_end() const = 0;
  /// When, by the clock, `clean_up` wants to be called next.
  [[nodiscard]] virtual std::optional<Timestamp> next_clean_up() const { return std::nullopt; }
  virtual Status clean_up(Timestamp /*now*/) { return {}; }

  // For checkpoints. Nothing is unfinished: no results wait, and none are due.
  /// The numbers that a row of the kind's state has beside key and aggregates.
  [[nodiscard]] virtual std::vector<std::string> saved_numbers() const = 0;
  /// The groups that memory has no room for; null when they all stay there.
  [[nodiscard]] virtual StoredGroups* stored_groups() { return nullptr; }
  /// They have come with a checkpoint. No other groups are there yet.
  virtual Status stored_groups_restored() { return {}; }
  /// Captures all groups that are not in the store, without touching each of them. Their states are copied, if they
  /// must be, as `form` says.
  virtual void freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) = 0;
  virtual Status load_groups(const SavedGroups& saved) = 0;
  /// Numbers of the operator as a whole; of several subtasks' the greatest counts.
  [[nodiscard]] virtual std::vector<std::int64_t> saved_clocks() const { return {}; }
  virtual void load_clocks(std::span<const std::int64_t> /*clocks*/) {}
  /// All groups and clocks are back.
  virtual Status loaded() { return {}; }

  [[nodiscard]] const WindowSpec& spec() const { return spec_; }
  [[nodiscard]] OperatorContext& context() const { return *context_; }
  [[nodiscard]] Aggregation& aggregation() { return aggregation_; }
  [[nodiscard]] const Aggregation& aggregation() const { return aggregation_; }
  [[nodiscard]] ResultWriter& writer() { return writer_; }
  /// How groups are saved; not before `opened`.
  [[nodiscard]] const GroupFormPtr& form();
  /// For groups that memory has no room for; null when they all stay there: without a state backend, or without a key.
  Result<std::unique_ptr<StoredGroups>> open_stored_groups();
  [[nodiscard]] KeyForm key_form() const { return key_reader_.form(); }
  /// Time in the window's domain has passed everything up to and including this.
  [[nodiscard]] std::int64_t progress() const { return progress_; }
  [[nodiscard]] std::int64_t lateness() const { return spec_.allowed_lateness.count(); }
  [[nodiscard]] bool complete(std::int64_t window_end) const { return window_complete(window_end, progress_); }
  [[nodiscard]] bool expired(std::int64_t window_end) const {
    return window_expired(window_end, lateness(), progress_);
  }
  /// Whether every stream of records has ended: all windows fire, also those that time alone would not end.
  [[nodiscard]] bool drained() const { return progress_ == last_micros; }

 private:
  Result<Step> drain(OperatorOutput& out);
  /// The batch without the records that cannot be aggregated, loaded; null when none is left.
  Result<BatchPtr> load(const BatchPtr& batch, OperatorOutput& out);
  std::span<const std::int64_t> record_times(const Batch& batch);
  Status restore_clock(StateReader& state);

  const WindowSpec spec_;
  SchemaPtr input_;
  KeyReader key_reader_;
  Aggregation aggregation_;
  ResultWriter writer_;
  OperatorContext* context_ = nullptr;
  GroupFormPtr form_;  ///< made when it is first asked for
  Counter* late_counter_ = nullptr;
  RowErrors errors_;
  ResultTime result_time_;
  std::int64_t progress_ = first_micros;
  std::uint64_t sequence_ = 1;
  std::optional<Timestamp> early_at_;
  std::vector<std::uint32_t> late_;
  std::vector<std::int64_t> times_;  ///< in processing time
};

/// Makes the operator of the spec's kind.
std::unique_ptr<Operator> make_tumbling(const WindowSpec& spec, const SchemaPtr& input);
std::unique_ptr<Operator> make_shared_slices(const WindowSpec& spec, const SchemaPtr& input);  ///< sliding, cumulate
std::unique_ptr<Operator> make_session(const WindowSpec& spec, const SchemaPtr& input);
std::unique_ptr<Operator> make_untimed(const WindowSpec& spec, const SchemaPtr& input);  ///< count, global
std::unique_ptr<Operator> make_running(const WindowSpec& spec, const SchemaPtr& input);

}  // namespace dataflow::windows

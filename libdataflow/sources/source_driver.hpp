#pragma once
// What the engine adds to readers, in one place for all sources: splits one after the other, or side by side where they
// do not end; event time, watermarks and idleness per split; the rate limit and the error policy.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/operators/event_time_pieces.hpp"
#include "libdataflow/sources/source.hpp"
#include "libdataflow/sources/split_reading.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

class SourceDriver final : private SourceOutput {
 public:
  /// What a poll came to. Batches were emitted to the poll's OperatorOutput; the rest is here.
  struct Progress {
    enum class Kind : std::uint8_t {
      more,         ///< poll again when there is room
      wait,         ///< poll again at `until`
      needs_split,  ///< ask for the next split; poll again when it is there
      finished,     ///< all splits are read: end of data
    };
    Kind kind = Kind::more;
    Timestamp until{};
    std::optional<Timestamp> watermark;  ///< has advanced to this
    std::optional<bool> idle;            ///< has become idle or active
  };

  /// `schema`: the source's main output. `spec` must outlive the driver.
  SourceDriver(const SourceSpec& spec, SchemaPtr schema);

  Status open(OperatorContext& context);
  void assign_split(Split split);
  void no_more_splits() { no_more_splits_ = true; }
  /// `most_rows`: what the reader may give at once.
  Result<Progress> poll(Timestamp now, OperatorOutput& out, std::uint32_t most_rows = max_batch_rows);
  Status close();

  /// Nothing that has been read waits to be emitted: a snapshot may be taken.
  [[nodiscard]] bool settled() const;
  /// Where it stands: the splits that are being read, with their positions, and those that are to be read next. When
  /// settled.
  Result<CapturedStatePtr> snapshot() const;
  /// After open, before the first poll.
  Status restore(StateReader& state);
  /// Of the reader that was asked last.
  [[nodiscard]] std::string position() const;

  // For people who ask what holds back time: of splits that are read side by side, the one that does.
  /// Event time that was read of the current split, or of the one before; min: none.
  [[nodiscard]] Timestamp newest() const;
  /// The split that is being read; empty: none.
  [[nodiscard]] std::string split() const;
  /// Every split is silent.
  [[nodiscard]] bool idle() const { return idle_; }

 private:
  void emit(BatchPtr batch, std::string_view split) override;
  void malformed(std::string_view raw, std::string_view error, std::string_view position) override;
  [[nodiscard]] bool full() const override;
  [[nodiscard]] std::uint32_t batch_rows() const override;

  BatchPtr with_event_time(const BatchPtr& batch);
  static BatchPtr with_times(const Batch& batch, ColumnPtr times);
  /// `errors`: of the rows whose expression failed, ascending.
  BatchPtr without_missing_event_time(const BatchPtr& batch, Column times, std::span<const RowError> errors);
  void report_missing_time(const Batch& batch, std::uint32_t row, const std::string& why);
  void emit_next_piece(SplitReading& reading, Progress& progress, OperatorOutput& out);
  void refill(Timestamp now);
  void advance(Progress& progress);
  void note_silence(SplitReading& reading, Timestamp now, Progress& progress);
  void silence_changed(Progress& progress);
  Status start_planned(Timestamp now, Progress& progress);
  Status start_next_split(SplitReading& reading);
  SplitReading& add_reading(Timestamp now);
  Status drop_ended(Progress& progress);
  [[nodiscard]] bool any_reading() const;
  [[nodiscard]] const SplitReading* holds_back() const;
  SplitReading* next_to_poll(Timestamp now, Progress& progress);
  Result<Progress> poll_reader(SplitReading& reading, Timestamp now, OperatorOutput& out, Progress progress);

  /// A split to be read, from the start or from where a checkpoint left it.
  struct PlannedSplit {
    Split split;
    std::optional<std::string> position;
    Timestamp newest = Timestamp::min();     ///< event time that was read of it
    Timestamp watermark = Timestamp::max();  ///< none beyond this may be given out before it is read
  };
  void append_split(BatchBuilder& rows, const PlannedSplit& planned) const;

  const SourceSpec& spec_;
  SchemaPtr schema_;
  bool side_by_side_;
  OperatorContext* context_ = nullptr;
  /// One for all splits, or one for each that is read: those that have ended are dropped.
  std::vector<std::unique_ptr<SplitReading>> readings_;
  std::size_t last_polled_ = static_cast<std::size_t>(-1);  ///< its turn was the last; none yet
  std::deque<PlannedSplit> planned_;
  bool no_more_splits_ = false;
  Counter* errors_ = nullptr;

  EvalContext eval_;

  OperatorOutput* out_ = nullptr;   ///< during a poll
  SplitReading* polled_ = nullptr;  ///< likewise
  std::optional<Error> failure_;
  std::uint32_t rows_emitted_ = 0;  ///< by the current poll
  std::uint32_t most_rows_ = max_batch_rows;
  BatchBuilder error_rows_;

  Timestamp watermark_ = Timestamp::min();  ///< last one given out
  bool started_ = false;
  bool idle_ = false;

  double tokens_ = 0;  ///< records that the rate limit allows now
  double tokens_per_second_ = 0;
  Timestamp refilled_at_ = Timestamp::min();
};

}  // namespace dataflow

#pragma once
// Collects the groups that fire and makes output batches of them: keys, window bounds, aggregates, `having`.
// Groups of several windows share a batch, so that many small windows do not become many small batches.

#include <cstddef>
#include <utility>
#include <vector>

#include "libdataflow/operators/row_errors.hpp"
#include "libdataflow/windows/aggregation.hpp"
#include "libdataflow/windows/group_table.hpp"
#include "libdataflow/windows/key_batch.hpp"
#include "libdataflow/windows/window_spec.hpp"

namespace dataflow::windows {

/// Whether results carry an event time.
enum class ResultTime : std::uint8_t { none, present };

class ResultWriter {
 public:
  /// `keys` and `aggregation` outlive the writer.
  ResultWriter(const WindowSpec& spec, SchemaPtr output, const KeyReader& keys, Aggregation& aggregation);

  /// How many more groups fit into the batch; more than that must not be added.
  [[nodiscard]] std::size_t room() const { return made_ || closed_ ? 0 : limit_ - states_.size(); }
  /// Takes no more until it is flushed.
  void close() { closed_ = true; }
  [[nodiscard]] bool empty() const { return !made_ && states_.empty(); }
  /// Before the first flush; `context` outlives the writer.
  void open(OperatorContext& context) {
    if (having_) left_out_ = &context.counter("having");
  }
  /// A group's result. The key's text and the states must stay until `flush`.
  void add(const KeyRef& key, const std::byte* states, std::int64_t start, std::int64_t end, std::int64_t event_time) {
    keys_.push_back(key);
    states_.push_back(states);
    add_groups(1, start, end, event_time);
  }
  /// The same for several groups of one window: those rows of a table, whose states lie elsewhere.
  void add(const GroupTable& groups, std::byte* const* rows, std::byte* const* states, std::size_t count,
           std::int64_t start, std::int64_t end, std::int64_t event_time) {
    keys_.resize(keys_.size() + count);
    groups.keys_of(rows, count, keys_.data() + keys_.size() - count);
    states_.insert(states_.end(), states, states + count);
    if (count != 0) add_groups(count, start, end, event_time);
  }
  /// The results of what was added, at once instead of by `flush`, and without `having`. Errors: arithmetic, naming the
  /// first result that cannot be computed.
  Result<BatchPtr> take(Timestamp processing_time, ResultTime time);
  /// Results that are made already: the next flush emits them. Nothing must have been added.
  void put(BatchPtr results) { made_ = std::move(results); }
  /// Emits what was added. A result that does not fit, or whose expression fails, is left out if `errors` are skipped
  /// or put aside. Errors: arithmetic.
  Status flush(Timestamp processing_time, OperatorOutput& out, ResultTime time, RowErrors& errors);

 private:
  /// Groups one after the other that have these in common: mostly all of a window's (nexmark_q5).
  struct Stretch {
    std::int64_t start;
    std::int64_t end;
    std::int64_t event_time;
    std::size_t groups;

    [[nodiscard]] bool is(std::int64_t other_start, std::int64_t other_end, std::int64_t other_time) const {
      return start == other_start && end == other_end && event_time == other_time;
    }
  };
  void add_groups(std::size_t count, std::int64_t start, std::int64_t end, std::int64_t event_time) {
    if (stretches_.empty() || !stretches_.back().is(start, end, event_time)) {
      stretches_.push_back({start, end, event_time, 0});
    }
    stretches_.back().groups += count;
  }
  [[nodiscard]] ColumnPtr time_column(std::int64_t Stretch::*time) const;
  /// Rows of `failed_` are not whole.
  BatchPtr make_batch(Timestamp processing_time, ResultTime time);
  void clear();
  void append_keys(std::vector<ColumnPtr>& columns) const;

  SchemaPtr schema_;
  const KeyReader& key_reader_;
  Aggregation& aggregation_;
  std::optional<Expression> having_;
  Counter* left_out_ = nullptr;  ///< results for which having_ is not true
  std::size_t key_columns_;
  bool bounds_;
  std::size_t limit_ = max_batch_rows;  ///< adapted to the rows' size
  BatchPtr made_;
  bool closed_ = false;
  std::vector<KeyRef> keys_;
  std::vector<const std::byte*> states_;
  std::vector<Stretch> stretches_;
  EvalContext eval_;
  std::vector<std::uint32_t> selected_;
  std::vector<RowError> failed_;
};

}  // namespace dataflow::windows

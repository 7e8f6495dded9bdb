#include "libdataflow/windows/combiner.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "libdataflow/windows/aggregation.hpp"
#include "libdataflow/windows/combined_rows.hpp"
#include "libdataflow/windows/key_groups.hpp"
#include "libdataflow/windows/session_store.hpp"
#include "libdataflow/windows/slice_grids.hpp"
#include "serialization/builder.hpp"
#include "serialization/repeat_bytes.hpp"

namespace dataflow::windows {

namespace {

using Extent = KeyGroups::Extent;
using Extents = std::span<const Extent>;

/// So many records are combined at once where they can be. More bring little (nexmark_q11: 4096 become 610 rows, 16384
/// about a thousand, of a thousand bidders that are active), and take longer to come together and more memory.
constexpr std::size_t records_together = 16 * 1024;
constexpr std::size_t bytes_together = 512 * 1024;

/// Whether each key's records, from the first to the last, are alike for the operator behind the exchange: they count
/// in the same windows, and are late or not together.
class Togetherness {
 public:
  virtual ~Togetherness() = default;
  [[nodiscard]] virtual bool are_together(Extents keys, Timestamp watermark) const = 0;
  /// Whether all records of this time are, but for those that are late.
  [[nodiscard]] virtual bool may_be_together(const Extent& all) const = 0;
  /// A time at which to cut those that may not be, so that the earlier ones may be and the later ones may be.
  [[nodiscard]] virtual std::optional<std::int64_t> cut(const Extent& all) const = 0;
};

class InOneSlice final : public Togetherness {
 public:
  explicit InOneSlice(std::unique_ptr<SliceGrid> grid) : grid_{std::move(grid)} {}
  [[nodiscard]] bool are_together(Extents keys, Timestamp) const override {
    return std::all_of(keys.begin(), keys.end(), [this](const Extent& records) { return may_be_together(records); });
  }
  [[nodiscard]] bool may_be_together(const Extent& all) const override {
    return grid_->start(all.first) == grid_->start(all.last);
  }
  [[nodiscard]] std::optional<std::int64_t> cut(const Extent& all) const override {
    const std::int64_t last = grid_->start(all.last);
    return grid_->end(all.first) == last ? std::optional{last} : std::nullopt;
  }

 private:
  std::unique_ptr<SliceGrid> grid_;
};

/// None is late, then, by itself. Time here is ahead of that behind the exchange, unless this subtask was idle: a
/// record that is late there goes the way of the last of its key.
class InOneSession final : public Togetherness {
 public:
  InOneSession(std::int64_t gap, std::int64_t lateness) : gap_{gap}, lateness_{lateness} {}
  [[nodiscard]] bool are_together(Extents keys, Timestamp watermark) const override {
    return are_single_sessions(keys, gap_, {watermark.micros, lateness_});
  }
  [[nodiscard]] bool may_be_together(const Extent& all) const override {
    return all.last <= saturating_add(all.first, gap_);
  }
  [[nodiscard]] std::optional<std::int64_t> cut(const Extent&) const override { return std::nullopt; }

 private:
  std::int64_t gap_;
  std::int64_t lateness_;
};

/// From when to when the records of a batch with event time are.
Extent extent_of(const Batch& batch) {
  const std::span<const std::int64_t> times = batch.timestamps()->as<std::int64_t>();
  if (std::is_sorted(times.begin(), times.end())) return {times.front(), times.back()};
  Extent extent{times.front(), times.front()};
  for (const std::int64_t time : times) {  // std::minmax_element jumps, and to where cannot be foreseen
    extent.first = std::min(extent.first, time);
    extent.last = std::max(extent.last, time);
  }
  return extent;
}

/// Batches that can be combined wait for others, up to records_together; with them the watermarks behind them. One that
/// cannot be does not wait, nor do those after it until one can.
class CombinerOperator final : public Operator {
 public:
  /// Without `together` all records of a key are.
  CombinerOperator(const WindowSpec& spec, SchemaPtr schema, std::unique_ptr<Togetherness> together, Duration keeps_for)
      : key_fields_{spec.key_fields},
        schema_{std::move(schema)},
        together_{std::move(together)},
        keeps_for_{keeps_for},
        key_groups_{spec.key_fields},
        aggregation_{spec.aggregates},
        width_{sizeof(CombinedHead) + aggregation_.initial_states().size()} {}

  Status open(OperatorContext& context) override {
    context_ = &context;
    return {};
  }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    std::optional<Extent> extent;
    if (batch->has_event_time()) extent = extent_of(*batch);
    if (const std::uint32_t earlier = rows_before_cut(*batch, extent); earlier != 0) {
      std::vector<std::uint32_t> rows(batch->rows());
      std::iota(rows.begin(), rows.end(), 0U);
      const std::span<const std::uint32_t> all{rows};
      take(batch->select_rows(all.first(earlier)), out);
      take(batch->select_rows(all.subspan(earlier)), out);
    } else {
      take(batch, extent, out);
    }
    return Step::done;
  }

  [[nodiscard]] bool delays_watermarks() const override { return true; }
  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) override {
    watermark_ = watermark;
    if (kept_.empty() || watermark == Timestamp::max()) give(out);
    return Step::done;
  }
  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const override {
    return kept_.empty() ? std::nullopt : std::optional{kept_since_ + keeps_for_};
  }
  Result<Step> on_processing_time(Timestamp, OperatorOutput& out) override { return give_kept(out); }
  Result<Step> end_of_data(OperatorOutput& out) override { return give_kept(out); }
  Result<Step> give_kept(OperatorOutput& out) override {
    give(out);
    return Step::done;
  }

 private:
  [[nodiscard]] std::uint32_t rows_before_cut(const Batch& batch, const std::optional<Extent>& extent) const;
  void take(const BatchPtr& batch, OperatorOutput& out) { take(batch, extent_of(*batch), out); }
  void take(const BatchPtr& batch, const std::optional<Extent>& extent, OperatorOutput& out);
  [[nodiscard]] bool can_wait(const Batch& batch, const std::optional<Extent>& extent) const;
  [[nodiscard]] bool fits(const std::optional<Extent>& extent) const;
  void keep(const BatchPtr& batch, const std::optional<Extent>& extent);
  void give(OperatorOutput& out);
  void emit(const BatchPtr& batch, OperatorOutput& out);
  BatchPtr combine(const Batch& batch);
  [[nodiscard]] bool are_together(const Batch& batch);
  [[nodiscard]] bool fold(const Batch& batch);
  ColumnPtr last_times();
  BatchPtr rows_of_keys(const Batch& batch);

  const std::vector<std::size_t> key_fields_;
  SchemaPtr schema_;
  std::unique_ptr<Togetherness> together_;
  const Duration keeps_for_;
  KeyGroups key_groups_;
  Aggregation aggregation_;
  std::size_t width_;  ///< of a row
  OperatorContext* context_ = nullptr;
  bool combines_ = false;               ///< the last ones could be
  std::optional<Timestamp> watermark_;  ///< to be given on
  // What waits:
  std::vector<BatchPtr> kept_;
  std::size_t kept_rows_ = 0;
  std::size_t kept_bytes_ = 0;
  std::optional<Extent> kept_extent_;  ///< none without event time
  Timestamp kept_since_;
  // Of the batch:
  Extents extents_;     ///< of each key; none without event time
  GrowingBuffer rows_;  ///< one for each key
  std::vector<std::byte*> states_;
};

/// How many records are before the end of a slice and the others behind it, when the batch had better be cut there;
/// else none. Each slice has such a batch: of q5's slices of 20 thousand events it was every fifth.
std::uint32_t CombinerOperator::rows_before_cut(const Batch& batch, const std::optional<Extent>& extent) const {
  if (!combines_ || keeps_for_ == Duration{0} || together_ == nullptr || !extent || !batch.kinds().empty() ||
      together_->may_be_together(*extent)) {
    return 0;
  }
  const auto cut = together_->cut(*extent);
  if (!cut) return 0;
  const std::span<const std::int64_t> times = batch.timestamps()->as<std::int64_t>();
  const auto is_earlier = [cut](std::int64_t time) { return time < *cut; };
  if (!std::is_partitioned(times.begin(), times.end(), is_earlier)) return 0;
  return static_cast<std::uint32_t>(std::find_if_not(times.begin(), times.end(), is_earlier) - times.begin());
}

void CombinerOperator::take(const BatchPtr& batch, const std::optional<Extent>& extent, OperatorOutput& out) {
  const bool waits = can_wait(*batch, extent);
  if (!waits || !fits(extent)) give(out);
  if (!waits) return emit(batch, out);
  keep(batch, extent);
  if (kept_rows_ >= records_together || kept_bytes_ >= bytes_together) give(out);
}

bool CombinerOperator::can_wait(const Batch& batch, const std::optional<Extent>& extent) const {
  return combines_ && keeps_for_ > Duration{0} && batch.kinds().empty() &&
         (together_ == nullptr || !extent || together_->may_be_together(*extent));
}

/// Whether it can be combined with those that wait.
bool CombinerOperator::fits(const std::optional<Extent>& extent) const {
  if (together_ == nullptr || !extent || !kept_extent_) return true;
  return together_->may_be_together(
      {std::min(extent->first, kept_extent_->first), std::max(extent->last, kept_extent_->last)});
}

void CombinerOperator::keep(const BatchPtr& batch, const std::optional<Extent>& extent) {
  if (kept_.empty()) {
    kept_since_ = context_->now();
    kept_extent_ = extent;
  } else if (extent) {
    kept_extent_ = {std::min(extent->first, kept_extent_->first), std::max(extent->last, kept_extent_->last)};
  }
  kept_.push_back(batch);
  kept_rows_ += batch->rows();
  kept_bytes_ += batch->byte_size();
}

/// What waits, and the watermark behind it.
void CombinerOperator::give(OperatorOutput& out) {
  if (!kept_.empty()) {
    emit(concatenate(kept_), out);
    kept_.clear();
    kept_rows_ = kept_bytes_ = 0;
  }
  if (watermark_) out.advance_watermark(*watermark_);
  watermark_.reset();
}

void CombinerOperator::emit(const BatchPtr& batch, OperatorOutput& out) {
  BatchPtr combined = combine(*batch);
  combines_ = combined != nullptr;
  out.emit(combined ? std::move(combined) : as_combined_batch(schema_, *batch));
}

/// Null when its records are better sent as they are.
BatchPtr CombinerOperator::combine(const Batch& batch) {
  if (!batch.kinds().empty() || !key_groups_.read(batch) || !are_together(batch) || !fold(batch)) return nullptr;
  return rows_of_keys(batch);
}

bool CombinerOperator::are_together(const Batch& batch) {
  extents_ = {};
  if (!batch.has_event_time()) return together_ == nullptr;
  extents_ = key_groups_.extents({batch.timestamps()->values.as<std::int64_t>(), batch.rows()});
  return together_ == nullptr || together_->are_together(extents_, context_->watermark());
}

/// False when something cannot be computed: what becomes of such records is not decided here.
bool CombinerOperator::fold(const Batch& batch) {
  aggregation_.load(batch, context_->now());
  if (!aggregation_.failed_records().empty()) return false;
  const std::vector<std::byte>& initial = aggregation_.initial_states();
  const std::size_t keys = key_groups_.size();
  rows_.resize(keys * width_);
  std::memcpy(rows_.data() + sizeof(CombinedHead), initial.data(), initial.size());
  repeat_first(rows_.data(), width_, rows_.size());
  states_.resize(keys);
  for (std::size_t key = 0; key < keys; ++key) {
    auto* const row = rows_.data() + key * width_;
    const CombinedHead head{key_groups_.sizes()[key], extents_.empty() ? 0 : extents_[key].first};
    std::memcpy(row, &head, sizeof head);
    states_[key] = row + sizeof head;
  }
  constexpr std::uint64_t first_sequence = 1;  // no aggregate here looks at it
  const GroupRows by_key{key_groups_.of_rows(), key_groups_.sizes(), states_.data(), first_sequence};
  return aggregation_.update(by_key).has_value();
}

ColumnPtr CombinerOperator::last_times() {
  ColumnBuilder times{TypeKind::timestamp, extents_.size()};
  auto* to = times.append_uninitialised<std::int64_t>(extents_.size());
  for (const Extent& of_key : extents_) *to++ = of_key.last;
  return times.finish();
}

BatchPtr CombinerOperator::rows_of_keys(const Batch& batch) {
  const auto first_rows = key_groups_.first_rows();
  std::vector<ColumnPtr> columns;
  columns.reserve(batch.columns().size() + 1);
  for (const ColumnPtr& column : batch.columns()) {
    columns.push_back(unread_column(column->type, static_cast<std::uint32_t>(first_rows.size())));
  }
  for (const std::size_t field : key_fields_) columns[field] = gather(batch.column(field), first_rows);
  return combined_batch(schema_, std::move(columns), std::move(rows_), width_,
                        extents_.empty() ? nullptr : last_times());
}

std::unique_ptr<Togetherness> togetherness_of(const WindowSpec& spec) {
  if (spec.time != TimeDomain::event) return nullptr;
  switch (spec.kind) {
    case WindowKind::tumbling: return std::make_unique<InOneSlice>(make_tumbling_grid(spec));
    case WindowKind::sliding: return std::make_unique<InOneSlice>(make_sliding_grid(spec));
    case WindowKind::cumulate: return std::make_unique<InOneSlice>(make_cumulating_grid(spec));
    case WindowKind::session: return std::make_unique<InOneSession>(spec.gap.count(), spec.allowed_lateness.count());
    case WindowKind::count:
    case WindowKind::global:
    case WindowKind::running: break;
  }
  return nullptr;
}

class CombinerFactory final : public OperatorFactory {
 public:
  CombinerFactory(WindowSpec spec, SchemaPtr schema, Duration keeps_for)
      : spec_{std::move(spec)}, schema_{std::move(schema)}, keeps_for_{keeps_for} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<CombinerOperator>(spec_, schema_, togetherness_of(spec_), keeps_for_);
  }

 private:
  WindowSpec spec_;
  SchemaPtr schema_;
  Duration keeps_for_;
};

}  // namespace

std::optional<Combiner> combiner_of(const WindowSpec& spec, const SchemaPtr& input, Duration keeps_for) {
  const bool of_time = has_window_bounds(spec.kind) || spec.kind == WindowKind::running;
  if (!of_time || spec.key_fields.empty() || !Aggregation{spec.aggregates}.combines()) return std::nullopt;
  SchemaPtr schema = combined_schema(*input);
  Combiner combiner{.factory = std::make_shared<const CombinerFactory>(spec, schema, keeps_for),
                    .schema = schema,
                    .details = "a row for each key of some batches",
                    .lost_outputs = {}};
  if (spec.kind != WindowKind::running) combiner.lost_outputs = {window_late_output};
  return combiner;
}

}  // namespace dataflow::windows

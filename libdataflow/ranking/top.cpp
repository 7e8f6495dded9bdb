#include "libdataflow/ranking/top.hpp"

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <functional>
#include <map>

#include "libdataflow/ranking/row_bytes.hpp"
#include "serialization/builder.hpp"

namespace dataflow {

namespace {

constexpr const char* rows_table = "rows";

struct RankedRow {
  std::string order;  ///< its sort key, ended by a number that no other row has
  std::string bytes;  ///< the row itself
  Timestamp time{};   ///< its event time, where rows have one
};

/// At most so many rows of a key, ascending by `order`.
using RankedRows = std::vector<RankedRow>;

/// Where a row with that order would come.
std::size_t rank_in(const RankedRows& rows, std::string_view order) {
  const auto place = std::upper_bound(rows.begin(), rows.end(), order,
                                      [](std::string_view a, const RankedRow& b) { return a < b.order; });
  return static_cast<std::size_t>(place - rows.begin());
}

/// Groups in the order in which their keys came first.
class RankedGroups {
 public:
  [[nodiscard]] std::size_t size() const { return groups_.size(); }
  RankedRows& find_or_insert(const std::string& key) {
    if (const auto found = index_.find(key); found != index_.end()) return groups_[found->second];
    index_.emplace(key, groups_.size());
    return groups_.emplace_back();
  }
  [[nodiscard]] RankedRows& operator[](std::size_t i) { return groups_[i]; }
  [[nodiscard]] const RankedRows& operator[](std::size_t i) const { return groups_[i]; }

 private:
  absl::flat_hash_map<std::string, std::size_t> index_;
  std::vector<RankedRows> groups_;
};

/// The input's fields, then these two.
SchemaPtr saved_schema(const Schema& input) {
  std::vector<Field> fields = input.fields();
  fields.push_back({"top.event_time", TypeKind::timestamp});
  fields.push_back({"top.sequence", TypeKind::int64});
  return make_schema(std::move(fields));
}

/// What both kinds share: the way of a row into its group, results that may have to wait for room, checkpoints.
class Top : public Operator {
 public:
  Top(const TopSpec& spec, SchemaPtr input)
      : spec_{spec}, input_{std::move(input)}, codec_{*input_}, results_{top_output_schema(spec, *input_)} {
    for (const std::size_t field : spec_.key_fields) key_order_.push_back({field, false});
  }

  Status open(OperatorContext& context) override {
    context_ = &context;
    return {};
  }

  Result<CapturedStatePtr> snapshot() final {
    auto state = std::make_unique<CopiedState>();
    const SchemaPtr schema = saved_schema(*input_);
    state->begin({rows_table, StateKind::keyed, 1, schema});
    BatchBuilder rows{schema};
    const auto flush = [&] {
      if (!rows.empty()) state->add_keyed(rows.finish(), spec_.key_fields, context_->max_parallelism());
    };
    for_each_group([&](const RankedRows& group) {
      for (const RankedRow& row : group) {
        codec_.restore(row.bytes, rows);
        rows.column(input_->size()).append_int64(row.time.micros);
        rows.column(input_->size() + 1).append_int64(static_cast<std::int64_t>(last_sort_number(row.order)));
        rows.end_row();
        if (rows.full()) flush();
      }
    });
    flush();
    return state;
  }

  Status restore(StateReader& state) final {
    return state.read(rows_table, saved_schema(*input_), [this](std::uint32_t, const BatchPtr& rows) -> Status {
      const auto numbers = rows->column(input_->size() + 1).as<std::int64_t>();
      const auto times = rows->column(input_->size()).as<std::int64_t>();
      for (std::uint32_t row = 0; row < rows->rows(); ++row) {
        const auto sequence = static_cast<std::uint64_t>(numbers[row]);
        sequence_ = std::max(sequence_, sequence + 1);
        RankedRows& group = group_of(*rows, row);
        order_of(*rows, row, sequence);
        RankedRow& kept = *group.emplace(group.begin() + static_cast<std::ptrdiff_t>(rank_in(group, order_)));
        kept.order = order_;
        kept.time = Timestamp{times[row]};
        codec_.append(*rows, row, kept.bytes);
      }
      return {};
    });
  }

 protected:
  virtual RankedGroups& groups_of(const Batch& batch, std::uint32_t row) = 0;
  virtual void for_each_group(const std::function<void(const RankedRows&)>& visit) const = 0;

  RankedRows& group_of(const Batch& batch, std::uint32_t row) {
    key_.clear();
    append_sort_key(batch, row, key_order_, key_);
    return groups_of(batch, row).find_or_insert(key_);
  }

  /// Puts the row into its place of the group, if it has one. `dropped` is what fell out at the end, if anything did.
  struct Placed {
    RankedRows* group = nullptr;  ///< null: the row is behind the limit
    std::size_t rank = 0;
    std::optional<RankedRow> dropped;
  };
  Placed place(const Batch& batch, std::uint32_t row) {
    RankedRows& group = group_of(batch, row);
    order_of(batch, row, sequence_++);
    Placed placed{nullptr, rank_in(group, order_), {}};
    if (placed.rank == spec_.limit) return placed;
    if (group.size() == spec_.limit) {
      placed.dropped = std::move(group.back());
      group.pop_back();
    }
    RankedRow& kept = *group.emplace(group.begin() + static_cast<std::ptrdiff_t>(placed.rank));
    kept.order = order_;
    kept.time = batch.timestamp(row);
    codec_.append(batch, row, kept.bytes);
    placed.group = &group;
    return placed;
  }

  void add_result(const RankedRow& row, std::size_t rank, RowKind kind) {
    codec_.restore(row.bytes, results_);
    if (!spec_.rank.empty()) results_.column(input_->size()).append_int64(static_cast<std::int64_t>(rank) + 1);
    if (has_time_) {
      results_.end_row(row.time, kind);
    } else {
      results_.end_row(kind);
    }
  }
  [[nodiscard]] bool results_full() const { return results_.full(); }
  void flush(OperatorOutput& out) {
    if (!results_.empty()) out.emit(results_.finish());
  }

  [[nodiscard]] const TopSpec& spec() const { return spec_; }
  [[nodiscard]] OperatorContext& context() const { return *context_; }
  void set_has_time(bool has_time) { has_time_ = has_time; }

 private:
  void order_of(const Batch& batch, std::uint32_t row, std::uint64_t sequence) {
    order_.clear();
    append_sort_key(batch, row, spec_.order, order_);
    append_sort_number(sequence, order_);
  }

  const TopSpec spec_;
  SchemaPtr input_;
  RowBytes codec_;
  std::vector<SortField> key_order_;
  OperatorContext* context_ = nullptr;
  BatchBuilder results_;
  bool has_time_ = false;
  std::uint64_t sequence_ = 0;
  std::string key_;  // scratch
  std::string order_;
};

/// Gives every change of the first rows.
class RunningTop final : public Top {
 public:
  using Top::Top;

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput& out) override {
    set_has_time(batch->has_event_time());
    batch_ = batch;
    row_ = 0;
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    while (batch_ && row_ < batch_->rows()) {
      take(row_++);
      if (!results_full()) continue;
      flush(out);
      if (out.full()) return Step::yield;
    }
    batch_.reset();
    flush(out);
    return Step::done;
  }

 protected:
  RankedGroups& groups_of(const Batch&, std::uint32_t) override { return groups_; }
  void for_each_group(const std::function<void(const RankedRows&)>& visit) const override {
    for (std::size_t i = 0; i < groups_.size(); ++i) visit(groups_[i]);
  }

 private:
  void take(std::uint32_t row) {
    const Placed placed = place(*batch_, row);
    if (placed.group == nullptr) return;
    const RankedRows& now = *placed.group;
    if (spec().rank.empty()) {
      if (placed.dropped) add_result(*placed.dropped, 0, RowKind::remove);
      add_result(now[placed.rank], 0, RowKind::insert);
      return;
    }
    for (std::size_t rank = placed.rank; rank < now.size(); ++rank) {
      const bool last = rank + 1 == now.size();
      const RankedRow* const before = !last ? &now[rank + 1] : placed.dropped ? &*placed.dropped : nullptr;
      if (before != nullptr) add_result(*before, rank, RowKind::update_before);
      add_result(now[rank], rank, before != nullptr ? RowKind::update_after : RowKind::insert);
    }
  }

  RankedGroups groups_;
  BatchPtr batch_;
  std::uint32_t row_ = 0;
};

/// Gives the first rows of a window when it is over.
class WindowedTop final : public Top {
 public:
  using Top::Top;

  Status open(OperatorContext& context) override {
    late_ = &context.counter("late");
    return Top::open(context);
  }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput&) override {
    set_has_time(batch->has_event_time());
    const Column& ends = batch->column(*spec().window_end);
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      if (ends.is_null(row)) return fail(ErrorCode::invalid_argument, "a row has no window_end: it is of no window");
      if (is_over(ends.as<std::int64_t>()[row])) {
        late_->add(1);
      } else {
        place(*batch, row);
      }
    }
    return Step::done;
  }

  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) override {
    passed_ = watermark;
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    while (!windows_.empty() && is_over(windows_.begin()->first)) {
      RankedGroups& groups = windows_.begin()->second;
      while (group_ < groups.size()) {
        const RankedRows& rows = groups[group_];
        while (rank_ < rows.size()) {
          add_result(rows[rank_], rank_, RowKind::insert);
          ++rank_;
          if (!results_full()) continue;
          flush(out);
          if (out.full()) return Step::yield;
        }
        ++group_;
        rank_ = 0;
      }
      windows_.erase(windows_.begin());
      group_ = 0;
    }
    flush(out);
    return Step::done;
  }

 protected:
  RankedGroups& groups_of(const Batch& batch, std::uint32_t row) override {
    return windows_[batch.column(*spec().window_end).as<std::int64_t>()[row]];
  }
  void for_each_group(const std::function<void(const RankedRows&)>& visit) const override {
    for (const auto& [end, groups] : windows_) {
      for (std::size_t i = 0; i < groups.size(); ++i) visit(groups[i]);
    }
  }

 private:
  /// A window's results have the time of its last microsecond.
  [[nodiscard]] bool is_over(std::int64_t window_end) const {
    return window_end - 1 <= std::max(passed_, context().watermark()).micros;
  }

  std::map<std::int64_t, RankedGroups> windows_;  ///< by their end
  std::size_t group_ = 0;                         ///< of the first window, when it is half given
  std::size_t rank_ = 0;
  Timestamp passed_ = Timestamp::min();
  Counter* late_ = nullptr;
};

class TopFactory final : public OperatorFactory {
 public:
  TopFactory(TopSpec spec, SchemaPtr input) : spec_{std::move(spec)}, input_{std::move(input)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    if (spec_.window_end) return std::make_unique<WindowedTop>(spec_, input_);
    return std::make_unique<RunningTop>(spec_, input_);
  }
  [[nodiscard]] std::optional<FieldUse> field_use() const override {
    // A row with its rank has another schema than the input's: all of its fields are read.
    if (!spec_.rank.empty()) return std::nullopt;
    FieldUse use;
    use.reads = spec_.key_fields;
    for (const SortField& field : spec_.order) use.reads.push_back(field.field);
    use.passing_outputs = {0};
    return use;
  }

 private:
  TopSpec spec_;
  SchemaPtr input_;
};

}  // namespace

SchemaPtr top_output_schema(const TopSpec& spec, const Schema& input) {
  std::vector<Field> fields = input.fields();
  if (!spec.rank.empty()) fields.push_back({spec.rank, TypeKind::int64});
  return make_schema(std::move(fields));
}

OperatorFactoryPtr make_top(TopSpec spec, SchemaPtr input) {
  return std::make_shared<TopFactory>(std::move(spec), std::move(input));
}

}  // namespace dataflow

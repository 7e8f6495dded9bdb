#include "libdataflow/ranking/top.hpp"

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <functional>
#include <map>

#include "libdataflow/ranking/row_bytes.hpp"
#include "libdataflow/state/ttl_sweep.hpp"
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

struct RankedGroup {
  std::string key;
  RankedRows rows;
  Timestamp seen{};  ///< by the clock, when its last row came
};

/// Groups in the order in which their keys came first, until one is erased.
class RankedGroups {
 public:
  [[nodiscard]] std::size_t size() const { return groups_.size(); }
  RankedGroup& find_or_insert(const std::string& key) {
    if (const auto found = index_.find(key); found != index_.end()) return *groups_[found->second];
    groups_.push_back(std::make_unique<RankedGroup>(RankedGroup{key, {}, {}}));
    index_.emplace(groups_.back()->key, groups_.size() - 1);
    return *groups_.back();
  }
  [[nodiscard]] const RankedGroup& operator[](std::size_t i) const { return *groups_[i]; }
  /// The last one takes its place.
  void erase(std::size_t i) {
    index_.erase(groups_[i]->key);
    if (i + 1 != groups_.size()) {
      groups_[i] = std::move(groups_.back());
      index_[groups_[i]->key] = i;
    }
    groups_.pop_back();
  }

 private:
  absl::flat_hash_map<std::string_view, std::size_t> index_;  ///< by the groups' own keys
  std::vector<std::unique_ptr<RankedGroup>> groups_;
};

/// Of groups that no row comes of any more so many are looked at in one go, and all within this part of the TTL.
constexpr std::size_t groups_in_a_sweep = 1024;

/// The input's fields, then these three.
SchemaPtr saved_schema(const Schema& input) {
  std::vector<Field> fields = input.fields();
  fields.push_back({"top.event_time", TypeKind::timestamp});
  fields.push_back({"top.sequence", TypeKind::int64});
  fields.push_back({"top.seen", TypeKind::timestamp});
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
    for_each_group([&](const RankedGroup& group) {
      if (is_expired(group, context_->now())) return;
      for (const RankedRow& row : group.rows) {
        codec_.restore(row.bytes, rows);
        rows.column(input_->size()).append_int64(row.time.micros);
        rows.column(input_->size() + 1).append_int64(static_cast<std::int64_t>(last_sort_number(row.order)));
        rows.column(input_->size() + 2).append_int64(group.seen.micros);
        rows.end_row();
        if (rows.full()) flush();
      }
    });
    flush();
    return state;
  }

  Status restore(StateReader& state) final {
    Status read = state.read(rows_table, saved_schema(*input_), [this](std::uint32_t, const BatchPtr& rows) -> Status {
      const auto numbers = rows->column(input_->size() + 1).as<std::int64_t>();
      const auto times = rows->column(input_->size()).as<std::int64_t>();
      const Column& seen = rows->column(input_->size() + 2);
      for (std::uint32_t row = 0; row < rows->rows(); ++row) {
        const auto sequence = static_cast<std::uint64_t>(numbers[row]);
        sequence_ = std::max(sequence_, sequence + 1);
        RankedGroup& whole = group_of(*rows, row);
        whole.seen = seen.is_null(row) ? context_->now() : Timestamp{seen.as<std::int64_t>()[row]};
        RankedRows& group = whole.rows;
        order_of(*rows, row, sequence);
        RankedRow& kept = *group.emplace(group.begin() + static_cast<std::ptrdiff_t>(rank_in(group, order_)));
        kept.order = order_;
        kept.time = Timestamp{times[row]};
        codec_.append(*rows, row, kept.bytes);
      }
      return {};
    });
    restored();
    return read;
  }

 protected:
  virtual RankedGroups& groups_of(const Batch& batch, std::uint32_t row) = 0;
  virtual void for_each_group(const std::function<void(const RankedGroup&)>& visit) const = 0;
  virtual void restored() {}

  [[nodiscard]] bool is_expired(const RankedGroup& group, Timestamp now) const {
    return spec_.ttl && now - group.seen >= *spec_.ttl;
  }

  RankedGroup& group_of(const Batch& batch, std::uint32_t row) {
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
  Placed place(const Batch& batch, std::uint32_t row, Timestamp now) {
    RankedGroup& whole = group_of(batch, row);
    if (is_expired(whole, now)) whole.rows.clear();
    whole.seen = now;
    RankedRows& group = whole.rows;
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
    now_ = context().now();
    if (spec().ttl && !next_sweep_) next_sweep_ = now_ + pause();
    return resume(out);
  }

  // Keys that have outlived their time are looked for now and then, so that they do not stay for want of a next row.
  [[nodiscard]] std::optional<Timestamp> next_processing_timer() const override { return next_sweep_; }
  Result<Step> on_processing_time(Timestamp now, OperatorOutput&) override {
    for (std::size_t n = std::min(groups_in_a_sweep, groups_.size()); n != 0 && groups_.size() != 0; --n) {
      if (sweep_ >= groups_.size()) sweep_ = 0;
      if (is_expired(groups_[sweep_], now)) {
        groups_.erase(sweep_);
      } else {
        ++sweep_;
      }
    }
    next_sweep_.reset();
    if (groups_.size() != 0) next_sweep_ = now + pause();
    return Step::done;
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
  void for_each_group(const std::function<void(const RankedGroup&)>& visit) const override {
    for (std::size_t i = 0; i < groups_.size(); ++i) visit(groups_[i]);
  }
  void restored() override {
    if (spec().ttl && groups_.size() != 0) next_sweep_ = context().now() + pause();
  }

 private:
  /// Between two looks at some of the groups.
  [[nodiscard]] Duration pause() const { return pause_between_sweeps(*spec().ttl, groups_.size(), groups_in_a_sweep); }

  void take(std::uint32_t row) {
    const Placed placed = place(*batch_, row, now_);
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
  Timestamp now_{};                      ///< when the batch came
  std::optional<Timestamp> next_sweep_;  ///< with a TTL, while there are groups
  std::size_t sweep_ = 0;
};

/// Gives the first rows of a window when it is over; all of time is one, which is over with the input, where there are
/// no others.
class WindowedTop final : public Top {
 public:
  using Top::Top;

  Status open(OperatorContext& context) override {
    late_ = &context.counter("late");
    return Top::open(context);
  }

  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput&) override {
    set_has_time(batch->has_event_time());
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      if (spec().window_end && batch->column(*spec().window_end).is_null(row)) {
        return fail(ErrorCode::invalid_argument, "a row has no window_end: it is of no window");
      }
      if (is_over(window_end(*batch, row))) {
        late_->add(1);
      } else {
        place(*batch, row, context().now());
      }
    }
    return Step::done;
  }

  [[nodiscard]] std::optional<Timestamp> waits_for() const override {
    return windows_.empty() ? std::nullopt : std::optional{Timestamp{windows_.begin()->first - 1}};
  }

  Result<Step> on_watermark(Timestamp watermark, OperatorOutput& out) override {
    passed_ = watermark;
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    while (!windows_.empty() && is_over(windows_.begin()->first)) {
      const RankedGroups& groups = windows_.begin()->second;
      while (group_ < groups.size()) {
        const RankedRows& rows = groups[group_].rows;
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
  RankedGroups& groups_of(const Batch& batch, std::uint32_t row) override { return windows_[window_end(batch, row)]; }
  void for_each_group(const std::function<void(const RankedGroup&)>& visit) const override {
    for (const auto& [end, groups] : windows_) {
      for (std::size_t i = 0; i < groups.size(); ++i) visit(groups[i]);
    }
  }

 private:
  [[nodiscard]] std::int64_t window_end(const Batch& batch, std::uint32_t row) const {
    return spec().window_end ? batch.column(*spec().window_end).as<std::int64_t>()[row] : Timestamp::max().micros;
  }
  /// A window's results have the time of its last microsecond.
  [[nodiscard]] bool is_over(std::int64_t window_end) const {
    const std::int64_t passed = std::max(passed_, context().watermark()).micros;
    return window_end - 1 <= passed && (window_end != Timestamp::max().micros || passed == window_end);
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
    if (spec_.window_end || spec_.at_end) return std::make_unique<WindowedTop>(spec_, input_);
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

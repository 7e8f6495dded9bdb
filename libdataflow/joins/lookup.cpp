// Rows of a stream with those of a table that is read whole first: a hash join whose build side is complete before the
// first probe. Every subtask has the whole table, so that the stream need not be partitioned.
//
// Until the table's input has ended the operator does not take the stream (Operator::takes). What is under way then
// waits here and is part of the state, as is what there is of the table, so that a checkpoint need not wait for either:
// the sources' positions are behind both. See docs/decisions/030-joins.md.

#include <algorithm>
#include <deque>

#include "libdataflow/joins/join_operator.hpp"
#include "libdataflow/windows/group_table.hpp"
#include "serialization/builder.hpp"

namespace dataflow::joins {

namespace {

constexpr const char* waiting_table = "waiting";
constexpr std::size_t candidates_at_once = 1024;

/// What stands in memory before a row's bytes.
struct TableRow {
  TableRow* next;

  [[nodiscard]] const std::byte* bytes() const { return reinterpret_cast<const std::byte*>(this + 1); }
  [[nodiscard]] std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
};
struct RowList {
  TableRow* first;
  TableRow* last;
};

/// The rows of a table; their bytes never change, so that a snapshot reads them while more are added.
struct TableRows {
  RowArena arena;
  std::vector<const std::byte*> rows;
};

/// The table as it was at a barrier, and the stream's rows that waited.
class CapturedLookup final : public CapturedState {
 public:
  CapturedLookup(std::shared_ptr<const TableRows> owner, const RowTable& table, bool writes_table,
                 std::unique_ptr<CopiedState> waiting)
      : owner_{std::move(owner)},
        description_{table.name(), StateKind::broadcast, 1, table.schema()},
        layout_{table.shared_layout()},
        waiting_{std::move(waiting)} {
    if (writes_table) rows_ = owner_->rows;
  }

  Status write(StateWriter& writer) override {
    if (!rows_.empty()) {
      if (Status begun = writer.begin(description_); !begun) return begun;
    }
    for (std::size_t first = 0; first < rows_.size(); first += max_batch_rows) {
      const std::span<const std::byte* const> some{rows_.data() + first,
                                                   std::min<std::size_t>(max_batch_rows, rows_.size() - first)};
      std::vector<ColumnPtr> columns;
      for (std::size_t place = 0; place < layout_->stored().size(); ++place) {
        columns.push_back(layout_->unpack(place, some));
      }
      const auto batch = std::make_shared<const Batch>(description_.schema, static_cast<std::uint32_t>(some.size()),
                                                       std::move(columns));
      if (Status added = writer.add(0, batch); !added) return added;
    }
    return waiting_->write(writer);
  }

 private:
  std::shared_ptr<const TableRows> owner_;
  std::vector<const std::byte*> rows_;
  StateDescription description_;
  std::shared_ptr<const PackedLayout> layout_;
  std::unique_ptr<CopiedState> waiting_;
};

class Lookup final : public JoinOperator {
 public:
  explicit Lookup(std::shared_ptr<const LookupSpec> spec)
      : JoinOperator{spec->join, {}},
        spec_{std::move(spec)},
        key_layout_{keys_of_input(right_input).form(), std::vector<std::byte>(sizeof(RowList))},
        groups_{key_layout_} {}

  [[nodiscard]] bool takes(std::size_t input) const override {
    return input == right_input || (loaded_ && waiting_.empty() && !batch_);
  }

  Result<Step> process(std::size_t input, const BatchPtr& batch, OperatorOutput& out) override {
    if (input == right_input) {
      load(*batch, layout(right_input), keys_of_input(right_input), join().sides[right_input].keys);
      return Step::done;
    }
    waiting_.push_back(batch);
    return loaded_ ? resume(out) : Result<Step>{Step::done};
  }

  Result<Step> end_of_input(std::size_t input, OperatorOutput& out) override {
    if (input != right_input) return Step::done;
    loaded_ = true;
    return resume(out);
  }

  Result<Step> resume(OperatorOutput& out) override {
    while (batch_ || begin_batch()) {
      collect();
      if (Status matched = apply(out); !matched) return fail(matched.error());
      const bool through = row_ == batch_->rows();
      if (!through && !results_.full()) continue;
      if (Status emitted = emit(results_, out); !emitted) return fail(emitted.error());
      if (through) batch_.reset();
      if (out.full() && (batch_ || !waiting_.empty())) return Step::yield;
    }
    return Step::done;
  }

  Result<CapturedStatePtr> snapshot() override {
    auto waiting = std::make_unique<CopiedState>();
    waiting->begin({waiting_table, StateKind::list, 1, waiting_schema()});
    for (const BatchPtr& batch : waiting_) waiting->add(with_time_and_kind(*batch));
    return std::make_unique<CapturedLookup>(rows_, table(right_input), context().subtask() == 0, std::move(waiting));
  }

  Status restore(StateReader& state) override {
    const RowTable& from = table(right_input);
    std::vector<std::size_t> keys = from.key_fields();
    Status read = from.restore(state, [&](const BatchPtr& rows) -> Status {
      load(*rows, from.own_layout(), keys_of_table(right_input), keys);
      return {};
    });
    if (!read) return read;
    return state.read(waiting_table, waiting_schema(), [&](std::uint32_t, const BatchPtr& rows) -> Status {
      waiting_.push_back(without_time_and_kind(*rows));
      return {};
    });
  }

 private:
  /// Of the stream's rows: its fields, then these two.
  [[nodiscard]] SchemaPtr waiting_schema() const {
    std::vector<Field> fields = join().sides[left_input].schema->fields();
    fields.push_back({"lookup.event_time", TypeKind::timestamp});
    fields.push_back({"lookup.kind", TypeKind::int32});
    return make_schema(std::move(fields));
  }
  [[nodiscard]] BatchPtr with_time_and_kind(const Batch& batch) const {
    std::vector<ColumnPtr> columns = batch.columns();
    columns.push_back(batch.has_event_time() ? batch.timestamps()
                                             : constant_column(TypeKind::timestamp, Value{}, batch.rows()));
    ColumnBuilder kinds{TypeKind::int32, batch.rows()};
    for (std::uint32_t row = 0; row < batch.rows(); ++row) kinds.append_int32(static_cast<int>(batch.kind(row)));
    columns.push_back(kinds.finish());
    return std::make_shared<const Batch>(waiting_schema(), batch.rows(), std::move(columns));
  }
  [[nodiscard]] BatchPtr without_time_and_kind(const Batch& rows) const {
    std::vector<ColumnPtr> columns = rows.columns();
    GrowingBuffer kinds;
    for (const std::int32_t kind : columns.back()->as<std::int32_t>()) kinds.push(static_cast<std::uint8_t>(kind));
    columns.pop_back();
    ColumnPtr times = columns.back()->has_nulls() ? nullptr : columns.back();
    columns.pop_back();
    return std::make_shared<const Batch>(join().sides[left_input].schema, rows.rows(), std::move(columns),
                                         std::move(times), kinds.freeze());
  }

  RowList& rows_of(std::byte* group) const { return *reinterpret_cast<RowList*>(group + key_layout_.payload_offset()); }

  void load(const Batch& batch, const PackedLayout& form, windows::KeyReader& keys,
            const std::vector<std::size_t>& key_fields) {
    // What has no key is in no result.
    rows_with_key(batch, key_fields, with_key_, without_key_);
    if (context().subtask() == 0) count_without_key(right_input, without_key_.size());  // all of them have the table
    found_.resize(with_key_.size());
    groups_.find_or_insert(keys.read(batch), with_key_.size() == batch.rows() ? nullptr : with_key_.data(),
                           with_key_.size(), found_.data());
    form.sizes(batch, with_key_, sizes_);
    to_.resize(with_key_.size());
    for (std::size_t i = 0; i < with_key_.size(); ++i) {
      auto* const row = reinterpret_cast<TableRow*>(rows_->arena.allocate(sizeof(TableRow) + sizes_[i]));
      row->next = nullptr;
      RowList& list = rows_of(found_[i]);
      (list.first == nullptr ? list.first : list.last->next) = row;
      list.last = row;
      to_[i] = row->bytes();
      rows_->rows.push_back(row->bytes());
    }
    form.pack(batch, with_key_, sizes_, to_.data());
  }

  bool begin_batch() {
    if (!loaded_ || waiting_.empty()) return false;
    batch_ = std::move(waiting_.front());
    waiting_.pop_front();
    rows_with_key(*batch_, join().sides[left_input].keys, with_key_, without_key_);
    const windows::KeyBatch& keys = keys_of_input(left_input).read(*batch_);
    first_.assign(batch_->rows(), nullptr);
    for (const std::uint32_t row : with_key_) {
      windows::KeyRef key;
      if (keys.form == windows::KeyForm::word) {
        key.key.head = keys.words[row];
      } else {
        key.key = keys.texts[row];
      }
      if (std::byte* const group = groups_.find(key)) first_[row] = rows_of(group).first;
    }
    for (Pairs* pairs : {&candidates_, &results_}) pairs->sides[left_input].batch = batch_.get();
    row_ = 0;
    walking_ = false;
    return true;
  }

  void collect() {
    candidates_.clear();
    ends_.clear();
    while (row_ < batch_->rows() && ends_.size() < candidates_at_once) {
      if (!walking_) walk_ = first_[row_];
      walking_ = true;
      while (walk_ != nullptr && candidates_.count < candidates_at_once && candidates_.bytes < max_batch_bytes / 2) {
        candidates_.sides[left_input].rows.push_back(row_);
        candidates_.sides[right_input].stored.push_back(walk_->bytes());
        candidates_.bytes += PackedLayout::size_of(walk_->bytes()) + batch_->byte_size() / batch_->rows();
        ++candidates_.count;
        walk_ = walk_->next;
      }
      const bool complete = walk_ == nullptr;
      ends_.push_back({row_, candidates_.count, complete});
      if (!complete) return;
      walking_ = false;
      ++row_;
    }
  }

  Status apply(OperatorOutput& out) {
    if (Status chosen = select(candidates_, out); !chosen) return chosen;
    std::size_t next = 0;
    std::size_t left_out = 0;
    for (const RowEnd& end : ends_) {
      for (; next < selected().size() && selected()[next] < end.candidates; ++next) {
        matched_ = true;
        add_result(end.row, candidates_.sides[right_input].stored[selected()[next]]);
      }
      if (!end.complete) continue;
      if (!matched_ && gives_unmatched(join().kind, left_input)) {
        add_result(end.row, nullptr);
      } else if (!matched_) {
        ++left_out;
      }
      matched_ = false;
    }
    count_without_match(left_out);
    return {};
  }

  void add_result(std::uint32_t row, const std::byte* of_table) {
    results_.sides[left_input].rows.push_back(row);
    results_.sides[right_input].stored.push_back(of_table);
    results_.kinds.push_back(batch_->kind(row));
    if (join().event_time) results_.times.push_back(batch_->timestamp(row).micros);
    results_.bytes +=
        batch_->byte_size() / batch_->rows() + (of_table != nullptr ? PackedLayout::size_of(of_table) : 0);
    ++results_.count;
  }

  struct RowEnd {
    std::uint32_t row;
    std::size_t candidates;
    bool complete;
  };

  std::shared_ptr<const LookupSpec> spec_;
  windows::RowLayout key_layout_;
  windows::GroupTable groups_;
  std::shared_ptr<TableRows> rows_ = std::make_shared<TableRows>();
  bool loaded_ = false;           ///< the table is complete
  std::deque<BatchPtr> waiting_;  ///< batches of the stream, bounded by its senders' credit while the table is read

  BatchPtr batch_;
  std::vector<TableRow*> first_;  ///< for each of its rows, of the rows with its key
  std::uint32_t row_ = 0;
  bool walking_ = false;
  TableRow* walk_ = nullptr;
  bool matched_ = false;  ///< the row whose candidates are being decided
  Pairs candidates_;
  Pairs results_;
  std::vector<RowEnd> ends_;
  std::vector<std::uint32_t> with_key_;  // scratch
  std::vector<std::uint32_t> without_key_;
  std::vector<std::byte*> found_;
  std::vector<std::uint32_t> sizes_;
  std::vector<std::byte*> to_;
};

}  // namespace

OperatorFactoryPtr make_lookup(LookupSpec spec) {
  return std::make_shared<JoinFactory<Lookup, LookupSpec>>(std::move(spec));
}

}  // namespace dataflow::joins

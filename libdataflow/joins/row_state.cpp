#include "libdataflow/joins/row_state.hpp"

#include <algorithm>
#include <numeric>

#include "libdataflow/joins/entry_form.hpp"
#include "serialization/builder.hpp"

namespace dataflow::joins {

namespace {

constexpr std::uint32_t version = 1;

SchemaPtr table_schema(const PackedLayout& layout, const std::vector<std::string>& numbers) {
  std::vector<Field> fields = layout.schema()->fields();
  for (const std::string& number : numbers) fields.push_back({number, TypeKind::int64});
  return make_schema(std::move(fields));
}

/// Of rows of both sides those of one of them.
class RowsOfSide final : public StateWriter {
 public:
  RowsOfSide(StateWriter& writer, const EntryForm& form, std::size_t side)
      : writer_{writer}, form_{form}, side_{side} {}
  Status begin(const StateDescription& state) override { return writer_.begin(state); }
  Status add(std::uint32_t key_group, const BatchPtr& rows) override {
    return writer_.add(key_group, form_.rows_of(side_, *rows));
  }

 private:
  StateWriter& writer_;
  const EntryForm& form_;
  std::size_t side_;
};

PackedLayout layout_of_table(const PackedLayout& layout, const Schema& table) {
  std::vector<std::size_t> stored(layout.stored().size());
  std::iota(stored.begin(), stored.end(), std::size_t{0});
  return {table, std::move(stored), layout.keys()};
}

}  // namespace

RowTable::RowTable(std::size_t side, std::shared_ptr<const PackedLayout> layout,
                   const std::vector<std::string>& numbers)
    : side_{side},
      prefix_{side == left_input ? "left by " : "right by "},
      name_{prefix_},
      layout_{std::move(layout)},
      schema_{table_schema(*layout_, numbers)},
      own_layout_{layout_of_table(*layout_, *schema_)} {
  for (std::size_t key = 0; key < layout_->keys(); ++key) {
    name_ += (key == 0 ? "" : ", ") + (*layout_->schema())[key].name;
  }
}

std::vector<std::size_t> RowTable::key_fields() const {
  std::vector<std::size_t> fields(layout_->keys());
  std::iota(fields.begin(), fields.end(), std::size_t{0});
  return fields;
}

Status RowTable::restore(StateReader& state, const std::function<Status(const BatchPtr&)>& visit) const {
  for (const StateDescription* written : state.states()) {
    if (!written->name.starts_with(prefix_) || written->name == name_) continue;
    return fail(ErrorCode::invalid_argument, "the join kept rows \"" + written->name + "\" and is to have them \"" +
                                                 name_ + "\": give it another uid to begin anew");
  }
  return state.read(name_, schema_, [&](std::uint32_t, const BatchPtr& rows) { return visit(rows); });
}

void CapturedRows::begin(const RowTable& table, std::size_t bytes) {
  tables_.push_back({{table.name(), StateKind::keyed, version, table.schema()},
                     table.key_fields(),
                     table.shared_layout(),
                     {},
                     table.side(),
                     {}});
  tables_.back().rows.bytes.reserve(bytes);
}

void CapturedRows::add(const std::byte* row, const RowNumbers& numbers) {
  Table& table = tables_.back();
  Rows& rows = table.rows;
  rows.starts.push_back(rows.bytes.size());
  rows.bytes.insert(rows.bytes.end(), row, row + PackedLayout::size_of(row));
  rows.numbers.insert(rows.numbers.end(), numbers.begin(),
                      numbers.begin() + static_cast<std::ptrdiff_t>(table.numbers()));
}

void CapturedRows::add_stored(StoredRows rows) {
  tables_.back().stored.push_back(std::move(rows));
}

void CapturedRows::add_store(SealedStorePtr store, std::shared_ptr<const EntryForm> form) {
  store_ = std::move(store);
  form_ = std::move(form);
}

CapturedRows::~CapturedRows() {
  if (store_ != nullptr) store_->abandon();
}

/// What is to outlive the job has all rows in the tables of the sides.
Status CapturedRows::write(StateWriter& writer) {
  if (store_ != nullptr) {
    // First: until the store's checkpoint is made the join's changes wait in memory.
    const bool as_files = writer.takes_stores();
    if (Status made = as_files ? store_->write_files(writer, form_->description()) : store_->run(); !made) return made;
  }
  for (Table& table : tables_) {
    if (Status written = write_table(table, writer); !written) return written;
    if (store_ == nullptr || writer.takes_stores()) continue;
    RowsOfSide rows{writer, *form_, table.side};
    if (Status copied = store_->write_rows(rows, form_->stored(), max_parallelism_); !copied) return copied;
  }
  return more_ ? more_->write(writer) : Status{};
}

Status CapturedRows::write_table(Table& table, StateWriter& writer) const {
  if (Status begun = writer.begin(table.description); !begun) return begun;
  if (table.rows.starts.empty() && table.stored.empty()) return {};
  KeyGroupWriter groups{writer, table.key_fields, max_parallelism_};
  if (Status written = write_rows(table, table.rows, groups); !written) return written;
  for (StoredRows& stored : table.stored) {
    if (Status written = write_segments(table, stored, writer); !written) return written;
    if (Status written = write_stored(table, stored, groups); !written) return written;
  }
  return groups.finish();
}

/// Takes out of `stored` the runs whose rows of the side are a segment.
Status CapturedRows::write_segments(const Table& table, StoredRows& stored, StateWriter& writer) const {
  std::vector<SortedRunPtr> others;
  for (SortedRunPtr& run : stored.runs) {
    if (!writer.takes_segment(run->bytes())) {
      others.push_back(std::move(run));
      continue;
    }
    const SegmentId id{run, static_cast<std::uint32_t>(table.side)};
    Status added = writer.add_segment(id, [&](StateWriter& rows) -> Status {
      KeyGroupWriter groups{rows, table.key_fields, max_parallelism_};
      Status written = write_stored(table, {stored.home, {run}}, groups);
      return written ? groups.finish() : written;
    });
    if (!added) return added;
  }
  stored.runs = std::move(others);
  return {};
}

Status CapturedRows::write_rows(const Table& table, const Rows& rows, KeyGroupWriter& writer) {
  const std::size_t stored = table.layout->stored().size();
  const std::size_t numbers = table.numbers();
  std::vector<const std::byte*> at;
  for (std::size_t first = 0; first < rows.starts.size(); first += max_batch_rows) {
    const std::size_t end = std::min<std::size_t>(rows.starts.size(), first + max_batch_rows);
    at.clear();
    for (std::size_t i = first; i < end; ++i) at.push_back(rows.bytes.data() + rows.starts[i]);
    std::vector<ColumnPtr> columns;
    for (std::size_t place = 0; place < stored; ++place) columns.push_back(table.layout->unpack(place, at));
    for (std::size_t n = 0; n < numbers; ++n) {
      ColumnBuilder column{TypeKind::int64, at.size()};
      for (std::size_t i = first; i < end; ++i) column.append_int64(rows.numbers[i * numbers + n]);
      columns.push_back(column.finish());
    }
    const auto batch = std::make_shared<const Batch>(table.description.schema, static_cast<std::uint32_t>(at.size()),
                                                     std::move(columns));
    if (Status added = writer.add(batch); !added) return added;
  }
  return {};
}

Status CapturedRows::write_stored(const Table& table, const StoredRows& stored, KeyGroupWriter& writer) {
  const std::unique_ptr<StoreScan> scan = merge_runs(stored.runs);
  const auto numbers = static_cast<std::ptrdiff_t>(table.numbers());
  Rows rows;
  for (; scan->valid(); scan->next()) {
    RowEntries entries{scan->value()};
    for (RowEntry row; entries.next(row);) {
      if (row.side != table.side) continue;
      rows.starts.push_back(rows.bytes.size());
      rows.bytes.insert(rows.bytes.end(), row.bytes, row.bytes + row.size());
      rows.numbers.insert(rows.numbers.end(), row.numbers.begin(), row.numbers.begin() + numbers);
    }
    if (rows.starts.size() < max_batch_rows) continue;
    if (Status written = write_rows(table, rows, writer); !written) return written;
    rows.bytes.clear();
    rows.starts.clear();
    rows.numbers.clear();
  }
  if (Status walked = scan->status(); !walked) return walked;
  return write_rows(table, rows, writer);
}

}  // namespace dataflow::joins

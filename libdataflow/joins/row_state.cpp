#include "libdataflow/joins/row_state.hpp"

#include <algorithm>
#include <numeric>

#include "serialization/builder.hpp"

namespace dataflow::joins {

namespace {

constexpr std::uint32_t version = 1;

SchemaPtr table_schema(const PackedLayout& layout, const std::vector<std::string>& numbers) {
  std::vector<Field> fields = layout.schema()->fields();
  for (const std::string& number : numbers) fields.push_back({number, TypeKind::int64});
  return make_schema(std::move(fields));
}

PackedLayout layout_of_table(const PackedLayout& layout, const Schema& table) {
  std::vector<std::size_t> stored(layout.stored().size());
  std::iota(stored.begin(), stored.end(), std::size_t{0});
  return {table, std::move(stored), layout.keys()};
}

}  // namespace

RowTable::RowTable(std::size_t side, std::shared_ptr<const PackedLayout> layout,
                   const std::vector<std::string>& numbers)
    : side_{side == left_input ? "left by " : "right by "},
      name_{side_},
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
    if (!written->name.starts_with(side_) || written->name == name_) continue;
    return fail(ErrorCode::invalid_argument, "the join kept rows \"" + written->name + "\" and is to have them \"" +
                                                 name_ + "\": give it another uid to begin anew");
  }
  return state.read(name_, schema_, [&](std::uint32_t, const BatchPtr& rows) { return visit(rows); });
}

void CapturedRows::begin(const RowTable& table) {
  tables_.push_back({{table.name(), StateKind::keyed, version, table.schema()},
                     table.key_fields(),
                     table.shared_layout(),
                     {},
                     {},
                     {}});
}

void CapturedRows::add(const std::byte* row, std::initializer_list<std::int64_t> numbers) {
  Table& table = tables_.back();
  table.starts.push_back(table.bytes.size());
  table.bytes.insert(table.bytes.end(), row, row + PackedLayout::size_of(row));
  table.numbers.insert(table.numbers.end(), numbers);
}

Status CapturedRows::write(StateWriter& writer) {
  for (const Table& table : tables_) {
    if (Status written = write_table(table, writer); !written) return written;
  }
  return more_ ? more_->write(writer) : Status{};
}

Status CapturedRows::write_table(const Table& table, StateWriter& writer) const {
  if (Status begun = writer.begin(table.description); !begun) return begun;
  if (table.starts.empty()) return {};
  const std::size_t stored = table.layout->stored().size();
  const std::size_t numbers = table.description.schema->size() - stored;
  KeyGroupWriter groups{writer, table.key_fields, max_parallelism_};
  std::vector<const std::byte*> rows;
  for (std::size_t first = 0; first < table.starts.size(); first += max_batch_rows) {
    const std::size_t end = std::min<std::size_t>(table.starts.size(), first + max_batch_rows);
    rows.clear();
    for (std::size_t i = first; i < end; ++i) rows.push_back(table.bytes.data() + table.starts[i]);
    std::vector<ColumnPtr> columns;
    for (std::size_t place = 0; place < stored; ++place) columns.push_back(table.layout->unpack(place, rows));
    for (std::size_t n = 0; n < numbers; ++n) {
      ColumnBuilder column{TypeKind::int64, rows.size()};
      for (std::size_t i = first; i < end; ++i) column.append_int64(table.numbers[i * numbers + n]);
      columns.push_back(column.finish());
    }
    const auto batch = std::make_shared<const Batch>(table.description.schema, static_cast<std::uint32_t>(rows.size()),
                                                     std::move(columns));
    if (Status added = groups.add(batch); !added) return added;
  }
  return groups.finish();
}

}  // namespace dataflow::joins

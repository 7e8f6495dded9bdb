#include "libdataflow/joins/entry_form.hpp"

#include <cassert>
#include <numeric>
#include <utility>

#include "libdataflow/state/store_key.hpp"
#include "serialization/key_hash.hpp"

namespace dataflow::joins {

namespace {

constexpr const char* entries_table = "rows in the store";
constexpr std::uint32_t entries_version = 1;
/// The columns between the key and the sides' fields: the side, the numbers, and these two.
constexpr std::size_t columns_of_waking = 2;

std::vector<std::size_t> first_fields(std::size_t count) {
  std::vector<std::size_t> fields(count);
  std::iota(fields.begin(), fields.end(), std::size_t{0});
  return fields;
}

}  // namespace

EntryForm::EntryForm(const RowTable& left, const RowTable& right, std::uint32_t max_parallelism)
    : max_parallelism_{max_parallelism},
      keys_{left.layout().keys()},
      numbers_{left.numbers()},
      sides_{left.schema(), right.schema()},
      layouts_{left.shared_layout(), right.shared_layout()},
      key_reader_{*left.schema(), left.key_fields()} {
  std::vector<Field> values{{"join.side", TypeKind::int64}};
  const std::vector<Field>& of_left = left.schema()->fields();
  values.insert(values.end(), of_left.end() - static_cast<std::ptrdiff_t>(numbers_), of_left.end());
  values.push_back({"join.wakes", TypeKind::int64});
  values.push_back({"join.ends", TypeKind::int64});
  for (const std::size_t side : {left_input, right_input}) {
    for (std::size_t place = keys_; place < layouts_[side]->stored().size(); ++place) {
      const Field& field = (*layouts_[side]->schema())[place];
      values.push_back({(side == left_input ? "left." : "right.") + field.name, field.type});
    }
  }
  std::vector<Field> fields;
  for (std::size_t key = 0; key < keys_; ++key) fields.push_back({"key:" + of_left[key].name, of_left[key].type});
  fields.insert(fields.end(), values.begin(), values.end());
  values_ = make_schema(std::move(values));
  description_ = {entries_table, StateKind::keyed, entries_version, make_schema(std::move(fields))};
  for (const std::size_t side : {left_input, right_input}) {
    std::vector<std::size_t> stored = first_fields(keys_);
    for (std::size_t i = 0; i < fields_of(side); ++i) stored.push_back(first_field(side) + i);
    table_layouts_.emplace_back(*description_.schema, std::move(stored), keys_);
  }
}

std::size_t EntryForm::first_field(std::size_t side) const {
  const std::size_t of_left = keys_ + 1 + numbers_ + columns_of_waking;
  return side == left_input ? of_left : of_left + fields_of(left_input);
}

tl::unexpected<Error> EntryForm::damaged() {
  return fail(ErrorCode::malformed_data,
              "the store has an entry that is no row of its table: it is damaged, or of a newer program");
}

EntrySummary EntryForm::read_summary(StoredFields& fields) {
  EntrySummary summary;
  summary.wakes = fields.int64().value_or(KeyEntry::never);
  summary.ends = fields.int64().value_or(0) != 0;
  return summary;
}

void EntryForm::encode_keys(std::span<const windows::KeyRef> keys, std::vector<std::string>& out) const {
  std::vector<ColumnBuilder> builders;
  std::vector<ColumnBuilder*> into;
  for (std::size_t key = 0; key < keys_; ++key) {
    builders.emplace_back((*description_.schema)[key].type, keys.size());
  }
  for (ColumnBuilder& builder : builders) into.push_back(&builder);
  key_reader_.write(keys.data(), keys.size(), into.data());
  std::vector<ColumnPtr> columns;
  std::vector<const Column*> refs;
  for (ColumnBuilder& builder : builders) {
    columns.push_back(builder.finish());
    refs.push_back(columns.back().get());
  }
  std::vector<std::uint64_t> hashes;
  hash_rows(refs, static_cast<std::uint32_t>(keys.size()), hashes);
  out.resize(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    out[i].clear();
    put_key_group(out[i], key_group_of(hashes[i], max_parallelism_));
    key_reader_.append_stored(keys[i], out[i]);
  }
}

windows::KeyRef EntryForm::decode_key(std::string_view stored) const {
  return key_reader_.read_stored(stored.substr(key_group_bytes));
}

void EntryForm::encode(std::span<const KeyEntry> entries, std::vector<std::string>& out) const {
  std::array<std::vector<const std::byte*>, 2> rows;
  for (const KeyEntry& entry : entries) {
    RowEntries left{entry.rows};
    for (RowEntry row; left.next(row);) rows[row.side].push_back(row.bytes);
  }
  std::array<std::vector<ColumnPtr>, 2> columns;
  for (const std::size_t side : {left_input, right_input}) {
    for (std::size_t place = keys_; place < layouts_[side]->stored().size(); ++place) {
      columns[side].push_back(layouts_[side]->unpack(place, rows[side]));
    }
  }
  std::array<std::uint32_t, 2> at{};
  out.resize(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    std::string& value = out[i];
    value.clear();
    RowEntries left{entries[i].rows};
    for (RowEntry row; left.next(row);) {
      const bool first = value.empty();
      append_stored_int64(static_cast<std::int64_t>(row.side), value);
      for (std::size_t n = 0; n < numbers_; ++n) append_stored_int64(row.numbers[n], value);
      const bool says = first && entries[i].wakes != KeyEntry::never;
      append_stored_int64(says ? std::optional{entries[i].wakes} : std::nullopt, value);
      append_stored_int64(says ? std::optional{std::int64_t{entries[i].ends}} : std::nullopt, value);
      if (row.side == right_input) value.append(fields_of(left_input), '\0');  // NULLs
      for (const ColumnPtr& column : columns[row.side]) append_stored_field(*column, at[row.side], value);
      if (row.side == left_input) value.append(fields_of(right_input), '\0');
      ++at[row.side];
    }
  }
}

Status EntryForm::decode(std::span<const windows::KeyRef> keys, std::span<const std::optional<std::string_view>> values,
                         DecodedRows& out) const {
  out.rows.clear();
  out.summaries.assign(keys.size(), {});
  const Schema& schema = *description_.schema;
  std::vector<ColumnBuilder> builders;
  for (const Field& field : schema.fields()) builders.emplace_back(field.type);
  std::vector<ColumnBuilder*> key_builders;
  for (std::size_t key = 0; key < keys_; ++key) key_builders.push_back(&builders[key]);
  std::array<std::vector<std::uint32_t>, 2> rows;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!values[i]) continue;
    StoredFields fields{*values[i]};
    for (bool first = true; !fields.at_end(); first = false) {
      const auto row = fields.row(*values_);
      if (!row) return damaged();
      StoredFields head{*row};
      const auto side = head.int64();
      if (!side || *side < 0 || *side > 1) return damaged();
      RowEntry entry{.side = static_cast<std::size_t>(*side)};
      for (std::size_t n = 0; n < numbers_; ++n) entry.numbers[n] = head.int64().value_or(0);
      if (first) out.summaries[i] = read_summary(head);
      rows[entry.side].push_back(static_cast<std::uint32_t>(out.rows.size()));
      out.rows.push_back({i, entry});
      key_reader_.write(&keys[i], 1, key_builders.data());
      StoredFields all{*row};
      for (std::size_t column = keys_; column < schema.size(); ++column) {
        all.read(schema[column].type, builders[column]);
      }
      if (!all.ok()) return damaged();
    }
  }
  std::vector<ColumnPtr> columns;
  for (ColumnBuilder& builder : builders) columns.push_back(builder.finish());
  const Batch batch{description_.schema, static_cast<std::uint32_t>(out.rows.size()), std::move(columns)};
  std::array<std::vector<std::uint32_t>, 2> sizes;
  std::size_t words = 0;
  for (const std::size_t side : {left_input, right_input}) {
    table_layouts_[side].sizes(batch, rows[side], sizes[side]);
    for (const std::uint32_t size : sizes[side]) words += size / sizeof(std::uint64_t);
  }
  out.bytes.resize(words);
  auto* to = reinterpret_cast<std::byte*>(out.bytes.data());
  std::vector<std::byte*> places;
  for (const std::size_t side : {left_input, right_input}) {
    places.clear();
    for (std::size_t i = 0; i < rows[side].size(); ++i) {
      places.push_back(to);
      out.rows[rows[side][i]].entry.bytes = to;
      to += sizes[side][i];
    }
    table_layouts_[side].pack(batch, rows[side], sizes[side], places.data());
  }
  return {};
}

BatchPtr EntryForm::rows_of(std::size_t side, const Batch& rows) const {
  const auto sides = rows.column(keys_).as<std::int64_t>();
  std::vector<std::uint32_t> selected;
  for (std::uint32_t row = 0; row < rows.rows(); ++row) {
    if (sides[row] == static_cast<std::int64_t>(side)) selected.push_back(row);
  }
  std::vector<ColumnPtr> columns;
  const auto take = [&](std::size_t first, std::size_t count) {
    for (std::size_t i = first; i < first + count; ++i) columns.push_back(rows.columns()[i]);
  };
  take(0, keys_);
  take(first_field(side), fields_of(side));
  take(keys_ + 1, numbers_);
  return Batch{sides_[side], rows.rows(), std::move(columns)}.select_rows(selected);
}

}  // namespace dataflow::joins

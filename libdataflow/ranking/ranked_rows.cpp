#include "libdataflow/ranking/ranked_rows.hpp"

#include <algorithm>

#include "libdataflow/state/stored_table.hpp"

namespace dataflow {

std::size_t RankedRows::rank_of(std::string_view order) const {
  const auto place = std::upper_bound(rows.begin(), rows.end(), order,
                                      [](std::string_view a, const RankedRow& b) { return a < b.order(); });
  return static_cast<std::size_t>(place - rows.begin());
}

bool RankedRows::lets_in(std::size_t rank, std::string_view order, const RowLimit& limit) const {
  if (rank < limit.rows) return true;
  return limit.with_ties && rows[limit.rows - 1].key() == without_number(order);
}

std::size_t RankedRows::first_beyond(std::size_t rank, const RowLimit& limit) const {
  if (rank >= limit.rows || rows.size() < limit.rows) return rows.size();
  const std::size_t last = limit.rows - 1;
  // The row before the last is the last then, if the new one is not: with what is equal to it all stay.
  const bool tie = limit.with_ties && rank != last && rows[last - 1].key() == rows[last].key();
  return tie ? rows.size() : last;
}

std::size_t RankedRows::before_equals_of(std::size_t row) const {
  const auto first = std::lower_bound(rows.begin(), rows.end(), rows[row].key(),
                                      [](const RankedRow& a, std::string_view b) { return a.order() < b; });
  return static_cast<std::size_t>(first - rows.begin());
}

RankedForm::RankedForm(const Schema& input, std::vector<SortField> order) : order_{std::move(order)}, codec_{input} {
  std::vector<Field> fields{{"top.event_time", TypeKind::timestamp}, {"top.sequence", TypeKind::int64}};
  fields.insert(fields.end(), input.fields().begin(), input.fields().end());
  schema_ = make_schema(std::move(fields));
  for (const Field& field : input.fields()) types_.push_back(field.type);
}

void RankedForm::order_of(const Batch& batch, std::uint32_t row, std::uint64_t number, std::string& out) const {
  out.clear();
  append_sort_key(batch, row, order_, out);
  append_sort_number(number, out);
}

void RankedForm::append_fields(const Batch& batch, std::uint32_t row, Timestamp time, std::uint64_t number,
                               std::string& out) const {
  append_stored_int64(time.micros, out);
  append_stored_int64(static_cast<std::int64_t>(number), out);
  codec_.append(batch, row, out);
}

Timestamp RankedForm::restore(const RankedRow& row, BatchBuilder& rows) const {
  StoredFields fields{row.fields()};
  const Timestamp time{fields.int64().value_or(0)};
  fields.int64();
  codec_.restore(fields.left(), rows);
  return time;
}

bool RankedForm::read(std::string_view stored, RankedRow& row) const {
  StoredFields whole{stored};
  if (!whole.row(*schema_) || !whole.at_end()) return false;
  StoredFields fields{stored};
  const auto time = fields.int64();
  const auto number = fields.int64();
  if (!time || !number) return false;
  row.bytes.clear();
  append_sort_key(fields.left(), types_, order_, row.bytes);
  append_sort_number(static_cast<std::uint64_t>(*number), row.bytes);
  row.order_bytes = static_cast<std::uint32_t>(row.bytes.size());
  row.bytes += stored;
  return true;
}

/// Adds a row to those of the key.
bool RankedState::decode(std::uint32_t slot, std::string_view fields) {
  RankedRow row;
  if (!form_.read(fields, row)) return false;
  RankedRows& kept = write(slot);
  kept.next_number = std::max(kept.next_number, last_sort_number(row.order()) + 1);
  const std::size_t rank = kept.rank_of(row.order());
  if (!kept.lets_in(rank, row.order(), limit_)) return true;  // it was a greater one when they were written
  kept.rows.resize(kept.first_beyond(rank, limit_));
  kept.rows.insert(kept.rows.begin() + static_cast<std::ptrdiff_t>(rank), std::move(row));
  return true;
}

std::size_t RankedState::more_bytes(std::uint32_t slot) const {
  const RankedRows* const kept = find(slot);
  if (kept == nullptr) return 0;
  std::size_t bytes = 0;
  for (const RankedRow& row : kept->rows) bytes += sizeof(RankedRow) + row.order_bytes;
  return bytes;
}

}  // namespace dataflow

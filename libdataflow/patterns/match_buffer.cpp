#include "libdataflow/patterns/match_buffer.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "libdataflow/patterns/raw_bytes.hpp"

namespace dataflow::patterns {

KeptRows::KeptRows(const std::vector<DataType>& types) {
  for (const DataType& type : types) columns_.push_back({type, {}, {}, {}});
}

RowId KeptRows::new_row(Position position) {
  RowId row = 0;
  if (free_.empty()) {
    row = static_cast<RowId>(meta_.size());
    meta_.emplace_back();
    for (KeptColumn& column : columns_) {
      if (column.type.is_variable_width()) {
        column.texts.emplace_back();
      } else {
        column.words.emplace_back();
      }
      column.valid.push_back(0);
    }
  } else {
    row = free_.back();
    free_.pop_back();
  }
  meta_[row] = {position, 1};
  return row;
}

RowId KeptRows::add(Position position, std::span<const ColumnPtr> columns, std::uint32_t row) {
  const RowId id = new_row(position);
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    KeptColumn& into = columns_[i];
    const Column& from = *columns[i];
    into.valid[id] = from.is_null(row) ? 0 : 1;
    if (into.valid[id] == 0) continue;
    if (into.type.is_variable_width()) {
      into.texts[id].assign(from.text(row));
      continue;
    }
    switch (into.type.width()) {
      case 1: into.words[id] = from.as<std::uint8_t>()[row]; break;
      case 4: into.words[id] = static_cast<std::uint32_t>(from.as<std::int32_t>()[row]); break;
      default: std::memcpy(&into.words[id], from.values.as<std::uint64_t>() + row, sizeof(std::uint64_t));
    }
  }
  return id;
}

void KeptRows::append_to(std::size_t column, RowId row, ColumnBuilder& out) const {
  const KeptColumn& from = columns_[column];
  if (from.valid[row] == 0) return out.append_null();
  switch (from.type.kind()) {
    case TypeKind::boolean: return out.append_bool(from.words[row] != 0);
    case TypeKind::int32: return out.append_int32(static_cast<std::int32_t>(from.words[row]));
    case TypeKind::float64: return out.append_float64(std::bit_cast<double>(from.words[row]));
    case TypeKind::string:
    case TypeKind::bytes: return out.append_text(from.texts[row]);
    default: return out.append_int64(static_cast<std::int64_t>(from.words[row]));
  }
}

namespace {

template <class T>
bool take(std::string_view& bytes, T& value) {
  if (bytes.size() < sizeof value) return false;
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(sizeof value);
  return true;
}

}  // namespace

void KeptRows::save(RowId row, std::string& out) const {
  put(meta_[row].position.time, out);
  put(meta_[row].position.sequence, out);
  for (const KeptColumn& column : columns_) {
    out.push_back(static_cast<char>(column.valid[row]));
    if (column.valid[row] == 0) continue;
    if (column.type.is_variable_width()) {
      put(static_cast<std::uint32_t>(column.texts[row].size()), out);
      out += column.texts[row];
    } else {
      put(column.words[row], out);
    }
  }
}

RowId KeptRows::load(std::string_view& bytes) {
  Position position;
  if (!take(bytes, position.time) || !take(bytes, position.sequence)) return no_row;
  const RowId row = new_row(position);
  const auto damaged = [&] {
    release(row);
    return no_row;
  };
  for (KeptColumn& column : columns_) {
    std::uint8_t valid = 0;
    if (!take(bytes, valid) || valid > 1) return damaged();
    column.valid[row] = valid;
    if (valid == 0) continue;
    if (column.type.is_variable_width()) {
      std::uint32_t length = 0;
      if (!take(bytes, length) || bytes.size() < length) return damaged();
      column.texts[row].assign(bytes.substr(0, length));
      bytes.remove_prefix(length);
    } else if (!take(bytes, column.words[row])) {
      return damaged();
    }
  }
  return row;
}

EntryId MatchBuffer::append(EntryId before, MatchedRow matched) {
  EntryId id = 0;
  if (free_.empty()) {
    id = static_cast<EntryId>(entries_.size());
    entries_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  retain(before);
  rows_.retain(matched.row);
  entries_[id] = {matched, before, 1};
  return id;
}

void MatchBuffer::release(EntryId entry) {
  while (entry != no_entry && --entries_[entry].users == 0) {
    rows_.release(entries_[entry].matched.row);
    free_.push_back(entry);
    entry = entries_[entry].before;
  }
}

void MatchBuffer::collect(EntryId last, std::vector<MatchedRow>& rows) const {
  const std::size_t first = rows.size();
  for (EntryId entry = last; entry != no_entry; entry = entries_[entry].before) rows.push_back(entries_[entry].matched);
  std::reverse(rows.begin() + static_cast<std::ptrdiff_t>(first), rows.end());
}

}  // namespace dataflow::patterns

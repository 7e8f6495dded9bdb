#include "libdataflow/state/stored_table.hpp"

#include <cassert>
#include <cstring>
#include <map>

#include "libdataflow/state/store_key.hpp"

namespace dataflow {

namespace {

template <class V>
void append_raw(V value, std::string& out) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

std::string group_prefix(std::uint32_t group) {
  std::string prefix;
  put_key_group(prefix, group);
  return prefix;
}

Status damaged(std::uint32_t group) {
  return fail(ErrorCode::malformed_data, "the store has an entry in key group " + std::to_string(group) +
                                             " that is no row of its table: it is damaged, or of a newer program");
}

}  // namespace

void append_stored_field(const Column& column, std::uint32_t row, std::string& out) {
  const bool null = column.is_null(row);
  out += static_cast<char>(!null);
  if (null) return;
  if (column.type.is_variable_width()) {
    const std::string_view text = column.text(row);
    append_raw(static_cast<std::uint32_t>(text.size()), out);
    out += text;
  } else {
    out.append(reinterpret_cast<const char*>(column.values.data()) + row * column.type.width(), column.type.width());
  }
}

void append_stored_text(std::optional<std::string_view> text, std::string& out) {
  out += static_cast<char>(text.has_value());
  if (!text) return;
  append_raw(static_cast<std::uint32_t>(text->size()), out);
  out += *text;
}

void append_stored_int64(std::optional<std::int64_t> value, std::string& out) {
  out += static_cast<char>(value.has_value());
  if (value) append_raw(*value, out);
}

std::string_view StoredFields::take(std::size_t count) {
  if (count > left_.size()) {
    ok_ = false;
    left_ = {};
    return {};
  }
  const std::string_view taken = left_.substr(0, count);
  left_.remove_prefix(count);
  return taken;
}

std::optional<std::string_view> StoredFields::text() {
  const std::string_view present = take(1);
  if (present.empty() || present[0] == 0) return std::nullopt;
  std::uint32_t length = 0;
  const std::string_view bytes = take(sizeof length);
  if (!ok_) return std::nullopt;
  std::memcpy(&length, bytes.data(), sizeof length);
  const std::string_view content = take(length);
  return ok_ ? std::optional{content} : std::nullopt;
}

std::optional<std::int64_t> StoredFields::int64() {
  const std::string_view present = take(1);
  if (present.empty() || present[0] == 0) return std::nullopt;
  std::int64_t value = 0;
  const std::string_view bytes = take(sizeof value);
  if (!ok_) return std::nullopt;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::optional<std::string_view> StoredFields::row(const Schema& schema) {
  const std::string_view all = left_;
  const bool present = !all.empty() && all.front() != 0;
  for (const Field& field : schema.fields()) {
    if (field.type.is_variable_width()) {
      text();
    } else if (const std::string_view value = take(1); !value.empty() && value.front() != 0) {
      take(field.type.width());
    }
  }
  return ok_ && present ? std::optional{all.substr(0, all.size() - left_.size())} : std::nullopt;
}

void append_stored_state(const Schema* row, const StoredState& state, std::string& out) {
  if (row == nullptr) {
    append_stored_text(state.value, out);
  } else if (state.value) {
    out += *state.value;
  } else {
    out.append(row->size(), '\0');
  }
  append_stored_int64(state.value ? state.written : std::nullopt, out);
}

void append_stored_rows(const Schema& row, std::string_view rows, std::optional<std::int64_t> written,
                        std::string& out) {
  for (StoredFields fields{rows}; !fields.at_end();) {
    const auto one = fields.row(row);
    assert(one.has_value());
    append_stored_state(&row, {one, written}, out);
  }
}

StoredState read_stored_state(const Schema* row, StoredFields& fields) {
  const auto value = row == nullptr ? fields.text() : fields.row(*row);
  return {value, fields.int64()};
}

void StoredFields::read(const DataType& type, ColumnBuilder& column) {
  if (type.is_variable_width()) {
    const auto content = text();
    return content ? column.append_text(*content) : column.append_null();
  }
  const std::string_view present = take(1);
  if (present.empty() || present[0] == 0) return column.append_null();
  const std::string_view bytes = take(type.width());
  if (!ok_) return column.append_null();
  const auto fixed = [&]<class V>(V value) {
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  };
  switch (type.kind()) {
    case TypeKind::boolean: return column.append_bool(bytes[0] != 0);
    case TypeKind::int32: return column.append_int32(fixed(std::int32_t{}));
    case TypeKind::float64: return column.append_float64(fixed(double{}));
    default: return column.append_int64(fixed(std::int64_t{}));
  }
}

Status scan_stored_table(StateStore& store, const StoredTableForm& form, KeyGroupRange range,
                         const StateReader::Visit& visit) {
  BatchBuilder rows{form.schema};
  std::uint32_t group = 0;
  const auto give = [&]() -> Status { return rows.empty() ? Status{} : visit(group, rows.finish()); };
  const auto scan = store.scan(group_prefix(range.first), group_prefix(range.end));
  for (; scan->valid(); scan->next()) {
    if (scan->key().size() < key_group_bytes) return damaged(0);
    const std::uint32_t now = get_key_group(scan->key());
    if (now != group) {
      if (Status given = give(); !given) return given;
      group = now;
    }
    StoredFields value{scan->value()};
    do {
      const std::size_t left = value.left().size();
      StoredFields key{scan->key().substr(key_group_bytes)};
      for (std::size_t i = 0; i < form.schema->size(); ++i) {
        (i < form.keys ? key : value).read((*form.schema)[i].type, rows.column(i));
      }
      const bool stuck = left != 0 && value.left().size() == left;
      if (!key.ok() || !key.at_end() || !value.ok() || stuck) return damaged(now);
      rows.end_row();
      if (!rows.full()) continue;
      if (Status given = give(); !given) return given;
    } while (!value.at_end());
  }
  if (Status walked = scan->status(); !walked) return walked;
  return give();
}

Status put_stored_rows(StateStore& store, const StoredTableForm& form, const Batch& rows,
                       std::uint32_t max_parallelism) {
  std::vector<const Column*> keys;
  for (std::size_t i = 0; i < form.keys; ++i) keys.push_back(&rows.column(i));
  std::vector<std::uint64_t> hashes;
  hash_rows(keys, rows.rows(), hashes);
  StoreBatch changes;
  std::string key;
  std::string value;
  std::map<std::string, std::string> of_keys;  // with many_rows
  for (std::uint32_t row = 0; row < rows.rows(); ++row) {
    key.clear();
    value.clear();
    put_key_group(key, key_group_of(hashes[row], max_parallelism));
    for (std::size_t i = 0; i < form.schema->size(); ++i) {
      append_stored_field(rows.column(i), row, i < form.keys ? key : value);
    }
    if (form.many_rows) {
      of_keys[key] += value;
    } else {
      changes.put(key, value);
    }
  }
  if (!form.many_rows) return store.write(changes);
  std::vector<std::string_view> wanted;
  for (const auto& [of, added] : of_keys) wanted.push_back(of);
  StoreValues before;
  if (Status got = store.multi_get(wanted, before); !got) return got;
  std::size_t i = 0;
  for (const auto& [of, added] : of_keys)
    changes.put(of, std::string{before[i++].value_or(std::string_view{})} + added);
  return store.write(changes);
}

Status keep_key_groups(StateStore& store, KeyGroupRange range) {
  if (Status erased = store.erase_range(group_prefix(0), group_prefix(range.first)); !erased) return erased;
  return store.erase_range(group_prefix(range.end), std::string(key_group_bytes, '\xff'));
}

}  // namespace dataflow

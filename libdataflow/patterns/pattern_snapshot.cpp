// A pattern operator's checkpoints: the tables "waiting" (rows that the watermark has not passed), "matches" (for each
// key its attempts, with the rows and chains that they use, as bytes), and "clock".
//
// The bytes of a key begin with a version. Then come its rows, its chains, in which each entry refers to a row and to
// an entry in front of it by their numbers, the attempts, and the rows for `prev`.

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <cstring>

#include "libdataflow/patterns/pattern_operator.hpp"
#include "libdataflow/patterns/raw_bytes.hpp"

namespace dataflow::patterns {

namespace {

constexpr const char* waiting_table = "waiting";
constexpr const char* matches_table = "matches";
constexpr const char* clock_table = "clock";
constexpr std::uint8_t matches_version = 1;

const SchemaPtr& clock_schema() {
  static const SchemaPtr schema = make_schema({{"subtask", TypeKind::int64},
                                               {"pattern", TypeKind::string},
                                               {"watermark", TypeKind::timestamp},
                                               {"sequence", TypeKind::int64}});
  return schema;
}

/// The input's fields, then these two.
SchemaPtr waiting_schema(const Schema& input) {
  std::vector<Field> fields = input.fields();
  fields.push_back({"pattern.event_time", TypeKind::timestamp});
  fields.push_back({"pattern.sequence", TypeKind::int64});
  return make_schema(std::move(fields));
}

/// The key's fields, then the bytes.
SchemaPtr matches_schema(const Schema& input, const std::vector<std::size_t>& key_fields) {
  std::vector<Field> fields;
  for (const std::size_t field : key_fields) fields.push_back(input[field]);
  fields.push_back({"pattern.matches", TypeKind::bytes});
  return make_schema(std::move(fields));
}

std::vector<std::size_t> first_fields(std::size_t count) {
  std::vector<std::size_t> fields;
  for (std::size_t i = 0; i < count; ++i) fields.push_back(i);
  return fields;
}

void put_count(std::size_t count, std::string& out) {
  put(static_cast<std::uint32_t>(count), out);
}

/// Reads what `put` wrote; of bytes that are too short, zeros.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : left{bytes} {}
  template <class T>
  T get() {
    T value{};
    good = good && left.size() >= sizeof value;
    if (!good) return value;
    std::memcpy(&value, left.data(), sizeof value);
    left.remove_prefix(sizeof value);
    return value;
  }
  /// A number of things of at least one byte each.
  std::uint32_t count() {
    const auto n = get<std::uint32_t>();
    good = good && n <= left.size();
    return good ? n : 0;
  }

  std::string_view left;
  bool good = true;
};

/// Numbers the rows and entries of a key in the order in which they are met, entries behind what is in front of them.
class KeyWriter {
 public:
  explicit KeyWriter(const MatchBuffer& buffer) : buffer_{buffer} {}

  void add_row(RowId row) {
    if (rows_.emplace(row, static_cast<std::uint32_t>(rows_.size())).second) row_order_.push_back(row);
  }
  void add_chain(EntryId last) {
    const std::size_t first_new = entry_order_.size();
    for (EntryId entry = last; entry != no_entry && !entries_.contains(entry); entry = buffer_.before(entry)) {
      entry_order_.push_back(entry);
      entries_.emplace(entry, 0);
    }
    std::reverse(entry_order_.begin() + static_cast<std::ptrdiff_t>(first_new), entry_order_.end());
    for (std::size_t i = first_new; i < entry_order_.size(); ++i) {
      entries_[entry_order_[i]] = static_cast<std::uint32_t>(i);
      add_row(buffer_.matched(entry_order_[i]).row);
    }
  }
  void write(std::string& out) const {
    put_count(row_order_.size(), out);
    for (const RowId row : row_order_) buffer_.rows().save(row, out);
    put_count(entry_order_.size(), out);
    for (const EntryId entry : entry_order_) {
      put(rows_.at(buffer_.matched(entry).row), out);
      put(buffer_.matched(entry).variable, out);
      put_entry(buffer_.before(entry), out);
    }
  }
  void put_row(RowId row, std::string& out) const { put(rows_.at(row), out); }
  void put_entry(EntryId entry, std::string& out) const { put(entry == no_entry ? no_entry : entries_.at(entry), out); }

 private:
  const MatchBuffer& buffer_;
  absl::flat_hash_map<RowId, std::uint32_t> rows_;
  absl::flat_hash_map<EntryId, std::uint32_t> entries_;
  std::vector<RowId> row_order_;
  std::vector<EntryId> entry_order_;
};

}  // namespace

void PatternOperator::save_key(KeySlot slot, std::string& out) const {
  const KeyMatches& matches = keys_.matches(slot);
  KeyWriter writer{buffer_};
  for (const Attempt& attempt : matches.attempts) {
    for (const PartialMatch& partial : attempt.partial) writer.add_chain(partial.entry);
    for (const EntryId entry : attempt.complete) writer.add_chain(entry);
  }
  for (const RowId row : matches.before) writer.add_row(row);
  put(matches_version, out);
  writer.write(out);
  put_count(matches.attempts.size(), out);
  for (const Attempt& attempt : matches.attempts) {
    put(attempt.start.time, out);
    put(attempt.start.sequence, out);
    put_count(attempt.partial.size(), out);
    for (const PartialMatch& partial : attempt.partial) {
      put(partial.at, out);
      writer.put_entry(partial.entry, out);
    }
    put_count(attempt.complete.size(), out);
    for (const EntryId entry : attempt.complete) writer.put_entry(entry, out);
  }
  put_count(matches.before.size(), out);
  for (const RowId row : matches.before) writer.put_row(row, out);
}

bool PatternOperator::load_key(KeyMatches& matches, std::string_view saved) {
  Bytes bytes{saved};
  if (bytes.get<std::uint8_t>() != matches_version) return false;
  std::vector<RowId> rows;
  for (std::uint32_t n = bytes.count(); n > 0 && bytes.good; --n) {
    rows.push_back(buffer_.rows().load(bytes.left));
    if (rows.back() == no_row) return false;
  }
  std::vector<EntryId> entries;
  const auto entry_at = [&](std::uint32_t number) {
    if (number == no_entry) return no_entry;
    bytes.good = bytes.good && number < entries.size();
    return bytes.good ? entries[number] : no_entry;
  };
  const auto get_row = [&] {
    const auto number = bytes.get<std::uint32_t>();
    bytes.good = bytes.good && number < rows.size();
    return bytes.good ? rows[number] : no_row;
  };
  for (std::uint32_t n = bytes.count(); n > 0 && bytes.good; --n) {
    const RowId row = get_row();
    const auto variable = bytes.get<Variable>();
    const EntryId before = entry_at(bytes.get<std::uint32_t>());
    if (!bytes.good || variable >= most_variables) return false;
    entries.push_back(buffer_.append(before, {row, variable}));
  }
  const auto get_entry = [&] {
    const EntryId entry = entry_at(bytes.get<std::uint32_t>());
    bytes.good = bytes.good && entry != no_entry;
    if (bytes.good) buffer_.retain(entry);
    return entry;
  };
  for (std::uint32_t n = bytes.count(); n > 0 && bytes.good; --n) {
    Attempt& attempt = matches.attempts.emplace_back();
    attempt.start.time = bytes.get<std::int64_t>();
    attempt.start.sequence = bytes.get<std::uint64_t>();
    for (std::uint32_t m = bytes.count(); m > 0 && bytes.good; --m) {
      const auto at = bytes.get<std::uint32_t>();
      if (at >= spec_.program.code.size()) return false;
      attempt.partial.push_back({at, get_entry()});
    }
    for (std::uint32_t m = bytes.count(); m > 0 && bytes.good; --m) attempt.complete.push_back(get_entry());
  }
  for (std::uint32_t n = bytes.count(); n > 0 && bytes.good; --n) {
    const RowId row = get_row();
    if (!bytes.good) return false;
    buffer_.rows().retain(row);
    matches.before.push_back(row);
  }
  // Those that it was all read for are users by now.
  for (const EntryId entry : entries) buffer_.release(entry);
  for (const RowId row : rows) buffer_.rows().release(row);
  return bytes.good && bytes.left.empty();
}

Result<CapturedStatePtr> PatternOperator::snapshot() {
  auto state = std::make_unique<CopiedState>();
  state->begin({clock_table, StateKind::union_all, 1, clock_schema()});
  BatchBuilder clock{clock_schema()};
  clock.column(0).append_int64(context_->subtask());
  clock.column(1).append_text(spec_.identity);
  clock.column(2).append_int64(passed_);
  clock.column(3).append_int64(static_cast<std::int64_t>(sequence_));
  clock.end_row();
  state->add(clock.finish());

  const SchemaPtr waiting = waiting_schema(*input_);
  state->begin({waiting_table, StateKind::keyed, 1, waiting});
  for (const auto& rows : waiting_.all()) {
    std::vector<std::uint32_t> left;
    ColumnBuilder sequences{TypeKind::int64};
    for (std::uint32_t i = rows->next; i < rows->batch->rows(); ++i) {
      left.push_back(rows->order.empty() ? i : rows->order[i]);
      sequences.append_int64(static_cast<std::int64_t>(rows->position_of(left.back()).sequence));
    }
    const BatchPtr batch = rows->batch->select_rows(left);
    std::vector<ColumnPtr> columns = batch->columns();
    columns.push_back(batch->timestamps());
    columns.push_back(sequences.finish());
    state->add_keyed(std::make_shared<const Batch>(waiting, batch->rows(), std::move(columns)), spec_.key_fields,
                     context_->max_parallelism());
  }

  const std::size_t key_columns = spec_.key_fields.size();
  const SchemaPtr schema = matches_schema(*input_, spec_.key_fields);
  state->begin({matches_table, StateKind::keyed, 1, schema});
  BatchBuilder builder{schema};
  std::vector<ColumnBuilder*> columns;
  for (std::size_t i = 0; i < key_columns; ++i) columns.push_back(&builder.column(i));
  std::string bytes;
  const auto flush = [&] {
    if (!builder.empty()) {
      state->add_keyed(builder.finish(), first_fields(key_columns), context_->max_parallelism());
    }
  };
  for (const KeySlot slot : keys_.slots()) {
    if (keys_.matches(slot).empty()) continue;
    const windows::KeyRef key = keys_.key(slot);
    key_reader_.write(&key, 1, columns.data());
    bytes.clear();
    save_key(slot, bytes);
    builder.column(key_columns).append_text(bytes);
    builder.end_row();
    if (builder.full()) flush();
  }
  flush();
  return state;
}

Status PatternOperator::restore_clock(StateReader& state) {
  return state.read(clock_table, clock_schema(), [this](std::uint32_t, const BatchPtr& rows) -> Status {
    for (std::uint32_t row = 0; row < rows->rows(); ++row) {
      if (rows->column(1).text(row) != spec_.identity) {
        return fail(ErrorCode::invalid_argument,
                    "the pattern was another one when its state was written; give it another uid to begin anew, or "
                    "set it back");
      }
      passed_ = std::max(passed_, rows->column(2).as<std::int64_t>()[row]);
      sequence_ = std::max(sequence_, static_cast<std::uint64_t>(rows->column(3).as<std::int64_t>()[row]));
    }
    return {};
  });
}

Status PatternOperator::add_waiting(const BatchPtr& batch, std::vector<std::uint64_t> sequences) {
  auto rows = std::make_unique<WaitingRows>(batch, *input_, spec_.key_fields);
  row_errors_.clear();
  if (Status loaded = logic_->load(*batch, context_->now(), rows->loaded, row_errors_); !loaded) return loaded;
  if (!row_errors_.empty()) {  // it could be computed when it came
    return fail(ErrorCode::arithmetic, row_errors_.front().message + " in a row of the checkpoint");
  }
  rows->sequences = std::move(sequences);
  waiting_.push(std::move(rows));
  return {};
}

Status PatternOperator::restore_waiting(StateReader& state) {
  return state.read(waiting_table, waiting_schema(*input_), [this](std::uint32_t, const BatchPtr& rows) -> Status {
    std::vector<ColumnPtr> columns = rows->columns();
    const auto numbers = columns.back()->as<std::int64_t>();
    std::vector<std::uint64_t> sequences(numbers.begin(), numbers.end());
    columns.pop_back();
    ColumnPtr times = std::move(columns.back());
    columns.pop_back();
    return add_waiting(std::make_shared<const Batch>(input_, rows->rows(), std::move(columns), std::move(times)),
                       std::move(sequences));
  });
}

Status PatternOperator::restore_keys(StateReader& state) {
  const std::size_t key_columns = spec_.key_fields.size();
  const SchemaPtr schema = matches_schema(*input_, spec_.key_fields);
  windows::KeyReader reader{*schema, first_fields(key_columns)};
  return state.read(matches_table, schema, [&](std::uint32_t, const BatchPtr& rows) -> Status {
    const windows::KeyBatch& keys = reader.read(*rows);
    for (std::uint32_t row = 0; row < rows->rows(); ++row) {
      KeyMatches& matches = keys_.matches(keys_.find_or_insert(keys, row));
      if (!load_key(matches, rows->column(key_columns).text(row))) {
        return fail(ErrorCode::malformed_data, "the partial matches of a key are damaged");
      }
    }
    return {};
  });
}

void PatternOperator::restore_deadlines() {
  if (!spec_.within) return;
  for (const KeySlot slot : keys_.slots()) {
    const KeyMatches& matches = keys_.matches(slot);
    for (const Attempt& attempt : matches.attempts) {
      deadlines_.push_back(
          {deadline_of(attempt.start.time), attempt.start.sequence, slot, keys_.generation(slot), false});
    }
    if (matches.before.empty()) continue;
    const Position& last = buffer_.rows().position(matches.before.back());
    deadlines_.push_back({deadline_of(last.time), last.sequence, slot, keys_.generation(slot), true});
  }
  std::sort(deadlines_.begin(), deadlines_.end(), [](const Deadline& a, const Deadline& b) {
    return std::tie(a.time, a.sequence, a.slot) < std::tie(b.time, b.sequence, b.slot);
  });
}

Status PatternOperator::restore(StateReader& state) {
  if (Status clock = restore_clock(state); !clock) return clock;
  if (Status waiting = restore_waiting(state); !waiting) return waiting;
  if (Status keys = restore_keys(state); !keys) return keys;
  restore_deadlines();
  return {};
}

}  // namespace dataflow::patterns

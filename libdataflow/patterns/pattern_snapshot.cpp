// A pattern operator's checkpoints: the tables "waiting" (rows that the watermark has not passed), "matches" (for each
// key its attempts, with the rows and chains that they use, as bytes), and "clock". With a store "values" has what
// "matches" has, as the store's files; either is read into either.

#include <algorithm>
#include <optional>

#include "libdataflow/patterns/match_bytes.hpp"
#include "libdataflow/patterns/pattern_operator.hpp"
#include "libdataflow/process/key_table.hpp"

namespace dataflow::patterns {

namespace {

constexpr const char* waiting_table = "waiting";
constexpr const char* matches_table = "matches";
constexpr const char* stored_table = "values";
constexpr const char* clock_table = "clock";

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

/// The same as the runtime of a store writes it.
SchemaPtr stored_schema(const Schema& input, const std::vector<std::size_t>& key_fields) {
  std::vector<Field> fields;
  for (const std::size_t field : key_fields) {
    fields.push_back({"key" + std::to_string(fields.size() + 1), input[field].type});
  }
  fields.push_back({"state:matches", TypeKind::bytes});
  return make_schema(std::move(fields));
}

std::vector<std::size_t> first_fields(std::size_t count) {
  std::vector<std::size_t> fields;
  for (std::size_t i = 0; i < count; ++i) fields.push_back(i);
  return fields;
}

/// With a store: what is in memory of it is frozen.
class CapturedPattern final : public CapturedState {
 public:
  BatchPtr clock;
  SchemaPtr waiting_schema;
  std::vector<BatchPtr> waiting;
  FrozenLaterEntriesPtr later;  ///< null: none wait in the store
  std::optional<RowBytes> codec;
  std::vector<std::size_t> key_fields;
  std::uint32_t max_parallelism = 0;
  CapturedStatePtr keys;

  Status write(StateWriter& writer) override {
    if (Status begun = writer.begin({clock_table, StateKind::union_all, 1, clock_schema()}); !begun) return begun;
    if (Status added = writer.add(0, clock); !added) return added;
    if (Status begun = writer.begin({waiting_table, StateKind::keyed, 1, waiting_schema}); !begun) return begun;
    if (Status written = write_waiting(writer); !written) return written;
    return keys->write(writer);
  }

 private:
  Status write_waiting(StateWriter& writer) {
    KeyGroupWriter groups{writer, key_fields, max_parallelism};
    for (const BatchPtr& rows : waiting) {
      if (Status added = groups.add(rows); !added) return added;
    }
    waiting.clear();
    if (later == nullptr) return groups.finish();
    BatchBuilder rows{waiting_schema};
    const std::size_t fields = waiting_schema->size();
    const Status walked = later->for_each([&](std::string_view key, std::string_view value) {
      const Position position = LaterRows::position(key);
      codec->restore(value, rows);
      rows.column(fields - 2).append_int64(position.time);
      rows.column(fields - 1).append_int64(static_cast<std::int64_t>(position.sequence));
      rows.end_row();
      return rows.full() ? groups.add(rows.finish()) : Status{};
    });
    if (!walked) return walked;
    if (!rows.empty()) {
      if (Status added = groups.add(rows.finish()); !added) return added;
    }
    return groups.finish();
  }
};

}  // namespace

BatchPtr PatternOperator::clock() const {
  BatchBuilder clock{clock_schema()};
  clock.column(0).append_int64(context_->subtask());
  clock.column(1).append_text(spec_.identity);
  clock.column(2).append_int64(passed_);
  clock.column(3).append_int64(static_cast<std::int64_t>(sequence_));
  clock.end_row();
  return clock.finish();
}

/// Those that still wait, as rows of the table.
BatchPtr PatternOperator::waiting(const WaitingRows& rows) const {
  std::vector<std::uint32_t> left;
  ColumnBuilder sequences{TypeKind::int64};
  for (std::uint32_t i = rows.next; i < rows.batch->rows(); ++i) {
    left.push_back(rows.order.empty() ? i : rows.order[i]);
    sequences.append_int64(static_cast<std::int64_t>(rows.position_of(left.back()).sequence));
  }
  const BatchPtr batch = rows.batch->select_rows(left);
  std::vector<ColumnPtr> columns = batch->columns();
  columns.push_back(batch->timestamps());
  columns.push_back(sequences.finish());
  return std::make_shared<const Batch>(waiting_schema(*input_), batch->rows(), std::move(columns));
}

Result<CapturedStatePtr> PatternOperator::snapshot() {
  if (stored_) return snapshot_stored();
  auto state = std::make_unique<CopiedState>();
  state->begin({clock_table, StateKind::union_all, 1, clock_schema()});
  state->add(clock());
  state->begin({waiting_table, StateKind::keyed, 1, waiting_schema(*input_)});
  for (const auto& rows : waiting_.all()) {
    state->add_keyed(waiting(*rows), spec_.key_fields, context_->max_parallelism());
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
    save_matches(keys_.matches(slot), buffer_, bytes);
    builder.column(key_columns).append_text(bytes);
    builder.end_row();
    if (builder.full()) flush();
  }
  flush();
  return state;
}

Result<CapturedStatePtr> PatternOperator::snapshot_stored() {
  auto captured = std::make_unique<CapturedPattern>();
  captured->clock = clock();
  captured->waiting_schema = waiting_schema(*input_);
  for (const auto& rows : waiting_.all()) captured->waiting.push_back(waiting(*rows));
  auto later = later_rows_->freeze();
  if (!later) return fail(later.error());
  captured->later = std::move(*later);
  captured->codec = later_rows_->codec();
  captured->key_fields = spec_.key_fields;
  captured->max_parallelism = context_->max_parallelism();
  auto keys = stored_->snapshot(context_->max_parallelism());
  if (!keys) return fail(keys.error());
  captured->keys = std::move(*keys);
  return captured;
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

/// Rows that have waited before.
Result<std::shared_ptr<WaitingRows>> PatternOperator::again_waiting(const BatchPtr& batch,
                                                                    std::vector<std::uint64_t> sequences) {
  auto rows = std::make_shared<WaitingRows>(batch, *input_, spec_.key_fields);
  row_errors_.clear();
  if (Status loaded = logic_->load(*batch, context_->now(), rows->loaded, row_errors_); !loaded) {
    return fail(loaded.error());
  }
  if (!row_errors_.empty()) {  // it could be computed when it came
    return fail(ErrorCode::arithmetic, row_errors_.front().message + " in a row that has waited");
  }
  rows->sequences = std::move(sequences);
  return rows;
}

Status PatternOperator::add_waiting(const BatchPtr& batch, std::vector<std::uint64_t> sequences) {
  auto rows = again_waiting(batch, std::move(sequences));
  if (!rows) return fail(rows.error());
  if (stored_) return wait(std::move(*rows));
  waiting_.push(std::move(*rows));
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

/// `schema`: the key's fields, then the bytes.
Status PatternOperator::restore_keys(StateReader& state, const char* table, const SchemaPtr& schema) {
  const std::size_t key_columns = spec_.key_fields.size();
  windows::KeyReader reader{*schema, first_fields(key_columns)};
  return state.read(table, schema, [&](std::uint32_t group, const BatchPtr& rows) -> Status {
    const windows::KeyBatch& keys = reader.read(*rows);
    for (std::uint32_t row = 0; row < rows->rows(); ++row) {
      const std::string_view saved = rows->column(key_columns).text(row);
      bool good = false;
      if (stored_) {
        key_.clear();
        for (std::size_t i = 0; i < key_columns; ++i) append_key_field(rows->column(i), row, key_);
        good = stored_->take_in(key_, static_cast<std::uint16_t>(group), saved);
      } else {
        KeyMatches& matches = keys_.matches(keys_.find_or_insert(keys, row));
        good = load_matches(saved, spec_.program.code.size(), buffer_, matches);
      }
      if (!good) return fail(ErrorCode::malformed_data, "the partial matches of a key are damaged");
    }
    return stored_ ? stored_->make_room() : Status{};
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
  if (stored_) {
    if (Status keys = stored_->restore(state); !keys) return keys;
  } else if (Status keys = restore_keys(state, stored_table, stored_schema(*input_, spec_.key_fields)); !keys) {
    return keys;
  }
  const SchemaPtr schema = matches_schema(*input_, spec_.key_fields);
  if (Status keys = restore_keys(state, matches_table, schema); !keys) return keys;
  if (stored_) return restore_stored_deadlines();
  restore_deadlines();
  return {};
}

}  // namespace dataflow::patterns

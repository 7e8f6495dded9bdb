#include "libdataflow/batch/rows_aside.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "libdataflow/state/store_key.hpp"
#include "serialization/builder.hpp"
#include "serialization/key_hash.hpp"

namespace dataflow {

namespace {

/// Each takes a buffer while it is read.
constexpr std::size_t most_runs_aside = 64;

/// What lies in front of a row's fields.
struct AsideHeader {
  std::int64_t time = 0;
  RowKind kind = RowKind::insert;
  bool has_time = false;
};
constexpr std::size_t aside_header_bytes = sizeof(std::int64_t) + 2;

void append_header(const AsideHeader& header, std::string& out) {
  out.append(reinterpret_cast<const char*>(&header.time), sizeof header.time);
  out.push_back(static_cast<char>(header.kind));
  out.push_back(static_cast<char>(header.has_time));
}

AsideHeader header_of(std::string_view row) {
  AsideHeader header;
  std::memcpy(&header.time, row.data(), sizeof header.time);
  header.kind = static_cast<RowKind>(row[sizeof header.time]);
  header.has_time = row[sizeof header.time + 1] != 0;
  return header;
}

SchemaPtr saved_schema(const Schema& input) {
  std::vector<Field> fields = input.fields();
  fields.push_back({"aside.event_time", TypeKind::timestamp});
  fields.push_back({"aside.kind", TypeKind::int64});
  fields.push_back({"aside.sequence", TypeKind::int64});
  return make_schema(std::move(fields));
}

/// Rows that were put aside as rows of the table.
class AsideSaver {
 public:
  AsideSaver(const AsideForm& form, StateWriter& writer)
      : form_{form}, groups_{writer, form.key_fields, form.max_parallelism}, rows_{form.saved} {}

  Status add(std::uint64_t sequence, std::string_view row) {
    const AsideHeader header = header_of(row);
    const std::size_t own = form_.schema->size();
    form_.codec.restore(row.substr(aside_header_bytes), rows_);
    rows_.column(own).append(header.has_time ? Value{header.time} : Value{});
    rows_.column(own + 1).append_int64(static_cast<std::int64_t>(header.kind));
    rows_.column(own + 2).append_int64(static_cast<std::int64_t>(sequence));
    rows_.end_row();
    return rows_.full() ? groups_.add(rows_.finish()) : Status{};
  }
  Status add(const std::vector<SortedRunPtr>& runs) {
    const auto scan = merge_runs(runs);
    for (; scan->valid(); scan->next()) {
      const auto sequence = get_ordered<std::uint64_t>(scan->key().substr(sizeof(std::uint64_t)));
      if (Status added = add(sequence, scan->value()); !added) return added;
    }
    return scan->status();
  }
  Status finish() {
    Status added = rows_.empty() ? Status{} : groups_.add(rows_.finish());
    return added ? groups_.finish() : added;
  }

 private:
  const AsideForm& form_;
  KeyGroupWriter groups_;
  BatchBuilder rows_;
};

}  // namespace

/// What waits is copied; the runs never change, and each is a segment.
class CapturedAside final : public CapturedState {
 public:
  CapturedAside(OwnedFolderPtr folder, AsideFormPtr form, RowsAside::Waiting waiting, std::vector<SortedRunPtr> runs)
      : folder_{std::move(folder)}, form_{std::move(form)}, waiting_{std::move(waiting)}, runs_{std::move(runs)} {}

  Status write(StateWriter& writer) override {
    const StateDescription table{std::string{rows_aside_table}, StateKind::keyed, 1, form_->saved};
    if (Status begun = writer.begin(table); !begun) return begun;
    AsideSaver saver{*form_, writer};
    for (const RowsAside::Waiting::Row& row : waiting_.rows) {
      if (Status added = saver.add(row.sequence, waiting_.of(row)); !added) return added;
    }
    std::vector<SortedRunPtr> others;
    for (const SortedRunPtr& run : runs_) {
      if (!writer.takes_segment(run->bytes())) {
        others.push_back(run);
        continue;
      }
      Status added = writer.add_segment(SegmentId{run}, [&](StateWriter& rows) -> Status {
        AsideSaver segment{*form_, rows};
        Status copied = segment.add({run});
        return copied ? segment.finish() : copied;
      });
      if (!added) return added;
    }
    Status copied = others.empty() ? Status{} : saver.add(others);
    return copied ? saver.finish() : copied;
  }

 private:
  OwnedFolderPtr folder_;  ///< that the runs lie in
  AsideFormPtr form_;
  RowsAside::Waiting waiting_;
  std::vector<SortedRunPtr> runs_;
};

AsideForm::AsideForm(SchemaPtr input, std::vector<std::size_t> its_key_fields, std::uint32_t its_max_parallelism)
    : schema{std::move(input)},
      saved{saved_schema(*schema)},
      key_fields{std::move(its_key_fields)},
      max_parallelism{its_max_parallelism},
      codec{*schema} {}

void RowsAside::put(std::uint64_t hash, std::uint64_t sequence, const Batch& batch, std::uint32_t row, RowKind kind,
                    std::optional<std::int64_t> time) {
  const std::size_t at = waiting_.bytes.size();
  append_header({time.value_or(0), kind, time.has_value()}, waiting_.bytes);
  form_->codec.append(batch, row, waiting_.bytes);
  waiting_.rows.push_back({hash, sequence, at, waiting_.bytes.size() - at});
  next_sequence_ = std::max(next_sequence_, sequence + 1);
}

Status RowsAside::add(const Batch& batch, std::span<const std::uint32_t> rows, std::span<const std::uint64_t> hashes) {
  assert(scan_ == nullptr);
  for (const std::uint32_t row : rows) {
    const auto time = batch.has_event_time() ? std::optional{batch.timestamp(row).micros} : std::nullopt;
    put(hashes[row], next_sequence_, batch, row, batch.kind(row), time);
  }
  return waiting_.byte_size() <= most_waiting() ? Status{} : write_waiting();
}

Status RowsAside::write_waiting() {
  if (waiting_.rows.empty()) return {};
  auto writer = SortedRunWriter::create(folder_->new_file());
  if (!writer) return fail(writer.error());
  std::sort(waiting_.rows.begin(), waiting_.rows.end(), [](const Waiting::Row& a, const Waiting::Row& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.sequence < b.sequence;
  });
  std::string key;
  for (const Waiting::Row& row : waiting_.rows) {
    key.clear();
    put_ordered(key, row.hash);
    put_ordered(key, row.sequence);
    if (Status added = (*writer)->add(key, waiting_.of(row)); !added) return added;
  }
  auto run = (*writer)->finish();
  if (!run) return fail(run.error());
  runs_.push_back(std::move(*run));
  waiting_ = {};
  return runs_.size() < most_runs_aside ? Status{} : merge_smallest();
}

/// Half of them become one. So it takes hundreds of runs until a row, and what a checkpoint has of it, is written a
/// third time.
Status RowsAside::merge_smallest() {
  auto writer = SortedRunWriter::create(folder_->new_file());
  if (!writer) return fail(writer.error());
  const auto half = runs_.begin() + most_runs_aside / 2;
  std::nth_element(runs_.begin(), half, runs_.end(),
                   [](const SortedRunPtr& a, const SortedRunPtr& b) { return a->bytes() < b->bytes(); });
  const auto scan = merge_runs({runs_.begin(), half});
  for (; scan->valid(); scan->next()) {
    if (Status added = (*writer)->add(scan->key(), scan->value()); !added) return added;
  }
  if (Status walked = scan->status(); !walked) return walked;
  auto run = (*writer)->finish();
  if (!run) return fail(run.error());
  runs_.erase(runs_.begin(), half);
  runs_.push_back(std::move(*run));
  return {};
}

Result<bool> RowsAside::begin_part(std::uint64_t bytes, Counted counted) {
  assert(!in_part_);
  if (scan_ == nullptr) {
    if (Status written = write_waiting(); !written) return fail(written.error());
    scan_ = merge_runs(std::exchange(runs_, {}));
  }
  if (!scan_->valid()) {
    Status walked = scan_->status();
    scan_.reset();
    if (!walked) return fail(walked.error());
    return false;
  }
  part_bytes_ = bytes;
  taken_bytes_ = 0;
  counted_ = counted;
  last_hash_ = get_ordered<std::uint64_t>(scan_->key());
  in_part_ = true;
  return true;
}

Result<BatchPtr> RowsAside::next() {
  BatchBuilder rows{form_->schema};
  for (; in_part_ && !rows.full(); scan_->next()) {
    if (!scan_->valid()) {
      if (Status walked = scan_->status(); !walked) return fail(walked.error());
      in_part_ = false;
      break;
    }
    const auto hash = get_ordered<std::uint64_t>(scan_->key());
    const bool other_key = hash != last_hash_ || taken_bytes_ == 0;
    if (other_key && taken_bytes_ > part_bytes_) {
      in_part_ = false;
      break;
    }
    last_hash_ = hash;
    const std::string_view row = scan_->value();
    if (other_key || counted_ == Counted::rows) taken_bytes_ += row.size() + row_overhead_bytes;
    const AsideHeader header = header_of(row);
    form_->codec.restore(row.substr(aside_header_bytes), rows);
    if (header.has_time) {
      rows.end_row(Timestamp{header.time}, header.kind);
    } else {
      rows.end_row(header.kind);
    }
  }
  return rows.empty() ? BatchPtr{} : rows.finish();
}

CapturedStatePtr RowsAside::capture() const {
  if (runs_.empty() && waiting_.rows.empty()) return nullptr;
  return std::make_unique<CapturedAside>(folder_, form_, waiting_, runs_);
}

Status RowsAside::restore(StateReader& state) {
  const std::size_t own = form_->schema->size();
  std::vector<const Column*> keys;
  std::vector<std::uint64_t> hashes;
  return state.read(rows_aside_table, form_->saved, [&](std::uint32_t, const BatchPtr& batch) -> Status {
    keys.clear();
    for (const std::size_t field : form_->key_fields) keys.push_back(&batch->column(field));
    hash_rows(keys, batch->rows(), hashes);
    const Column& times = batch->column(own);
    const auto kinds = batch->column(own + 1).as<std::int64_t>();
    const auto sequences = batch->column(own + 2).as<std::int64_t>();
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      const auto time = times.is_null(row) ? std::nullopt : std::optional{times.as<std::int64_t>()[row]};
      put(hashes[row], static_cast<std::uint64_t>(sequences[row]), *batch, row, static_cast<RowKind>(kinds[row]), time);
    }
    return waiting_.byte_size() <= most_waiting() ? Status{} : write_waiting();
  });
}

}  // namespace dataflow

#include "libdataflow/windows/spilled_groups.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "libdataflow/windows/key_bytes.hpp"

namespace dataflow::windows {

namespace {

/// Each takes a buffer while it is read.
constexpr std::size_t most_runs = 64;

struct Header {
  std::int64_t newest = first_micros;
  std::int64_t period = 0;  ///< in which it last changed; 0: in none
};

std::size_t header_bytes(const SpilledForm& form) {
  if (form.header == SpilledHeader::none) return 0;
  return form.header == SpilledHeader::mark ? sizeof(std::int64_t) : 2 * sizeof(std::int64_t);
}

Header header_in(const SpilledForm& form, std::string_view value) {
  Header header;
  if (form.header == SpilledHeader::none) return header;
  if (form.header == SpilledHeader::time_and_mark) std::memcpy(&header.newest, value.data(), sizeof header.newest);
  std::memcpy(&header.period, value.data() + header_bytes(form) - sizeof header.period, sizeof header.period);
  return header;
}

void append_group(const SpilledForm& form, const Header& header, const std::byte* states, std::string& out) {
  const auto append = [&](std::int64_t number) { out.append(reinterpret_cast<const char*>(&number), sizeof number); };
  if (form.header == SpilledHeader::time_and_mark) append(header.newest);
  if (form.header != SpilledHeader::none) append(header.period);
  form.aggregation->save(states, out);
}

std::string_view states_in(const SpilledForm& form, std::string_view value) {
  return value.substr(header_bytes(form));
}

/// A group that is sorted: two million of them in half of the time that comparing the rows' own keys takes
/// (bench_batch).
struct SortedRow {
  std::uint64_t prefix;
  const std::byte* row;
};

/// The groups of a slice as rows of a snapshot.
class FrozenSpilledGroups final : public FrozenGroups {
 public:
  FrozenSpilledGroups(GroupFormPtr form, OwnedFolderPtr folder, std::int64_t slice_start, const SpilledForm& spilled,
                      std::vector<SpilledRun> runs)
      : form_{std::move(form)},
        folder_{std::move(folder)},
        slice_start_{slice_start},
        spilled_{spilled},
        runs_{std::move(runs)} {
    spilled_.aggregation = &form_->aggregation;
  }

  Status save(GroupSaver& saver) override {
    std::vector<SortedRunPtr> others;
    for (const auto& [run, period] : runs_) {
      if (!saver.takes_segment(run->bytes())) {
        others.push_back(run);
        continue;
      }
      // The marks of a run count in the period in which it was written, and never again: it has two forms in its life.
      const SegmentId id{run, period == spilled_.period ? 1U : 0U};
      Status saved = saver.add_segment(id, [&, one = run](GroupSaver& rows) { return save_merged({one}, rows); });
      if (!saved) return saved;
    }
    return others.empty() ? Status{} : save_merged(others, saver);
  }

 private:
  Status save_merged(const std::vector<SortedRunPtr>& runs, GroupSaver& saver) {
    SpilledReader reader{runs, spilled_};
    const bool has_time = spilled_.header == SpilledHeader::time_and_mark;
    const std::vector<std::byte>& initial = form_->aggregation.initial_states();
    const auto states = std::make_unique<std::byte[]>(initial.size());
    while (true) {
      std::memcpy(states.get(), initial.data(), initial.size());
      const auto more = reader.next(states.get());
      Status saved = more ? Status{} : fail(more.error());
      if (more && *more) {
        const std::int64_t first = has_time ? reader.newest() : slice_start_;
        saved = saver.add(reader.key(), std::array{first, std::int64_t{reader.changed()}}, states.get());
      }
      form_->aggregation.release(states.get());
      if (!saved || !*more) return saved;
    }
  }

  GroupFormPtr form_;
  OwnedFolderPtr folder_;  ///< that the runs lie in
  std::int64_t slice_start_;
  SpilledForm spilled_;
  std::vector<SpilledRun> runs_;
};

std::vector<SortedRunPtr> groups_of(const std::vector<SpilledRun>& runs) {
  std::vector<SortedRunPtr> groups;
  for (const SpilledRun& run : runs) groups.push_back(run.groups);
  return groups;
}

}  // namespace

SpilledReader::SpilledReader(const std::vector<SortedRunPtr>& runs, const SpilledForm& form)
    : scan_{merge_runs(runs)},
      form_{form},
      part_{std::make_unique<std::byte[]>(form.aggregation->initial_states().size())} {}

Status SpilledReader::fold(std::byte* states) {
  const std::vector<std::byte>& initial = form_.aggregation->initial_states();
  std::memcpy(part_.get(), initial.data(), initial.size());
  Status merged = form_.aggregation->load(states_in(form_, scan_->value()), part_.get());
  const std::byte* from = part_.get();
  if (merged) merged = form_.aggregation->merge(&states, &from, 1);
  form_.aggregation->release(part_.get());
  return merged;
}

void SpilledReader::read_header() {
  const Header header = header_in(form_, scan_->value());
  changed_ |= header.period == form_.period;
  newest_ = std::max(newest_, header.newest);
}

Result<bool> SpilledReader::next(std::byte* states) {
  if (!scan_->valid()) {
    if (Status walked = scan_->status(); !walked) return fail(walked.error());
    return false;
  }
  group_ = scan_->key();
  key_ = read_key_bytes(form_.keys, group_, text_);
  changed_ = false;
  newest_ = first_micros;
  read_header();
  if (Status loaded = form_.aggregation->load(states_in(form_, scan_->value()), states); !loaded) {
    return fail(loaded.error());
  }
  for (scan_->next(); scan_->valid() && scan_->key() == group_; scan_->next()) {
    read_header();
    if (Status folded = fold(states); !folded) return fail(folded.error());
  }
  if (Status walked = scan_->status(); !walked) return fail(walked.error());
  return true;
}

Status SpilledGroups::write(std::int64_t slice_start, const GroupTable& groups) {
  if (groups.empty()) return {};
  std::vector<SortedRow> rows;
  rows.reserve(groups.size());
  GroupTable::Cursor cursor;
  for (std::byte* row = nullptr; groups.next_rows(cursor, 1, &row) == 1;) {
    rows.push_back({key_prefix(form_.keys, groups.key_of(row)), row});
  }
  std::sort(rows.begin(), rows.end(), [&](const SortedRow& a, const SortedRow& b) {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    return key_before(form_.keys, groups.key_of(a.row), groups.key_of(b.row));
  });
  auto writer = SortedRunWriter::create(folder_->new_file(), index_);
  if (!writer) return fail(writer.error());
  std::string key;
  std::string value;
  for (const auto& [prefix, row] : rows) {
    key.clear();
    value.clear();
    append_key_bytes(form_.keys, groups.key_of(row), key);
    const std::byte* states = row + states_offset_;
    const std::string_view in_row{reinterpret_cast<const char*>(states) - header_bytes(form_), header_bytes(form_)};
    Header header = header_in(form_, in_row);
    if (header.period != 0) header.period = form_.period;  // in a row it only says whether
    append_group(form_, header, states, value);
    if (Status added = (*writer)->add(key, value); !added) return added;
  }
  auto run = (*writer)->finish();
  if (!run) return fail(run.error());
  std::vector<SpilledRun>& runs = runs_[slice_start];
  runs.push_back({std::move(*run), form_.period});
  return runs.size() < most_runs ? Status{} : merge_smallest(runs);
}

/// Half of them become one. So it takes a thousand runs until a group, and what a checkpoint has of it, is written a
/// third time.
Status SpilledGroups::merge_smallest(std::vector<SpilledRun>& runs) {
  const auto half = runs.begin() + most_runs / 2;
  std::nth_element(runs.begin(), half, runs.end(),
                   [](const SpilledRun& a, const SpilledRun& b) { return a.groups->bytes() < b.groups->bytes(); });
  auto run = merged(groups_of({runs.begin(), half}), index_);
  if (!run) return fail(run.error());
  runs.erase(runs.begin(), half);
  runs.push_back({std::move(*run), form_.period});
  return {};
}

Result<SortedRunPtr> SpilledGroups::merged(const std::vector<SortedRunPtr>& runs, RunIndex index) {
  auto writer = SortedRunWriter::create(folder_->new_file(), index);
  if (!writer) return fail(writer.error());
  SpilledReader reader{runs, form_};
  std::vector<std::byte> states;
  std::string value;
  while (true) {
    states = form_.aggregation->initial_states();
    const auto more = reader.next(states.data());
    value.clear();
    if (more && *more) {
      append_group(form_, {reader.newest(), reader.changed() ? form_.period : 0}, states.data(), value);
    }
    form_.aggregation->release(states.data());
    if (!more) return fail(more.error());
    if (!*more) return (*writer)->finish();
    if (Status added = (*writer)->add(reader.key_bytes(), value); !added) return fail(added.error());
  }
}

Status SpilledGroups::compact(std::int64_t slice_start) {
  const auto slice = runs_.find(slice_start);
  if (slice == runs_.end() || slice->second.size() == 1) return {};
  auto run = merged(groups_of(slice->second), index_);
  if (!run) return fail(run.error());
  slice->second.assign(1, {std::move(*run), form_.period});
  return {};
}

bool SpilledGroups::has(std::int64_t from, std::int64_t until) const {
  const auto first = runs_.lower_bound(from);
  return first != runs_.end() && first->first < until;
}

Result<std::unique_ptr<SpilledReader>> SpilledGroups::read(std::int64_t from, std::int64_t until) {
  std::vector<SortedRunPtr> runs;
  for (auto slice = runs_.lower_bound(from); slice != runs_.end() && slice->first < until; ++slice) {
    for (const SpilledRun& run : slice->second) runs.push_back(run.groups);
  }
  // The runs of a window with many slices are put together for this window only: its slices leave one by one.
  while (runs.size() > most_runs) {
    const auto first = runs.end() - most_runs;
    auto run = merged({first, runs.end()}, RunIndex::none);
    if (!run) return fail(run.error());
    runs.erase(first, runs.end());
    runs.insert(runs.begin(), std::move(*run));
  }
  return std::make_unique<SpilledReader>(runs, form_);
}

Status SpilledGroups::look_up(std::int64_t slice_start, std::span<const std::string_view> keys,
                              const std::function<Status(std::size_t, const std::byte*)>& visit) {
  const auto slice = runs_.find(slice_start);
  if (slice == runs_.end()) return {};
  std::vector<std::byte> states;
  for (const SpilledRun& run : slice->second) {
    if (Status read = dataflow::look_up(*run.groups, keys, values_); !read) return read;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto value = values_[i];
      if (!value) continue;
      states = form_.aggregation->initial_states();
      Status visited = form_.aggregation->load(states_in(form_, *value), states.data());
      if (visited) visited = visit(i, states.data());
      form_.aggregation->release(states.data());
      if (!visited) return visited;
    }
  }
  return {};
}

void SpilledGroups::freeze(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) const {
  for (const auto& [start, runs] : runs_) {
    groups.push_back(std::make_unique<FrozenSpilledGroups>(form, folder_, start, form_, runs));
  }
}

}  // namespace dataflow::windows

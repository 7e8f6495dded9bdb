#include "libdataflow/windows/spilled_groups.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "libdataflow/state/store_key.hpp"

namespace dataflow::windows {

namespace {

/// Each takes a buffer when the slice fires.
constexpr std::size_t most_runs = 64;

std::string_view text_of(const TextKey& key) {
  if (!key.is_inline()) return {key.far(), key.length()};
  return {reinterpret_cast<const char*>(&key), key.length()};
}

/// Bytes whose order is the one below.
void append_key(KeyForm form, const KeyRef& key, std::string& out) {
  out += static_cast<char>(key.null);
  if (key.null || form == KeyForm::none) return;
  if (form == KeyForm::word) {
    put_ordered(out, key.key.head);
  } else {
    put_ordered_text(out, text_of(key.key));
  }
}

bool before(KeyForm form, const KeyRef& a, const KeyRef& b) {
  if (a.null || b.null) return !a.null && b.null;
  if (form == KeyForm::word) return a.key.head < b.key.head;
  return text_of(a.key) < text_of(b.key);
}

/// The groups of a slice as rows of a snapshot.
class FrozenSpilledGroups final : public FrozenGroups {
 public:
  FrozenSpilledGroups(GroupFormPtr form, OwnedFolderPtr folder, std::int64_t slice_start,
                      std::vector<SortedRunPtr> runs)
      : form_{std::move(form)}, folder_{std::move(folder)}, slice_start_{slice_start}, runs_{std::move(runs)} {}

  Status save(GroupSaver& saver) override {
    SpilledReader reader{runs_, form_->keys.form(), form_->aggregation};
    const std::vector<std::byte>& initial = form_->aggregation.initial_states();
    const auto states = std::make_unique<std::byte[]>(initial.size());
    while (true) {
      std::memcpy(states.get(), initial.data(), initial.size());
      const auto more = reader.next(states.get());
      Status saved = more ? Status{} : fail(more.error());
      if (more && *more) saved = saver.add(reader.key(), std::array{slice_start_, std::int64_t{0}}, states.get());
      form_->aggregation.release(states.get());
      if (!saved || !*more) return saved;
    }
  }

 private:
  GroupFormPtr form_;
  OwnedFolderPtr folder_;  ///< that the runs lie in
  std::int64_t slice_start_;
  std::vector<SortedRunPtr> runs_;
};

}  // namespace

SpilledReader::SpilledReader(const std::vector<SortedRunPtr>& runs, KeyForm form, const Aggregation& aggregation)
    : scan_{merge_runs(runs)},
      form_{form},
      aggregation_{aggregation},
      part_{std::make_unique<std::byte[]>(aggregation.initial_states().size())} {}

void SpilledReader::read_key() {
  key_ = {};
  key_.null = group_[0] != 0;
  if (key_.null || form_ == KeyForm::none) return;
  const std::string_view bytes = std::string_view{group_}.substr(1);
  if (form_ == KeyForm::word) {
    key_.key.head = get_ordered<std::uint64_t>(bytes);
  } else {
    get_ordered_text(bytes, text_);
    key_.key = make_text_key(text_.data(), static_cast<std::uint32_t>(text_.size()));
  }
}

Result<bool> SpilledReader::next(std::byte* states) {
  if (!scan_->valid()) {
    if (Status walked = scan_->status(); !walked) return fail(walked.error());
    return false;
  }
  group_ = scan_->key();
  read_key();
  if (Status loaded = aggregation_.load(scan_->value(), states); !loaded) return fail(loaded.error());
  const std::vector<std::byte>& initial = aggregation_.initial_states();
  for (scan_->next(); scan_->valid() && scan_->key() == group_; scan_->next()) {
    std::memcpy(part_.get(), initial.data(), initial.size());
    Status merged = aggregation_.load(scan_->value(), part_.get());
    const std::byte* from = part_.get();
    if (merged) merged = aggregation_.merge(&states, &from, 1);
    aggregation_.release(part_.get());
    if (!merged) return fail(merged.error());
  }
  if (Status walked = scan_->status(); !walked) return fail(walked.error());
  return true;
}

SpilledGroups::SpilledGroups(OwnedFolderPtr folder, KeyForm form, const Aggregation& aggregation,
                             std::size_t states_offset)
    : folder_{std::move(folder)}, form_{form}, aggregation_{aggregation}, states_offset_{states_offset} {}

Status SpilledGroups::write(const Slice& slice) {
  const GroupTable& groups = slice.groups;
  if (groups.empty()) return {};
  std::vector<std::byte*> rows(groups.size());
  GroupTable::Cursor cursor;
  for (std::size_t taken = 0; taken != rows.size();) {
    taken += groups.next_rows(cursor, rows.size() - taken, rows.data() + taken);
  }
  std::sort(rows.begin(), rows.end(),
            [&](const std::byte* a, const std::byte* b) { return before(form_, groups.key_of(a), groups.key_of(b)); });
  auto writer = SortedRunWriter::create(folder_->new_file());
  if (!writer) return fail(writer.error());
  std::string key;
  std::string value;
  for (const std::byte* row : rows) {
    key.clear();
    value.clear();
    append_key(form_, groups.key_of(row), key);
    aggregation_.save(row + states_offset_, value);
    if (Status added = (*writer)->add(key, value); !added) return added;
  }
  auto run = (*writer)->finish();
  if (!run) return fail(run.error());
  std::vector<SortedRunPtr>& runs = runs_[slice.start];
  runs.push_back(std::move(*run));
  return runs.size() < most_runs ? Status{} : merge(runs);
}

Status SpilledGroups::merge(std::vector<SortedRunPtr>& runs) {
  auto writer = SortedRunWriter::create(folder_->new_file());
  if (!writer) return fail(writer.error());
  SpilledReader reader{runs, form_, aggregation_};
  std::vector<std::byte> states;
  std::string value;
  while (true) {
    states = aggregation_.initial_states();
    const auto more = reader.next(states.data());
    value.clear();
    if (more && *more) aggregation_.save(states.data(), value);
    aggregation_.release(states.data());
    if (!more) return fail(more.error());
    if (!*more) break;
    if (Status added = (*writer)->add(reader.key_bytes(), value); !added) return added;
  }
  auto run = (*writer)->finish();
  if (!run) return fail(run.error());
  runs.assign(1, std::move(*run));
  return {};
}

std::unique_ptr<SpilledReader> SpilledGroups::read(std::int64_t slice_start) const {
  return std::make_unique<SpilledReader>(runs_.at(slice_start), form_, aggregation_);
}

void SpilledGroups::freeze(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) const {
  for (const auto& [start, runs] : runs_) {
    groups.push_back(std::make_unique<FrozenSpilledGroups>(form, folder_, start, runs));
  }
}

}  // namespace dataflow::windows

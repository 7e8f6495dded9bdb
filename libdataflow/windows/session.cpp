// Session windows: a key's records that follow one another within the gap
// (https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/windows/#session-windows).
//
// A session is [first record, last record + gap). As in Flink, sessions that touch are one: a record exactly one gap
// after the last one goes on with its session. A record may join sessions that existed apart; the one that was opened
// first takes the others in.
//
// A record is late when the session that it belongs to, after all merging, is past its end and the allowed lateness:
// so one that is old by itself still counts when it extends a session that is kept. Within the allowed lateness a
// session that has fired and changes fires again, with everything in it, once at the end of the batch (Flink: for each
// record); what it joins with an open session fires with that one. Results are ordered by end, then by opening.
//
// With a state backend the sessions of keys that no record has come of for longest go to a store when memory has no
// room for all. They come back with their key's next record, or when one of them is due.

#include <algorithm>
#include <array>
#include <span>

#include "libdataflow/windows/held_groups.hpp"
#include "libdataflow/windows/key_groups.hpp"
#include "libdataflow/windows/session_store.hpp"
#include "libdataflow/windows/window_operator.hpp"

namespace dataflow::windows {

namespace {

class SessionWindows final : public WindowOperator {
 public:
  SessionWindows(const WindowSpec& spec, SchemaPtr input)
      : WindowOperator{spec, std::move(input)},
        key_groups_{spec.key_fields},
        store_{key_form(), spec.gap.count(), spec.allowed_lateness.count(), aggregation()},
        held_{aggregation()} {}
  ~SessionWindows() override;

 protected:
  Status opened() override;
  Status absorb(const Records& records, std::vector<std::uint32_t>& late) override;
  Result<More> produce(ResultWriter& writer) override;
  void flushed() override;
  void start_early() override;
  [[nodiscard]] std::optional<std::int64_t> first_open_end() const override;
  [[nodiscard]] std::vector<std::string> saved_numbers() const override { return {"start", "end", "open", "changed"}; }
  [[nodiscard]] StoredGroups* stored_groups() override { return store_.cache().get(); }
  Status stored_groups_restored() override;
  void freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) override;
  Status load_groups(const SavedGroups& saved) override;

 private:
  Status find_keys(const KeyBatch& keys, std::size_t count);
  Status fetch(std::byte* const* rows, std::size_t count);
  Status fetch_due();
  Status make_room();
  void release_dropped();
  std::size_t assign(const Records& records, std::vector<std::uint32_t>& late);
  Session* session_of_combined(const Records& records, std::size_t row, const SessionStore::Clock& clock);
  using Extents = std::span<const KeyGroups::Extent>;
  Status absorb_by_key(const Records& records, Extents extents);
  Result<More> produce_stored_early(ResultWriter& writer);
  Status merge_states();
  void add(Session& session, ResultWriter& writer);
  void fire(Session& session, ResultWriter& writer);
  [[nodiscard]] std::int64_t due_time(std::int64_t end, bool open) const;
  [[nodiscard]] std::int64_t due_time(const Session& session) const { return due_time(session.end, session.open); }

  /// Before those that come from the store are more, their memory is given back.
  static constexpr std::size_t most_dropped = 4096;
  /// So many records before one's turn its session is asked for.
  static constexpr std::size_t prefetched_ahead = 16;

  KeyGroups key_groups_;
  SessionStore store_;
  std::vector<std::byte*> states_;   ///< of the records that are not late, or of each key,
  std::vector<std::uint32_t> rows_;  ///< and where they are in the batch
  std::vector<std::byte*> merged_into_;
  std::vector<const std::byte*> merged_from_;
  std::vector<Session*> early_;  ///< sessions with an early result to give, from next_early_ on
  std::size_t next_early_ = 0;
  std::vector<Session*> dropped_;           ///< their last results are on the way out
  bool early_stored_ = false;               ///< those in the store give early results, too
  std::unique_ptr<StoredWalk> early_walk_;  ///< over the store, for that
  HeldGroups held_;                         ///< of those, on their way out
};

Status SessionWindows::opened() {
  auto stored = open_stored_groups();
  if (!stored) return fail(stored.error());
  store_.cache().open(std::move(*stored));
  return {};
}

SessionWindows::~SessionWindows() {
  if (!aggregation().states_own_memory()) return;
  const auto release = [this](Session& session) {
    store_.before_write(session);
    aggregation().release(session.states());
  };
  store_.for_each(release);
  for (const SessionStore::Merge& merge : store_.merges()) release(*merge.from);
  for (Session* session : dropped_) release(*session);
}

Status SessionWindows::absorb(const Records& records, std::vector<std::uint32_t>& late) {
  if (!records.combined && key_groups_.read(*records.batch)) {
    const auto extents = key_groups_.extents(records.times);
    const SessionStore::Clock clock{progress(), lateness()};
    if (are_single_sessions(extents, spec().gap.count(), clock)) return absorb_by_key(records, extents);
  }
  if (Status found = find_keys(records.keys(), records.times.size()); !found) return found;
  const std::size_t count = assign(records, late);
  const std::uint32_t* rows = count == records.times.size() ? nullptr : rows_.data();
  // A record's states are those of its session at the time; sessions that merged later in the batch still have their
  // own, so one update serves the whole batch, and merging comes after it.
  if (auto status = aggregation().update({states_.data(), rows, count, records.first_sequence}); !status) return status;
  return merge_states();
}

/// A key's first and last record make of its sessions what all of them would, as the others are between the two.
Status SessionWindows::absorb_by_key(const Records& records, Extents extents) {
  const KeyBatch& keys = records.key_reader->read(*records.batch, key_groups_.first_rows());
  if (Status found = find_keys(keys, extents.size()); !found) return found;
  const SessionStore::Clock clock{progress(), lateness()};
  for (std::size_t i = 0; i < extents.size(); ++i) {
    if (i + prefetched_ahead < extents.size()) store_.prefetch(states_[i + prefetched_ahead]);
    std::byte* const key_row = states_[i];
    states_[i] = store_.session_for(key_row, extents[i].first, clock)->states();
    if (extents[i].last == extents[i].first) continue;
    states_[i] = store_.session_for(key_row, extents[i].last, clock)->states();
  }
  const GroupRows by_key{key_groups_.of_rows(), key_groups_.sizes(), states_.data(), records.first_sequence};
  if (auto status = aggregation().update(by_key); !status) return status;
  return merge_states();
}

/// Each key's row in `states_`, with what it has in the store.
Status SessionWindows::find_keys(const KeyBatch& keys, std::size_t count) {
  states_.resize(std::max(states_.size(), count));
  if (!store_.cache()) {
    store_.find_keys(keys, count, states_.data());
    return {};
  }
  if (Status made = make_room(); !made) return made;
  store_.find_keys(keys, count, states_.data());
  Status fetched = fetch(states_.data(), count);
  store_.touch(states_.data(), count);
  return fetched;
}

Status SessionWindows::fetch(std::byte* const* rows, std::size_t count) {
  return store_.cache().fetch(rows, count, [this](std::byte* row, const StoredRow& stored) {
    Session* session = store_.insert(row, stored.numbers[0], stored.numbers[1]);
    session->open = stored.numbers[2] != 0;
    session->changed = stored.numbers[3] != 0;
    const std::int64_t due = due_time(*session);
    if (!session->open) store_.set_timer(*session, due);
    if (Status erased = store_.cache()->deadlines().erase(due, store_.key_of(*session)); !erased) return erased;
    return store_.cache()->load(stored, session->states());
  });
}

/// The sessions in the store that are due first come into memory.
Status SessionWindows::fetch_due() {
  constexpr std::size_t most = 1024;
  const auto due = store_.cache()->deadlines().take(progress(), most);
  if (!due) return fail(due.error());
  std::vector<std::byte*> rows;
  for (const KeyRef& key : *due) rows.push_back(store_.find_key(key));
  return fetch(rows.data(), rows.size());
}

Status SessionWindows::make_room() {
  return store_.make_room([this](const Session& session) { return due_time(session); });
}

/// Null when the last of the row's records is late. The others are in its session, if need be behind it.
Session* SessionWindows::session_of_combined(const Records& records, std::size_t row,
                                             const SessionStore::Clock& clock) {
  std::byte* const key_row = states_[row];
  const std::int64_t last = records.times[row];
  const std::int64_t first = spec().time == TimeDomain::event ? records.combined->head(row).first : last;
  if (first == last) return store_.session_for(key_row, last, clock);
  const bool first_is_old = clock.expired(saturating_add(first, spec().gap.count()));
  if (!first_is_old) static_cast<void>(store_.session_for(key_row, first, clock));
  Session* const session = store_.session_for(key_row, last, clock);
  return first_is_old && session != nullptr ? store_.session_for(key_row, first, clock) : session;
}

/// Replaces each record's key row by its session's states, and returns how many records are not late.
std::size_t SessionWindows::assign(const Records& records, std::vector<std::uint32_t>& late) {
  const std::size_t all = records.times.size();
  const SessionStore::Clock clock{progress(), lateness()};
  rows_.resize(std::max(rows_.size(), all));
  std::size_t count = 0;
  for (std::size_t i = 0; i < all; ++i) {
    if (i + prefetched_ahead < all) store_.prefetch(states_[i + prefetched_ahead]);
    Session* session = records.combined ? session_of_combined(records, i, clock)
                                        : store_.session_for(states_[i], records.times[i], clock);
    if (session == nullptr) {
      late.push_back(static_cast<std::uint32_t>(i));
      continue;
    }
    states_[count] = session->states();
    rows_[count++] = static_cast<std::uint32_t>(i);
  }
  return count;
}

Status SessionWindows::merge_states() {
  if (store_.merges().empty()) return {};
  merged_into_.clear();
  merged_from_.clear();
  for (const SessionStore::Merge& merge : store_.merges()) {
    merged_into_.push_back(merge.into->states());
    merged_from_.push_back(merge.from->states());
  }
  // In order: what has been merged into may itself be merged into another one.
  Status status = aggregation().merge(merged_into_.data(), merged_from_.data(), merged_into_.size());
  if (!status) return status;
  for (const SessionStore::Merge& merge : store_.merges()) aggregation().release(merge.from->states());
  store_.forget_merged();
  return {};
}

void SessionWindows::add(Session& session, ResultWriter& writer) {
  store_.before_write(session);
  session.changed = false;
  writer.add(store_.key_of(session), session.states(), session.start, session.end, saturating_sub(session.end, 1));
}

/// When it fires, or, if it has, when it is forgotten.
std::int64_t SessionWindows::due_time(std::int64_t end, bool open) const {
  const std::int64_t last = saturating_sub(end, 1);
  return open ? last : saturating_add(last, lateness());
}

void SessionWindows::fire(Session& session, ResultWriter& writer) {
  add(session, writer);
  session.open = false;
  if (expired(session.end)) {
    store_.remove(session);
    dropped_.push_back(&session);
  } else {
    store_.set_timer(session, due_time(session));
  }
}

Result<WindowOperator::More> SessionWindows::produce(ResultWriter& writer) {
  while (writer.room() > 0) {
    if (next_early_ < early_.size()) {
      add(*early_[next_early_++], writer);
      continue;
    }
    if (early_stored_) return produce_stored_early(writer);
    // What is due in the store comes before what is due later in memory.
    const auto stored = store_.cache() ? store_.cache()->deadlines().first() : std::nullopt;
    Session* session = store_.take_due(std::min(progress(), stored.value_or(last_micros)),
                                       [this](const Session& of) { return due_time(of); });
    if (session == nullptr) {
      if (!stored || *stored > progress()) return More::no;
      // Nothing of those that have expired is on its way any more.
      if (dropped_.size() > most_dropped && !writer.empty()) {
        writer.close();
        return More::yes;
      }
      if (writer.empty()) {
        release_dropped();
        if (Status made = make_room(); !made) return fail(made.error());
      }
      if (Status fetched = fetch_due(); !fetched) return fail(fetched.error());
      continue;
    }
    if (session->open) {
      fire(*session, writer);
    } else {
      store_.remove(*session);
      dropped_.push_back(session);
    }
  }
  return More::yes;
}

Result<WindowOperator::More> SessionWindows::produce_stored_early(ResultWriter& writer) {
  if (early_walk_ == nullptr) {
    auto begun = store_.cache()->walk();
    if (!begun) return fail(begun.error());
    early_walk_ = std::move(*begun);
  }
  while (writer.room() > 0) {
    StoredRow row;
    if (!early_walk_->next_row(row)) {
      const auto more = early_walk_->next();
      if (!more) return fail(more.error());
      if (!*more) {
        early_walk_.reset();
        early_stored_ = false;
        return More::yes;
      }
      continue;
    }
    const std::int64_t end = row.numbers[1];
    if (row.numbers[3] == 0 || row.numbers[2] == 0 || complete(end)) continue;
    early_walk_->clear_mark();
    std::byte* states = held_.add();
    if (Status loaded = store_.cache()->load(row, states); !loaded) return fail(loaded.error());
    writer.add(held_.keep(key_form(), early_walk_->key()), states, row.numbers[0], end, saturating_sub(end, 1));
  }
  return More::yes;
}

void SessionWindows::flushed() {
  held_.clear();
  if (next_early_ == early_.size()) {
    early_.clear();
    next_early_ = 0;
  }
  release_dropped();
  store_.compact();
}

void SessionWindows::release_dropped() {
  for (Session* session : dropped_) {
    aggregation().release(session->states());
    store_.recycle(*session);
  }
  dropped_.clear();
}

void SessionWindows::start_early() {
  store_.for_each([this](Session& session) {
    if (session.changed && session.open && !complete(session.end)) early_.push_back(&session);
  });
  std::sort(early_.begin() + static_cast<std::ptrdiff_t>(next_early_), early_.end(),
            [](const Session* a, const Session* b) { return fires_before(*a, *b); });
  if (store_.cache().any_stored()) early_stored_ = true;
}

void SessionWindows::freeze_groups(const GroupFormPtr& form, std::vector<FrozenGroupsPtr>& groups) {
  auto save = [keys = store_.freeze_keys(), bytes = store_.block_bytes()](const FrozenRows::Rows& rows,
                                                                          GroupSaver& saver) -> Status {
    for (std::size_t i = 0; i < rows.count; ++i) {
      const std::byte* block = rows.first + i * bytes;
      const auto& session = *reinterpret_cast<const Session*>(block);
      if (session.opened == 0) continue;
      const std::array<std::int64_t, 4> numbers{session.start, session.end, session.open, session.changed};
      if (Status saved = saver.add(keys.key_of(session.key_row), numbers, block + sizeof(Session)); !saved)
        return saved;
    }
    return {};
  };
  groups.push_back(frozen_groups(store_.freeze_sessions(ownership_of_states(form, sizeof(Session))), std::move(save)));
}

Status SessionWindows::stored_groups_restored() {
  StoredGroups& groups = *store_.cache();
  const auto walk = groups.walk();
  if (!walk) return fail(walk.error());
  while (true) {
    const auto more = (*walk)->next();
    if (!more) return fail(more.error());
    if (!*more) return {};
    for (StoredRow row; (*walk)->next_row(row);) {
      const std::int64_t due = due_time(row.numbers[1], row.numbers[2] != 0);
      if (Status put = groups.deadlines().put(due, (*walk)->key()); !put) return put;
    }
  }
}

Status SessionWindows::load_groups(const SavedGroups& saved) {
  if (Status found = find_keys(saved.keys, saved.batch.rows()); !found) return found;
  for (std::uint32_t row = 0; row < saved.batch.rows(); ++row) {
    Session* session = store_.insert(states_[row], saved.number(row, 0), saved.number(row, 1));
    session->open = saved.number(row, 2) != 0;
    session->changed = saved.number(row, 3) != 0;
    if (!session->open) store_.set_timer(*session, due_time(*session));
    if (Status loaded = saved.load(row, session->states()); !loaded) return loaded;
  }
  return {};
}

/// The end of a session that has gone on since its timer was set comes later: then nothing fires at that time.
std::optional<std::int64_t> SessionWindows::first_open_end() const {
  auto due = store_.timers().next();
  const auto stored = store_.cache() ? store_.cache()->deadlines().first() : std::nullopt;
  if (stored) due = std::min(due.value_or(*stored), *stored);
  if (!due) return std::nullopt;
  return saturating_add(*due, 1);
}

}  // namespace

std::unique_ptr<Operator> make_session(const WindowSpec& spec, const SchemaPtr& input) {
  return std::make_unique<SessionWindows>(spec, input);
}

}  // namespace dataflow::windows

#include "libdataflow/windows/session_store.hpp"

#include <algorithm>
#include <cassert>

namespace dataflow::windows {

namespace {

/// While a session is kept.
constexpr std::int64_t timer_buckets = 64;

}  // namespace

std::size_t SessionList::first_reaching(std::int64_t time) const {
  const auto begin = sessions_.begin() + static_cast<std::ptrdiff_t>(first_);
  const auto it = std::partition_point(begin, sessions_.end(), [time](const Session* s) { return s->end < time; });
  return static_cast<std::size_t>(it - begin);
}

Session* SessionList::pop_back() {
  Session* session = sessions_.back();
  sessions_.pop_back();
  return session;
}

void SessionList::remove(const Session* session) {
  if (sessions_[first_] != session) {
    sessions_.erase(std::find(sessions_.begin() + static_cast<std::ptrdiff_t>(first_), sessions_.end(), session));
    return;
  }
  ++first_;
  if (first_ * 2 < sessions_.size()) return;
  sessions_.erase(sessions_.begin(), sessions_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
}

void SessionList::replace(std::size_t from, std::size_t to, Session* session) {
  const auto begin = sessions_.begin() + static_cast<std::ptrdiff_t>(first_);
  if (from == to) {
    sessions_.insert(begin + static_cast<std::ptrdiff_t>(from), session);
    return;
  }
  begin[static_cast<std::ptrdiff_t>(from)] = session;
  sessions_.erase(begin + static_cast<std::ptrdiff_t>(from) + 1, begin + static_cast<std::ptrdiff_t>(to));
}

SessionStore::SessionStore(KeyForm form, std::int64_t gap, std::int64_t lateness, const Aggregation& aggregation)
    : layout_{form, std::vector<std::byte>(sizeof(KeySessions))},
      keys_{layout_},
      pool_{sizeof(Session), aggregation.initial_states()},
      timers_{saturating_add(gap, lateness) / timer_buckets},
      gap_{gap},
      aggregation_{aggregation},
      cache_{keys_, layout_.payload_offset() + offsetof(KeySessions, age), aggregation} {}

SessionStore::~SessionStore() {
  GroupTable::Cursor cursor;
  for (std::byte* row = nullptr; keys_.next_rows(cursor, 1, &row) == 1;) delete sessions_of(row).earlier;
}

void SessionStore::find_keys(const KeyBatch& keys, std::size_t count, std::byte** rows) {
  keys_.find_or_insert(keys, nullptr, count, rows);
}

Session* SessionStore::open(std::byte* key_row, std::int64_t start, std::int64_t end) {
  auto* session = reinterpret_cast<Session*>(pool_.take());
  session->start = start;
  session->end = end;
  session->opened = ++opened_;
  session->key_row = key_row;
  session->open = true;
  session->changed = true;
  timers_.set(*session, saturating_sub(end, 1));  // a new block: no reader has it
  return session;
}

/// After all other sessions of the key.
Session* SessionStore::open_latest(KeySessions& key, std::byte* key_row, std::int64_t start, std::int64_t end) {
  if (key.latest == nullptr) {
    ++live_keys_;
  } else {
    if (key.earlier == nullptr) key.earlier = new SessionList;
    key.earlier->push_back(key.latest);
  }
  key.latest = open(key_row, start, end);
  return key.latest;
}

void SessionStore::extend(Session& session, std::int64_t start, std::int64_t end) {
  before_write(session);
  session.start = std::min(session.start, start);
  session.end = std::max(session.end, end);
  session.changed = true;
  if (session.open) [[likely]]
    return;
  session.open = true;
  // It has fired, and what its timer waits for, the end of the allowed lateness, may come after the new result.
  const std::int64_t due = saturating_sub(session.end, 1);
  if (session.timer > due) timers_.set(session, due);
}

Session* SessionStore::insert(std::byte* key_row, std::int64_t start, std::int64_t end) {
  KeySessions& key = sessions_of(key_row);
  if (key.latest == nullptr || key.latest->end < start) return open_latest(key, key_row, start, end);
  if (key.earlier == nullptr) key.earlier = new SessionList;
  SessionList& list = *key.earlier;
  list.push_back(key.latest);
  Session* session = open(key_row, start, end);
  const std::size_t at = list.first_reaching(start);
  list.replace(at, at, session);
  key.latest = list.pop_back();
  settle(key);
  return session;
}

/// Other than the latest session that goes on.
Session* SessionStore::find_session(std::byte* key_row, std::int64_t time, const Clock& clock) {
  KeySessions& key = sessions_of(key_row);
  Session* latest = key.latest;
  const std::int64_t end = saturating_add(time, gap_);
  if (latest == nullptr || time > latest->end) {
    return clock.expired(end) ? nullptr : open_latest(key, key_row, time, end);
  }
  const bool touches_only_latest = time >= latest->start || (end >= latest->start && key.earlier == nullptr);
  if (touches_only_latest && !clock.expired(latest->end)) [[likely]] {
    extend(*latest, time, end);
    return latest;
  }
  return session_among(key, key_row, time, end, clock);
}

Session* SessionStore::session_among(KeySessions& key, std::byte* key_row, std::int64_t start, std::int64_t end,
                                     const Clock& clock) {
  if (key.earlier == nullptr) key.earlier = new SessionList;
  SessionList& list = *key.earlier;
  list.push_back(key.latest);
  std::size_t from = list.first_reaching(start);
  // Sessions by the clock may have expired without having fired yet: they are over all the same.
  while (from < list.size() && clock.expired(list[from]->end)) ++from;
  std::size_t to = from;
  while (to < list.size() && list[to]->start <= end) ++to;
  Session* session = nullptr;
  if (from < to) {
    session = merge(list, from, to);
    extend(*session, start, end);
  } else if (!clock.expired(end)) {
    session = open(key_row, start, end);
  }
  if (session != nullptr) list.replace(from, to, session);
  key.latest = list.pop_back();
  settle(key);
  return session;
}

/// Makes one session of several: the one that was opened first.
Session* SessionStore::merge(const SessionList& list, std::size_t from, std::size_t to) {
  Session* first = list[from];
  for (std::size_t i = from + 1; i < to; ++i) {
    if (list[i]->opened < first->opened) first = list[i];
  }
  for (std::size_t i = from; i < to; ++i) {
    Session* other = list[i];
    if (other == first) continue;
    extend(*first, other->start, other->end);
    before_write(*other);
    other->opened = 0;
    merges_.push_back({first, other});
  }
  return first;
}

void SessionStore::settle(KeySessions& key) {
  if (key.earlier == nullptr || !key.earlier->empty()) return;
  delete key.earlier;
  key.earlier = nullptr;
}

void SessionStore::forget_merged() {
  for (const Merge& merge : merges_) recycle(*merge.from);
  merges_.clear();
}

void SessionStore::remove(Session& session) {
  KeySessions& key = sessions_of(session.key_row);
  before_write(session);
  session.opened = 0;
  if (key.latest != &session) {
    key.earlier->remove(&session);
  } else if (key.earlier != nullptr) {
    key.latest = key.earlier->pop_back();
  } else {
    key.latest = nullptr;
    --live_keys_;
  }
  settle(key);
}

void SessionStore::compact() {
  constexpr std::size_t worth_it = 1024;
  const std::size_t dead = keys_.size() - live_keys_;
  if (dead < worth_it || dead < live_keys_) return;
  keys_.retain([this](const std::byte* row) { return sessions_of(row).latest != nullptr; },
               [this](const std::byte*, std::byte* row) { move_sessions(row); });
}

void SessionStore::move_sessions(std::byte* row) {
  auto move = [this, row](Session& session) {
    before_write(session);
    session.key_row = row;
  };
  visit_sessions(sessions_of(row), move);
}

void SessionStore::touch(std::byte* const* key_rows, std::size_t count) {
  ++batch_;
  for (std::size_t i = 0; i < count; ++i) sessions_of(key_rows[i]).age = batch_;
}

/// A key's sessions, which are in the store now.
void SessionStore::drop(KeySessions& key) {
  auto give_back = [this](Session& session) {
    before_write(session);
    aggregation_.release(session.states());
    session.opened = 0;
    recycle(session);
  };
  visit_sessions(key, give_back);
  delete key.earlier;
  key.latest = nullptr;
  key.earlier = nullptr;
  --live_keys_;
}

/// With their timers, and what their states own, by the example of some.
std::uint64_t SessionStore::bytes_of_sessions() const {
  const std::uint64_t bytes = pool_.used_bytes() + timers_.byte_size();
  if (!aggregation_.states_own_memory()) return bytes;
  constexpr std::size_t examples = 16;
  std::size_t seen = 0;
  std::string saved;
  GroupTable::Cursor cursor;
  for (std::byte* row = nullptr; seen < examples && keys_.next_rows(cursor, 1, &row) == 1;) {
    Session* latest = sessions_of(row).latest;
    if (latest == nullptr) continue;
    aggregation_.save(latest->states(), saved);
    ++seen;
  }
  return bytes + (seen == 0 ? 0 : saved.size() * live_keys_ / seen);
}

bool are_single_sessions(std::span<const KeyGroups::Extent> keys, std::int64_t gap, const SessionStore::Clock& clock) {
  return std::all_of(keys.begin(), keys.end(), [&](const KeyGroups::Extent& of_key) {
    const std::int64_t end = saturating_add(of_key.first, gap);
    return of_key.last <= end && !clock.expired(end);
  });
}

}  // namespace dataflow::windows

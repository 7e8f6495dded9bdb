#pragma once
// The sessions of every key, and when each of them is due.
//
// Nearly every record extends the latest session of its key, so a key's row points straight at that one; the earlier
// ones, which exist only while records are out of order or late ones are allowed, are in a sorted list beside it.
//
// A session's end moves with nearly every record. Its timer does not: it is set once and compared with the end when it
// is about to go off, and only then set anew if the session is still going on. A timer is therefore never later than
// what it is for, and a session costs one such operation per gap instead of one per record.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "libdataflow/windows/aggregation.hpp"
#include "libdataflow/windows/assign.hpp"
#include "libdataflow/windows/group_cache.hpp"
#include "libdataflow/windows/group_table.hpp"
#include "libdataflow/windows/key_groups.hpp"
#include "libdataflow/windows/state_pool.hpp"
#include "libdataflow/windows/time_buckets.hpp"

namespace dataflow::windows {

/// In a block of a StatePool: the aggregates' states follow.
struct Session {
  std::int64_t start;
  std::int64_t end;      ///< exclusive: the last record's time plus the gap
  std::uint64_t opened;  ///< sessions are numbered from 1 in the order in which they open; 0: gone
  std::int64_t timer;    ///< when its one valid timer goes off
  std::byte* key_row;
  bool open;     ///< has a result to give when its end has passed; false after that, until a late record comes
  bool changed;  ///< since its last result

  [[nodiscard]] std::byte* states() { return reinterpret_cast<std::byte*>(this + 1); }
  /// Results come in this order.
  friend bool fires_before(const Session& a, const Session& b) {
    return a.end != b.end ? a.end < b.end : a.opened < b.opened;
  }
};

/// Disjoint sessions of one key, ascending in time.
class SessionList {
 public:
  [[nodiscard]] bool empty() const { return first_ == sessions_.size(); }
  [[nodiscard]] std::size_t size() const { return sessions_.size() - first_; }
  [[nodiscard]] Session* operator[](std::size_t i) const { return sessions_[first_ + i]; }
  /// The first session that has not ended before `time`.
  [[nodiscard]] std::size_t first_reaching(std::int64_t time) const;
  void push_back(Session* session) { sessions_.push_back(session); }
  Session* pop_back();
  void remove(const Session* session);
  /// Puts one session where [from, to) were.
  void replace(std::size_t from, std::size_t to, Session* session);

 private:
  std::vector<Session*> sessions_;
  std::size_t first_ = 0;  ///< those in front have been removed: sessions leave in order of time
};

/// Timers in the order in which they go off; some of them may have become void.
class SessionTimers {
 public:
  /// `width`: how many microseconds of timers are ordered together.
  explicit SessionTimers(std::int64_t width) : timers_{width} {}

  /// Replaces the session's timer.
  void set(Session& session, std::int64_t due) {
    session.timer = due;
    timers_.add({due, session.opened, &session});
  }
  /// Takes the session off that is due first, if that is at or before `now`; null if none. `due(session)` is when each
  /// is, not before its timer; `before_write(session)` is called for those whose timers are set anew.
  template <class Due, class BeforeWrite>
  Session* take_due(std::int64_t now, Due&& due, BeforeWrite&& before_write);
  /// Lets the void ones go.
  void drop_void() {
    timers_.erase_if([](const Timer& timer) { return timer.is_void(); });
  }
  [[nodiscard]] std::uint64_t byte_size() const { return timers_.size() * sizeof(Timer); }
  /// No timer goes off before this.
  [[nodiscard]] std::optional<std::int64_t> next() const { return timers_.none_due_before(); }

 private:
  struct Timer {
    std::int64_t time;
    std::uint64_t sequence;  ///< the session's `opened`
    Session* session;
    [[nodiscard]] std::int64_t due() const { return time; }
    [[nodiscard]] bool is_void() const { return session->opened != sequence || session->timer != time; }
    void prefetch() const { __builtin_prefetch(session, 1); }
  };

  TimeBuckets<Timer> timers_;
};

template <class Due, class BeforeWrite>
Session* SessionTimers::take_due(std::int64_t now, Due&& due, BeforeWrite&& before_write) {
  const auto renew = [&](Timer& timer) {
    if (timer.is_void()) return false;
    const std::int64_t time = due(*timer.session);
    __builtin_prefetch(timer.session->key_row, 1);  // for its result, if it is due
    if (time != timer.time) {
      before_write(*timer.session);
      timer.time = timer.session->timer = time;
    }
    return true;
  };
  Session* first = nullptr;
  timers_.take_due(now, renew, [&](Timer timer) {
    const std::int64_t time = timer.time;
    if (!renew(timer)) return true;
    if (timer.time != time) {  // others may be due before it
      timers_.add(timer);
      return true;
    }
    first = timer.session;
    return false;
  });
  return first;
}

/// Finds, opens and merges. What a session's aggregates do is up to the caller.
class SessionStore {
 public:
  /// `aggregation`, whose initial states a new session has, outlives it. `lateness`: how long sessions are kept after
  /// their ends.
  SessionStore(KeyForm form, std::int64_t gap, std::int64_t lateness, const Aggregation& aggregation);
  ~SessionStore();
  SessionStore(const SessionStore&) = delete;
  SessionStore& operator=(const SessionStore&) = delete;

  /// What is asked of sessions while a batch comes in: how far time is, and how long they are kept after their ends.
  struct Clock {
    std::int64_t progress = first_micros;
    std::int64_t lateness = 0;
    [[nodiscard]] bool expired(std::int64_t end) const { return window_expired(end, lateness, progress); }
  };
  /// One session that has become part of another. Its memory stays until `forget`.
  struct Merge {
    Session* into;
    Session* from;
  };

  /// The rows of the batch's keys, for `session_for`; valid until compact().
  void find_keys(const KeyBatch& keys, std::size_t count, std::byte** rows);
  /// The session that a record belongs to, which it opens, extends or merges from others; null if that one has expired.
  Session* session_for(std::byte* key_row, std::int64_t time, const Clock& clock) {
    Session* latest = sessions_of(key_row).latest;
    const bool goes_on = latest != nullptr && latest->open && time >= latest->start && time <= latest->end;
    if (!goes_on || clock.expired(latest->end)) [[unlikely]]
      return find_session(key_row, time, clock);
    before_write(*latest);
    latest->end = std::max(latest->end, saturating_add(time, gap_));
    latest->changed = true;
    return latest;
  }
  /// Puts a session of a checkpoint back, which touches no other one of its key. Its timer is for its end.
  Session* insert(std::byte* key_row, std::int64_t start, std::int64_t end);
  /// Merges since the last forget, in order.
  [[nodiscard]] const std::vector<Merge>& merges() const { return merges_; }
  /// Reuses the memory of merged sessions, whose states must have been released.
  void forget_merged();

  [[nodiscard]] const SessionTimers& timers() const { return timers_; }
  /// See SessionTimers.
  template <class Due>
  Session* take_due(std::int64_t now, Due&& due) {
    return timers_.take_due(now, due, [this](Session& session) { before_write(session); });
  }
  [[nodiscard]] KeyRef key_of(const Session& session) const { return keys_.key_of(session.key_row); }
  void set_timer(Session& session, std::int64_t due) {
    before_write(session);
    timers_.set(session, due);
  }
  /// All sessions as they are now, for a reader on another thread: blocks that begin with a Session, those whose
  /// `opened` is 0 being none.
  std::shared_ptr<FrozenRows> freeze_sessions(RowOwnershipPtr ownership) { return pool_.freeze(std::move(ownership)); }
  [[nodiscard]] FrozenKeys freeze_keys() { return keys_.freeze_keys(); }
  [[nodiscard]] std::size_t block_bytes() const { return pool_.block_bytes(); }
  /// Before a session that a reader may be at is changed.
  void before_write(Session& session) { pool_.before_write(reinterpret_cast<std::byte*>(&session)); }
  // With a store behind the sessions that memory has no room for; all of a key's are in memory or there:
  [[nodiscard]] GroupCache& cache() { return cache_; }
  [[nodiscard]] const GroupCache& cache() const { return cache_; }
  /// Their keys are in use now.
  void touch(std::byte* const* key_rows, std::size_t count);
  /// The row of one key.
  std::byte* find_key(const KeyRef& key) { return keys_.find_or_insert(key); }
  /// Puts sessions of keys that no record has come of for longest into the store when there are too many.
  /// `due(session)` is when each is to come back at the latest. No reference to a session may be in use.
  template <class Due>
  Status make_room(Due&& due);

  /// Takes it from its key. Its memory stays until `recycle`.
  void remove(Session& session);
  void recycle(Session& session) { pool_.give_back(reinterpret_cast<std::byte*>(&session)); }
  /// Forgets keys without sessions once they are many. No reference to a key may be in use.
  void compact();
  /// Asks for the memory that session_for needs for this row.
  void prefetch(const std::byte* key_row) const { __builtin_prefetch(sessions_of(key_row).latest, 1); }

  template <class Visit>
  void for_each(Visit&& visit) const {
    GroupTable::Cursor cursor;
    for (std::byte* row = nullptr; keys_.next_rows(cursor, 1, &row) == 1;) visit_sessions(sessions_of(row), visit);
  }

 private:
  /// In a key's row; zeros for a new key.
  struct KeySessions {
    Session* latest;
    SessionList* earlier;  ///< owned; null: none
    std::uint64_t age;     ///< see GroupCache
  };

  [[nodiscard]] KeySessions& sessions_of(std::byte* row) const {
    return *reinterpret_cast<KeySessions*>(row + layout_.payload_offset());
  }
  [[nodiscard]] const KeySessions& sessions_of(const std::byte* row) const {
    return *reinterpret_cast<const KeySessions*>(row + layout_.payload_offset());
  }
  template <class Visit>
  static void visit_sessions(const KeySessions& key, Visit& visit) {
    for (std::size_t i = 0; key.earlier != nullptr && i < key.earlier->size(); ++i) visit(*(*key.earlier)[i]);
    if (key.latest != nullptr) visit(*key.latest);
  }
  Session* find_session(std::byte* key_row, std::int64_t time, const Clock& clock);
  Session* open(std::byte* key_row, std::int64_t start, std::int64_t end);
  Session* open_latest(KeySessions& key, std::byte* key_row, std::int64_t start, std::int64_t end);
  void extend(Session& session, std::int64_t start, std::int64_t end);
  Session* session_among(KeySessions& key, std::byte* key_row, std::int64_t start, std::int64_t end,
                         const Clock& clock);
  Session* merge(const SessionList& list, std::size_t from, std::size_t to);
  static void settle(KeySessions& key);
  void drop(KeySessions& key);
  void move_sessions(std::byte* row);
  [[nodiscard]] std::uint64_t bytes_of_sessions() const;

  RowLayout layout_;
  GroupTable keys_;
  StatePool pool_;
  SessionTimers timers_;
  std::int64_t gap_;
  std::uint64_t opened_ = 0;
  std::size_t live_keys_ = 0;  ///< with a session
  std::vector<Merge> merges_;
  const Aggregation& aggregation_;
  GroupCache cache_;
  std::uint64_t batch_ = GroupCache::fetched_age;  ///< number of the last one
};

template <class Due>
Status SessionStore::make_room(Due&& due) {
  bool any = false;
  Status made = cache_.make_room(
      bytes_of_sessions(), std::nullopt,
      [&](std::byte* row) -> Status {
        any = true;
        KeySessions& key = sessions_of(row);
        if (key.latest == nullptr) return {};
        const KeyRef ref = keys_.key_of(row);
        cache_->begin(ref);
        Status put;
        auto add = [&](Session& session) {
          cache_->add(std::array<std::int64_t, 4>{session.start, session.end, session.open, session.changed},
                      session.states());
          if (put) put = cache_->deadlines().put(due(session), ref);
        };
        visit_sessions(key, add);
        if (put) put = cache_->end();
        if (!put) return put;
        drop(key);
        return {};
      },
      [this](const std::byte*, std::byte* row) { move_sessions(row); });
  if (any) timers_.drop_void();
  return made;
}

/// Whether no record is late, and those of each key are all within a gap.
[[nodiscard]] bool are_single_sessions(std::span<const KeyGroups::Extent> keys, std::int64_t gap,
                                       const SessionStore::Clock& clock);

}  // namespace dataflow::windows

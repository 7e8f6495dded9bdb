#pragma once
// Private to this folder.
//
// The automaton of one pattern, fed with the rows of each key in order.
//
// Each row with which a match may begin begins an attempt. An attempt is a list of partial matches, the preferred one
// first. Of SQL's patterns only the most preferred match of each attempt counts: a partial match that is complete drops
// those behind it, and wins when those in front of it have come to nothing. Of Flink CEP's every match counts.
//
// With a skip strategy matches are given in the order in which they began, so that an attempt waits until those that
// began before it are decided, and goes when a match skips it.

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/container/inlined_vector.h>

#include <optional>
#include <utility>
#include <vector>

#include "libdataflow/patterns/pattern_logic.hpp"
#include "libdataflow/patterns/pattern_spec.hpp"

namespace dataflow::patterns {

/// A place in the program, and what led there.
struct PartialMatch {
  std::uint32_t at = 0;
  EntryId entry = no_entry;
};

struct Attempt {
  Position start;
  absl::InlinedVector<PartialMatch, 2> partial;
  absl::InlinedVector<EntryId, 1> complete;  ///< not given yet
};

/// What there is of one key.
struct KeyMatches {
  std::vector<Attempt> attempts;  ///< in the order in which they began
  std::vector<RowId> before;      ///< the last rows, for `prev`, the newest one last

  [[nodiscard]] bool empty() const { return attempts.empty() && before.empty(); }
};

/// A match, or what ran out of time; a user of its entry.
struct FoundMatch {
  EntryId entry = no_entry;
  std::int64_t time = 0;  ///< when it was decided, in event time
  bool timed_out = false;
};

/// A row on its way.
struct IncomingRow {
  Position position;
  Variables conditions = 0;
  std::span<const ColumnPtr> kept;
  std::uint32_t row = 0;  ///< in `kept`
};

class Matcher {
 public:
  /// All outlive the matcher.
  Matcher(const PatternSpec& spec, PatternLogic& logic, MatchBuffer& buffer);

  /// Whether the row may begin a match, or must be remembered: else a key without attempts need not see it.
  [[nodiscard]] bool concerns_new_key(Variables conditions) const { return (conditions & begins_) != 0 || always_; }
  /// The key's next row. Attempts whose time is up must have expired before. True when the row began an attempt.
  /// Errors: those of conditions; invalid_argument when the key has too many partial matches.
  Result<bool> advance(KeyMatches& key, const IncomingRow& row, Timestamp now, std::vector<FoundMatch>& found);
  /// The time of the attempt that began with the row `sequence`, if it is still there, is up: at `time` it is decided.
  void expire(KeyMatches& key, std::uint64_t sequence, std::int64_t time, std::vector<FoundMatch>& found);
  /// No row will come any more, and no time runs out.
  void finish(KeyMatches& key, std::int64_t time, std::vector<FoundMatch>& found);
  /// Forgets the rows for `prev`, if none has come since the one with that number.
  void forget_before(KeyMatches& key, std::uint64_t sequence);
  /// Conditions on matches that could not be computed, and that therefore did not hold; 0 with ErrorPolicy::fail.
  [[nodiscard]] std::uint64_t take_not_computed() { return std::exchange(not_computed_, 0); }

 private:
  void begin(KeyMatches& key);
  void step(Attempt& attempt);
  void run(PartialMatch partial, Attempt& attempt);
  void follow(std::uint32_t at, EntryId entry, Attempt& attempt);
  void complete(EntryId entry, Attempt& attempt);
  [[nodiscard]] bool holds(Variable variable, EntryId entry);
  [[nodiscard]] bool is_any_of(Variables variables, EntryId entry);
  RowId current_row();
  void remember(KeyMatches& key);
  void time_up(Attempt& attempt, std::int64_t time, std::vector<FoundMatch>* timed_out);
  void settle(KeyMatches& key, std::int64_t time, std::vector<FoundMatch>& found);
  [[nodiscard]] bool are_equal(EntryId a, EntryId b) const;
  void give_all(KeyMatches& key, std::int64_t time, std::vector<FoundMatch>& found);
  void skip(KeyMatches& key, EntryId match);
  void drop(Attempt& attempt);
  void new_visit();
  [[nodiscard]] bool reach(std::uint32_t at, EntryId entry);
  EntryId extend(EntryId before, Variable variable);
  void forget_reached();

  const PatternSpec& spec_;
  PatternLogic& logic_;
  MatchBuffer& buffer_;
  const Variables looking_back_;
  const std::uint32_t rows_before_;
  const Variables begins_;  ///< conditions on the row alone with which a match may begin
  const bool always_;       ///< it cannot be told from them
  /// Partial matches of an attempt at one place have one future, and only the preferred one of them counts.
  const bool one_at_a_place_;

  // Of the row that is being taken.
  const IncomingRow* row_ = nullptr;
  const KeyMatches* key_ = nullptr;
  Timestamp now_{};
  RowId row_id_ = no_row;  ///< once it is kept
  bool decided_ = false;   ///< what is behind the partial match that was run last cannot win
  std::optional<Error> error_;
  std::uint64_t not_computed_ = 0;
  std::vector<PartialMatch> next_;
  std::vector<std::uint32_t> visits_;  ///< of each instruction, the last `visit_` in which it was reached
  std::uint32_t visit_ = 0;
  // Otherwise chains with the same rows are the same entry, and each counts once at each place.
  absl::flat_hash_set<std::uint64_t> reached_;
  absl::flat_hash_map<std::uint64_t, EntryId> extended_;
  std::vector<std::uint32_t> open_;
  MatchList so_far_;
};

}  // namespace dataflow::patterns

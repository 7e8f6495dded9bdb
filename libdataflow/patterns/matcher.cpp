#include "libdataflow/patterns/matcher.hpp"

#include <algorithm>
#include <bit>

namespace dataflow::patterns {

Matcher::Matcher(const PatternSpec& spec, PatternLogic& logic, MatchBuffer& buffer)
    : spec_{spec},
      logic_{logic},
      buffer_{buffer},
      looking_back_{logic.looking_back()},
      rows_before_{logic.rows_before()},
      begins_{spec.program.starts_with & ~looking_back_},
      always_{(spec.program.starts_with & looking_back_) != 0 || rows_before_ != 0},
      one_at_a_place_{!spec.every_match && looking_back_ == 0},
      visits_(spec.program.code.size(), 0) {}

void Matcher::new_visit() {
  if (++visit_ != 0) return;
  std::fill(visits_.begin(), visits_.end(), 0);
  visit_ = 1;
}

/// Whether it is the first time in this step.
bool Matcher::reach(std::uint32_t at, EntryId entry) {
  if (!one_at_a_place_) return reached_.insert(std::uint64_t{at} << 32 | entry).second;
  if (visits_[at] == visit_) return false;
  visits_[at] = visit_;
  return true;
}

/// The chain with the current row behind it: a user of its own.
EntryId Matcher::extend(EntryId before, Variable variable) {
  if (one_at_a_place_) return buffer_.append(before, {current_row(), variable});
  const auto [known, is_new] = extended_.try_emplace(std::uint64_t{before} << 32 | variable, no_entry);
  if (is_new) known->second = buffer_.append(before, {current_row(), variable});
  buffer_.retain(known->second);
  return known->second;
}

void Matcher::forget_reached() {
  if (one_at_a_place_) return new_visit();
  reached_.clear();
  for (const auto& [key, entry] : extended_) buffer_.release(entry);
  extended_.clear();
}

RowId Matcher::current_row() {
  if (row_id_ == no_row) row_id_ = buffer_.rows().add(row_->position, row_->kept, row_->row);
  return row_id_;
}

bool Matcher::holds(Variable variable, EntryId entry) {
  if ((looking_back_ & only(variable)) == 0) return (row_->conditions & only(variable)) != 0;
  if (error_) return false;
  const RowId row = current_row();
  so_far_.clear();
  so_far_.rows = &buffer_.rows();
  buffer_.collect(entry, so_far_.matched);
  so_far_.matched.push_back({row, variable});
  so_far_.ends.push_back(so_far_.matched.size());
  auto result = logic_.holds(variable, so_far_, key_->before, now_);
  if (result) return *result;
  if (result.error().code() == ErrorCode::arithmetic && spec_.on_error != ErrorPolicy::fail) {
    ++not_computed_;
  } else {
    error_ = result.error();
  }
  return false;
}

bool Matcher::is_any_of(Variables variables, EntryId entry) {
  if ((row_->conditions & variables & ~looking_back_) != 0) return true;
  for (Variables left = variables & looking_back_; left != 0; left &= left - 1) {
    if (holds(static_cast<Variable>(std::countr_zero(left)), entry)) return true;
  }
  return false;
}

void Matcher::complete(EntryId entry, Attempt& attempt) {
  buffer_.retain(entry);
  if (!spec_.every_match) {
    for (const EntryId worse : attempt.complete) buffer_.release(worse);
    attempt.complete.clear();
    decided_ = true;
  }
  attempt.complete.push_back(entry);
}

/// The places reached from `at` without a row, the preferred ones first.
void Matcher::follow(std::uint32_t at, EntryId entry, Attempt& attempt) {
  open_.assign(1, at);
  while (!open_.empty() && !decided_) {
    const std::uint32_t here = open_.back();
    open_.pop_back();
    if (!reach(here, entry)) continue;
    const Instruction& instruction = spec_.program.code[here];
    switch (instruction.kind) {
      case Instruction::Kind::split:
        open_.push_back(instruction.other);
        open_.push_back(instruction.next);
        break;
      case Instruction::Kind::accept: complete(entry, attempt); break;
      default: buffer_.retain(entry); next_.push_back({here, entry});
    }
  }
}

void Matcher::run(PartialMatch partial, Attempt& attempt) {
  const Instruction& instruction = spec_.program.code[partial.at];
  if (instruction.forbidden != 0 && is_any_of(instruction.forbidden, partial.entry)) return;
  switch (instruction.kind) {
    case Instruction::Kind::take: {
      const bool taken = holds(instruction.variable, partial.entry);
      if (taken) {
        const EntryId entry = extend(partial.entry, instruction.variable);
        follow(instruction.next, entry, attempt);
        buffer_.release(entry);
      }
      const bool waits = instruction.wait == Wait::always || (instruction.wait == Wait::until_taken && !taken);
      // An attempt begins with a row: behind an optional first step, too, nothing is waited for before there is one.
      if (waits && !decided_ && partial.entry != no_entry) follow(instruction.other, partial.entry, attempt);
      break;
    }
    case Instruction::Kind::pass: follow(instruction.next, partial.entry, attempt); break;
    case Instruction::Kind::hold:
      if (instruction.first_row_only) {
        complete(partial.entry, attempt);
      } else {
        follow(partial.at, partial.entry, attempt);
      }
      break;
    default: break;
  }
}

void Matcher::step(Attempt& attempt) {
  next_.clear();
  decided_ = false;
  forget_reached();
  for (const PartialMatch& partial : attempt.partial) {
    run(partial, attempt);
    if (decided_) break;
  }
  forget_reached();
  for (const PartialMatch& partial : attempt.partial) buffer_.release(partial.entry);
  attempt.partial.assign(next_.begin(), next_.end());
}

/// An attempt from the current row on, if it is a match's first row.
void Matcher::begin(KeyMatches& key) {
  Attempt attempt{.start = row_->position, .partial = {}, .complete = {}};
  next_.clear();
  decided_ = false;
  forget_reached();
  follow(spec_.program.start, no_entry, attempt);
  attempt.partial.assign(next_.begin(), next_.end());
  step(attempt);
  if (!attempt.partial.empty() || !attempt.complete.empty()) key.attempts.push_back(std::move(attempt));
}

void Matcher::remember(KeyMatches& key) {
  if (rows_before_ == 0) return;
  if (key.before.size() == rows_before_) {
    buffer_.rows().release(key.before.front());
    key.before.erase(key.before.begin());
  }
  const RowId row = current_row();
  buffer_.rows().retain(row);
  key.before.push_back(row);
}

void Matcher::forget_before(KeyMatches& key, std::uint64_t sequence) {
  if (key.before.empty() || buffer_.rows().position(key.before.back()).sequence != sequence) return;
  for (const RowId row : key.before) buffer_.rows().release(row);
  key.before.clear();
}

Result<bool> Matcher::advance(KeyMatches& key, const IncomingRow& row, Timestamp now, std::vector<FoundMatch>& found) {
  row_ = &row;
  key_ = &key;
  now_ = now;
  row_id_ = no_row;
  std::size_t partial = 0;
  for (Attempt& attempt : key.attempts) {
    step(attempt);
    partial += attempt.partial.size();
  }
  if ((row.conditions & begins_) != 0 || (spec_.program.starts_with & looking_back_) != 0) begin(key);
  remember(key);
  if (row_id_ != no_row) buffer_.rows().release(row_id_);
  if (error_) {
    Error error = *std::exchange(error_, std::nullopt);
    return fail(std::move(error));
  }
  if (partial > spec_.most_partial_matches) {
    return fail(ErrorCode::invalid_argument,
                "a key has more than " + std::to_string(spec_.most_partial_matches) +
                    " partial matches: shorten `within`, make the pattern stricter, or raise max_partial_matches");
  }
  settle(key, row.position.time, found);
  return !key.attempts.empty() && key.attempts.back().start == row.position;
}

void Matcher::drop(Attempt& attempt) {
  for (const PartialMatch& partial : attempt.partial) buffer_.release(partial.entry);
  for (const EntryId entry : attempt.complete) buffer_.release(entry);
  attempt.partial.clear();
  attempt.complete.clear();
}

/// What waits for nothing but the end of its time is complete; the others go to `timed_out`, if it is not null.
void Matcher::time_up(Attempt& attempt, std::int64_t time, std::vector<FoundMatch>* timed_out) {
  decided_ = false;
  for (const PartialMatch& partial : attempt.partial) {
    if (spec_.program.code[partial.at].kind == Instruction::Kind::hold) complete(partial.entry, attempt);
    if (decided_) break;
  }
  EntryId last = no_entry;  // chains that only differ in what they wait for are one
  for (const PartialMatch& partial : attempt.partial) {
    const bool waits = spec_.program.code[partial.at].kind != Instruction::Kind::hold;
    const bool counts =
        spec_.every_match ? waits && partial.entry != last : last == no_entry && attempt.complete.empty();
    if (timed_out == nullptr || !counts) continue;
    last = partial.entry;
    buffer_.retain(partial.entry);
    timed_out->push_back({partial.entry, time, true});
  }
  for (const PartialMatch& partial : attempt.partial) buffer_.release(partial.entry);
  attempt.partial.clear();
}

void Matcher::expire(KeyMatches& key, std::uint64_t sequence, std::int64_t time, std::vector<FoundMatch>& found) {
  const auto attempt = std::find_if(key.attempts.begin(), key.attempts.end(),
                                    [&](const Attempt& a) { return a.start.sequence == sequence; });
  if (attempt == key.attempts.end()) return;
  time_up(*attempt, time, &found);
  settle(key, time, found);
}

void Matcher::finish(KeyMatches& key, std::int64_t time, std::vector<FoundMatch>& found) {
  for (Attempt& attempt : key.attempts) time_up(attempt, time, nullptr);
  settle(key, time, found);
}

bool Matcher::are_equal(EntryId a, EntryId b) const {
  while (a != b) {
    if (a == no_entry || b == no_entry) return false;
    const MatchedRow x = buffer_.matched(a);
    const MatchedRow y = buffer_.matched(b);
    if (x.row != y.row || x.variable != y.variable) return false;
    a = buffer_.before(a);
    b = buffer_.before(b);
  }
  return true;
}

/// A match that can be had in several ways, as with `a? a?`, is given once.
void Matcher::give_all(KeyMatches& key, std::int64_t time, std::vector<FoundMatch>& found) {
  for (Attempt& attempt : key.attempts) {
    const std::size_t first = found.size();
    for (const EntryId entry : attempt.complete) {
      const bool known = std::any_of(found.begin() + static_cast<std::ptrdiff_t>(first), found.end(),
                                     [&](const FoundMatch& other) { return are_equal(other.entry, entry); });
      if (known) {
        buffer_.release(entry);
      } else {
        found.push_back({entry, time, false});
      }
    }
    attempt.complete.clear();
  }
}

/// Gives the matches that are decided, the one that began first first, and lets each skip attempts behind it.
void Matcher::settle(KeyMatches& key, std::int64_t time, std::vector<FoundMatch>& found) {
  if (spec_.after_match == AfterMatch::no_skip) {
    give_all(key, time, found);
  } else {
    while (!key.attempts.empty()) {
      Attempt& first = key.attempts.front();
      if (first.complete.empty() || (!spec_.every_match && !first.partial.empty())) {
        if (!first.partial.empty()) break;
        key.attempts.erase(key.attempts.begin());
        continue;
      }
      const EntryId match = first.complete.front();
      first.complete.erase(first.complete.begin());
      found.push_back({match, time, false});
      skip(key, match);
    }
  }
  std::erase_if(key.attempts,
                [](const Attempt& attempt) { return attempt.partial.empty() && attempt.complete.empty(); });
}

/// Drops the attempts that a match of the first one skips, that one included.
void Matcher::skip(KeyMatches& key, EntryId match) {
  Position from = key.attempts.front().start;  // attempts that began up to here go
  if (spec_.after_match == AfterMatch::past_last_row) {
    from = buffer_.rows().position(buffer_.matched(match).row);
  } else if (spec_.after_match != AfterMatch::next_row) {
    std::optional<Position> target;
    for (EntryId entry = match; entry != no_entry; entry = buffer_.before(entry)) {
      if (buffer_.matched(entry).variable != spec_.skip_to) continue;
      target = buffer_.rows().position(buffer_.matched(entry).row);
      if (spec_.after_match == AfterMatch::last_of) break;
    }
    if (target && from < *target) from = {target->time, target->sequence - 1};
  }
  auto end = key.attempts.begin();
  while (end != key.attempts.end() && end->start <= from) drop(*end++);
  key.attempts.erase(key.attempts.begin(), end);
}

}  // namespace dataflow::patterns

#include "libdataflow/patterns/match_bytes.hpp"

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "libdataflow/patterns/raw_bytes.hpp"

namespace dataflow::patterns {

namespace {

constexpr std::uint8_t matches_version = 1;

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

void save_matches(const KeyMatches& matches, const MatchBuffer& buffer, std::string& out) {
  KeyWriter writer{buffer};
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

bool load_matches(std::string_view saved, std::size_t places, MatchBuffer& buffer, KeyMatches& matches) {
  Bytes bytes{saved};
  if (bytes.get<std::uint8_t>() != matches_version) return false;
  std::vector<RowId> rows;
  for (std::uint32_t n = bytes.count(); n > 0 && bytes.good; --n) {
    rows.push_back(buffer.rows().load(bytes.left));
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
    entries.push_back(buffer.append(before, {row, variable}));
  }
  const auto get_entry = [&] {
    const EntryId entry = entry_at(bytes.get<std::uint32_t>());
    bytes.good = bytes.good && entry != no_entry;
    if (bytes.good) buffer.retain(entry);
    return entry;
  };
  for (std::uint32_t n = bytes.count(); n > 0 && bytes.good; --n) {
    Attempt& attempt = matches.attempts.emplace_back();
    attempt.start.time = bytes.get<std::int64_t>();
    attempt.start.sequence = bytes.get<std::uint64_t>();
    for (std::uint32_t m = bytes.count(); m > 0 && bytes.good; --m) {
      const auto at = bytes.get<std::uint32_t>();
      if (at >= places) return false;
      attempt.partial.push_back({at, get_entry()});
    }
    for (std::uint32_t m = bytes.count(); m > 0 && bytes.good; --m) attempt.complete.push_back(get_entry());
  }
  for (std::uint32_t n = bytes.count(); n > 0 && bytes.good; --n) {
    const RowId row = get_row();
    if (!bytes.good) return false;
    buffer.rows().retain(row);
    matches.before.push_back(row);
  }
  // Those that it was all read for are users by now.
  for (const EntryId entry : entries) buffer.release(entry);
  for (const RowId row : rows) buffer.rows().release(row);
  return bytes.good && bytes.left.empty();
}

void forget_matches(KeyMatches& matches, MatchBuffer& buffer) {
  for (const Attempt& attempt : matches.attempts) {
    for (const PartialMatch& partial : attempt.partial) buffer.release(partial.entry);
    for (const EntryId entry : attempt.complete) buffer.release(entry);
  }
  for (const RowId row : matches.before) buffer.rows().release(row);
  matches = {};
}

}  // namespace dataflow::patterns

#pragma once
// The shared buffer: rows that are part of some partial match, each once, and the partial matches as chains of
// (row, variable) that share what they have in common (Agrawal et al., "Efficient pattern matching over event streams",
// SIGMOD 2008). There, several predecessors of one entry are told apart by version numbers; here each entry has one
// predecessor, so that the chains are a tree, and an entry goes with the last chain that leads through it.
//
// Rows and entries lie in arrays with free lists: nothing is allocated for a row once the arrays are large enough.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/patterns/program.hpp"
#include "serialization/builder.hpp"
#include "serialization/time.hpp"

namespace dataflow::patterns {

using RowId = std::uint32_t;
using EntryId = std::uint32_t;
inline constexpr RowId no_row = UINT32_MAX;
inline constexpr EntryId no_entry = UINT32_MAX;

/// Where a row stands among the rows of its key: by event time, and by arrival where that is equal.
struct Position {
  std::int64_t time = 0;
  std::uint64_t sequence = 0;
  friend constexpr auto operator<=>(const Position&, const Position&) = default;
};

struct MatchedRow {
  RowId row = no_row;
  Variable variable = 0;
};

/// The kept values of rows, counted by who needs them.
class KeptRows {
 public:
  explicit KeptRows(const std::vector<DataType>& types);

  /// A row with one user. `columns` are the kept columns of a batch.
  RowId add(Position position, std::span<const ColumnPtr> columns, std::uint32_t row);
  void retain(RowId row) { ++meta_[row].users; }
  void release(RowId row) {
    if (--meta_[row].users == 0) free_.push_back(row);
  }
  [[nodiscard]] const Position& position(RowId row) const { return meta_[row].position; }
  [[nodiscard]] bool is_null(std::size_t column, RowId row) const { return columns_[column].valid[row] == 0; }
  /// A bool that is not NULL and true.
  [[nodiscard]] bool is_true(std::size_t column, RowId row) const {
    return columns_[column].valid[row] != 0 && columns_[column].words[row] != 0;
  }
  void append_to(std::size_t column, RowId row, ColumnBuilder& out) const;
  /// Rows in use.
  [[nodiscard]] std::size_t size() const { return meta_.size() - free_.size(); }

  // For checkpoints.
  void save(RowId row, std::string& out) const;
  /// A row with one user; `no_row` when the bytes are none. Takes what it has read off `bytes`.
  RowId load(std::string_view& bytes);

 private:
  struct Meta {
    Position position;
    std::uint32_t users = 0;
  };
  /// One of `words` and `texts` is used.
  struct KeptColumn {
    DataType type;
    std::vector<std::uint64_t> words;
    std::vector<std::string> texts;
    std::vector<std::uint8_t> valid;
  };
  RowId new_row(Position position);

  std::vector<Meta> meta_;
  std::vector<KeptColumn> columns_;
  std::vector<RowId> free_;
};

/// Chains of matched rows, from the last to the first.
class MatchBuffer {
 public:
  explicit MatchBuffer(const std::vector<DataType>& kept_types) : rows_{kept_types} {}

  [[nodiscard]] KeptRows& rows() { return rows_; }
  [[nodiscard]] const KeptRows& rows() const { return rows_; }

  /// The chain `before` with one more row: a new user of both, with one user itself.
  EntryId append(EntryId before, MatchedRow matched);
  void retain(EntryId entry) {
    if (entry != no_entry) ++entries_[entry].users;
  }
  void release(EntryId entry);
  [[nodiscard]] MatchedRow matched(EntryId entry) const { return entries_[entry].matched; }
  [[nodiscard]] EntryId before(EntryId entry) const { return entries_[entry].before; }
  /// Appends the chain's rows, the first one first.
  void collect(EntryId last, std::vector<MatchedRow>& rows) const;
  [[nodiscard]] std::size_t size() const { return entries_.size() - free_.size(); }

 private:
  struct Entry {
    MatchedRow matched;
    EntryId before = no_entry;
    std::uint32_t users = 0;
  };

  KeptRows rows_;
  std::vector<Entry> entries_;
  std::vector<EntryId> free_;
};

}  // namespace dataflow::patterns

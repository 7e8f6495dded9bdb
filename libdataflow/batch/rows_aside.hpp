#pragma once
// Rows that wait for the end of a batch's input, on disk in the order of their keys' hashes, rows of one key in the
// order in which they came: an external merge sort (Knuth, "Sorting and Searching", 5.4) over the runs of
// state/sorted_run.hpp.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/ranking/row_bytes.hpp"
#include "libdataflow/state/snapshot.hpp"
#include "libdataflow/state/sorted_run.hpp"
#include "libdataflow/state/state_backend.hpp"

namespace dataflow {

/// The table of a checkpoint that has them. Its name says to Stage that the state is a batch's.
inline constexpr std::string_view rows_aside_table = "rows_aside";

/// What a key takes in an operator's tables beside its row's bytes, about.
inline constexpr std::uint64_t row_overhead_bytes = 100;

/// What is known of all of them, on any thread.
struct AsideForm {
  AsideForm(SchemaPtr input, std::vector<std::size_t> key_fields, std::uint32_t max_parallelism);

  SchemaPtr schema;  ///< of the input
  SchemaPtr saved;   ///< of the table
  std::vector<std::size_t> key_fields;
  std::uint32_t max_parallelism;
  RowBytes codec;
};
using AsideFormPtr = std::shared_ptr<const AsideForm>;

/// Errors of all calls: io, when the disk is full say, and malformed_data.
class RowsAside {
 public:
  RowsAside(OwnedFolderPtr folder, AsideFormPtr form) : folder_{std::move(folder)}, form_{std::move(form)} {}

  [[nodiscard]] bool empty() const { return runs_.empty() && waiting_.rows.empty() && scan_ == nullptr; }
  /// Puts those rows aside. `hashes`: of all of the batch's.
  Status add(const Batch& batch, std::span<const std::uint32_t> rows, std::span<const std::uint64_t> hashes);

  /// How a part's size is counted: by what each row takes, or only the first one of each key.
  enum class Counted : std::uint8_t { rows, keys };
  /// The next keys, of which `counted` takes about `bytes`, and at least one; false when none are left. Of the part
  /// before, all must have been taken. No more can be added.
  Result<bool> begin_part(std::uint64_t bytes, Counted counted);
  /// The next rows of the part; null at its end.
  Result<BatchPtr> next();

  /// All rows as they are now, as the table; null when there are none. Not once the parts are being taken.
  [[nodiscard]] CapturedStatePtr capture() const;
  /// Those of a checkpoint.
  Status restore(StateReader& state);

 private:
  friend class CapturedAside;
  /// In memory until there are enough for a run.
  struct Waiting {
    struct Row {
      std::uint64_t hash;
      std::uint64_t sequence;  ///< in the order of arrival
      std::uint64_t at;
      std::uint64_t bytes;
    };
    std::vector<Row> rows;
    std::string bytes;

    [[nodiscard]] std::uint64_t byte_size() const { return bytes.size() + rows.size() * sizeof(Row); }
    [[nodiscard]] std::string_view of(const Row& row) const {
      return std::string_view{bytes}.substr(row.at, row.bytes);
    }
  };

  /// Of what the operator may use, rows that wait may take a quarter: a run is sorted beside them.
  [[nodiscard]] std::uint64_t most_waiting() const { return folder_->backend()->cache_bytes() / 4; }
  void put(std::uint64_t hash, std::uint64_t sequence, const Batch& batch, std::uint32_t row, RowKind kind,
           std::optional<std::int64_t> time);
  Status write_waiting();
  Status merge_smallest();

  OwnedFolderPtr folder_;
  AsideFormPtr form_;
  Waiting waiting_;
  std::vector<SortedRunPtr> runs_;
  std::uint64_t next_sequence_ = 1;
  // Once they are taken:
  std::unique_ptr<StoreScan> scan_;
  std::uint64_t part_bytes_ = 0;
  std::uint64_t taken_bytes_ = 0;
  Counted counted_ = Counted::rows;
  std::uint64_t last_hash_ = 0;
  bool in_part_ = false;
};

}  // namespace dataflow

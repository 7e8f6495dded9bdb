#pragma once
// Private to this folder.
//
// What need not be sent to a top over whole windows: rows behind as many others of their window as count, which have
// been sent before them. Each subtask knows of its own rows only and gives on a few more than are among the first of
// all. It keeps nothing that must last: after a restart a few more rows pass. (nexmark_q7; Flink's local-global
// aggregation is of the same kind.)

#include <map>
#include <vector>

#include "libdataflow/ranking/cutoff.hpp"
#include "libdataflow/ranking/key_runs.hpp"
#include "libdataflow/ranking/top.hpp"
#include "libdataflow/windows/row_windows.hpp"

namespace dataflow {

/// Tells of rows that come in pieces which of them may be among the first of all.
class MayBeFirst {
 public:
  /// What the first rows are kept by is looked at for each row that may be one: not for tops of more.
  static constexpr std::uint64_t most_limit = 1000;

  explicit MayBeFirst(const TopSpec& top) : limit_{top.limit}, cutoff_{top.order, {top.limit, top.ties}} {}

  /// Appends to `rows` those of `row` to before `end` that may be, by a column that Cutoff knows, of the first field of
  /// the order. `best`: of the first ones in earlier pieces what they have in that field, as the cutoff turns it; a
  /// heap with the last of them in front.
  void choose(const Column& column, std::uint32_t row, std::uint32_t end, std::vector<std::int64_t>& best,
              std::vector<std::uint32_t>& rows);

 private:
  std::size_t limit_;
  Cutoff cutoff_;
};

class Candidates final : public RowChoice {
 public:
  /// Of tops with no other key than the window's end, and few rows.
  [[nodiscard]] static bool worth_it(const TopSpec& top);
  explicit Candidates(const TopSpec& top);

  [[nodiscard]] bool choose(const BatchPtr& batch, Timestamp watermark, std::vector<std::uint32_t>& rows) override;

 private:
  std::size_t window_end_;
  std::size_t order_field_;
  KeyRuns runs_;
  MayBeFirst may_be_first_;
  /// By the end of a window: of the rows that were given on, for MayBeFirst.
  std::map<std::int64_t, std::vector<std::int64_t>> best_;
};

}  // namespace dataflow

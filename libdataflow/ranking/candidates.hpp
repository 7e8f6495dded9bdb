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

class Candidates final : public RowChoice {
 public:
  /// Of tops with no other key than the window's end, and few rows.
  [[nodiscard]] static bool worth_it(const TopSpec& top);
  explicit Candidates(const TopSpec& top);

  [[nodiscard]] bool choose(const BatchPtr& batch, Timestamp watermark, std::vector<std::uint32_t>& rows) override;

 private:
  void choose_of_window(const Column& column, std::uint32_t row, std::uint32_t end, std::vector<std::int64_t>& best,
                        std::vector<std::uint32_t>& rows);

  std::size_t window_end_;
  std::size_t order_field_;
  std::size_t limit_;
  KeyRuns runs_;
  Cutoff cutoff_;
  /// By the end of a window: what the first rows of those that were given on have in the first field of the order, as
  /// the cutoff turns it; a heap with the last of them in front.
  std::map<std::int64_t, std::vector<std::int64_t>> best_;
};

}  // namespace dataflow

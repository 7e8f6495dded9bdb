#pragma once
// A job's failures, the newest of them, and whether a restart could help after one.
//
// What cannot be different the next time (a malformed record, an overflow, a wrong setting, anything before the job
// ever ran) fails the job at once, and so does a failure that comes back unchanged (decision 003). Losing a node or a
// connection is never of that kind: the next attempt runs elsewhere.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/master/execution.hpp"
#include "serialization/result.hpp"

namespace dataflow {

/// How many failures a job's history keeps.
inline constexpr std::size_t max_failure_records = 64;
/// So often in a row the same failure of user code, or of a job with an end, is taken for bad luck.
inline constexpr std::size_t max_same_failures = 4;

struct FailureRecord {
  Timestamp at;
  RegionAttempt of;                  ///< of a failure of the whole job: its first region
  std::optional<SubtaskId> subtask;  ///< where it began, when it began in one
  NodeInstance node;                 ///< where that was; without a name when it was nowhere
  std::string message;               ///< operator, subtask, position, reason
};

class FailureHistory {
 public:
  /// `bounded`: the job has an end, so that waiting for an outage to pass is not its purpose.
  explicit FailureHistory(bool bounded) : bounded_{bounded} {}

  void add(FailureRecord record);
  /// Why a restart would not help after `error`, which is in the history already; empty when it might. `has_run`: some
  /// attempt of the region had all its subtasks running.
  [[nodiscard]] std::string hopeless(const Error& error, std::uint32_t region, bool has_run) const;
  [[nodiscard]] const std::vector<FailureRecord>& records() const { return records_; }

 private:
  bool bounded_;
  std::vector<FailureRecord> records_;  ///< the newest max_failure_records
};

}  // namespace dataflow

#pragma once
// What `dfnode run` shows on standard error: on a terminal one status line that is drawn again and again, in a log file
// a plain line now and then, and a summary at the end.

#include <chrono>
#include <cstdint>
#include <string>

#include "actors/local_run.hpp"
#include "libdataflow/topology/substitution.hpp"

namespace dataflow::cli {

/// Sums over a job's nodes.
struct JobTotals {
  std::uint64_t read = 0;     ///< records that sources gave
  std::uint64_t written = 0;  ///< records that sinks took
  std::uint64_t late = 0;
  std::uint64_t errors = 0;
  Timestamp watermark = Timestamp::max();  ///< the least of the sinks' inputs
};

JobTotals totals(const JobGraph& graph, const JobStatus& status);

class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  /// Draws on standard error; `started` is when the job was.
  Progress(const JobGraph& graph, Clock::time_point started);

  /// Shows where the job is, when it is time for it.
  void show(const JobStatus& status);
  /// Logs the failures that a restart may mend, each once, and those of checkpoints, each reason once in a row.
  void show_failures(const JobStatus& status, const Secrets& secrets);
  /// Takes the status line away, so that something else can be written.
  void clear();
  /// How long until `show` would show something again.
  [[nodiscard]] std::chrono::milliseconds interval() const;

 private:
  const JobGraph& graph_;
  Clock::time_point started_;
  Clock::time_point shown_at_;
  std::uint64_t read_before_ = 0;
  std::size_t failures_shown_ = 0;
  std::uint64_t last_checkpoint_seen_ = 0;
  std::string last_checkpoint_failure_;
  bool terminal_;
  bool drawn_ = false;
};

/// The end of a run for people: a line for the job and one for each source and sink, and what was left out.
std::string summary_as_text(const JobGraph& graph, const JobStatus& status, double seconds);
/// The same as one JSON object on a line.
std::string summary_as_json(const JobGraph& graph, const JobStatus& status, double seconds, const Secrets& secrets);

}  // namespace dataflow::cli

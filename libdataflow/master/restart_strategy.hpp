#pragma once
// Whether and when a failed job is started again: Flink's restart strategies (docs: "Task Failure Recovery").

#include <deque>
#include <optional>

#include "libdataflow/graph/stream_graph.hpp"

namespace dataflow {

class RestartStrategy {
 public:
  explicit RestartStrategy(RestartSettings settings) : settings_{settings} {}

  /// A failure at `now`: how long to wait before the restart, or nothing when the job has to fail.
  std::optional<Duration> on_failure(Timestamp now);
  /// Why on_failure returned nothing: "restarted 3 times, as often as attempts allows".
  [[nodiscard]] std::string exhausted_reason() const;

 private:
  std::optional<Duration> exponential(Timestamp now);
  std::optional<Duration> failure_rate(Timestamp now);

  RestartSettings settings_;
  std::uint32_t restarts_ = 0;
  std::optional<Timestamp> last_failure_;
  std::optional<Duration> next_delay_;  ///< exponential; nothing: at once
  std::deque<Timestamp> recent_;        ///< failure_rate: at most max_failures + 1
};

}  // namespace dataflow

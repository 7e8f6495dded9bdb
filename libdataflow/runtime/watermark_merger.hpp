#pragma once
// The event time of a task with several input channels: the least of their watermarks, idle ones left out.
// Flink's StatusWatermarkValve in our words.

#include <cstddef>
#include <optional>
#include <vector>

#include "serialization/time.hpp"

namespace dataflow {

class WatermarkMerger {
 public:
  explicit WatermarkMerger(std::size_t channels) : channels_(channels) {}

  /// What a change of one channel means for the whole.
  struct Change {
    std::optional<Timestamp> watermark;  ///< the merged watermark has advanced to this
    std::optional<bool> idle;            ///< the whole has become idle (true) or active (false)
  };

  /// A watermark behind the channel's earlier one is ignored. A watermark makes an idle channel active.
  Change advance(std::size_t channel, Timestamp watermark);
  Change set_idle(std::size_t channel, bool idle);
  /// The channel will send nothing any more and holds nothing back.
  Change finish(std::size_t channel);

  [[nodiscard]] Timestamp merged() const { return merged_; }
  /// Starts from a checkpoint: what has been merged then is not given again.
  void start_at(Timestamp merged) { merged_ = merged; }

 private:
  struct Channel {
    Timestamp watermark = Timestamp::min();
    bool idle = false;
    bool finished = false;
  };

  Change recompute();

  std::vector<Channel> channels_;
  Timestamp merged_ = Timestamp::min();
  bool idle_ = false;
};

}  // namespace dataflow

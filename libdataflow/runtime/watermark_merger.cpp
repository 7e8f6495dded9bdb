#include "libdataflow/runtime/watermark_merger.hpp"

#include <algorithm>

namespace dataflow {

WatermarkMerger::Change WatermarkMerger::advance(std::size_t channel, Timestamp watermark) {
  Channel& c = channels_[channel];
  if (watermark <= c.watermark && !c.idle) return {};
  c.watermark = std::max(c.watermark, watermark);
  c.idle = false;
  return recompute();
}

WatermarkMerger::Change WatermarkMerger::set_idle(std::size_t channel, bool idle) {
  if (channels_[channel].idle == idle) return {};
  channels_[channel].idle = idle;
  return recompute();
}

WatermarkMerger::Change WatermarkMerger::finish(std::size_t channel) {
  channels_[channel].finished = true;
  return recompute();
}

WatermarkMerger::Change WatermarkMerger::recompute() {
  Timestamp least_active = Timestamp::max();
  bool any_active = false;
  bool any_idle = false;
  for (const Channel& c : channels_) {
    if (c.finished) continue;
    if (c.idle) {
      any_idle = true;
      continue;
    }
    any_active = true;
    least_active = std::min(least_active, c.watermark);
  }
  Change change;
  // Idle channels hold nothing back only while another one speaks; when all that are left are idle, time stands
  // still, because what they will say next is unknown.
  if (any_active && least_active > merged_) {
    merged_ = least_active;
    change.watermark = merged_;
  }
  const bool idle = any_idle && !any_active;
  if (idle != idle_) {
    idle_ = idle;
    change.idle = idle;
  }
  return change;
}

}  // namespace dataflow

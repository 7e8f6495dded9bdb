#include "libdataflow/master/restart_strategy.hpp"

#include <algorithm>

namespace dataflow {

std::optional<Duration> RestartStrategy::on_failure(Timestamp now) {
  using Strategy = RestartSettings::Strategy;
  switch (settings_.strategy) {
    case Strategy::none: return std::nullopt;
    case Strategy::fixed:
      if (restarts_ >= settings_.attempts) return std::nullopt;
      ++restarts_;
      return settings_.delay;
    case Strategy::failure_rate: return failure_rate(now);
    case Strategy::exponential: return exponential(now);
  }
  return std::nullopt;
}

std::optional<Duration> RestartStrategy::exponential(Timestamp now) {
  if (last_failure_ && now - *last_failure_ >= settings_.reset_after) next_delay_.reset();
  last_failure_ = now;
  if (!next_delay_) {
    next_delay_ = settings_.initial_delay;
    return Duration{0};
  }
  const Duration delay = *next_delay_;
  next_delay_ = std::min(delay * 2, settings_.max_delay);
  return delay;
}

std::optional<Duration> RestartStrategy::failure_rate(Timestamp now) {
  recent_.push_back(now);
  while (now - recent_.front() > settings_.interval) recent_.pop_front();
  if (recent_.size() > settings_.max_failures) return std::nullopt;
  return settings_.delay;
}

std::string RestartStrategy::exhausted_reason() const {
  using Strategy = RestartSettings::Strategy;
  switch (settings_.strategy) {
    case Strategy::none: return "the restart strategy is \"none\"";
    case Strategy::fixed: return "restarted " + std::to_string(restarts_) + " times, as often as `attempts` allows";
    case Strategy::failure_rate:
      return "more than " + std::to_string(settings_.max_failures) + " failures within " +
             to_string(settings_.interval);
    case Strategy::exponential: return "";
  }
  return "";
}

}  // namespace dataflow

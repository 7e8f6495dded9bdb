#include "libdataflow/simulation/event_loop.hpp"

#include <algorithm>
#include <utility>

namespace dataflow::simulation {

void EventLoop::after(Duration delay, ProcessPtr owner, std::function<void()> action) {
  queue_.push_back({now_ + std::max(Duration{0}, delay), scheduled_++, std::move(owner), std::move(action)});
  std::push_heap(queue_.begin(), queue_.end(), later);
}

bool EventLoop::run_next() {
  if (queue_.empty()) return false;
  std::pop_heap(queue_.begin(), queue_.end(), later);
  Event event = std::move(queue_.back());
  queue_.pop_back();
  now_ = event.at;
  if (event.owner && !event.owner->alive) return true;
  if (event.owner && event.owner->stopped) {
    event.owner->waiting.push_back(std::move(event.action));
    return true;
  }
  ++events_;
  current_ = std::move(event.owner);
  event.action();
  current_.reset();
  return true;
}

void EventLoop::clear() {
  // What an event holds may schedule others as it goes.
  while (!queue_.empty()) std::exchange(queue_, {});
}

void EventLoop::wake(const ProcessPtr& process) {
  process->stopped = false;
  for (std::function<void()>& action : std::exchange(process->waiting, {})) {
    after(Duration{0}, process, std::move(action));
  }
}

}  // namespace dataflow::simulation

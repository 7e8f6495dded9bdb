#include "libdataflow/process/timer_queue.hpp"

#include <absl/container/btree_set.h>

namespace dataflow {

namespace {

struct Order {
  const KeyTable* keys;
  const std::vector<std::string>* names;
  bool operator()(const KeyTimer& a, const KeyTimer& b) const {
    if (a.time != b.time) return a.time < b.time;
    if (a.slot != b.slot) return keys->before(a.slot, b.slot);
    return a.name != b.name && (*names)[a.name] < (*names)[b.name];
  }
};

}  // namespace

struct TimerQueue::Impl {
  explicit Impl(const KeyTable& keys) : timers{Order{&keys, &names}} {}

  /// Functions use a handful of names, so that a list is searched fastest.
  std::uint32_t number_of(std::string_view name) {
    for (std::uint32_t i = 0; i < names.size(); ++i) {
      if (names[i] == name) return i;
    }
    names.emplace_back(name);
    return static_cast<std::uint32_t>(names.size() - 1);
  }

  std::vector<std::string> names;
  absl::btree_set<KeyTimer, Order> timers;
};

TimerQueue::TimerQueue(const KeyTable& keys) : impl_{std::make_unique<Impl>(keys)} {}
TimerQueue::~TimerQueue() = default;

bool TimerQueue::add(Timestamp time, std::uint32_t slot, std::string_view name) {
  return impl_->timers.insert({time, slot, impl_->number_of(name)}).second;
}

bool TimerQueue::remove(Timestamp time, std::uint32_t slot, std::string_view name) {
  return impl_->timers.erase(KeyTimer{time, slot, impl_->number_of(name)}) != 0;
}

std::optional<Timestamp> TimerQueue::first() const {
  return impl_->timers.empty() ? std::nullopt : std::optional{impl_->timers.begin()->time};
}

std::optional<KeyTimer> TimerQueue::pop(Timestamp until) {
  if (impl_->timers.empty() || impl_->timers.begin()->time > until) return std::nullopt;
  const KeyTimer timer = *impl_->timers.begin();
  impl_->timers.erase(impl_->timers.begin());
  return timer;
}

const std::string& TimerQueue::name(const KeyTimer& timer) const {
  return impl_->names[timer.name];
}

std::vector<KeyTimer> TimerQueue::all() const {
  return {impl_->timers.begin(), impl_->timers.end()};
}

}  // namespace dataflow

#include "dataflow/keyed_runtime.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "libdataflow/process/keyed_runtime_impl.hpp"

namespace dataflow {

namespace {

/// Expired values are looked for in a few slots a batch, so that memory follows the TTL without a pause.
constexpr std::uint32_t slots_swept_per_batch = 64;
/// State of keys whose timers fire is fetched for so many at once.
constexpr std::size_t timers_ahead = 1024;

}  // namespace

StateBase::StateBase(StateOwner* owner, std::string name, Ttl ttl) : owner_{owner}, name_{std::move(name)}, ttl_{ttl} {
  owner_->states_.push_back(this);
}

void StateBase::refuse_without_key() const {
  throw std::logic_error{"the state \"" + name_ + "\" is kept for each key, and a broadcast record has none"};
}

KeyedRuntime::KeyedRuntime(StateOwner& owner, std::vector<std::size_t> fields, std::vector<DataType> types,
                           bool optional)
    : KeyedRuntime{owner, std::move(fields), types, key_shape(types, optional)} {}

KeyedRuntime::KeyedRuntime(StateOwner& owner, std::vector<std::size_t> fields, std::vector<DataType> types,
                           KeyShape shape)
    : owner_{owner}, shape_{shape}, impl_{std::make_unique<Impl>(shape_, std::move(fields), std::move(types))} {}

KeyedRuntime::~KeyedRuntime() = default;

Status KeyedRuntime::use_backend(const StateBackendPtr& backend, std::uint32_t max_parallelism) {
  const bool storable =
      std::all_of(owner_.states_.begin(), owner_.states_.end(), [](const StateBase* s) { return s->storable(); });
  if (shape_ == KeyShape::none || owner_.states_.empty() || !storable) return {};
  impl_->cache = std::make_unique<KeyedCache>(owner_, impl_->keys, shape_, impl_->types, max_parallelism);
  impl_->event_later = std::make_unique<LaterTimers>(backend, impl_->keys, shape_);
  impl_->processing_later = std::make_unique<LaterTimers>(backend, impl_->keys, shape_);
  return impl_->cache->open(backend);
}

Result<const std::uint32_t*> KeyedRuntime::begin_batch(const Batch& batch, Timestamp now) {
  owner_.now_ = now.micros;
  impl_->keys.resolve(batch, impl_->fields, impl_->slots);
  owner_.uses_.resize(std::max<std::size_t>(impl_->keys.slots(), 1));
  for (const std::uint32_t slot : impl_->slots) {
    if (owner_.uses_[slot] == released_slot) owner_.uses_[slot] = 0;
  }
  if (impl_->cache) {
    if (Status loaded = impl_->cache->load(batch, impl_->fields, impl_->slots); !loaded) return fail(loaded.error());
  }
  return impl_->slots.data();
}

/// A slot that its key may just have been given.
void KeyedRuntime::take_into_use(std::uint32_t slot) {
  owner_.uses_.resize(std::max<std::size_t>(impl_->keys.slots(), 1));
  if (owner_.uses_[slot] == released_slot) owner_.uses_[slot] = 0;
}

std::uint32_t KeyedRuntime::slot_of(std::string_view key, std::uint16_t key_group) {
  const std::uint32_t slot = impl_->keys.slot_of_text(key);
  take_into_use(slot);
  impl_->cache->set_group(slot, key_group);
  return slot;
}

Status KeyedRuntime::load(std::vector<std::uint32_t>& slots) {
  return impl_->cache->load(slots);
}

std::optional<std::uint32_t> KeyedRuntime::find_loaded(std::string_view key) const {
  const auto slot = impl_->keys.find_text(key);
  return slot && impl_->cache->loaded(*slot) ? slot : std::nullopt;
}

std::uint16_t KeyedRuntime::key_group(std::uint32_t slot) const {
  return impl_->cache->group(slot);
}

void KeyedRuntime::let_go_of_idle(const std::vector<std::uint32_t>& slots) {
  impl_->cache->let_go_of_idle(slots);
}

Status KeyedRuntime::for_each_stored(const VisitStored& visit) {
  return impl_->cache->for_each_stored(visit);
}

Status KeyedRuntime::end_batch() {
  if (has_ttl()) expire(slots_swept_per_batch);
  if (shape_ == KeyShape::none) return {};
  if (impl_->cache) {
    impl_->slots.clear();
    for (const TimerDomain domain : {TimerDomain::event_time, TimerDomain::processing_time}) {
      if (Status balanced = balance_timers(domain); !balanced) return balanced;
    }
    return impl_->cache->make_room();
  }
  for (const std::uint32_t slot : impl_->slots) end_timer(slot);
  impl_->slots.clear();
  return {};
}

void KeyedRuntime::expire(std::uint32_t slots) {
  const std::size_t known = shape_ == KeyShape::none ? 1 : impl_->keys.slots();
  for (std::size_t n = std::min<std::size_t>(slots, known); n != 0; --n) {
    impl_->sweep = impl_->sweep + 1 < known ? impl_->sweep + 1 : 0;
    const auto slot = static_cast<std::uint32_t>(impl_->sweep);
    if (owner_.uses_[slot] == released_slot) continue;
    for (StateBase* state : owner_.states_) state->expire(slot);
    end_timer(slot);
  }
}

void KeyedRuntime::forget_keys() {
  if (impl_->cache) return;  // what lies in a store takes no room
  for (const TimerDomain domain : {TimerDomain::event_time, TimerDomain::processing_time}) {
    while (const auto timer = impl_->timers(domain).pop(Timestamp::max())) --owner_.uses_[timer->slot];
  }
  for (std::uint32_t slot = 0; slot < impl_->keys.slots(); ++slot) {
    if (owner_.uses_[slot] == released_slot) continue;
    for (StateBase* state : owner_.states_) state->drop(slot);
    end_timer(slot);
  }
}

bool KeyedRuntime::goes_by_the_clock() const {
  return has_ttl() || next_timer(TimerDomain::processing_time).has_value();
}

std::size_t KeyedRuntime::keys() const {
  return impl_->keys.in_use();
}

bool KeyedRuntime::has_ttl() const {
  return std::any_of(owner_.states_.begin(), owner_.states_.end(), [](const StateBase* s) { return s->has_ttl(); });
}

void KeyedRuntime::end_timer(std::uint32_t slot) {
  std::uint32_t& uses = owner_.uses_[slot];
  if (uses != 0 || shape_ == KeyShape::none || impl_->cache) return;  // a cache lets go in its own time
  impl_->keys.release(slot);
  uses = released_slot;
}

std::int64_t KeyedRuntime::integer_key(std::uint32_t slot) const {
  return impl_->keys.integer(slot);
}
std::string_view KeyedRuntime::text_key(std::uint32_t slot) const {
  return impl_->keys.text(slot);
}

void KeyedRuntime::set_timer(TimerDomain domain, Timestamp time, std::string_view name) {
  const std::uint32_t slot = owner_.slot_;
  if (LaterTimers* later = impl_->later(domain); later != nullptr && later->takes(time, slot, name)) {
    return later->put(time, slot, impl_->cache->group(slot), name);
  }
  if (impl_->timers(domain).add(time, slot, name)) ++owner_.uses_[slot];
}

void KeyedRuntime::delete_timer(TimerDomain domain, Timestamp time, std::string_view name) {
  const std::uint32_t slot = owner_.slot_;
  if (LaterTimers* later = impl_->later(domain); later != nullptr && later->takes(time, slot, name)) {
    return later->erase(time, slot, name);
  }
  if (impl_->timers(domain).remove(time, slot, name)) --owner_.uses_[slot];
}

/// The queue has the timers that fire next, and not too many.
Status KeyedRuntime::balance_timers(TimerDomain domain) {
  LaterTimers* const later = impl_->later(domain);
  if (later == nullptr) return {};
  if (Status flushed = later->flush(); !flushed) return flushed;
  TimerQueue& timers = impl_->timers(domain);
  const std::size_t most = impl_->cache->most_timers();
  if (timers.size() > most) {
    const std::vector<KeyTimer> moved = timers.take_behind(most / 2);
    const KeyTimer& first = moved.front();
    if (Status set = later->set_horizon(first.time, first.slot, timers.name(first)); !set) return set;
    for (const KeyTimer& timer : moved) {
      later->put(timer.time, timer.slot, impl_->cache->group(timer.slot), timers.name(timer));
      --owner_.uses_[timer.slot];
      impl_->cache->release_unused(timer.slot);
    }
    return later->flush();
  }
  // A walk may find nothing, when the last ones have been deleted.
  while (timers.size() == 0 && later->any()) {
    Status taken = later->take(most / 2, [&](const LaterTimer& timer) {
      const std::uint32_t slot = shape_ == KeyShape::integer ? impl_->keys.slot_of_integer(timer.integer)
                                                             : impl_->keys.slot_of_text(timer.text);
      take_into_use(slot);
      impl_->cache->set_group(slot, timer.key_group);
      if (timers.add(timer.time, slot, timer.name)) ++owner_.uses_[slot];
    });
    if (!taken) return taken;
  }
  return {};
}

std::optional<Timestamp> KeyedRuntime::next_timer(TimerDomain domain) const {
  return impl_->timers(domain).first();
}

std::optional<Timestamp> KeyedRuntime::next_result() const {
  return impl_->event_timers.first_not_named(clean_up_timer);
}

Result<std::optional<DueTimer>> KeyedRuntime::pop_due(TimerDomain domain, Timestamp until) {
  TimerQueue& timers = impl_->timers(domain);
  if (Status balanced = balance_timers(domain); !balanced) return fail(balanced.error());
  const std::optional<KeyTimer> timer = timers.pop(until);
  if (!timer) return std::optional<DueTimer>{};
  if (impl_->cache && !impl_->cache->loaded(timer->slot)) {
    if (Status room = impl_->cache->make_room(); !room) return fail(room.error());
    impl_->due.assign(1, timer->slot);
    timers.next_slots(until, timers_ahead, impl_->due);
    std::sort(impl_->due.begin(), impl_->due.end());
    impl_->due.erase(std::unique(impl_->due.begin(), impl_->due.end()), impl_->due.end());
    if (Status loaded = impl_->cache->load(impl_->due); !loaded) return fail(loaded.error());
  }
  --owner_.uses_[timer->slot];
  owner_.slot_ = timer->slot;
  return std::optional{DueTimer{timer->time, timer->slot, &timers.name(*timer), domain}};
}

Status KeyedRuntime::check() const {
  std::set<std::string_view> names;
  for (const StateBase* state : owner_.states_) {
    if (!names.insert(state->name()).second) {
      return fail(ErrorCode::invalid_argument, "two states are named \"" + state->name() + "\"");
    }
  }
  return {};
}

Result<std::string> KeyedRuntime::query(std::string_view name, std::string_view key_json) {
  const auto at = std::find_if(owner_.states_.begin(), owner_.states_.end(),
                               [&](const StateBase* state) { return state->name() == name; });
  if (at == owner_.states_.end()) {
    std::string known;
    for (const StateBase* state : owner_.states_) (known += known.empty() ? "" : ", ") += "\"" + state->name() + "\"";
    return fail(ErrorCode::not_found, "there is no state \"" + std::string{name} + "\"" +
                                          (known.empty() ? "; the operator declares none" : ", but " + known));
  }
  std::uint32_t slot = 0;
  if (shape_ != KeyShape::none) {
    if (key_json.empty()) {
      return fail(ErrorCode::invalid_argument,
                  "the state \"" + std::string{name} + "\" is kept for each key; say which with --key");
    }
    std::vector<Field> fields;
    std::vector<std::size_t> positions;
    for (std::size_t i = 0; i < impl_->types.size(); ++i) {
      fields.push_back({impl_->types.size() == 1 ? "value" : "key" + std::to_string(i + 1), impl_->types[i]});
      positions.push_back(i);
    }
    const auto key = row_from_json(make_schema(std::move(fields)), key_json);
    if (!key) return fail(key.error().within("the key"));
    if (shape_ != KeyShape::composite && (*key)->column(0).is_null(0)) {
      return fail(ErrorCode::invalid_argument, "the key cannot be null");
    }
    if (impl_->cache) {
      std::vector<std::uint32_t> slots;
      impl_->keys.resolve(**key, positions, slots);
      slot = slots.front();
      take_into_use(slot);
      if (Status loaded = impl_->cache->load(**key, positions, slots); !loaded) return fail(loaded.error());
    } else if (const auto found = impl_->keys.find(**key, positions, 0)) {
      slot = *found;
    } else {
      return std::string{"null"};
    }
  }
  return (*at)->json(slot).value_or("null");
}

}  // namespace dataflow

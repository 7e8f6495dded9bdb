#include "libdataflow/process/keyed_cache.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "dataflow/codec.hpp"
#include "libdataflow/process/timer_queue.hpp"
#include "libdataflow/state/restored_store.hpp"
#include "libdataflow/state/store_key.hpp"
#include "serialization/key_hash.hpp"

namespace dataflow {

namespace {

/// Changes written in one go.
constexpr std::size_t write_bytes = 1U << 20;
/// Looked at for expired values with each checkpoint.
constexpr std::size_t swept_entries = 20'000;
/// Whatever it may take; what a batch needs it has beyond that.
constexpr std::size_t least_slots = 1;
constexpr std::size_t least_timers = 16;
/// What a slot costs beside its values: its entry in the map of keys, numbers of its own, and the room that maps and
/// arrays have in reserve.
constexpr std::size_t integer_slot_bytes = 80;
constexpr std::size_t text_slot_bytes = 160;

/// What a state has of a key, at the end of its entry.
void append_state(const StoredForm& form, bool has_value, std::string_view value, std::optional<std::int64_t> written,
                  std::string& out) {
  if (form.many_rows) {
    if (has_value) append_stored_rows(*form.row, value, written, out);
    return;
  }
  StoredState stored;
  if (has_value) stored = {value, written};
  append_stored_state(form.row.get(), stored, out);
}

}  // namespace

void append_stored_key(KeyShape shape, const std::vector<DataType>& types, std::int64_t integer, std::string_view text,
                       std::string& out) {
  switch (shape) {
    case KeyShape::none: return;
    case KeyShape::composite: out += text; return;  // is kept in this form
    case KeyShape::text: return append_stored_text(text, out);
    case KeyShape::integer: break;
  }
  out += '\1';
  out.append(reinterpret_cast<const char*>(&integer), types[0].width());  // little-endian, like the column
}

Status SealedChanges::complete() {
  if (before_ != nullptr) {
    before_->give_up();
    if (Status written = before_->run(); !written) return written;
    before_.reset();
  }
  if (Status written = write_changes(); !written) return written;
  if (Status erased = erase_expired(); !erased) return erased;
  // The function need not copy what it changes any more.
  states_.clear();
  groups_.reset();
  keys_.reset();
  slots_ = {};
  return {};
}

Status SealedChanges::write_changes() {
  StoreBatch changes;
  std::string key;
  std::string value;
  std::string one;
  for (const std::uint32_t slot : slots_) {
    const std::uint16_t group = (*groups_)[slot];
    key.clear();
    put_key_group(key, group);
    append_stored_key(shape_, types_, shape_ == KeyShape::integer ? keys_->integer(slot) : 0,
                      shape_ == KeyShape::integer ? std::string_view{} : keys_->text(slot), key);
    value.clear();
    bool any = false;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      one.clear();
      const bool has_value = states_[i]->encode(slot, one);
      any |= has_value;
      append_state(forms_[i], has_value, one, states_[i]->written_at(slot), value);
    }
    if (any) {
      changes.put(key, value);
    } else {
      changes.erase(key);
    }
    if (changes.byte_size() < write_bytes) continue;
    if (Status written = store().write(changes); !written) return written;
    changes.clear();
  }
  return changes.empty() ? Status{} : store().write(changes);
}

/// Looks at some entries with each checkpoint: those of which nothing is alive are erased. One that is in a slot too
/// has expired there as well, or has changed and is written again.
Status SealedChanges::erase_expired() {
  const bool any = std::any_of(states_.begin(), states_.end(), [](const auto& s) { return s->expired_at(); });
  if (!any) return {};
  StoreBatch expired;
  std::size_t looked_at = 0;
  const auto scan = store().scan(*sweep_, {});
  for (; scan->valid() && looked_at < swept_entries; scan->next(), ++looked_at) {
    StoredFields fields{scan->value()};
    bool alive = false;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      const StoredState stored = read_stored_state(forms_[i].row.get(), fields);
      const auto expired_at = states_[i]->expired_at();
      alive |= stored.value && !(stored.written && expired_at && *stored.written <= *expired_at);
    }
    if (!alive && fields.ok()) expired.erase(scan->key());
  }
  if (Status walked = scan->status(); !walked) return walked;
  *sweep_ = scan->valid() ? std::string{scan->key()} : std::string{};
  return expired.empty() ? Status{} : store().write(expired);
}

KeyedCache::KeyedCache(StateOwner& owner, KeyTable& keys, KeyShape shape, const std::vector<DataType>& types,
                       std::uint32_t max_parallelism)
    : owner_{owner}, keys_{keys}, shape_{shape}, types_{types}, max_parallelism_{max_parallelism} {
  owner_.tracks_ = true;
  owner_.changed_in_.resize(1);  // of a function that touches its state before it has been given a key
}

Status KeyedCache::open(const StateBackendPtr& backend) {
  auto store = backend->open(backend->new_folder());
  if (!store) return fail(store.error());
  store_ = std::move(*store);
  return {};
}

Status KeyedCache::restore(StateReader& state, const StoredTableForm& form) {
  const std::string name{"values"};
  auto restored = restore_store(store_->backend(), state, name, *form.schema);
  if (!restored) return fail(restored.error());
  if (*restored != nullptr) {
    all_resident_ = false;
    store_ = std::move(*restored);
    return {};
  }
  return state.read(name, form.schema, [&](std::uint32_t, const BatchPtr& rows) {
    all_resident_ = false;
    return put_stored_rows(**store_, form, *rows, max_parallelism_);
  });
}

void KeyedCache::grow() {
  const std::size_t slots = keys_.slots();
  if (loaded_.size() >= slots) return;
  const std::size_t more = std::max<std::size_t>(slots, loaded_.size() + loaded_.size() / 4);
  loaded_.resize(more);
  used_.resize(more);
  owner_.changed_in_.resize(more);
  while (groups_.size() < more) {
    const std::size_t from = groups_.size();
    groups_.grow(from + 1);
    for (std::size_t slot = from; slot < groups_.size(); ++slot) groups_.write(slot) = no_group;
  }
}

void KeyedCache::set_group(std::uint32_t slot, std::uint32_t group) {
  grow();
  groups_.write(slot) = static_cast<std::uint16_t>(group);
}

Status KeyedCache::load(const Batch& batch, std::span<const std::size_t> fields,
                        const std::vector<std::uint32_t>& slots) {
  grow();
  missing_.clear();
  bool hashed = false;
  for (std::uint32_t row = 0; row < slots.size(); ++row) {
    const std::uint32_t slot = slots[row];
    used_[slot] = 1;
    if (loaded_[slot] != 0) continue;
    if (!hashed) {
      std::vector<const Column*> columns;
      for (const std::size_t field : fields) columns.push_back(&batch.column(field));
      hash_rows(columns, batch.rows(), hashes_);
      hashed = true;
    }
    loaded_[slot] = 1;
    ++resident_;
    owner_.changed_in_[slot] = 0;
    groups_.write(slot) = static_cast<std::uint16_t>(key_group_of(hashes_[row], max_parallelism_));
    missing_.push_back(slot);
  }
  return missing_.empty() || all_resident_ ? Status{} : fetch(missing_);
}

Status KeyedCache::load(std::vector<std::uint32_t>& slots) {
  grow();
  std::erase_if(slots, [this](std::uint32_t slot) {
    const bool there = loaded_[slot] != 0;
    used_[slot] = 1;
    if (!there) {
      loaded_[slot] = 1;
      ++resident_;
      owner_.changed_in_[slot] = 0;
    }
    return there;
  });
  return slots.empty() || all_resident_ ? Status{} : fetch(slots);
}

void KeyedCache::append_key(std::uint32_t slot, std::string& out) const {
  put_key_group(out, groups_[slot]);
  append_stored_key(shape_, types_, shape_ == KeyShape::integer ? keys_.integer(slot) : 0,
                    shape_ == KeyShape::integer ? std::string_view{} : keys_.text(slot), out);
}

/// False when the key has no value of any state.
bool KeyedCache::append_value(std::uint32_t slot, std::string& out) const {
  bool any = false;
  std::string one;
  for (const StateBase* state : owner_.states_) {
    one.clear();
    const bool has_value = state->encode(slot, one);
    any |= has_value;
    append_state(StoredForm{*state}, has_value, one, state->written_at(slot), out);
  }
  return any;
}

Status KeyedCache::decode(std::uint32_t slot, std::string_view value) {
  StoredFields fields{value};
  for (StateBase* state : owner_.states_) {
    const StoredForm form{*state};
    do {
      const auto [bytes, written] = read_stored_state(form.row.get(), fields);
      if (!bytes) continue;
      if (!state->decode(slot, *bytes)) {
        return fail(ErrorCode::malformed_data, "the value of \"" + state->name() + "\" has another type");
      }
      if (written) state->set_written_at(slot, *written);
    } while (form.many_rows && fields.ok() && !fields.at_end());
  }
  if (fields.ok() && fields.at_end()) return {};
  return fail(ErrorCode::malformed_data, "the store has an entry that is no row of the function's state");
}

/// Keys are looked up in their order, which a store finds fastest.
Status KeyedCache::fetch(const std::vector<std::uint32_t>& slots) {
  key_bytes_.clear();
  wanted_.clear();
  for (const std::uint32_t slot : slots) {
    const std::size_t at = key_bytes_.size();
    append_key(slot, key_bytes_);
    wanted_.push_back({slot, at, key_bytes_.size() - at});
  }
  const auto key_of = [this](const Wanted& wanted) {
    return std::string_view{key_bytes_}.substr(wanted.key_at, wanted.key_bytes);
  };
  std::sort(wanted_.begin(), wanted_.end(), [&](const Wanted& a, const Wanted& b) { return key_of(a) < key_of(b); });
  lookup_.clear();
  for (const Wanted& wanted : wanted_) lookup_.push_back(key_of(wanted));
  if (Status got = (*store_)->multi_get(lookup_, values_); !got) return got;
  owner_.tracks_ = false;
  Status decoded;
  for (std::size_t i = 0; i < wanted_.size() && decoded; ++i) {
    if (const auto value = values_[i]) decoded = decode(wanted_[i].slot, *value);
  }
  owner_.tracks_ = true;
  return decoded;
}

std::size_t KeyedCache::most_slots() const {
  std::size_t bytes = shape_ == KeyShape::integer ? integer_slot_bytes : text_slot_bytes;
  // Twice: a snapshot holds what has changed since in its old form.
  for (const StateBase* state : owner_.states_) bytes += 2 * state->slot_bytes();
  bytes += 2 * variable_bytes_;
  return std::max<std::size_t>(least_slots, store_->backend()->cache_bytes() / bytes);
}

void KeyedCache::release_unused(std::uint32_t slot) {
  if (owner_.uses_[slot] != 0 || loaded(slot)) return;  // values or timers
  groups_.write(slot) = no_group;
  keys_.release(slot);
  owner_.uses_[slot] = released_slot;
}

void KeyedCache::let_go_of_idle(const std::vector<std::uint32_t>& slots) {
  if (!all_resident_) return;
  for (const std::uint32_t slot : slots) {
    // What has changed may be in the store, and is to be erased there.
    if (!loaded(slot) || owner_.uses_[slot] != 0 || owner_.changed_in_[slot] == owner_.epoch_) continue;
    loaded_[slot] = 0;
    --resident_;
    release_unused(slot);
  }
}

Status KeyedCache::for_each_stored(const KeyedRuntime::VisitStored& visit) {
  assert(shape_ == KeyShape::composite && owner_.states_.size() == 1);
  if (Status settled = settle(); !settled) return settled;
  const auto scan = (*store_)->scan({}, {});
  for (; scan->valid(); scan->next()) {
    if (scan->key().size() < key_group_bytes) {
      return fail(ErrorCode::malformed_data, "the store has an entry that is no row of the function's state");
    }
    const std::string_view key = scan->key().substr(key_group_bytes);
    if (const auto slot = keys_.find_text(key); slot && loaded(*slot)) continue;
    StoredFields fields{scan->value()};
    const StoredState state = read_stored_state(nullptr, fields);
    if (!state.value) continue;
    const auto group = static_cast<std::uint16_t>(get_key_group(scan->key()));
    if (Status visited = visit(group, key, *state.value); !visited) return visited;
  }
  return scan->status();
}

/// Each may hold the slot of a key that has nothing else in memory.
std::size_t KeyedCache::most_timers() const {
  std::size_t bytes = sizeof(KeyTimer) + (shape_ == KeyShape::integer ? integer_slot_bytes : text_slot_bytes);
  for (const StateBase* state : owner_.states_) bytes += state->slot_bytes();
  return std::max<std::size_t>(least_timers, store_->backend()->cache_bytes() / 2 / bytes);
}

Status KeyedCache::make_room() {
  // A look at one value a batch says how large they are.
  if (!loaded_.empty() && loaded_[hand_ % loaded_.size()] != 0) {
    value_.clear();
    const auto slot = static_cast<std::uint32_t>(hand_ % loaded_.size());
    append_value(slot, value_);
    std::size_t bytes = value_.size();
    for (const StateBase* state : owner_.states_) bytes += state->more_bytes(slot);
    variable_bytes_ = (variable_bytes_ * 31 + bytes) / 32;
  }
  const std::size_t most = most_slots();
  return resident_ <= most ? Status{} : let_go(resident_ - most + most / 8);
}

Status KeyedCache::settle() {
  if (sealed_ == nullptr) return {};
  if (Status written = sealed_->run(); !written) return written;
  sealed_.reset();
  return {};
}

Status KeyedCache::let_go(std::size_t count) {
  if (sealed_ != nullptr && sealed_->is_under_way()) {
    // What was sealed has to be in the store before anything else, and that takes a while. Slots that have not changed
    // since need not be written, and so there is nothing to wait for while there are enough of them.
    const std::size_t enough = count / 2;
    Status gone = let_go_of(count, [this](std::uint32_t slot) { return owner_.changed_in_[slot] < sealed_from_; });
    if (!gone || count == 0 || (count < enough && resident_ <= most_slots())) return gone;
  }
  if (Status settled = settle(); !settled) return settled;
  return let_go_of(count, [](std::uint32_t) { return true; });
}

/// Those of `may_go(slot)` that have not been used for longest; takes from `count` what has gone.
template <class MayGo>
Status KeyedCache::let_go_of(std::size_t& count, MayGo&& may_go) {
  all_resident_ = false;
  changes_.clear();
  owner_.tracks_ = false;
  Status written;
  const std::size_t slots = keys_.slots();
  for (std::size_t passed = 0; passed < 2 * slots && count != 0 && written; ++passed) {
    hand_ = hand_ + 1 < slots ? hand_ + 1 : 0;
    const auto slot = static_cast<std::uint32_t>(hand_);
    if (loaded_[slot] == 0 || !may_go(slot)) continue;
    if (used_[slot] != 0) {
      used_[slot] = 0;
      continue;
    }
    if (owner_.changed_in_[slot] == owner_.epoch_) {
      key_.clear();
      value_.clear();
      append_key(slot, key_);
      if (append_value(slot, value_)) {
        changes_.put(key_, value_);
      } else {
        changes_.erase(key_);
      }
      owner_.changed_in_[slot] = 0;
    }
    for (StateBase* state : owner_.states_) state->drop(slot);
    loaded_[slot] = 0;
    --resident_;
    --count;
    release_unused(slot);
    if (changes_.byte_size() < write_bytes) continue;
    written = (*store_)->write(changes_);
    changes_.clear();
  }
  owner_.tracks_ = true;
  if (written && !changes_.empty()) written = (*store_)->write(changes_);
  if (owner_.changed_.size() > slots + slots / 2) forget_stale_changes();
  return written;
}

/// Slots that were let go are still in the list of changed ones, and may be in it again.
void KeyedCache::forget_stale_changes() {
  std::erase_if(owner_.changed_, [this](std::uint32_t slot) {
    const bool stale = owner_.changed_in_[slot] != owner_.epoch_;
    if (!stale) owner_.changed_in_[slot] = 0;
    return stale;
  });
  for (const std::uint32_t slot : owner_.changed_) owner_.changed_in_[slot] = owner_.epoch_;
}

Result<SealedChangesPtr> KeyedCache::seal() {
  auto sealed = std::make_shared<SealedChanges>(store_);
  sealed->before_ = std::exchange(sealed_, nullptr);
  sealed->shape_ = shape_;
  sealed->types_ = types_;
  sealed->sweep_ = sweep_;
  sealed->keys_ = keys_.freeze();
  grow();
  sealed->groups_ = groups_.freeze();
  for (StateBase* state : owner_.states_) {
    sealed->states_.push_back(state->freeze());
    sealed->forms_.emplace_back(*state);
  }
  forget_stale_changes();
  sealed->slots_ = std::exchange(owner_.changed_, {});
  if (sealed->before_ == nullptr) sealed_from_ = owner_.epoch_;
  if (++owner_.epoch_ == 0) {  // 4 billion checkpoints later
    std::fill(owner_.changed_in_.begin(), owner_.changed_in_.end(), 0U);
    owner_.epoch_ = 1;
    sealed_from_ = 0;
  }
  sealed_ = sealed;
  return sealed;
}

}  // namespace dataflow

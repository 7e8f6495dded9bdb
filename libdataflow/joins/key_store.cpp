#include "libdataflow/joins/key_store.hpp"

#include <algorithm>
#include <cstring>

#include "libdataflow/state/store_key.hpp"

namespace dataflow::joins {

namespace {

constexpr char entry_prefix = 'k';
constexpr char wake_prefix = 'w';
constexpr std::size_t wake_key_bytes = 1 + sizeof(std::int64_t);
constexpr std::size_t changes_at_once = 1U << 20;  // in bytes

void put_wake_key(std::string& out, std::int64_t wakes, std::string_view key) {
  out.assign(1, wake_prefix);
  put_ordered_signed(out, wakes);
  out += key;
}

}  // namespace

Status KeyStore::put(std::string_view key, const KeyEntry& entry) {
  key_.assign(1, entry_prefix);
  key_ += key;
  value_.assign(reinterpret_cast<const char*>(&entry.wakes), sizeof entry.wakes);
  value_ += static_cast<char>(entry.ends);
  value_ += entry.rows;
  changes_.put(key_, value_);
  ++keys_;
  if (entry.wakes != KeyEntry::never) {
    put_wake_key(key_, entry.wakes, key);
    changes_.put(key_, std::string_view{value_}.substr(sizeof entry.wakes, 1));
    earliest_ = std::min(earliest_, entry.wakes);
  }
  return changes_.byte_size() < changes_at_once ? Status{} : flush();
}

Status KeyStore::flush() {
  if (changes_.empty()) return {};
  const Status written = (*store_)->write(changes_);
  changes_.clear();
  return written;
}

Status KeyStore::find(std::span<const std::string_view> keys) {
  stored_keys_.resize(std::max(stored_keys_.size(), keys.size()));
  views_.clear();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    stored_keys_[i].assign(1, entry_prefix);
    stored_keys_[i] += keys[i];
    views_.push_back(stored_keys_[i]);
  }
  return (*store_)->multi_get(views_, values_);
}

Status KeyStore::forget(std::span<const std::string_view> keys) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!values_[i]) continue;
    changes_.erase(views_[i]);
    --keys_;
    std::int64_t wakes = 0;
    std::memcpy(&wakes, values_[i]->data(), sizeof wakes);
    if (wakes == KeyEntry::never) continue;
    put_wake_key(key_, wakes, keys[i]);
    changes_.erase(key_);
  }
  return flush();
}

Result<std::int64_t> KeyStore::due(std::int64_t now, std::size_t most, std::vector<std::string>& keys) {
  keys.clear();
  if (!may_wake(now)) return now;
  put_wake_key(key_, earliest_, {});  // what was before it has been erased, which a walk need not look at again
  const auto scan = (*store_)->scan(key_, after_prefix({&wake_prefix, 1}));
  std::int64_t until = now;
  earliest_ = KeyEntry::never;
  std::size_t taken = 0;
  for (; scan->valid(); scan->next()) {
    const std::int64_t wakes = get_ordered_signed(scan->key().substr(1));
    if (wakes > now || taken == most) {
      earliest_ = wakes;
      break;
    }
    ++taken;
    until = taken == most ? wakes : now;
    const std::string_view key = scan->key().substr(wake_key_bytes);
    if (scan->value().front() == 0) {
      keys.emplace_back(key);
      continue;
    }
    changes_.erase(scan->key());
    key_.assign(1, entry_prefix);
    key_ += key;
    changes_.erase(key_);
    --keys_;
  }
  if (Status walked = scan->status(); !walked) return fail(walked.error());
  if (Status erased = flush(); !erased) return fail(erased.error());
  return until;
}

void KeyStore::capture(std::size_t side, CapturedRows& captured) const {
  if (empty()) return;
  constexpr std::string_view prefix{&entry_prefix, 1};
  captured.add_stored(side, {store_, (*store_)->scan(prefix, after_prefix(prefix)), {}, header_bytes});
}

}  // namespace dataflow::joins

#include "libdataflow/joins/key_store.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "libdataflow/state/store_key.hpp"

namespace dataflow::joins {

namespace {

constexpr std::size_t wake_time_bytes = sizeof(std::int64_t);
constexpr std::size_t changes_at_once = 1U << 20;  // in bytes
constexpr std::size_t keys_at_once = 1024;

void put_wake_key(std::string& out, std::int64_t wakes, std::string_view key) {
  out.clear();
  put_ordered_signed(out, wakes);
  out += key;
}

Status write_if_any(StateStore& store, StoreBatch& changes) {
  if (changes.empty()) return {};
  Status written = store.write(changes);
  changes.clear();
  return written;
}

}  // namespace

Result<KeyStore> KeyStore::open(const StateBackendPtr& backend, EntryFormPtr form, bool waking) {
  auto rows = backend->open(backend->new_folder());
  if (!rows) return fail(rows.error());
  OwnedStorePtr wakes;
  if (waking) {
    auto opened = backend->open(backend->new_folder());
    if (!opened) return fail(opened.error());
    wakes = std::move(*opened);
  }
  return KeyStore{std::move(*rows), std::move(wakes), std::move(form)};
}

Status KeyStore::put(const windows::KeyRef& key, const KeyEntry& entry) {
  assert(!entry.rows.empty());
  put_keys_.push_back(key);
  put_entries_.push_back(entry);
  put_bytes_ += entry.rows.size();
  if (keys_ != unknown) ++keys_;
  return put_keys_.size() < keys_at_once && put_bytes_ < changes_at_once ? Status{} : flush();
}

Status KeyStore::wake_at(const EntrySummary& summary, std::string_view key) {
  if (summary.wakes == KeyEntry::never) return {};
  assert(wakes_ != nullptr);
  put_wake_key(wake_key_, summary.wakes, key);
  const char ends = summary.ends ? 1 : 0;
  wake_changes_.put(wake_key_, {&ends, 1});
  earliest_ = std::min(earliest_, summary.wakes);
  return wake_changes_.byte_size() < changes_at_once ? Status{} : write_if_any(**wakes_, wake_changes_);
}

Status KeyStore::flush() {
  if (!put_keys_.empty()) {
    form_->encode_keys(put_keys_, stored_keys_);
    form_->encode(put_entries_, stored_values_);
    for (std::size_t i = 0; i < put_keys_.size(); ++i) {
      changes_.put(stored_keys_[i], stored_values_[i]);
      if (Status waits = wake_at({put_entries_[i].wakes, put_entries_[i].ends}, stored_keys_[i]); !waits) return waits;
    }
    put_keys_.clear();
    put_entries_.clear();
    put_bytes_ = 0;
  }
  if (!changes_.empty()) {
    Status written = rows_.write(changes_);
    changes_.clear();
    if (!written) return written;
  }
  return wakes_ == nullptr ? Status{} : write_if_any(**wakes_, wake_changes_);
}

/// In the order of their bytes, in which a store finds them fastest.
Status KeyStore::find(std::span<const windows::KeyRef> keys) {
  form_->encode_keys(keys, stored_keys_);
  order_.resize(keys.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::sort(order_.begin(), order_.end(), [&](auto a, auto b) { return stored_keys_[a] < stored_keys_[b]; });
  lookup_.clear();
  sorted_keys_.clear();
  for (const std::size_t i : order_) {
    lookup_.push_back(stored_keys_[i]);
    sorted_keys_.push_back(keys[i]);
  }
  if (Status got = rows_.multi_get(lookup_, values_); !got) return got;
  found_.resize(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) found_[i] = values_[i];
  return form_->decode(sorted_keys_, found_, decoded_);
}

Status KeyStore::forget() {
  for (std::size_t i = 0; i < lookup_.size(); ++i) {
    if (!found_[i]) continue;
    changes_.erase(lookup_[i]);
    if (keys_ != unknown) --keys_;
    if (decoded_.summaries[i].wakes == KeyEntry::never) continue;
    put_wake_key(wake_key_, decoded_.summaries[i].wakes, lookup_[i]);
    wake_changes_.erase(wake_key_);
  }
  return flush();
}

Result<std::int64_t> KeyStore::due(std::int64_t now, std::size_t most, std::vector<windows::KeyRef>& keys) {
  keys.clear();
  due_keys_.clear();
  if (!may_wake(now)) return now;
  put_wake_key(wake_key_, earliest_, {});  // what was before it has been erased, which a walk need not look at again
  const auto scan = (*wakes_)->scan(wake_key_, {});
  std::int64_t until = now;
  earliest_ = KeyEntry::never;
  std::size_t taken = 0;
  for (; scan->valid(); scan->next()) {
    const std::int64_t wakes = get_ordered_signed(scan->key());
    if (wakes > now || taken == most) {
      earliest_ = wakes;
      break;
    }
    ++taken;
    until = taken == most ? wakes : now;
    const std::string_view key = scan->key().substr(wake_time_bytes);
    if (scan->value().front() == 0) {
      due_keys_.emplace_back(key);
      continue;
    }
    wake_changes_.erase(scan->key());
    changes_.erase(key);
    --keys_;
  }
  if (Status walked = scan->status(); !walked) return fail(walked.error());
  for (const std::string& key : due_keys_) keys.push_back(form_->decode_key(key));
  if (Status erased = flush(); !erased) return fail(erased.error());
  return until;
}

Status KeyStore::capture(CapturedRows& captured) {
  if (Status flushed = flush(); !flushed) return flushed;
  auto sealed = rows_.seal();
  if (!sealed) return fail(sealed.error());
  captured.add_store(std::move(*sealed), form_);
  return {};
}

}  // namespace dataflow::joins

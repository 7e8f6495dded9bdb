#include "libdataflow/state/state_store.hpp"

#include <cassert>
#include <limits>

namespace dataflow {

namespace {

constexpr std::size_t copy_batch_bytes = 1U << 20;

std::uint32_t length_of(std::string_view text) {
  assert(text.size() <= std::numeric_limits<std::uint32_t>::max());
  return static_cast<std::uint32_t>(text.size());
}

}  // namespace

void StoreBatch::put(std::string_view key, std::string_view value) {
  entries_.push_back({bytes_.size(), length_of(key), length_of(value), false});
  bytes_ += key;
  bytes_ += value;
}

void StoreBatch::erase(std::string_view key) {
  entries_.push_back({bytes_.size(), length_of(key), 0, true});
  bytes_ += key;
}

void StoreBatch::clear() {
  entries_.clear();
  bytes_.clear();
}

StoreBatch::Change StoreBatch::operator[](std::size_t i) const {
  const Entry& entry = entries_[i];
  const std::string_view all{bytes_};
  Change change{all.substr(entry.at, entry.key_bytes), std::nullopt};
  if (!entry.erases) change.value = all.substr(entry.at + entry.key_bytes, entry.value_bytes);
  return change;
}

void StoreValues::clear() {
  entries_.clear();
  bytes_.clear();
}

void StoreValues::add(std::string_view value) {
  entries_.push_back({bytes_.size(), length_of(value), true});
  bytes_ += value;
}

void StoreValues::add_missing() {
  entries_.push_back({0, 0, false});
}

std::optional<std::string_view> StoreValues::operator[](std::size_t i) const {
  const Entry& entry = entries_[i];
  if (!entry.found) return std::nullopt;
  return std::string_view{bytes_}.substr(entry.at, entry.bytes);
}

Status copy_range(StateStore& from, StateStore& into, std::string_view first, std::string_view end) {
  StoreBatch batch;
  const auto scan = from.scan(first, end);
  for (; scan->valid(); scan->next()) {
    batch.put(scan->key(), scan->value());
    if (batch.byte_size() < copy_batch_bytes) continue;
    if (auto status = into.write(batch); !status) return status;
    batch.clear();
  }
  if (auto status = scan->status(); !status) return status;
  return batch.empty() ? Status{} : into.write(batch);
}

}  // namespace dataflow

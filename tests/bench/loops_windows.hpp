#pragma once
// The hand-written baselines of keyed windows: what a good engineer writes for exactly one query, in one thread, when
// only speed counts. Open addressing with linear probing, keys hashed and their slots prefetched a block ahead, windows
// told apart by comparing with the current one's bounds and dividing only where that fails.
//
// Results go into plain columns, as they do in the engine; nothing is sorted.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow::loops {

/// Rows looked up together: enough to hide a cache miss, few enough to stay in the first-level cache.
inline constexpr std::size_t prefetch_block = 64;

__extension__ using Wide = unsigned __int128;

/// Both halves of a 128-bit product, folded (wyhash's step).
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const Wide product = static_cast<Wide>(a ^ 0x9e3779b97f4a7c15ULL) * (b ^ 0xe7037ed1a0b428dbULL);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

struct CountSum {
  std::int64_t count = 0;
  std::int64_t sum = 0;
};

/// A key that fits into a slot.
struct IntKey {
  using Input = std::int64_t;
  std::int64_t value = 0;
  static std::uint64_t hash(Input key) { return mix(static_cast<std::uint64_t>(key), 8); }
  [[nodiscard]] bool equals(Input key) const { return value == key; }
  void assign(Input key) { value = key; }
  [[nodiscard]] Input input() const { return value; }
};

/// A string of at most 16 bytes, which is what the benchmarked keys are (12).
struct ShortKey {
  using Input = std::string_view;
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  static void load(Input key, std::uint64_t& low, std::uint64_t& high) {
    // Eight to sixteen bytes are two loads that overlap; shorter ones are copied.
    if (key.size() >= 8) {
      std::memcpy(&low, key.data(), 8);
      std::memcpy(&high, key.data() + key.size() - 8, 8);
    } else {
      low = 0;
      std::memcpy(&low, key.data(), key.size());
      high = key.size();
    }
  }
  static std::uint64_t hash(Input key) {
    std::uint64_t low;
    std::uint64_t high;
    load(key, low, high);
    return mix(low, high);
  }
  [[nodiscard]] bool equals(Input key) const {
    std::uint64_t l;
    std::uint64_t h;
    load(key, l, h);
    return l == low && h == high;
  }
  void assign(Input key) { load(key, low, high); }
};

/// Open addressing with linear probing; an empty slot has count 0.
template <class Key>
class Table {
 public:
  struct Slot {
    Key key;
    CountSum total;
  };

  explicit Table(std::size_t expected_keys = 1024) { rebuild(capacity_for(expected_keys)); }

  [[nodiscard]] std::size_t size() const { return size_; }
  void prefetch(std::uint64_t hash) const { __builtin_prefetch(&slots_[hash & mask_], 1); }

  CountSum& at(typename Key::Input key, std::uint64_t hash) {
    for (std::size_t i = hash & mask_;; i = (i + 1) & mask_) {
      Slot& slot = slots_[i];
      if (slot.total.count == 0) {
        if ((size_ + 1) * 2 > slots_.size()) {
          grow();
          return at(key, hash);
        }
        ++size_;
        slot.key.assign(key);
        return slot.total;
      }
      if (slot.key.equals(key)) return slot.total;
    }
  }

  template <class Visit>
  void for_each(Visit visit) const {
    for (const Slot& slot : slots_) {
      if (slot.total.count != 0) visit(slot.key, slot.total);
    }
  }

  void clear() {
    std::fill(slots_.begin(), slots_.end(), Slot{});
    size_ = 0;
  }

 private:
  static std::size_t capacity_for(std::size_t keys) {
    std::size_t capacity = 64;
    while (capacity < keys * 2) capacity *= 2;
    return capacity;
  }
  void rebuild(std::size_t capacity) {
    slots_.assign(capacity, Slot{});
    mask_ = capacity - 1;
  }
  static std::uint64_t rehash(const IntKey& key) { return IntKey::hash(key.value); }
  static std::uint64_t rehash(const ShortKey& key) { return mix(key.low, key.high); }
  void grow() {
    std::vector<Slot> old = std::move(slots_);
    rebuild(old.size() * 2);
    for (const Slot& slot : old) {
      if (slot.total.count == 0) continue;
      std::size_t i = rehash(slot.key) & mask_;
      while (slots_[i].total.count != 0) i = (i + 1) & mask_;
      slots_[i] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
};

/// Results as columns.
template <class Key>
struct Results {
  std::vector<Key> keys;
  std::vector<std::int64_t> starts;
  std::vector<CountSum> totals;

  void append(const Key& key, std::int64_t start, const CountSum& total) {
    keys.push_back(key);
    starts.push_back(start);
    totals.push_back(total);
  }
  void clear() {
    keys.clear();
    starts.clear();
    totals.clear();
  }
};

/// Count and sum by key over tumbling windows. Times and sizes are in microseconds.
template <class Key>
class TumblingLoop {
 public:
  TumblingLoop(std::int64_t size, std::int64_t out_of_orderness, std::size_t expected_keys)
      : size_{size}, out_of_orderness_{out_of_orderness}, expected_keys_{expected_keys} {}

  /// One batch of columns; `key(i)` is the row's key. Late rows are dropped and counted.
  template <class KeyAt>
  void add(std::size_t rows, const std::int64_t* times, KeyAt key, const std::int64_t* values) {
    std::uint64_t hashes[prefetch_block];
    for (std::size_t begin = 0; begin < rows; begin += prefetch_block) {
      const std::size_t end = std::min(rows, begin + prefetch_block);
      if (current_ == nullptr) select(times[begin]);
      for (std::size_t i = begin; i < end; ++i) {
        hashes[i - begin] = Key::hash(key(i));
        if (current_ != nullptr) current_->prefetch(hashes[i - begin]);
      }
      for (std::size_t i = begin; i < end; ++i) {
        newest_ = std::max(newest_, times[i]);
        if (times[i] < start_ || times[i] >= start_ + size_ || current_ == nullptr) select(times[i]);
        if (current_ == nullptr) {
          ++late_;
          continue;
        }
        CountSum& total = current_->at(key(i), hashes[i - begin]);
        ++total.count;
        total.sum += values[i];
      }
    }
  }

  /// Gives the results of windows that end at or before the watermark.
  void fire(Results<Key>& out) { fire_until(newest_ - out_of_orderness_, out); }
  void finish(Results<Key>& out) { fire_until(INT64_MAX, out); }
  [[nodiscard]] std::uint64_t late() const { return late_; }

 private:
  void select(std::int64_t time) {
    start_ = time - time % size_;
    if (start_ + size_ <= watermark_) {
      current_ = nullptr;
      return;
    }
    std::unique_ptr<Table<Key>>& table = windows_[start_];
    if (!table) {
      if (spare_.empty()) {
        table = std::make_unique<Table<Key>>(expected_keys_);
      } else {
        table = std::move(spare_.back());
        spare_.pop_back();
      }
    }
    current_ = table.get();
  }
  void fire_until(std::int64_t watermark, Results<Key>& out) {
    watermark_ = watermark;
    while (!windows_.empty() && windows_.begin()->first + size_ <= watermark) {
      auto& [start, table] = *windows_.begin();
      table->for_each([&, at = start](const Key& key, const CountSum& total) { out.append(key, at, total); });
      table->clear();
      spare_.push_back(std::move(table));
      windows_.erase(windows_.begin());
      current_ = nullptr;
    }
  }

  std::int64_t size_;
  std::int64_t out_of_orderness_;
  std::size_t expected_keys_;
  std::int64_t newest_ = INT64_MIN / 2;
  std::int64_t watermark_ = INT64_MIN;
  std::int64_t start_ = 0;
  Table<Key>* current_ = nullptr;
  std::map<std::int64_t, std::unique_ptr<Table<Key>>> windows_;  ///< by start; a handful
  std::vector<std::unique_ptr<Table<Key>>> spare_;
  std::uint64_t late_ = 0;
};

/// Count and sum by key over sliding windows, in order, through slices: each row goes into one slice; a slide adds the
/// newest slice to the running totals and takes the oldest away.
template <class Key>
class SlidingLoop {
 public:
  SlidingLoop(std::int64_t size, std::int64_t slide, std::size_t expected_keys)
      : slide_{slide}, slices_(static_cast<std::size_t>(size / slide)), running_{expected_keys} {
    for (auto& slice : slices_) slice = std::make_unique<Table<Key>>(expected_keys);
  }

  template <class KeyAt>
  void add(std::size_t rows, const std::int64_t* times, KeyAt key, const std::int64_t* values, Results<Key>& out) {
    std::uint64_t hashes[prefetch_block];
    for (std::size_t begin = 0; begin < rows; begin += prefetch_block) {
      const std::size_t end = std::min(rows, begin + prefetch_block);
      for (std::size_t i = begin; i < end; ++i) {
        hashes[i - begin] = Key::hash(key(i));
        newest().prefetch(hashes[i - begin]);
      }
      for (std::size_t i = begin; i < end; ++i) {
        if (start_ == INT64_MIN) start_ = times[i] - times[i] % slide_;
        while (times[i] >= start_ + slide_) slide(out);
        CountSum& total = newest().at(key(i), hashes[i - begin]);
        ++total.count;
        total.sum += values[i];
      }
    }
  }
  /// Every window that still holds something.
  void finish(Results<Key>& out) {
    for (std::size_t i = 0; i < slices_.size(); ++i) slide(out);
  }

 private:
  Table<Key>& newest() { return *slices_[at_]; }

  void slide(Results<Key>& out) {
    newest().for_each([&](const Key& key, const CountSum& part) {
      CountSum& total = running(key);
      total.count += part.count;
      total.sum += part.sum;
    });
    const std::int64_t end = start_ + slide_;
    const std::int64_t window_start = end - slide_ * static_cast<std::int64_t>(slices_.size());
    running_.for_each([&](const Key& key, const CountSum& total) {
      if (total.count != empty_total) out.append(key, window_start, {total.count - empty_total, total.sum});
    });
    at_ = (at_ + 1) % slices_.size();
    newest().for_each([&](const Key& key, const CountSum& part) {
      CountSum& total = running(key);
      total.count -= part.count;
      total.sum -= part.sum;
    });
    newest().clear();
    start_ = end;
  }
  /// A key's running total stays in its slot when it falls to nothing: it is marked used by one count more.
  CountSum& running(const Key& key) {
    CountSum& total = running_.at(key.input(), Key::hash(key.input()));
    if (total.count == 0) total.count = empty_total;
    return total;
  }
  static constexpr std::int64_t empty_total = 1;

  std::int64_t slide_;
  std::int64_t start_ = INT64_MIN;  ///< of the newest slice
  std::size_t at_ = 0;              ///< the newest slice
  std::vector<std::unique_ptr<Table<Key>>> slices_;
  Table<Key> running_;
};

}  // namespace dataflow::loops

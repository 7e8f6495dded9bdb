#include "libdataflow/windows/group_table.hpp"

#include <sys/mman.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdlib>
#include <new>

namespace dataflow::windows {

namespace {

constexpr std::size_t block_rows = 256;
constexpr std::size_t min_slots = 16;
constexpr std::size_t first_page_rows = 8;
constexpr std::size_t max_page_bytes = 2U << 20;
constexpr std::size_t huge_page = 2U << 20;
constexpr std::size_t text_chunk = 16 * 1024;
/// Below this many bytes index and rows live in the second-level cache, and asking for them early only costs.
constexpr std::size_t prefetch_from_bytes = 128 * 1024;

constexpr std::uint64_t address_bits = (1ULL << 48) - 1;

/// Both halves of a 128-bit product, folded (wyhash's mixing step): good in the low bits that choose the slot and in
/// the high ones that tell keys apart.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t hash_word(std::uint64_t key) {
  return mix(key ^ 0x2d358dccaa6c78a5ULL, 0x9e3779b97f4a7c15ULL);
}

inline std::uint64_t eight_bytes(const char* bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

/// Texts of 13 to 32 bytes, such as the keys of two or three columns: both ends and the middle, as wyhash does.
inline std::uint64_t hash_short(const char* bytes, std::size_t length) {
  const std::uint64_t head = mix(eight_bytes(bytes) ^ 0x2d358dccaa6c78a5ULL, eight_bytes(bytes + length - 8) ^ length);
  if (length <= 16) return mix(head, 0x9e3779b97f4a7c15ULL);
  return mix(head ^ eight_bytes(bytes + 8), eight_bytes(bytes + length - 16) ^ 0x8bb84b93962eacc9ULL);
}

inline std::uint64_t hash_text(const TextKey& key) {
  if (!key.is_inline()) {
    return key.length() <= 32 ? hash_short(key.far(), key.length()) : XXH3_64bits(key.far(), key.length());
  }
  return mix(key.head ^ 0x2d358dccaa6c78a5ULL, key.tail ^ 0x8bb84b93962eacc9ULL);
}

/// Both of the same length, 13 to 32 bytes.
inline bool same_short(const char* a, const char* b, std::size_t length) {
  const std::size_t last = length - 8;
  const std::uint64_t ends = (eight_bytes(a) ^ eight_bytes(b)) | (eight_bytes(a + last) ^ eight_bytes(b + last));
  if (length <= 16) return ends == 0;
  return (ends | (eight_bytes(a + 8) ^ eight_bytes(b + 8)) | (eight_bytes(a + last - 8) ^ eight_bytes(b + last - 8))) ==
         0;
}

inline bool same_text(const TextKey& a, const TextKey& b) {
  if (a.tail != b.tail) return false;
  if (a.head == b.head) return true;
  if (a.is_inline()) return false;
  return a.length() <= 32 ? same_short(a.far(), b.far(), a.length()) : std::memcmp(a.far(), b.far(), a.length()) == 0;
}

inline TextKey text_in(const std::byte* row) {
  TextKey key;
  std::memcpy(&key, row, sizeof key);
  return key;
}

inline std::uint64_t word_in(const std::byte* row) {
  std::uint64_t word = 0;
  std::memcpy(&word, row, sizeof word);
  return word;
}

inline std::byte* row_in(std::uint64_t slot) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return reinterpret_cast<std::byte*>(static_cast<std::uintptr_t>(slot & address_bits));
}

inline std::uint64_t slot_of(std::uint64_t hash, const std::byte* row) {
  return (hash & ~address_bits) | reinterpret_cast<std::uintptr_t>(row);
}

/// The two forms of keys behind one interface for the loops below.
struct Words {
  const std::uint64_t* words;
  [[nodiscard]] std::uint64_t hash(std::size_t i) const { return hash_word(words[i]); }
  [[nodiscard]] bool equal(const std::byte* row, std::size_t i) const { return word_in(row) == words[i]; }
};
struct Texts {
  const TextKey* texts;
  [[nodiscard]] std::uint64_t hash(std::size_t i) const { return hash_text(texts[i]); }
  [[nodiscard]] bool equal(const std::byte* row, std::size_t i) const { return same_text(text_in(row), texts[i]); }
};

constexpr std::size_t round_up(std::size_t n, std::size_t to) {
  return (n + to - 1) / to * to;
}

}  // namespace

RowLayout::RowLayout(KeyForm form, std::vector<std::byte> payload)
    : form_{form},
      payload_offset_{form == KeyForm::none   ? 0U
                      : form == KeyForm::word ? 8U
                                              : 16U} {
  image_.resize(payload_offset_);
  image_.insert(image_.end(), payload.begin(), payload.end());
  image_.resize(std::max<std::size_t>(8, round_up(image_.size(), 8)));
}

std::size_t GroupTable::byte_size() const {
  std::size_t bytes = slots_.capacity() * sizeof(std::uint64_t) + text_bytes_;
  for (const Page& page : pages_) bytes += page.capacity * layout_->stride();
  return bytes;
}

void GroupTable::add_page() {
  const std::size_t stride = layout_->stride();
  const std::size_t most = std::max<std::size_t>(1, max_page_bytes / stride);
  const std::size_t rows = pages_.empty() ? first_page_rows : std::min(most, pages_.back().capacity * 2);
  const std::size_t bytes = round_up(std::max<std::size_t>(rows, 1) * stride, 64);
  // Random reads over a large table miss the TLB as well as the cache, unless its pages are huge.
  const bool huge = bytes > huge_page / 2;
  auto* data = static_cast<std::byte*>(std::aligned_alloc(huge ? huge_page : 64, huge ? huge_page : bytes));
  if (data == nullptr) throw std::bad_alloc{};
  if (huge) madvise(data, huge_page, MADV_HUGEPAGE);
  assert((reinterpret_cast<std::uintptr_t>(data + bytes) & ~address_bits) == 0);
  pages_.push_back({std::shared_ptr<std::byte[]>{data, [](std::byte* p) { std::free(p); }}, rows, 0});
}

std::byte* GroupTable::new_row() {
  while (page_ < pages_.size() && pages_[page_].used == pages_[page_].capacity) ++page_;
  if (page_ == pages_.size()) add_page();
  Page& page = pages_[page_];
  std::byte* row = page.data.get() + page.used++ * layout_->stride();
  std::memcpy(row, layout_->image(), layout_->stride());
  ++size_;
  return row;
}

std::byte* GroupTable::null_row() {
  if (null_row_ == nullptr) null_row_ = new_row();
  return null_row_;
}

const char* GroupTable::keep_text(const char* bytes, std::uint32_t length) {
  if (text_used_ + length > text_capacity_) {
    text_capacity_ = std::max<std::size_t>(text_chunk, length);
    texts_.push_back(std::make_shared_for_overwrite<char[]>(text_capacity_));
    text_used_ = 0;
    text_bytes_ += text_capacity_;
  }
  char* at = texts_.back().get() + text_used_;
  std::memcpy(at, bytes, length);
  text_used_ += length;
  return at;
}

std::uint64_t GroupTable::hash_of_row(const std::byte* row) const {
  return layout_->form() == KeyForm::word ? hash_word(word_in(row)) : hash_text(text_in(row));
}

void GroupTable::prefetch_slot(const std::byte* row) const {
  __builtin_prefetch(slots_.data() + (hash_of_row(row) & mask_), 1);
}

void GroupTable::rehash(std::size_t slots) {
  slots_.assign(slots, 0);
  mask_ = slots - 1;
  std::byte* rows[moved_together];
  Cursor cursor;
  while (const std::size_t count = next_rows(cursor, moved_together, rows)) {
    std::uint64_t hashes[moved_together];
    for (std::size_t i = 0; i < count; ++i) {
      hashes[i] = hash_of_row(rows[i]);
      __builtin_prefetch(slots_.data() + (hashes[i] & mask_), 1);
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (rows[i] != null_row_) put_in_slot(rows[i], hashes[i]);
    }
  }
}

/// A row that is in none.
void GroupTable::put_in_slot(const std::byte* row, std::uint64_t hash) {
  std::size_t at = hash & mask_;
  while (slots_[at] != 0) at = (at + 1) & mask_;
  slots_[at] = slot_of(hash, row);
}

/// Load stays at or below 1/2, also after `more_rows` new keys.
void GroupTable::reserve(std::size_t more_rows) {
  const std::size_t needed = (size_ + more_rows) * 2;
  if (needed <= slots_.size()) return;
  std::size_t slots = std::max(min_slots, slots_.size() * 2);
  while (slots < needed) slots *= 2;
  rehash(slots);
}

/// Of a row of another table with this layout, whose key is not here yet.
std::byte* GroupTable::add_copy(const std::byte* row, bool null) {
  reserve(1);
  std::byte* copy = new_row();
  std::memcpy(copy, row, layout_->stride());
  if (null || layout_->form() == KeyForm::none) {
    null_row_ = copy;
    return copy;
  }
  if (layout_->form() == KeyForm::text) {
    TextKey key = text_in(row);
    if (!key.is_inline()) key.head = reinterpret_cast<std::uintptr_t>(keep_text(key.far(), key.length()));
    std::memcpy(copy, &key, sizeof key);
  }
  put_in_slot(copy, hash_of_row(copy));
  return copy;
}

template <class Key>
std::byte* GroupTable::insert(const Key& keys, std::size_t i, std::uint64_t hash, std::size_t slot) {
  std::byte* row = new_row();
  if constexpr (std::is_same_v<Key, Words>) {
    std::memcpy(row, &keys.words[i], sizeof(std::uint64_t));
  } else {
    TextKey key = keys.texts[i];
    if (!key.is_inline()) key.head = reinterpret_cast<std::uintptr_t>(keep_text(key.far(), key.length()));
    std::memcpy(row, &key, sizeof key);
  }
  slots_[slot] = slot_of(hash, row);
  return row;
}

/// The key's row by full comparison; made when it is not there.
template <class Key>
std::byte* GroupTable::probe(const Key& keys, std::size_t i, std::uint64_t hash) {
  for (std::size_t at = hash & mask_;; at = (at + 1) & mask_) {
    const std::uint64_t slot = slots_[at];
    if (slot == 0) return insert(keys, i, hash, at);
    if (((slot ^ hash) & ~address_bits) == 0 && keys.equal(row_in(slot), i)) return row_in(slot);
  }
}

template <class Key, class Rows>
void GroupTable::find_or_insert_block(const Key& keys, const Rows& rows, std::size_t count, std::byte** found) {
  reserve(count);
  std::uint64_t hashes[block_rows];
  const std::uint64_t* const slots = slots_.data();
  const std::size_t mask = mask_;
  const bool prefetch = slots_.size() * sizeof(std::uint64_t) + size_ * layout_->stride() > prefetch_from_bytes;
  if (!prefetch) {
    for (std::size_t j = 0; j < count; ++j) {
      const std::size_t i = rows(j);
      const std::uint64_t hash = keys.hash(i);
      const std::uint64_t slot = slots[hash & mask];
      const bool first = slot != 0 && ((slot ^ hash) & ~address_bits) == 0 && keys.equal(row_in(slot), i);
      found[j] = first ? row_in(slot) : probe(keys, i, hash);
    }
    return;
  }
  for (std::size_t j = 0; j < count; ++j) {
    hashes[j] = keys.hash(rows(j));
    __builtin_prefetch(slots + (hashes[j] & mask));
  }
  // Nearly always the key's row is in one of the first two slots, and is the first there whose hash bits agree: it is
  // chosen without a branch, which would often be mispredicted, fetched now and compared in the next loop. Only that
  // one makes rows, so that they come in the order of the records also where two keys' hash bits agree.
  for (std::size_t j = 0; j < count; ++j) {
    const std::uint64_t hash = hashes[j];
    const std::uint64_t first = slots[hash & mask];
    const std::uint64_t second = slots[(hash + 1) & mask];
    const std::uint64_t slot = ((first ^ hash) & ~address_bits) == 0 ? first : second;
    found[j] = row_in(slot);
    __builtin_prefetch(found[j], 1);
  }
  for (std::size_t j = 0; j < count; ++j) {
    const std::size_t i = rows(j);
    if (found[j] == nullptr || !keys.equal(found[j], i)) [[unlikely]]
      found[j] = probe(keys, i, hashes[j]);
  }
}

template <class Key>
void GroupTable::find_or_insert_all(const Key& keys, const std::uint8_t* validity, const std::uint32_t* rows,
                                    std::size_t count, std::byte** found) {
  if (validity != nullptr) {  // NULL keys are rare enough for the plain way
    for (std::size_t j = 0; j < count; ++j) {
      const std::size_t i = rows == nullptr ? j : rows[j];
      if (bit_at(validity, i)) {
        reserve(1);
        found[j] = probe(keys, i, keys.hash(i));
      } else {
        found[j] = null_row();
      }
    }
    return;
  }
  for (std::size_t from = 0; from < count; from += block_rows) {
    const std::size_t n = std::min(block_rows, count - from);
    if (rows == nullptr) {
      find_or_insert_block(
          keys, [from](std::size_t j) { return from + j; }, n, found + from);
    } else {
      find_or_insert_block(
          keys, [chosen = rows + from](std::size_t j) { return chosen[j]; }, n, found + from);
    }
  }
}

void GroupTable::find_or_insert(const KeyBatch& keys, const std::uint32_t* rows, std::size_t count, std::byte** found) {
  assert(keys.form == layout_->form());
  switch (keys.form) {
    case KeyForm::none: std::fill_n(found, count, count == 0 ? nullptr : null_row()); break;
    case KeyForm::word: find_or_insert_all(Words{keys.words}, keys.validity, rows, count, found); break;
    case KeyForm::text: find_or_insert_all(Texts{keys.texts}, keys.validity, rows, count, found); break;
  }
  before_write(found, count);
}

std::byte* GroupTable::find_or_insert(const KeyRef& key) {
  std::byte* row = nullptr;
  if (key.null || layout_->form() == KeyForm::none) {
    row = null_row();
  } else {
    reserve(1);
    row = layout_->form() == KeyForm::word ? probe(Words{&key.key.head}, 0, hash_word(key.key.head))
                                           : probe(Texts{&key.key}, 0, hash_text(key.key));
  }
  before_write(row);
  return row;
}

void GroupTable::find_or_insert(const GroupTable& other, std::byte* const* rows, std::size_t count, std::byte** found) {
  std::array<std::uint64_t, block_rows> words;
  std::array<TextKey, block_rows> texts;
  std::array<std::uint8_t, block_rows / 8> validity;
  for (std::size_t from = 0; from < count; from += block_rows) {
    const std::size_t n = std::min(block_rows, count - from);
    KeyBatch keys{layout_->form(), words.data(), texts.data(), nullptr};
    validity.fill(0xff);
    for (std::size_t i = 0; i < n; ++i) {
      const std::byte* row = rows[from + i];
      if (keys.form == KeyForm::word) words[i] = word_in(row);
      if (keys.form == KeyForm::text) texts[i] = text_in(row);
      if (row != other.null_row_) continue;
      validity[i / 8] &= static_cast<std::uint8_t>(~(1U << (i % 8)));
      keys.validity = validity.data();
    }
    find_or_insert(keys, nullptr, n, found + from);
  }
}

template <class Key>
std::byte* GroupTable::find_one(const Key& keys, std::size_t i, std::uint64_t hash) const {
  for (std::size_t at = hash & mask_; slots_[at] != 0; at = (at + 1) & mask_) {
    if (((slots_[at] ^ hash) & ~address_bits) == 0 && keys.equal(row_in(slots_[at]), i)) return row_in(slots_[at]);
  }
  return nullptr;
}

std::byte* GroupTable::find(const KeyRef& key) const {
  if (key.null || layout_->form() == KeyForm::none) return null_row_;
  if (slots_.empty()) return nullptr;
  return layout_->form() == KeyForm::word ? find_one(Words{&key.key.head}, 0, hash_word(key.key.head))
                                          : find_one(Texts{&key.key}, 0, hash_text(key.key));
}

/// A block's hashes first, so that its slots are on their way when they are looked at.
template <class Key>
void GroupTable::find_all(const Key& keys, const std::uint8_t* validity, const std::uint32_t* rows, std::size_t count,
                          std::byte** found) const {
  if (slots_.empty()) {
    std::fill_n(found, count, nullptr);
  } else {
    std::uint64_t hashes[block_rows];
    for (std::size_t from = 0; from < count; from += block_rows) {
      const std::size_t n = std::min(block_rows, count - from);
      for (std::size_t j = 0; j < n; ++j) {
        hashes[j] = keys.hash(rows == nullptr ? from + j : rows[from + j]);
        __builtin_prefetch(slots_.data() + (hashes[j] & mask_));
      }
      for (std::size_t j = 0; j < n; ++j) {
        found[from + j] = find_one(keys, rows == nullptr ? from + j : rows[from + j], hashes[j]);
      }
    }
  }
  for (std::size_t j = 0; validity != nullptr && j < count; ++j) {
    if (!bit_at(validity, rows == nullptr ? j : rows[j])) found[j] = null_row_;
  }
}

void GroupTable::find(const KeyBatch& keys, const std::uint32_t* rows, std::size_t count, std::byte** found) const {
  assert(keys.form == layout_->form());
  switch (keys.form) {
    case KeyForm::none: std::fill_n(found, count, null_row_); break;
    case KeyForm::word: find_all(Words{keys.words}, keys.validity, rows, count, found); break;
    case KeyForm::text: find_all(Texts{keys.texts}, keys.validity, rows, count, found); break;
  }
}

KeyRef GroupTable::key_of(const std::byte* row) const {
  return key_of_copy(*layout_, row, row == null_row_);
}

void GroupTable::keys_of(std::byte* const* rows, std::size_t count, KeyRef* keys) const {
  // The key bytes of the NULL key's row are zeros, as those of its KeyRef are.
  if (layout_->form() == KeyForm::word) {
    for (std::size_t i = 0; i < count; ++i) keys[i] = {rows[i] == null_row_, {word_in(rows[i]), 0}};
  } else {
    for (std::size_t i = 0; i < count; ++i) keys[i] = key_of(rows[i]);
  }
}

KeyRef GroupTable::key_of_copy(const RowLayout& layout, const std::byte* row, bool null) {
  KeyRef ref;
  ref.null = null;
  if (ref.null) return ref;
  if (layout.form() == KeyForm::word) ref.key.head = word_in(row);
  if (layout.form() == KeyForm::text) ref.key = text_in(row);
  return ref;
}

std::size_t GroupTable::next_rows(Cursor& cursor, std::size_t max, std::byte** rows) const {
  std::size_t taken = 0;
  while (taken < max && cursor.page < pages_.size()) {
    const Page& page = pages_[cursor.page];
    if (cursor.row == page.used) {
      if (cursor.page >= page_) break;  // the page that is being filled: stay, more rows may come
      ++cursor.page;
      cursor.row = 0;
      continue;
    }
    const std::size_t stride = layout_->stride();
    std::byte* row = page.data.get() + cursor.row * stride;
    const std::size_t n = std::min(max - taken, page.used - cursor.row);
    for (std::size_t i = 0; i < n; ++i, row += stride) rows[taken++] = row;
    cursor.row += n;
  }
  return taken;
}

std::shared_ptr<FrozenRows> GroupTable::freeze(RowOwnershipPtr ownership) {
  std::vector<FrozenRows::Page> pages;
  for (const Page& page : pages_) {
    if (page.used != 0) pages.push_back({page.data, page.used});
  }
  auto frozen =
      std::make_shared<FrozenRows>(std::move(pages), texts_, layout_->stride(), null_row_, std::move(ownership));
  frozen_.add(frozen);
  return frozen;
}

FrozenKeys GroupTable::freeze_keys() const {
  FrozenKeys keys;
  for (const Page& page : pages_) keys.pages_.push_back(page.data);
  keys.texts_ = texts_;
  keys.layout_ = *layout_;
  keys.null_row_ = null_row_;
  return keys;
}

KeyRef FrozenKeys::key_of(const std::byte* row) const {
  return GroupTable::key_of_copy(layout_, row, row == null_row_);
}

void GroupTable::clear() {
  if (!frozen_.empty()) {  // the readers keep the memory
    pages_.clear();
    frozen_.clear();
  }
  std::fill(slots_.begin(), slots_.end(), 0);
  for (Page& page : pages_) page.used = 0;
  page_ = 0;
  size_ = 0;
  null_row_ = nullptr;
  texts_.clear();
  text_used_ = text_capacity_ = text_bytes_ = 0;
}

}  // namespace dataflow::windows

#include "libdataflow/process/key_table.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>
#include <utility>

#include <absl/container/flat_hash_map.h>
#include <xxhash.h>

#include "dataflow/codec.hpp"

namespace dataflow {

namespace {

/// How far ahead of its use a table entry is fetched.
constexpr std::uint32_t prefetch_distance = 8;
constexpr std::uint32_t block_rows = 64;

}  // namespace

std::int64_t integer_cell(const Column& column, std::uint32_t row) {
  switch (column.type.width()) {
    case 1: return column.values.as<std::uint8_t>()[row];
    case 4: return column.values.as<std::int32_t>()[row];
    default: return column.values.as<std::int64_t>()[row];
  }
}

void append_key_field(const Column& column, std::uint32_t row, std::string& out) {
  const bool null = column.is_null(row);
  put_fixed(out, static_cast<std::uint8_t>(!null));
  if (null) return;
  if (column.type.is_variable_width()) {
    put_text(out, column.text(row));
  } else if (column.type.kind() == TypeKind::float64) {
    // Equal is what the hash that deals keys out calls equal: 0.0 is -0.0, and NaN is itself.
    const double value = column.as<double>()[row];
    put_fixed(out, std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value == 0 ? 0.0 : value);
  } else {
    out.append(reinterpret_cast<const char*>(column.values.data()) + row * column.type.width(), column.type.width());
  }
}

void read_key_field(ByteReader& in, const DataType& type, ColumnBuilder& column) {
  if (in.fixed<std::uint8_t>() == 0) return column.append_null();
  if (type.is_variable_width()) return column.append_text(in.text());
  switch (type.kind()) {
    case TypeKind::boolean: return column.append_bool(in.fixed<std::uint8_t>() != 0);
    case TypeKind::int32: return column.append_int32(in.fixed<std::int32_t>());
    case TypeKind::float64: return column.append_float64(in.fixed<double>());
    default: return column.append_int64(in.fixed<std::int64_t>());
  }
}

KeyShape key_shape(std::span<const DataType> types, bool optional) {
  if (types.empty()) return KeyShape::none;
  if (types.size() > 1 || optional) return KeyShape::composite;
  if (types[0].is_variable_width()) return KeyShape::text;
  // Doubles are compared by value elsewhere; as bytes they are at least the same everywhere.
  return types[0].kind() == TypeKind::float64 ? KeyShape::composite : KeyShape::integer;
}

/// A text with its hash, so that a table that grows need not look at the texts again, which lie anywhere in memory
/// (benchmark nexmark_q9).
struct KeyTable::HashedText {
  explicit HashedText(std::string_view of) : text{of}, hash{XXH3_64bits(of.data(), of.size())} {}
  HashedText(std::string_view of, std::size_t with_hash) : text{of}, hash{with_hash} {}
  std::string_view text;
  std::size_t hash;

  friend bool operator==(const HashedText& a, const HashedText& b) { return a.hash == b.hash && a.text == b.text; }
  struct Hash {
    std::size_t operator()(const HashedText& key) const { return key.hash; }
  };
};

struct KeyTable::Maps {
  absl::flat_hash_map<std::int64_t, std::uint32_t> by_integer;
  absl::flat_hash_map<HashedText, std::uint32_t, HashedText::Hash> by_text;  ///< of views of what texts_ has
};

/// The bytes of keys. Freed by the table's thread, but for those that somebody has frozen: they go with the last who
/// has them.
struct KeyTable::Texts {
  Texts() = default;
  Texts(const Texts&) = delete;
  Texts& operator=(const Texts&) = delete;
  ~Texts() {
    for (const KeyText& text : to_free) delete[] text.data;
  }
  std::vector<KeyText> to_free;
};

KeyTable::~KeyTable() {
  if (bytes_ == nullptr) return;
  // Whoever has frozen the keys frees them all. Nobody adds to the list before it has been given up here.
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    if (texts_[slot].data != nullptr) released_.push_back(texts_[slot]);
  }
  bytes_->to_free = std::move(released_);
}

KeyTable::KeyTable(KeyShape shape) : shape_{shape}, maps_{std::make_unique<Maps>()} {
  if (shape_ == KeyShape::text || shape_ == KeyShape::composite) bytes_ = std::make_shared<Texts>();
  if (shape_ == KeyShape::none) take_slot();
}

std::uint32_t KeyTable::take_slot() {
  if (!free_.empty()) {
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  if (shape_ == KeyShape::integer) integers_.grow(slots_ + 1);
  if (shape_ == KeyShape::text || shape_ == KeyShape::composite) texts_.grow(slots_ + 1);
  return slots_++;
}

std::uint32_t KeyTable::slot_of_integer(std::int64_t key) {
  const auto [at, added] = maps_->by_integer.try_emplace(key, 0);
  if (added) {
    at->second = take_slot();
    integers_.write(at->second) = key;
  }
  return at->second;
}

std::uint32_t KeyTable::slot_of_hashed(const HashedText& key) {
  const auto at = maps_->by_text.lazy_emplace(key, [&](const auto& make) {
    const std::uint32_t slot = take_slot();
    auto* bytes = new char[std::max<std::size_t>(key.text.size(), 1)];
    std::copy(key.text.begin(), key.text.end(), bytes);
    texts_.write(slot) = {bytes, static_cast<std::uint32_t>(key.text.size())};
    make(HashedText{texts_[slot].view(), key.hash}, slot);
  });
  return at->second;
}

std::uint32_t KeyTable::slot_of_text(std::string_view key) {
  return slot_of_hashed(HashedText{key});
}

std::optional<std::uint32_t> KeyTable::find_text(std::string_view key) const {
  const auto at = maps_->by_text.find(HashedText{key});
  return at == maps_->by_text.end() ? std::nullopt : std::optional{at->second};
}

template <class T>
void KeyTable::resolve_integers(const Column& column, std::vector<std::uint32_t>& out) {
  const T* const keys = column.values.as<T>();
  const auto rows = static_cast<std::uint32_t>(out.size());
  for (std::uint32_t row = 0; row < rows; ++row) {
    if (row + prefetch_distance < rows) maps_->by_integer.prefetch(keys[row + prefetch_distance]);
    out[row] = slot_of_integer(keys[row]);
  }
}

void KeyTable::resolve(const Batch& batch, std::span<const std::size_t> fields, std::vector<std::uint32_t>& out) {
  const std::uint32_t rows = batch.rows();
  out.resize(rows);
  switch (shape_) {
    case KeyShape::none: std::fill(out.begin(), out.end(), 0); return;
    case KeyShape::integer:
      switch (const Column& column = batch.column(fields[0]); column.type.width()) {
        case 1: return resolve_integers<std::uint8_t>(column, out);
        case 4: return resolve_integers<std::int32_t>(column, out);
        default: return resolve_integers<std::int64_t>(column, out);
      }
    default: return resolve_texts(batch, fields, out);
  }
}

/// A block of keys at a time, so that the map's entries are fetched before they are used.
void KeyTable::resolve_texts(const Batch& batch, std::span<const std::size_t> fields, std::vector<std::uint32_t>& out) {
  std::vector<HashedText> block;
  block.reserve(block_rows);
  std::array<std::size_t, block_rows> ends;  // of the keys in scratch_
  for (std::uint32_t first = 0; first < out.size(); first += block_rows) {
    const std::uint32_t rows = std::min(block_rows, static_cast<std::uint32_t>(out.size()) - first);
    block.clear();
    if (shape_ == KeyShape::text) {
      for (std::uint32_t i = 0; i < rows; ++i) block.emplace_back(batch.column(fields[0]).text(first + i));
    } else {
      scratch_.clear();
      for (std::uint32_t i = 0; i < rows; ++i) {
        for (const std::size_t field : fields) append_key_field(batch.column(field), first + i, scratch_);
        ends[i] = scratch_.size();
      }
      for (std::uint32_t i = 0; i < rows; ++i) {
        const std::size_t start = i == 0 ? 0 : ends[i - 1];
        block.emplace_back(std::string_view{scratch_}.substr(start, ends[i] - start));
      }
    }
    for (const HashedText& key : block) maps_->by_text.prefetch(key);
    for (std::uint32_t i = 0; i < rows; ++i) out[first + i] = slot_of_hashed(block[i]);
  }
}

std::optional<std::uint32_t> KeyTable::find(const Batch& batch, std::span<const std::size_t> fields,
                                            std::uint32_t row) const {
  if (shape_ == KeyShape::none) return 0;
  if (shape_ == KeyShape::integer) {
    const auto at = maps_->by_integer.find(integer_cell(batch.column(fields[0]), row));
    return at == maps_->by_integer.end() ? std::nullopt : std::optional{at->second};
  }
  std::string key;
  if (shape_ == KeyShape::text) {
    key = batch.column(fields[0]).text(row);
  } else {
    for (const std::size_t field : fields) append_key_field(batch.column(field), row, key);
  }
  return find_text(key);
}

void KeyTable::release(std::uint32_t slot) {
  if (shape_ == KeyShape::none) return;
  if (shape_ == KeyShape::integer) {
    maps_->by_integer.erase(integers_[slot]);
  } else {
    maps_->by_text.erase(HashedText{texts_[slot].view()});
    released_.push_back(texts_[slot]);
    texts_.write(slot) = {};
    constexpr std::size_t worth_it = 256;
    if (released_.size() >= worth_it && bytes_.use_count() == 1) {  // nobody has frozen them
      bytes_->to_free = std::exchange(released_, {});
      bytes_ = std::make_shared<Texts>();
    }
  }
  free_.push_back(slot);
}

bool KeyTable::before(std::uint32_t a, std::uint32_t b) const {
  switch (shape_) {
    case KeyShape::none: return false;
    case KeyShape::integer: return integers_[a] < integers_[b];
    default: return text(a) < text(b);
  }
}

bool FrozenKeys::before(std::uint32_t a, std::uint32_t b) const {
  switch (shape_) {
    case KeyShape::none: return false;
    case KeyShape::integer: return integers_[a] < integers_[b];
    default: return text(a) < text(b);
  }
}

FrozenKeys KeyTable::freeze() {
  FrozenKeys keys;
  keys.shape_ = shape_;
  keys.slots_ = slots_;
  keys.integers_ = integers_.freeze();
  keys.texts_ = texts_.freeze();
  keys.bytes_ = bytes_;
  return keys;
}

}  // namespace dataflow

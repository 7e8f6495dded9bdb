#include "libdataflow/windows/key_batch.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>
#include <optional>

#include "libdataflow/state/stored_table.hpp"

namespace dataflow::windows {

namespace {

/// The same bits for doubles that are one group.
std::uint64_t canonical_bits(double v) {
  if (v == 0) return 0;
  if (std::isnan(v)) return std::bit_cast<std::uint64_t>(std::numeric_limits<double>::quiet_NaN());
  return std::bit_cast<std::uint64_t>(v);
}

/// One cell of a fixed-width column as a word.
std::uint64_t word_at(const Column& column, std::size_t row) {
  switch (column.type.kind()) {
    case TypeKind::boolean: return column.as<std::uint8_t>()[row];
    case TypeKind::int32: return static_cast<std::uint64_t>(std::int64_t{column.as<std::int32_t>()[row]});
    case TypeKind::float64: return canonical_bits(column.as<double>()[row]);
    default: return static_cast<std::uint64_t>(column.as<std::int64_t>()[row]);
  }
}

/// The word of a value as it lies in a column.
std::uint64_t word_of(const DataType& type, const char* value) {
  if (type.kind() == TypeKind::int32) {
    std::int32_t number = 0;
    std::memcpy(&number, value, sizeof number);
    return static_cast<std::uint64_t>(std::int64_t{number});
  }
  std::uint64_t word = 0;
  std::memcpy(&word, value, type.width());
  return word;
}

void append_word(const DataType& type, std::uint64_t word, ColumnBuilder& column) {
  switch (type.kind()) {
    case TypeKind::boolean: column.append_bool(word != 0); break;
    case TypeKind::int32: column.append_int32(static_cast<std::int32_t>(word)); break;
    case TypeKind::float64: column.append_float64(std::bit_cast<double>(word)); break;
    default: column.append_int64(static_cast<std::int64_t>(word)); break;
  }
}

/// What is left of the two words of 16 bytes for each length that is inline.
struct WordMasks {
  std::uint64_t head;
  std::uint64_t tail;
};
constexpr std::array<WordMasks, inline_text_bytes + 1> word_masks = [] {
  std::array<WordMasks, inline_text_bytes + 1> masks{};
  for (std::uint32_t length = 0; length <= inline_text_bytes; ++length) {
    masks[length].head = length >= 8 ? ~0ULL : (1ULL << (8 * length)) - 1;
    masks[length].tail = length <= 8 ? 0 : (1ULL << (8 * (length - 8))) - 1;
  }
  return masks;
}();

/// make_text_key for bytes after which at least 16 - length more may be read.
TextKey make_text_key_with_slack(const char* bytes, std::uint32_t length) {
  TextKey key;
  if (length > inline_text_bytes) {
    std::uint32_t first = 0;
    std::memcpy(&first, bytes, sizeof first);
    key.head = reinterpret_cast<std::uintptr_t>(bytes);
    key.tail = std::uint64_t{length} << 32 | first;
    return key;
  }
  std::memcpy(&key.head, bytes, 8);
  std::memcpy(&key.tail, bytes + 8, 8);
  key.head &= word_masks[length].head;
  key.tail &= word_masks[length].tail;
  key.tail |= std::uint64_t{length} << 32;
  return key;
}

}  // namespace

void TextKey::append_to(ColumnBuilder& column) const {
  if (!is_inline()) return column.append_text({far(), length()});
  char bytes[16];
  std::memcpy(bytes, &head, 8);
  std::memcpy(bytes + 8, &tail, 8);
  column.append_text({bytes, length()});
}

TextKey make_text_key(const char* bytes, std::uint32_t length) {
  TextKey key;
  if (length <= inline_text_bytes) {
    char padded[16] = {};
    if (length != 0) std::memcpy(padded, bytes, length);  // a column of empty texts may have no bytes at all
    std::memcpy(&key.head, padded, 8);
    std::memcpy(&key.tail, padded + 8, 8);
  } else {
    key.head = reinterpret_cast<std::uintptr_t>(bytes);
    std::memcpy(&key.tail, bytes, 4);
  }
  key.tail |= std::uint64_t{length} << 32;
  return key;
}

const std::uint64_t* key_words(const Column& column, std::vector<std::uint64_t>& scratch) {
  if (column.type.width() == 8 && column.type.kind() != TypeKind::float64) return column.values.as<std::uint64_t>();
  scratch.resize(column.rows);
  for (std::size_t row = 0; row < column.rows; ++row) scratch[row] = word_at(column, row);
  return scratch.data();
}

KeyReader::KeyReader(const Schema& input, std::vector<std::size_t> fields) : fields_{std::move(fields)} {
  for (const std::size_t field : fields_) types_.push_back(input[field].type);
  if (fields_.empty()) {
    form_ = KeyForm::none;
  } else if (fields_.size() == 1 && !types_[0].is_variable_width()) {
    form_ = KeyForm::word;
  } else {
    form_ = KeyForm::text;
  }
  keys_.form = form_;
}

const KeyBatch& KeyReader::read(const Batch& batch) {
  keys_.validity = nullptr;
  if (form_ == KeyForm::none) return keys_;
  if (fields_.size() > 1) {
    encode(batch, batch.rows(), [](std::size_t i) { return i; });
    return keys_;
  }
  const Column& column = batch.column(fields_[0]);
  if (column.has_nulls()) keys_.validity = column.validity_bits();
  if (form_ == KeyForm::word) {
    keys_.words = key_words(column, words_);
  } else {
    read_texts(column);
  }
  return keys_;
}

const KeyBatch& KeyReader::read(const Batch& batch, std::span<const std::uint32_t> rows) {
  keys_.validity = nullptr;
  if (form_ == KeyForm::none) return keys_;
  if (fields_.size() > 1) {
    encode(batch, rows.size(), [rows](std::size_t i) { return rows[i]; });
    return keys_;
  }
  const Column& column = batch.column(fields_[0]);
  assert(!column.has_nulls());
  if (form_ == KeyForm::word) {
    words_.resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) words_[i] = word_at(column, rows[i]);
    keys_.words = words_.data();
    return keys_;
  }
  texts_.resize(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string_view text = column.text(rows[i]);
    texts_[i] = make_text_key(text.data(), static_cast<std::uint32_t>(text.size()));
  }
  keys_.texts = texts_.data();
  return keys_;
}

void KeyReader::read_texts(const Column& column) {
  texts_.resize(column.rows);
  const char* bytes = column.values.as<char>();
  const std::uint32_t* offsets = column.offset_data();
  const std::size_t size = column.values.size();
  // All but the last few texts have 16 bytes of the column from where they start: those need no copy.
  std::size_t with_slack = column.rows;
  while (with_slack > 0 && offsets[with_slack - 1] + std::size_t{16} > size) --with_slack;
  for (std::size_t row = 0; row < with_slack; ++row) {
    texts_[row] = make_text_key_with_slack(bytes + offsets[row], offsets[row + 1] - offsets[row]);
  }
  for (std::size_t row = with_slack; row < column.rows; ++row) {
    texts_[row] = make_text_key(bytes + offsets[row], offsets[row + 1] - offsets[row]);
  }
  keys_.texts = texts_.data();
}

namespace {

/// So many bytes behind the last key may be read.
constexpr std::size_t slack = 16;

/// A key column with what is asked of each of its cells.
struct CellEncoder {
  explicit CellEncoder(const Column& c)
      : column{&c},
        validity{c.has_nulls() ? c.validity_bits() : nullptr},
        is_text{c.type.is_variable_width()},
        // The column's own eight bytes are the word: all but doubles, of which several are one group.
        is_word{!is_text && c.type.width() == 8 && c.type.kind() != TypeKind::float64} {}

  /// Appends the cell at `at`, behind which `slack` bytes may be written, and returns what follows.
  char* encode(std::size_t row, char* at) const {
    const bool valid = validity == nullptr || bit_at(validity, row);
    *at++ = static_cast<char>(valid);
    if (!valid) return at;
    if (is_word) {
      std::memcpy(at, column->values.as<std::uint64_t>() + row, sizeof(std::uint64_t));
      return at + sizeof(std::uint64_t);
    }
    if (!is_text) {
      const std::uint64_t word = word_at(*column, row);
      std::memcpy(at, &word, sizeof word);
      return at + column->type.width();
    }
    const std::uint32_t* offsets = column->offset_data() + row;
    const std::uint32_t length = offsets[1] - offsets[0];
    const char* text = column->values.as<char>() + offsets[0];
    std::memcpy(at, &length, sizeof length);
    at += sizeof length;
    if (length <= slack && offsets[0] + slack <= column->values.size()) {
      std::memcpy(at, text, slack);
    } else if (length != 0) {
      std::memcpy(at, text, length);
    }
    return at + length;
  }

  const Column* column;
  const std::uint8_t* validity;  ///< null: no cell is NULL
  bool is_text;
  bool is_word;
};

}  // namespace

template <class RowOf>
void KeyReader::encode(const Batch& batch, std::size_t count, RowOf&& row_of) {
  // Each cell is a byte that says whether it is NULL, then 8 bytes, or a length of 4 bytes and the text. Equal keys
  // have equal bytes, and no key is the beginning of another one.
  std::size_t most = slack;
  std::vector<CellEncoder> cells;
  for (const std::size_t field : fields_) {
    const Column& column = batch.column(field);
    cells.emplace_back(column);
    most += count * (1 + sizeof(std::uint64_t));
    if (column.type.is_variable_width()) most += column.values.size();
  }
  if (encoded_.size() < most) encoded_.resize(most);
  char* at = encoded_.data();
  texts_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    for (const CellEncoder& cell : cells) at = cell.encode(row_of(i), at);
    texts_[i].head = reinterpret_cast<std::uintptr_t>(at);
  }
  // A key that is made at once would wait for its bytes, which have just been written in other pieces than it reads
  // (nexmark_q17).
  const char* start = encoded_.data();
  for (TextKey& text : texts_) {
    const char* const end = text.far();
    text = make_text_key_with_slack(start, static_cast<std::uint32_t>(end - start));
    start = end;
  }
  keys_.texts = texts_.data();
}

namespace {

/// Takes one cell off the encoding at `at` and returns what follows.
const char* decode_cell(const DataType& type, const char* at, ColumnBuilder& column) {
  if (*at++ == 0) {
    column.append_null();
    return at;
  }
  if (type.is_variable_width()) {
    std::uint32_t length = 0;
    std::memcpy(&length, at, sizeof length);
    column.append_text({at + sizeof length, length});
    return at + sizeof length + length;
  }
  std::uint64_t word = 0;
  std::memcpy(&word, at, type.width());
  append_word(type, word, column);
  return at + type.width();
}

}  // namespace

void KeyReader::write(const KeyRef* keys, std::size_t count, ColumnBuilder* const* columns) const {
  if (form_ == KeyForm::none) return;
  const bool as_they_are = form_ == KeyForm::word && types_[0].width() == sizeof(std::uint64_t);
  if (as_they_are && std::none_of(keys, keys + count, [](const KeyRef& key) { return key.null; })) {
    auto* at = columns[0]->append_uninitialised<std::uint64_t>(count);
    for (std::size_t i = 0; i < count; ++i) at[i] = keys[i].key.head;
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const KeyRef& ref = keys[i];
    if (ref.null) {
      columns[0]->append_null();
    } else if (form_ == KeyForm::word) {
      append_word(types_[0], ref.key.head, *columns[0]);
    } else if (fields_.size() == 1) {
      ref.key.append_to(*columns[0]);
    } else {
      char near[16];
      std::memcpy(near, &ref.key.head, 8);
      std::memcpy(near + 8, &ref.key.tail, 8);
      const char* at = ref.key.is_inline() ? near : ref.key.far();
      for (std::size_t c = 0; c < fields_.size(); ++c) at = decode_cell(types_[c], at, *columns[c]);
    }
  }
}

/// Several columns are encoded in this form anyway.
void KeyReader::append_stored(const KeyRef& key, std::string& out) const {
  if (fields_.size() > 1) {
    out += text_of(key.key);
  } else if (form_ == KeyForm::text) {
    append_stored_text(key.null ? std::nullopt : std::optional{text_of(key.key)}, out);
  } else if (form_ == KeyForm::word) {
    out += static_cast<char>(!key.null);
    if (!key.null) out.append(reinterpret_cast<const char*>(&key.key.head), types_[0].width());
  }
}

KeyRef KeyReader::read_stored(std::string_view bytes) const {
  KeyRef ref;
  const auto text_key = [](std::string_view text) {
    return make_text_key(text.data(), static_cast<std::uint32_t>(text.size()));
  };
  if (fields_.size() > 1) {
    ref.key = text_key(bytes);
  } else if (form_ == KeyForm::text) {
    const auto text = StoredFields{bytes}.text();
    ref.null = !text;
    if (text) ref.key = text_key(*text);
  } else if (form_ == KeyForm::word) {
    ref.null = bytes.front() == 0;
    if (!ref.null) ref.key.head = word_of(types_[0], bytes.data() + 1);
  }
  return ref;
}

}  // namespace dataflow::windows

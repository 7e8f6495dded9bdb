#include "libdataflow/formats/csv_index.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>

#include "serialization/cpu.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dataflow {

namespace {

/// Of 64 bytes, and how many separators and newlines they are.
struct Masks {
  std::uint64_t separators = 0;  ///< delimiters and newlines
  std::uint64_t newlines = 0;
  std::uint64_t quotes = 0;
  std::size_t separator_count = 0;
  std::size_t newline_count = 0;
};

/// Few bits are set; without an instruction for it a loop is the faster count.
std::size_t count_bits(std::uint64_t bits) {
  std::size_t set = 0;
  for (; bits != 0; bits &= bits - 1) ++set;
  return set;
}

#if defined(__x86_64__)

[[gnu::target("avx2,popcnt")]] void classify_avx2(const char* bytes, std::size_t blocks, char delimiter, Masks* out) {
  const __m256i delimiters = _mm256_set1_epi8(delimiter);
  const __m256i newlines = _mm256_set1_epi8('\n');
  const __m256i quotes = _mm256_set1_epi8('"');
  for (std::size_t i = 0; i < blocks; ++i, bytes += 64) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + 32));
    const auto equal = [&](__m256i wanted) __attribute__((target("avx2"), always_inline)) {
      return std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted)))} |
             std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted)))} << 32;
    };
    Masks& masks = out[i];
    masks.newlines = equal(newlines);
    masks.separators = masks.newlines | equal(delimiters);
    masks.quotes = equal(quotes);
    masks.separator_count = static_cast<std::size_t>(_mm_popcnt_u64(masks.separators));
    masks.newline_count = static_cast<std::size_t>(_mm_popcnt_u64(masks.newlines));
  }
}

Masks classify_one(const char* block, char delimiter) {
  const __m128i delimiters = _mm_set1_epi8(delimiter);
  const __m128i newline = _mm_set1_epi8('\n');
  const __m128i quote = _mm_set1_epi8('"');
  Masks masks;
  for (int i = 0; i < 4; ++i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * i));
    const auto bits = [](__m128i equal) { return static_cast<std::uint64_t>(_mm_movemask_epi8(equal)); };
    const std::uint64_t nl = bits(_mm_cmpeq_epi8(bytes, newline));
    masks.newlines |= nl << (16 * i);
    masks.separators |= (nl | bits(_mm_cmpeq_epi8(bytes, delimiters))) << (16 * i);
    masks.quotes |= bits(_mm_cmpeq_epi8(bytes, quote)) << (16 * i);
  }
  return masks;
}

#else

Masks classify_one(const char* block, char delimiter) {
  Masks masks;
  for (int i = 0; i < 64; ++i) {
    const std::uint64_t bit = 1ULL << i;
    if (block[i] == '\n') masks.newlines |= bit;
    if (block[i] == '\n' || block[i] == delimiter) masks.separators |= bit;
    if (block[i] == '"') masks.quotes |= bit;
  }
  return masks;
}

#endif

/// The masks of `blocks` times 64 bytes.
void classify(const char* bytes, std::size_t blocks, char delimiter, Masks* out) {
#if defined(__x86_64__)
  if (cpu::has_avx2()) return classify_avx2(bytes, blocks, delimiter, out);
#endif
  for (std::size_t i = 0; i < blocks; ++i) {
    out[i] = classify_one(bytes + 64 * i, delimiter);
    out[i].separator_count = count_bits(out[i].separators);
    out[i].newline_count = count_bits(out[i].newlines);
  }
}

}  // namespace

void CsvIndex::build(std::string_view window, std::size_t fields, std::size_t max_rows, std::size_t max_bytes) {
  assert(window.size() < UINT32_MAX && fields > 0);
  fields_ = fields;
  rows_ = newlines_ = found_ = consumed_ = 0;
  quotes_ = inside_ = quoted_field_ = false;
  ragged_.clear();
  find_ends(window, max_rows, max_bytes);
  if (!group_regular(window.data(), max_rows)) group_ragged(window.data(), max_rows);
}

void CsvIndex::find_ends(std::string_view window, std::size_t max_rows, std::size_t max_bytes) {
  constexpr std::size_t at_once = 32;
  std::array<Masks, at_once> classified;
  for (std::size_t base = 0, i = 0; base < window.size(); base += 64, ++i) {
    if (newlines_ >= max_rows || (base >= max_bytes && newlines_ > 0)) break;
    const char* block = window.data() + base;
    const std::size_t left = window.size() - base;
    if (i % at_once == 0) classify(block, std::min(at_once, (left + 63) / 64), delimiter_, classified.data());
    Masks& masks = classified[i % at_once];
    if (left < 64) {
      const std::uint64_t inside_window = (1ULL << left) - 1;
      masks.separators &= inside_window;
      masks.newlines &= inside_window;
      masks.quotes &= inside_window;
    }
    std::uint64_t separators = masks.separators;
    if (masks.quotes != 0 || inside_ || left < 64) [[unlikely]] {
      separators = outside_quotes(block, base, separators, masks.quotes);
      masks.separator_count = count_bits(separators);
      masks.newline_count = count_bits(separators & masks.newlines);
    } else if (separators != 0) {
      quoted_field_ = false;
    }
    newlines_ += masks.newline_count;

    // Eight at a time, whether there are as many or not: how many fields end in a block is anybody's guess, and a loop
    // over just those is a misprediction a block.
    if (ends_.size() < found_ + 64) ends_.resize(std::max<std::size_t>(2 * ends_.size(), found_ + 4096));
    std::uint32_t* out = ends_.data() + found_;
    found_ += masks.separator_count;
    do {
      for (int end = 0; end < 8; ++end) {
        const auto place = static_cast<std::uint32_t>(std::countr_zero(separators | 1ULL << 63));
        out[end] = static_cast<std::uint32_t>(base) + place;
        separators &= separators - 1;
      }
      out += 8;
    } while (separators != 0);
  }
}

std::uint64_t CsvIndex::outside_quotes(const char* block, std::size_t base, std::uint64_t separators,
                                       std::uint64_t quotes) {
  std::uint64_t kept = 0;
  std::size_t field_start = found_ == 0 ? 0 : ends_[found_ - 1] + 1UL;
  for (std::uint64_t bits = separators | quotes; bits != 0; bits &= bits - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(bits));
    if (block[i] == '"') {
      if (base + i == field_start) quoted_field_ = quotes_ = true;
      inside_ ^= quoted_field_;
    } else if (!inside_) {
      kept |= 1ULL << i;
      field_start = base + i + 1;
      quoted_field_ = false;
    }
  }
  return kept;
}

// The usual case: no blank line, every row with the right number of fields. As many ends as newlines times fields,
// with a newline at the end of each row, leaves no other possibility.
bool CsvIndex::group_regular(const char* data, std::size_t max_rows) {
  const std::size_t rows = std::min(newlines_, max_rows);
  if (rows * fields_ > found_) return false;
  row_starts_.resize(rows + 1);
  row_starts_[0] = 0;
  bool regular = true;
  for (std::size_t row = 0; row < rows; ++row) {
    const std::uint32_t end = ends_[row * fields_ + fields_ - 1];
    regular &= data[end] == '\n';
    row_starts_[row + 1] = end + 1;
  }
  if (!regular) return false;
  // A newline among the other ends would be a short row whose neighbour makes up for it: as many newlines as rows, but
  // for those behind the last row.
  std::size_t behind = 0;
  for (std::size_t i = rows * fields_; i < found_; ++i) behind += static_cast<std::size_t>(data[ends_[i]] == '\n');
  if (rows + behind != newlines_) return false;
  rows_ = rows;
  consumed_ = row_starts_[rows];
  return true;
}

void CsvIndex::group_ragged(const char* data, std::size_t max_rows) {
  std::vector<std::uint32_t> kept;
  row_starts_.clear();
  std::size_t start = 0;
  std::size_t first = 0;  // end of the row's first field
  for (std::size_t i = 0; i < found_ && row_starts_.size() + ragged_.size() < max_rows; ++i) {
    if (data[ends_[i]] != '\n') continue;
    const std::size_t end = ends_[i];
    const std::size_t fields = i + 1 - first;
    const bool blank = fields == 1 && (end == start || (end == start + 1 && data[start] == '\r'));
    if (fields == fields_) {
      row_starts_.push_back(static_cast<std::uint32_t>(start));
      kept.insert(kept.end(), ends_.begin() + static_cast<std::ptrdiff_t>(first),
                  ends_.begin() + static_cast<std::ptrdiff_t>(i + 1));
    } else if (!blank) {
      ragged_.push_back({start, end, fields});
    }
    start = end + 1;
    first = i + 1;
  }
  rows_ = row_starts_.size();
  consumed_ = start;
  std::copy(kept.begin(), kept.end(), ends_.begin());
}

}  // namespace dataflow

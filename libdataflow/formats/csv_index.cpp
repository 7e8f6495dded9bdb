#include "libdataflow/formats/csv_index.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace dataflow {

namespace {

struct Masks {
  std::uint64_t separators = 0;  ///< delimiters and newlines
  std::uint64_t newlines = 0;
  std::uint64_t quotes = 0;
};

#if defined(__SSE2__)
Masks classify(const char* block, char delimiter) {
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
Masks classify(const char* block, char delimiter) {
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
  for (std::size_t base = 0; base < window.size(); base += 64) {
    if (newlines_ >= max_rows || (base >= max_bytes && newlines_ > 0)) break;
    const char* block = window.data() + base;
    Masks masks = classify(block, delimiter_);
    if (window.size() - base < 64) {
      const std::uint64_t inside_window = (1ULL << (window.size() - base)) - 1;
      masks.separators &= inside_window;
      masks.newlines &= inside_window;
      masks.quotes &= inside_window;
    }
    std::uint64_t separators = masks.separators;
    if (masks.quotes != 0 || inside_) [[unlikely]] {
      separators = outside_quotes(block, base, separators, masks.quotes);
    } else if (separators != 0) {
      quoted_field_ = false;
    }
    // Few rows end in one block; without a popcount instruction in the baseline a loop is the faster count.
    for (std::uint64_t ends = separators & masks.newlines; ends != 0; ends &= ends - 1) ++newlines_;

    if (ends_.size() < found_ + 64) ends_.resize(std::max<std::size_t>(2 * ends_.size(), found_ + 4096));
    std::uint32_t* out = ends_.data() + found_;
    while (separators != 0) {
      *out++ = static_cast<std::uint32_t>(base) + static_cast<std::uint32_t>(std::countr_zero(separators));
      separators &= separators - 1;
    }
    found_ = static_cast<std::size_t>(out - ends_.data());
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
  if (fields_ > 1) {
    // A newline among the other ends would be a short row whose neighbour makes up for it.
    std::size_t row_ends = 0;
    for (std::size_t i = 0; i < rows * fields_; ++i) row_ends += static_cast<std::size_t>(data[ends_[i]] == '\n');
    if (row_ends != rows) return false;
  }
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

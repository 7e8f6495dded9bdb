#include "libdataflow/sources/csv_cut.hpp"

#include <cstring>

namespace dataflow {

namespace {

std::size_t find_from(std::string_view bytes, char c, std::size_t from) {
  const void* found = std::memchr(bytes.data() + from, c, bytes.size() - from);
  return found == nullptr ? bytes.size() : static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
}

}  // namespace

void CsvQuoteScan::pass(std::string_view bytes) {
  const auto separates = [this](char c) { return c == delimiter_ || c == '\n'; };
  std::size_t at = 0;
  while (at < bytes.size()) {
    if (field_ == Field::inside) {
      at = find_from(bytes, '"', at);
      if (at == bytes.size()) return;
      field_ = Field::closed;
      ++at;
      continue;
    }
    // Outside: only the next quote matters, and whether its field began with one. The bytes from `at` to the quote
    // say so by their last separator; without one the field is the one that `at` is in.
    const std::size_t quote = find_from(bytes, '"', at);
    std::size_t back = quote;
    while (back > at && !separates(bytes[back - 1])) --back;
    const bool separated = back > at;
    if (separated) {
      field_ = back == quote ? Field::start : Field::plain;
    } else if (field_ == Field::start && quote > at) {
      field_ = Field::plain;
    }
    if (quote == bytes.size()) return;
    if (field_ != Field::plain) field_ = Field::inside;
    at = quote + 1;
  }
}

std::size_t CsvQuoteScan::pass_to_row_end(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t newline = find_from(bytes, '\n', at);
    pass(bytes.substr(at, newline - at));
    if (newline == bytes.size()) return npos;
    const bool ends_row = field_ != Field::inside;
    pass(bytes.substr(newline, 1));
    if (ends_row) return newline + 1;
    at = newline + 1;
  }
  return npos;
}

}  // namespace dataflow

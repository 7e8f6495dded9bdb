#include "libdataflow/expressions/text_length.hpp"

#include <string>

#include "libdataflow/expressions/byte_search.hpp"
#include "libdataflow/expressions/utf8.hpp"

namespace dataflow::expr {

namespace {

/// Whether every text of the vector is ASCII: one look at the bytes of all, which lie one behind the other.
bool all_ascii(const Vector& texts, std::uint32_t rows) {
  const std::uint32_t count = texts.constant ? 1 : rows;
  if (count == 0) return true;
  const std::uint32_t* offsets = texts.column->offset_data();
  return is_ascii({texts.column->values.as<char>() + offsets[0], offsets[count] - offsets[0]});
}

template <class Length>
ColumnPtr lengths(KernelCall& call, Length length) {
  const Reader<std::string_view> texts{call.arguments[0]};
  GrowingBuffer out;
  out.resize(call.rows * sizeof(std::int64_t));
  auto* values = out.as<std::int64_t>();
  for (std::uint32_t row = 0; row < call.rows; ++row) values[row] = static_cast<std::int64_t>(length(texts[row]));
  return call.finish(std::move(out));
}

std::size_t occurrences(std::string_view text, std::string_view part) {
  if (part.size() == 1) return count_byte(text, part.front());
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t at = text.find(from); at != std::string_view::npos; at = text.find(from)) {
    result.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
  }
  return result.append(text);
}

}  // namespace

ColumnPtr lengths_of_texts(KernelCall& call) {
  if (all_ascii(call.arguments[0], call.rows)) {
    return lengths(call, [](std::string_view text) { return text.size(); });
  }
  return lengths(call, [](std::string_view text) { return utf8::length(text); });
}

Kernel length_of_replaced(std::string_view from, std::string_view to) {
  // A text that grows may be too long, which is an error of its row.
  if (from.empty() || to.size() > from.size() || !is_ascii(from) || !is_ascii(to)) return {};
  return [from = std::string{from}, to = std::string{to}](KernelCall& call) {
    if (all_ascii(call.arguments[0], call.rows)) {
      const std::size_t shorter = from.size() - to.size();
      return lengths(call, [&](std::string_view text) { return text.size() - occurrences(text, from) * shorter; });
    }
    // What surrounds a byte that goes away may become one character, in a text that is no valid UTF-8.
    return lengths(call, [&](std::string_view text) { return utf8::length(replaced(text, from, to)); });
  };
}

}  // namespace dataflow::expr

#include "libdataflow/expressions/utf8.hpp"

#include "libdataflow/expressions/byte_search.hpp"

namespace dataflow::expr::utf8 {

std::size_t length(std::string_view text) {
  if (is_ascii(text)) return text.size();
  std::size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(character_bytes(text));
  return count;
}

std::size_t offset_of(std::string_view text, std::size_t index) {
  std::size_t at = 0;
  for (; index != 0 && at < text.size(); --index) {
    at += static_cast<unsigned char>(text[at]) < 0x80 ? 1 : character_bytes(text.substr(at));
  }
  return at;
}

std::size_t valid_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto first = static_cast<unsigned char>(text[at]);
    if (first < 0x80) {
      ++at;
      continue;
    }
    const std::size_t bytes = character_bytes(text.substr(at));
    if (bytes == 1) return at;
    const auto second = static_cast<unsigned char>(text[at + 1]);
    const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    const bool surrogate = first == 0xED && second >= 0xA0;
    const bool beyond = first == 0xF4 && second >= 0x90;
    if (overlong || surrogate || beyond) return at;
    at += bytes;
  }
  return at;
}

}  // namespace dataflow::expr::utf8

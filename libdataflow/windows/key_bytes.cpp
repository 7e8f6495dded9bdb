#include "libdataflow/windows/key_bytes.hpp"

#include "libdataflow/state/store_key.hpp"

namespace dataflow::windows {

void append_key_bytes(KeyForm form, const KeyRef& key, std::string& out) {
  out += static_cast<char>(key.null);
  if (key.null || form == KeyForm::none) return;
  if (form == KeyForm::word) {
    put_ordered(out, key.key.head);
  } else {
    put_ordered_text(out, text_of(key.key));
  }
}

KeyRef read_key_bytes(KeyForm form, std::string_view bytes, std::string& text) {
  KeyRef key;
  key.null = bytes[0] != 0;
  if (key.null || form == KeyForm::none) return key;
  bytes.remove_prefix(1);
  if (form == KeyForm::word) {
    key.key.head = get_ordered<std::uint64_t>(bytes);
  } else {
    get_ordered_text(bytes, text);
    key.key = make_text_key(text.data(), static_cast<std::uint32_t>(text.size()));
  }
  return key;
}

bool key_before(KeyForm form, const KeyRef& a, const KeyRef& b) {
  if (a.null || b.null) return !a.null && b.null;
  if (form == KeyForm::word) return a.key.head < b.key.head;
  return text_of(a.key) < text_of(b.key);
}

std::uint64_t key_prefix(KeyForm form, const KeyRef& key) {
  if (key.null) return UINT64_MAX;
  if (form == KeyForm::word) return key.key.head;
  const std::string_view text = text_of(key.key);
  std::uint64_t prefix = 0;
  for (std::size_t i = 0; i < sizeof prefix; ++i) {
    prefix = prefix << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0U);
  }
  return prefix;
}

}  // namespace dataflow::windows

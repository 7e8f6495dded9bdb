#pragma once
// A string or bytes value inside of an aggregate's state: the state owns its bytes and reuses them for the next value.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

namespace dataflow::windows {

/// All zeros: no value. May be moved byte by byte; `release` it once.
struct OwnedText {
  char* data;  ///< null: no value
  std::uint32_t length;
  std::uint32_t capacity;

  [[nodiscard]] bool has_value() const { return data != nullptr; }
  [[nodiscard]] std::string_view view() const { return {data, length}; }
  void assign(std::string_view text) {
    if (data == nullptr || capacity < text.size()) {
      const std::size_t wanted = text.size() < 16 ? 16 : text.size();
      auto* grown = static_cast<char*>(std::realloc(data, wanted));
      if (grown == nullptr) throw std::bad_alloc{};
      data = grown;
      capacity = static_cast<std::uint32_t>(wanted);
    }
    std::memcpy(data, text.data(), text.size());
    length = static_cast<std::uint32_t>(text.size());
  }
  void release() {
    std::free(data);
    *this = {};
  }

  // For checkpoints: a byte that says whether there is a value, then its bytes.
  void save(std::string& out) const {
    out += static_cast<char>(has_value());
    if (has_value()) out += view();
  }
  [[nodiscard]] bool load(std::string_view saved) {
    if (saved.empty() || (saved[0] == 0 && saved.size() != 1)) return false;
    if (saved[0] != 0) assign(saved.substr(1));
    return true;
  }
};

}  // namespace dataflow::windows

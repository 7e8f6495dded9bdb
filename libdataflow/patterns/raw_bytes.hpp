#pragma once
// Numbers as the bytes that they are in memory: what a pattern's snapshot is made of.

#include <string>
#include <type_traits>

namespace dataflow::patterns {

template <class T>
void put(T value, std::string& out) {
  static_assert(std::is_trivially_copyable_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace dataflow::patterns

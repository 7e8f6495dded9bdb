#pragma once
// Included before everything else where clang compiles Cap'n Proto 0.9's headers. They compare `const char*` with
// kj::StringPtr by its member operator== turned around, which C++20 forbids where there is a member operator!= too
// (P2468, followed since clang 16); g++ 12 still allows it.

#include <kj/string.h>

namespace kj {

inline bool operator==(const char* a, const StringPtr& b) {
  return b == StringPtr(a);
}
inline bool operator!=(const char* a, const StringPtr& b) {
  return b != StringPtr(a);
}

}  // namespace kj

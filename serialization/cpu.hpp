#pragma once
// Which instructions the processor has beyond those of every x86-64, found out when the program runs. A loop that gains
// from them is there twice; what it is without them is what other processors run.

namespace dataflow::cpu {

/// AVX2, four numbers of eight bytes at once, and POPCNT, which no processor with AVX2 is without.
inline bool has_avx2() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("popcnt") != 0;
  return has;
#else
  return false;
#endif
}

/// AVX-512 with products of whole numbers (DQ): eight at once.
inline bool has_avx512() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0;
  return has;
#else
  return false;
#endif
}

}  // namespace dataflow::cpu

#pragma once
// The engine's version, and the stamp that a compiled job carries: what must agree for the two to share memory.

#define DATAFLOW_VERSION "0.1.0"

#define DATAFLOW_TEXT_(x) #x
#define DATAFLOW_TEXT(x) DATAFLOW_TEXT_(x)

#ifdef __clang__
#define DATAFLOW_COMPILER "clang " DATAFLOW_TEXT(__clang_major__)
#else
#define DATAFLOW_COMPILER "g++ " DATAFLOW_TEXT(__GNUC__)
#endif
#ifdef _LIBCPP_VERSION
#define DATAFLOW_STANDARD_LIBRARY "libc++ " DATAFLOW_TEXT(_LIBCPP_VERSION)
#else
#define DATAFLOW_STANDARD_LIBRARY \
  "libstdc++ " DATAFLOW_TEXT(_GLIBCXX_RELEASE) ", cxx11 abi " DATAFLOW_TEXT(_GLIBCXX_USE_CXX11_ABI)
#endif
#ifdef __SANITIZE_ADDRESS__
#define DATAFLOW_SANITIZED ", address sanitizer"
#else
#define DATAFLOW_SANITIZED ""
#endif

/// "dataflow 0.1.0, g++ 12, libstdc++ 12, cxx11 abi 1".
#define DATAFLOW_ABI_STAMP \
  "dataflow " DATAFLOW_VERSION ", " DATAFLOW_COMPILER ", " DATAFLOW_STANDARD_LIBRARY DATAFLOW_SANITIZED

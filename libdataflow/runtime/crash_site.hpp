#pragma once
// Where a thread is in user code. It is written before each call of an operator (a few stores a batch) and read only by
// the handler of a signal that such a call has raised: a crash then has the operator's name, which no core dump has.

#include <cstdint>

namespace dataflow {

struct CrashSite {
  const char* node = nullptr;  ///< the operator's name; null: the thread is in no operator
  std::uint32_t subtask = 0;
  std::uint32_t parallelism = 1;
  std::uint32_t attempt = 0;
  std::uint64_t records = 0;  ///< that the operator took before this call, and in it
};

/// Of this thread. `constinit`, so that a signal handler may read it: there is nothing to be initialised first.
inline thread_local constinit CrashSite crash_site{};

/// For as long as it lives the thread is in user code. Does not nest.
class InUserCode {
 public:
  explicit InUserCode(const CrashSite& site) { crash_site = site; }
  ~InUserCode() { crash_site.node = nullptr; }
  InUserCode(const InUserCode&) = delete;
  InUserCode& operator=(const InUserCode&) = delete;
};

}  // namespace dataflow

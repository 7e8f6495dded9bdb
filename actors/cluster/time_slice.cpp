#include "actors/cluster/time_slice.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace dataflow {

namespace {

constexpr std::uint64_t short_slice_ns = 200'000;

/// The kernel's struct sched_attr in its first version. Its header and the library's <sched.h> exclude each other.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0;  ///< of ordinary threads: the slice; 0: the usual one
  std::uint64_t deadline_ns = 0;
  std::uint64_t period_ns = 0;
};

void ask_for_slices(std::uint64_t ns) {
  SchedulingAttributes attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) return;
  if (attributes.policy != 0) return;  // somebody has chosen another policy for it
  attributes.runtime_ns = ns;
  static_cast<void>(syscall(SYS_sched_setattr, 0, &attributes, 0));
}

}  // namespace

void ask_for_short_slices() {
  ask_for_slices(short_slice_ns);
}

void ask_for_usual_slices() {
  ask_for_slices(0);
}

}  // namespace dataflow

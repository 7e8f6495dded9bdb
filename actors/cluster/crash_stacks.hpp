#pragma once
// Every thread of an actor system may run user code, and overflow its stack there: each gets one for the report.

#include <caf/thread_hook.hpp>

#include "actors/cluster/crash_report.hpp"

namespace dataflow {

class CrashStacks final : public caf::thread_hook {
 public:
  void init(caf::actor_system&) override {}
  void thread_started() override { prepare_thread_for_crashes(); }
  void thread_terminates() override {}
};

}  // namespace dataflow

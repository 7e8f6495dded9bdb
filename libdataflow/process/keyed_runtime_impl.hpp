#pragma once
// What a KeyedRuntime has, seen by its two files: keys and timers at work, and as tables of a checkpoint.

#include <vector>

#include "dataflow/keyed_runtime.hpp"
#include "libdataflow/process/key_table.hpp"
#include "libdataflow/process/keyed_cache.hpp"
#include "libdataflow/process/later_timers.hpp"
#include "libdataflow/process/timer_queue.hpp"

namespace dataflow {

struct KeyedRuntime::Impl {
  Impl(KeyShape form, std::vector<std::size_t> key_fields, std::vector<DataType> key_types)
      : keys{form}, fields{std::move(key_fields)}, types{std::move(key_types)} {}

  TimerQueue& timers(TimerDomain domain) {
    return domain == TimerDomain::event_time ? event_timers : processing_timers;
  }

  /// Null without a cache.
  LaterTimers* later(TimerDomain domain) {
    return (domain == TimerDomain::event_time ? event_later : processing_later).get();
  }

  KeyTable keys;
  TimerQueue event_timers{keys};
  TimerQueue processing_timers{keys};
  std::unique_ptr<LaterTimers> event_later;
  std::unique_ptr<LaterTimers> processing_later;
  std::vector<std::size_t> fields;
  std::vector<DataType> types;
  std::vector<std::uint32_t> slots;   ///< of the batch at hand
  std::unique_ptr<KeyedCache> cache;  ///< null: all state is in memory
  std::size_t sweep = 0;              ///< the slot that was last looked at for expired values
  std::vector<std::uint32_t> due;     ///< scratch: slots of timers that fire next
};

}  // namespace dataflow

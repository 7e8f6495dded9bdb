#pragma once
// A split that is being read: its reader, and how far its event time has come.

#include <memory>
#include <utility>

#include "libdataflow/operators/event_time_pieces.hpp"
#include "libdataflow/sources/source.hpp"

namespace dataflow {

struct SplitReading {
  SplitReading(std::unique_ptr<SourceReader> its_reader, Duration out_of_orderness)
      : reader{std::move(its_reader)}, pieces{out_of_orderness} {}

  std::unique_ptr<SourceReader> reader;
  Split split;                              ///< while `reading`, and the last one after it
  bool reading = false;                     ///< a split is open
  EventTimePieces pieces;                   ///< of one read batch; emptied before the reader is polled again
  Timestamp watermark = Timestamp::min();   ///< of what was emitted of it
  Timestamp last_record{};                  ///< processing time
  Timestamp wait_until = Timestamp::min();  ///< when the reader wants to be polled again
  bool idle = false;                        ///< silent for so long that it holds nobody back
};

}  // namespace dataflow

#pragma once
// A channel's number on the wire. The attempt is part of it, so that what a former attempt still has under way finds no
// receiver any more: fencing costs nothing but the lookup that is needed anyway.

#include <cstdint>
#include <functional>
#include <string>

#include "libdataflow/graph/job_graph.hpp"

namespace dataflow {

/// From the most significant bit: attempt (16 bits, modulo), edge (18), sending subtask (15), receiving subtask (15).
/// Unique within a job, which is also what an Exchange serves.
struct WireChannel {
  std::uint64_t number = 0;
  friend auto operator<=>(const WireChannel&, const WireChannel&) = default;
};

/// Errors: invalid_argument when the job has more edges or subtasks than the number has room for.
Result<WireChannel> wire_channel(std::uint32_t attempt, const ChannelId& channel);

/// "attempt 3, edge 2, 0 -> 5", for errors and log lines.
std::string to_string(WireChannel channel);

}  // namespace dataflow

template <>
struct std::hash<dataflow::WireChannel> {
  std::size_t operator()(dataflow::WireChannel channel) const noexcept {
    return static_cast<std::size_t>((channel.number ^ (channel.number >> 32)) * 0x9e3779b97f4a7c15ULL);
  }
};

#include "libdataflow/exchange/wire_channel.hpp"

namespace dataflow {

namespace {

constexpr unsigned subtask_bits = 15;
constexpr unsigned edge_bits = 18;
constexpr std::uint64_t subtask_mask = (1U << subtask_bits) - 1;
constexpr std::uint64_t edge_mask = (1U << edge_bits) - 1;
constexpr std::uint64_t attempt_mask = 0xffff;

}  // namespace

Result<WireChannel> wire_channel(std::uint32_t attempt, const ChannelId& channel) {
  if (channel.edge > edge_mask || channel.from_subtask > subtask_mask || channel.to_subtask > subtask_mask) {
    return fail(ErrorCode::invalid_argument,
                "the channel between subtasks " + std::to_string(channel.from_subtask) + " and " +
                    std::to_string(channel.to_subtask) + " of edge " + std::to_string(channel.edge) +
                    " cannot be numbered; a job has at most " + std::to_string(edge_mask + 1) + " edges and " +
                    std::to_string(subtask_mask + 1) + " subtasks a vertex");
  }
  return WireChannel{((attempt & attempt_mask) << (edge_bits + 2 * subtask_bits)) |
                     (std::uint64_t{channel.edge} << (2 * subtask_bits)) |
                     (std::uint64_t{channel.from_subtask} << subtask_bits) | channel.to_subtask};
}

std::string to_string(WireChannel channel) {
  const std::uint64_t number = channel.number;
  return "attempt " + std::to_string(number >> (edge_bits + 2 * subtask_bits)) + ", edge " +
         std::to_string((number >> (2 * subtask_bits)) & edge_mask) + ", " +
         std::to_string((number >> subtask_bits) & subtask_mask) + " -> " + std::to_string(number & subtask_mask);
}

}  // namespace dataflow

#pragma once
// The `nexmark` source: the benchmark's events as rows, all of them in one stream or one kind alone.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/sources/nexmark_events.hpp"
#include "libdataflow/sources/source.hpp"

namespace dataflow {

struct NexmarkSourceSpec {
  NexmarkSettings events;
  std::optional<std::uint64_t> count;  ///< events of all kinds; nothing: without end
  std::optional<NexmarkKind> only;     ///< the kind that is given; nothing: all, told apart by event_type
  std::vector<bool> read{};            ///< which fields somebody reads; empty: all
};

/// The fields of one kind in the order of the benchmark's tables; of all kinds: event_type (0 person, 1 auction, 2 bid)
/// and every field of any, NULL where an event has none.
SchemaPtr nexmark_schema(std::optional<NexmarkKind> only);
SourceFactoryPtr make_nexmark_source(NexmarkSourceSpec spec);

/// A setting that cannot be, by its name in topologies.
struct NexmarkMistake {
  std::string_view setting;
  std::string message;
};
std::vector<NexmarkMistake> mistakes_of(const NexmarkSettings& settings);
/// What people are told of the source: "1000 events, bid alone".
std::string describe_nexmark(const NexmarkSourceSpec& spec);

}  // namespace dataflow

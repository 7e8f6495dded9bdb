#pragma once
// What goes wrong in a run, drawn from its seed before the run begins: a prefix of the list can be run by itself, which
// is how a failing seed is made small.
//
// Swarm testing: each seed has its own mix and its own rates, since a run in which everything goes wrong a little hides
// what only comes out when one thing goes wrong a lot. (Groce et al., "Swarm testing", ISSTA 2012.)

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/simulation/random.hpp"

namespace dataflow::simulation {

enum class FaultKind : std::uint8_t {
  kill,   ///< a process of a node ends, at an event or between two steps on the disk, and comes again later, or never
  stop,   ///< all processes of a machine stand still for a while, and go on as if nothing had been
  cut,    ///< connections break with what is under way, or a link lets nothing through, one way or both
  slow,   ///< a machine takes many times as long
  disk,   ///< a call fails, tells a lie or does half; no space; what was not synced is lost; a bit flips
  clock,  ///< a machine's wall clock jumps
  failover,   ///< the JobManager, or the job's master, ends, or is replaced while it stands still
  rescale,    ///< the job is stopped and goes on with another parallelism, from its last checkpoint or a savepoint
  savepoint,  ///< one is taken while the job runs
};
inline constexpr std::size_t fault_kind_count = 9;
std::string_view name_of(FaultKind kind);
std::optional<FaultKind> fault_kind(std::string_view name);

struct Fault {
  FaultKind kind = FaultKind::kill;
  Timestamp at;
  std::uint64_t chance = 0;  ///< from which the rest is drawn
};

/// The faults of a seed, in the order of their time: within the first `horizon`.
std::vector<Fault> draw_faults(std::uint64_t seed, const std::set<FaultKind>& kinds, Duration horizon);

}  // namespace dataflow::simulation

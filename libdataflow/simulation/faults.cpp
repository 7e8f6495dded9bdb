#include "libdataflow/simulation/faults.hpp"

#include <algorithm>
#include <array>

namespace dataflow::simulation {

namespace {

constexpr std::array<std::string_view, fault_kind_count> names{"kill",  "stop",     "cut",     "slow",     "disk",
                                                               "clock", "failover", "rescale", "savepoint"};

}  // namespace

std::string_view name_of(FaultKind kind) {
  return names[static_cast<std::size_t>(kind)];
}

std::optional<FaultKind> fault_kind(std::string_view name) {
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) return std::nullopt;
  return static_cast<FaultKind>(at - names.begin());
}

std::vector<Fault> draw_faults(std::uint64_t seed, const std::set<FaultKind>& kinds, Duration horizon) {
  Random random{seed ^ 0x66617574ULL};
  std::vector<Fault> faults;
  for (const FaultKind kind : kinds) {
    // Half of the kinds are left out of a run, and the others differ in how often they come.
    const bool chosen = kinds.size() == 1 || random.chance(0.5);
    const std::uint64_t most = kind == FaultKind::rescale ? 2 : kind == FaultKind::failover ? 3 : 6;
    const std::uint64_t count = chosen ? 1 + random.below(1 + random.below(most)) : 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto at = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(horizon.count()) + 1));
      faults.push_back({kind, Timestamp{at}, random.next()});
    }
  }
  std::stable_sort(faults.begin(), faults.end(), [](const Fault& a, const Fault& b) { return a.at < b.at; });
  return faults;
}

}  // namespace dataflow::simulation

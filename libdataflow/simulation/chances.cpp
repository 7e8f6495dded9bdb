#include "libdataflow/simulation/chances.hpp"

namespace dataflow::simulation {

namespace {

constexpr std::array<std::string_view, buggify_count> place_names{
    "one step",           "no joined batches", "small output queue", "grants at once", "small window results",
    "small state blocks", "few join results"};

}  // namespace

std::string_view Chances::name_of(Buggify place) {
  return place_names[static_cast<std::size_t>(place)];
}

Chances::Chances(Random random, bool any, std::map<std::string, std::uint64_t>& met) : random_{random} {
  constexpr double rates[] = {0.02, 0.3, 1};
  for (std::size_t place = 0; place < buggify_count; ++place) {
    if (any && random_.chance(0.3)) rates_[place] = rates[random_.below(3)];
    if (rates_[place] > 0) taken_[place] = &met["buggified " + std::string{place_names[place]}];
  }
}

bool Chances::happens(Buggify place) {
  const auto at = static_cast<std::size_t>(place);
  if (rates_[at] == 0 || !random_.chance(rates_[at])) return false;
  ++*taken_[at];
  return true;
}

}  // namespace dataflow::simulation

#include "libdataflow/simulation/defects.hpp"

#include <utility>

#include "libdataflow/checkpoint/lineage.hpp"

namespace dataflow::simulation {

void plant_in_snapshot(World& world, CapturedStates& states) {
  for (auto& [uid, state] : states) {
    if (world.defect == Defect::forgotten_state && world.random.chance(0.1)) state = nullptr;
  }
}

void plant_older_checkpoint(RestorePoint& point, const CheckpointStoragePtr& storage, const std::string& lineage) {
  const auto completed = list_completed(*storage, lineage);
  if (!completed || completed->size() < 2) return;
  const std::string& folder = (*completed)[completed->size() - 2].folder;
  auto older = RestoredCheckpoint::load(storage, folder);
  if (older) point = RestorePoint{std::move(*older), {}, folder};
}

}  // namespace dataflow::simulation

#pragma once
// The states of an operator's subtasks as a checkpoint that can be restored, by way of the real encoding.

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/state_file.hpp"

namespace dataflow::testing_support {

/// Of the operator "op": of stores as they are, or, `portable`, of rows.
inline std::shared_ptr<const RestoredCheckpoint> checkpoint_of(std::vector<CapturedStatePtr> captured, bool portable,
                                                               const std::string& folder,
                                                               const CheckpointStoragePtr& storage,
                                                               UploadedFiles& uploaded, std::uint32_t key_groups) {
  CheckpointMetadata metadata;
  metadata.id = 1;
  metadata.max_parallelism = key_groups;
  metadata.operators.push_back({"op", {}, std::nullopt});
  for (std::size_t subtask = 0; subtask < captured.size(); ++subtask) {
    CapturedStates states;
    states.emplace_back("op", std::move(captured[subtask]));
    auto written =
        write_task_state(std::move(states), *storage, folder, std::to_string(subtask), portable ? nullptr : &uploaded);
    REQUIRE_MESSAGE(written.has_value(), (written ? "" : written.error().message()));
    auto arrived = decode_task_state(encode_task_state(*written));
    REQUIRE(arrived.has_value());
    metadata.operators[0].subtasks.push_back(
        {std::move(arrived->operators[0].tables), static_cast<std::uint32_t>(metadata.files.size())});
    metadata.files.push_back(std::move(arrived->file));
  }
  REQUIRE(storage->put(folder + "/" + std::string{metadata_name}, encode_metadata(metadata)));
  auto loaded = RestoredCheckpoint::load(storage, folder);
  REQUIRE(loaded.has_value());
  return *loaded;
}

}  // namespace dataflow::testing_support

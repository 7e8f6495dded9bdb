#pragma once
// Savepoints: checkpoints that belong to whoever asked for them. A savepoint is a folder of its own that refers to
// nothing outside of itself, so that it can be moved, copied and kept; it holds every operator's state as tables
// (state/snapshot.hpp), whatever backend kept it, and the job never deletes it.
//
//   DIR/savepoint-NAME-0000000007/_metadata    checkpoint.capnp, with `savepoint` set; written last
//                                 0-0, 0-1     a file for each subtask with more state than lies in the metadata
//
// (Flink's canonical savepoint format, FLIP-41.)

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "libdataflow/checkpoint/restored_checkpoint.hpp"
#include "libdataflow/checkpoint/storage.hpp"

namespace dataflow {

/// Where a savepoint lies: its folder is a key of `storage`.
struct SavepointPlace {
  CheckpointStoragePtr storage;
  std::string folder;
};

/// Finds a savepoint by what a user calls it.
using SavepointFinder = std::function<Result<SavepointPlace>(std::string_view)>;

/// Takes the path of a savepoint's folder, of its `_metadata`, or of a folder with one savepoint in it. Errors:
/// not_found when there is none; invalid_argument naming them when there are several.
Result<SavepointPlace> find_savepoint(std::string_view path);

/// Finds and reads it. Errors: those of find_savepoint and RestoredCheckpoint::load.
Result<RestoredCheckpointPtr> load_savepoint(std::string_view path);

/// Whether savepoints can be written below `target`, a path or file:// URI: makes the folder. Errors: io,
/// invalid_argument.
Status prepare_savepoint_folder(const std::string& target);

/// Copies a completed checkpoint to a new folder below `target`, checking every checksum, and returns its path. What
/// was copied is removed again when it fails. Errors: io of either side; malformed_data naming the damaged file;
/// unsupported when the checkpoint's state is not all tables.
Result<std::string> export_savepoint(CheckpointStorage& from, const std::string& folder, const std::string& target);
/// The same to the root of another storage; the path is as that describes it.
Result<std::string> export_savepoint(CheckpointStorage& from, const std::string& folder, CheckpointStorage& to);

}  // namespace dataflow

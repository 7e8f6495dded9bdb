#pragma once
// Whose files a store began with, for the messages about what is damaged in it: the store's own folder has names that a
// person has never seen, and is gone when somebody looks.

#include <filesystem>
#include <string>
#include <string_view>

namespace dataflow {

/// What to do about a checkpoint with a damaged file, as the end of a message.
inline constexpr std::string_view when_damaged =
    "the checkpoint is damaged; a job can be started from an earlier one with --from FOLDER, and then writes again "
    "what "
    "it wrote since";

/// Says in the store's folder that its files are those of a checkpoint, `origin` with their names behind it.
void note_origin(const std::filesystem::path& folder, std::string_view origin);
/// Empty when nobody has said so.
std::string origin_of(const std::filesystem::path& folder);

}  // namespace dataflow

#pragma once
// The folder that a file sink writes to: what may be in it before, names while files are being written, and how they
// become visible.
//
// A part is written as `.part.JOB.SINK.SUBTASK.ATTEMPT.N.json`, which nothing lists, and renamed to the next free
// `part-SUBTASK-N.json` of its folder when it is committed. A rename is atomic and never replaces a file, so a visible
// part is whole, and jobs that append to one folder do not meet.
//
// Who may remove what is hidden:
// - A job its own: before an attempt what earlier attempts left, and everything when it has ended (a resumable one only
//   when it leaves no part, see below).
// - A job that starts in the folder, whatever its on_existing, what belongs to dead jobs (folder_owner.hpp): those that
//   were killed, also under sinks that no topology names any more. Except where the mark of the dead job says that it
//   is resumable: a checkpoint of it may list parts as pre-committed, which it wants back when it is resumed.
// - Nobody what belongs to a job that lives.
// On a filesystem without locks nobody can tell who lives, so there a job removes only what is its own.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/operators/operator.hpp"
#include "libdataflow/sinks/folder_owner.hpp"
#include "libdataflow/sinks/part_files.hpp"
#include "serialization/result.hpp"

namespace dataflow {

enum class OnExisting : std::uint8_t { error, append, replace };

/// `.part.JOB.SINK.SUBTASK.ATTEMPT.N`, without an extension.
std::string hidden_part_name(const SinkIdentity& sink, std::uint32_t subtask, std::uint32_t attempt, std::uint64_t n);

/// Before a job starts: makes the folder, marks it as used by the job, removes what dead jobs have left hidden, and
/// looks at what is visible. With OnExisting::error, visible files are an error (invalid_argument) that says what
/// on_existing does. With replace, the parts that are there are written down in the hidden file `.replaced.JOB.SINK`;
/// they stay visible until the new ones are committed, so that a job that fails has destroyed nothing. Only files named
/// like parts are ever replaced. With both, another job that writes to the folder or below is an error
/// (invalid_argument). The guard holds the mark.
/// A job that goes on from a checkpoint finds its own files visible: it is not refused for anything but living already,
/// and replaces what it had written down in the beginning.
Result<std::unique_ptr<JobGuard>> claim_folder(const std::string& folder, OnExisting on_existing, std::string_view sink,
                                               const JobStart& job);

/// Removes the hidden parts that earlier attempts left behind, in subfolders too, but for the paths in `keep`.
Status remove_hidden_parts(PartFiles& files, const std::string& folder, const SinkIdentity& sink,
                           const std::set<std::string>& keep = {});

/// Makes hidden parts of one subtask visible.
class PartPublisher {
 public:
  PartPublisher(PartFilesPtr files, std::string folder, SinkIdentity sink, std::uint32_t subtask)
      : files_{std::move(files)}, folder_{std::move(folder)}, sink_{std::move(sink)}, subtask_{subtask} {}

  /// Removes the parts that claim_folder has written down, if no subtask has done so yet.
  Status remove_replaced();
  /// Renames `hidden_path` to the next free part name of its folder, with `extension`. Errors: io.
  Status publish(const std::string& hidden_path, std::string_view extension);

 private:
  PartFilesPtr files_;
  std::string folder_;
  SinkIdentity sink_;
  std::uint32_t subtask_;
  std::map<std::string, std::uint64_t> next_;  ///< number to try, by folder
};

}  // namespace dataflow

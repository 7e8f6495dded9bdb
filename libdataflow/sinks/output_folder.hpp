#pragma once
// The folder that a file sink writes to: what may be in it before, names while files are being written, and how they
// become visible.
//
// A part is written as `.part.JOB.SINK.SUBTASK.ATTEMPT.N.json`, which nothing lists, and renamed to the next free
// `part-SUBTASK-N.json` of its folder when it is committed. A rename is atomic and never replaces a file, so a visible
// part is whole, and jobs that append to one folder do not meet.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "serialization/result.hpp"

namespace dataflow {

enum class OnExisting : std::uint8_t { error, append, replace };

/// Names whose files belong to one sink of one job.
struct SinkIdentity {
  std::string job_id;
  std::string sink;  ///< the node's uid
};

/// `.part.JOB.SINK.SUBTASK.ATTEMPT.N`, without an extension.
std::string hidden_part_name(const SinkIdentity& sink, std::uint32_t subtask, std::uint32_t attempt, std::uint64_t n);

/// Text as part of a file's name: what is special in names, partitions or shells becomes %XX.
std::string escape_name(std::string_view text);

/// Makes the folder, with those above it. Errors: io saying why and what to do.
Status make_folder(const std::string& folder);

/// Before a job starts: makes the folder and looks at what is in it. With OnExisting::error, visible files are an
/// error (invalid_argument) that says what on_existing does. With replace, the parts that are there are written down
/// in the hidden file `.replaced.JOB.SINK`; they stay visible until the new ones are committed, so that a job that
/// fails has destroyed nothing. Only files named like parts are ever replaced.
Status prepare_folder(const std::string& folder, OnExisting on_existing, const SinkIdentity& sink);

/// Removes the hidden parts that earlier attempts left behind, in subfolders too, but for the paths in `keep`.
Status remove_hidden_parts(const std::string& folder, const SinkIdentity& sink, const std::set<std::string>& keep = {});

/// Makes hidden parts of one subtask visible.
class PartPublisher {
 public:
  PartPublisher(std::string folder, SinkIdentity sink, std::uint32_t subtask)
      : folder_{std::move(folder)}, sink_{std::move(sink)}, subtask_{subtask} {}

  /// Removes the parts that prepare_folder has written down, if no subtask has done so yet.
  Status remove_replaced();
  /// Renames `hidden_path` to the next free part name of its folder, with `extension`. Errors: io.
  Status publish(const std::string& hidden_path, std::string_view extension);

 private:
  std::string folder_;
  SinkIdentity sink_;
  std::uint32_t subtask_;
  std::map<std::string, std::uint64_t> next_;  ///< number to try, by folder
};

}  // namespace dataflow

#pragma once
// The JobStore: what a JobManager must not forget, in a folder:
//
//   jobs/ID.job          a StoredJob
//   artifacts/SHA256     topology texts and libraries, by the hash of their content
//   cluster              the name of the cluster that it belongs to
//   leader/epoch-N       one for the newest leader epoch; its name is all there is to it
//
// A file comes into being under another name, is synced, put in place atomically, and its folder synced, so that after
// a crash between any two steps there is the old content or the new one, and what a call has confirmed stays.
//
// Each JobManager that opens the store takes the next leader epoch by link(2), which only one can win; a write checks
// that no later one was taken, so that a JobManager which was replaced stops writing.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "libdataflow/master/file_access.hpp"
#include "libdataflow/master/stored_job.hpp"

namespace dataflow {

class JobStore {
 public:
  struct Settings {
    std::string folder;
    std::string cluster = "dataflow";  ///< a store of another cluster is refused
    std::size_t finished_jobs = 100;   ///< how many jobs that have ended are kept; the oldest are forgotten first
    /// How many artifacts that no job refers to (yet: their clients may be about to submit one) are kept; so, too.
    std::size_t unclaimed_artifacts = 256;
  };

  /// Opens or makes the store, takes the next leader epoch, and clears away what a crash has left half done. `files`
  /// outlives the store. Errors: io; unavailable when another JobManager took the epoch at the same moment;
  /// invalid_argument for the store of another cluster. A record that cannot be read is no error: see unreadable().
  static Result<JobStore> open(FileAccess& files, Settings settings);

  /// "HOST:PORT" of the JobManager that led last, as far as it has said; empty: nobody has. Takes no epoch.
  static std::string last_leader(FileAccess& files, const std::string& folder);
  /// Where this leader is reached. Errors: unavailable when a later leader has taken over; io.
  Status keep_address(const std::string& address);

  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  /// By id.
  [[nodiscard]] const std::map<std::string, StoredJob>& jobs() const { return jobs_; }
  /// One error for each record that could not be read, naming its file. The files stay where they are, and no artifact
  /// is removed while there are any.
  [[nodiscard]] const std::vector<Error>& unreadable() const { return unreadable_; }

  /// Errors: unavailable when a later leader has taken over; io.
  [[nodiscard]] Status check_leader() const;

  /// Adds or replaces; durable when it returns. A job that has ended may push the oldest such out of the history.
  /// Errors: invalid_argument for an id that is none; unavailable when a later leader has taken over; io.
  Status put(const StoredJob& record);

  /// Keeps `bytes` and returns their hash. It stays at least until a record refers to it, or the store is opened again,
  /// or unclaimed_artifacts others came after it.
  Result<std::string> put_artifact(std::string_view bytes);
  /// Whether it is there; it then stays like one that was put now.
  bool keep_artifact(const std::string& hash);
  /// Errors: not_found; malformed_data when the content is not what its name says.
  Result<std::string> artifact(const std::string& hash) const;

 private:
  JobStore(FileAccess& files, Settings settings) : files_{&files}, settings_{std::move(settings)} {}

  [[nodiscard]] std::string folder(std::string_view name) const { return settings_.folder + "/" + std::string{name}; }
  Status check_cluster();
  Result<std::uint64_t> newest_epoch() const;
  Status take_epoch();
  Status load();
  Status replace(const std::string& in_folder, const std::string& name, std::string_view bytes);
  Status forget_oldest();
  Status collect_artifacts();
  void claim(const std::string& artifact);
  /// Whether older ones were given up for it.
  bool keep_unclaimed(const std::string& artifact);

  FileAccess* files_;
  Settings settings_;
  std::uint64_t epoch_ = 0;
  std::map<std::string, StoredJob> jobs_;
  std::vector<Error> unreadable_;
  std::vector<std::string> fresh_artifacts_;  ///< put since open, and referred to by no record yet; the newest last
};

/// SHA-256 in hex.
std::string content_hash(std::string_view bytes);

}  // namespace dataflow

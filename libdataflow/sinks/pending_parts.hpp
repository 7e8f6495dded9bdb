#pragma once
// What a sink of part files has pre-committed and not made visible yet, by epoch: the part of its two-phase commit that
// checkpoints hold. The file sink's, and that of the sinks of a simulated cluster, which differ in the disk.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/state/snapshot.hpp"

namespace dataflow {

class PendingParts {
 public:
  /// Its name in a checkpoint: a list of epochs and paths.
  static constexpr const char* table = "pending";

  void add(std::uint64_t epoch, const std::vector<std::string>& paths) {
    std::vector<std::string>& all = of_epoch_[epoch];
    all.insert(all.end(), paths.begin(), paths.end());
  }

  /// `publish(path)`, a Status, for each part of the epochs up to `epoch`, oldest first. What is visible leaves the
  /// list at once, so that a commit that failed half way can be tried again.
  template <class Publish>
  Status commit(std::uint64_t epoch, Publish&& publish) {
    while (!of_epoch_.empty() && of_epoch_.begin()->first <= epoch) {
      std::vector<std::string>& paths = of_epoch_.begin()->second;
      for (std::size_t done = 0; done < paths.size(); ++done) {
        if (Status published = publish(paths[done]); !published) {
          paths.erase(paths.begin(), paths.begin() + static_cast<std::ptrdiff_t>(done));
          return published;
        }
      }
      of_epoch_.erase(of_epoch_.begin());
    }
    return {};
  }

  /// What a checkpoint lists from now on stays when the attempt is aborted.
  [[nodiscard]] CapturedStatePtr snapshot();
  /// `remove(path)` for each part that no snapshot lists, and forgets all.
  template <class Remove>
  void abort(Remove&& remove) {
    for (const auto& [epoch, paths] : of_epoch_) {
      if (epoch <= last_listed_) continue;
      for (const std::string& path : paths) remove(path);
    }
    of_epoch_.clear();
  }

  /// `visit(path)` for each part that a state lists. Errors: those of StateReader::read.
  template <class Visit>
  static Status for_each(StateReader& state, Visit&& visit) {
    return state.read(table, schema(), [&](std::uint32_t, const BatchPtr& rows) -> Status {
      for (std::uint32_t row = 0; row < rows->rows(); ++row) visit(std::string{rows->column(1).text(row)});
      return {};
    });
  }

 private:
  static const SchemaPtr& schema();

  std::map<std::uint64_t, std::vector<std::string>> of_epoch_;
  std::uint64_t last_listed_ = 0;
};

}  // namespace dataflow

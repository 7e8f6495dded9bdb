#pragma once
// When groups that lie in a store are due, in the order of time, so that no key is in memory for its deadline's sake.
// In a store of its own, which no checkpoint has: deadlines follow from the groups.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libdataflow/state/state_backend.hpp"
#include "libdataflow/windows/window_state.hpp"

namespace dataflow::windows {

/// Errors of all calls: of the store.
class GroupDeadlines {
 public:
  GroupDeadlines(StateBackendPtr backend, GroupFormPtr form) : backend_{std::move(backend)}, form_{std::move(form)} {}

  /// Once for each time and key.
  Status put(std::int64_t time, const KeyRef& key);
  Status erase(std::int64_t time, const KeyRef& key);
  /// No deadline is earlier.
  [[nodiscard]] std::optional<std::int64_t> first() const { return first_; }
  /// Takes the first deadlines out, up to `most`, of those at or before `until`. The keys are valid until the next
  /// call.
  Result<std::span<const KeyRef>> take(std::int64_t until, std::size_t most);

  /// Whether there has been any.
  [[nodiscard]] bool any_store() const { return store_ != nullptr; }

 private:
  Status flush();

  StateBackendPtr backend_;
  GroupFormPtr form_;
  OwnedStorePtr store_;  ///< from the first ones that are written on
  StoreBatch changes_;   ///< that wait
  std::optional<std::int64_t> first_;
  std::string from_;  ///< none lies before it: what has been erased there is not walked over again
  std::string bytes_;
  std::vector<std::unique_ptr<std::string>> due_keys_;
  std::vector<KeyRef> due_;
};

}  // namespace dataflow::windows

#include "libdataflow/process/later_entries.hpp"

namespace dataflow {

Status LaterEntries::set_horizon(std::string_view key) {
  if (store_ == nullptr) {
    auto store = backend_->open(backend_->new_folder());
    if (!store) return fail(store.error());
    store_ = std::move(*store);
  }
  horizon_ = key;
  return {};
}

Status LaterEntries::flush() {
  if (pending_.empty()) return {};
  const Status written = (*store_)->write(pending_);
  pending_.clear();
  return written;
}

Status LaterEntries::forget(std::string last, std::string next) {
  Status erased;
  if (!last.empty()) {
    // The first key behind the last one is the last one and a zero.
    last += '\0';
    erased = (*store_)->erase_range(horizon_, last);
  }
  horizon_ = std::move(next);
  return erased;
}

Result<FrozenLaterEntriesPtr> LaterEntries::freeze() {
  if (!any()) return FrozenLaterEntriesPtr{};
  if (Status flushed = flush(); !flushed) return fail(flushed.error());
  return std::make_unique<FrozenLaterEntries>(store_, (*store_)->scan(horizon_, {}));
}

}  // namespace dataflow

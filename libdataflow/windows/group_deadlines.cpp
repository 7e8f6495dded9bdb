#include "libdataflow/windows/group_deadlines.hpp"

#include <algorithm>

#include "libdataflow/state/store_key.hpp"

namespace dataflow::windows {

namespace {

constexpr std::size_t deadline_changes_bytes = 1U << 20;

}  // namespace

Status GroupDeadlines::put(std::int64_t time, const KeyRef& key) {
  bytes_.clear();
  put_ordered_signed(bytes_, time);
  form_->keys.append_stored(key, bytes_);
  changes_.put(bytes_, {});
  if (bytes_ < from_) from_ = bytes_;
  first_ = std::min(first_.value_or(time), time);
  return changes_.byte_size() < deadline_changes_bytes ? Status{} : flush();
}

Status GroupDeadlines::erase(std::int64_t time, const KeyRef& key) {
  bytes_.clear();
  put_ordered_signed(bytes_, time);
  form_->keys.append_stored(key, bytes_);
  changes_.erase(bytes_);
  return changes_.byte_size() < deadline_changes_bytes ? Status{} : flush();
}

Status GroupDeadlines::flush() {
  if (changes_.empty()) return {};
  if (store_ == nullptr) {
    auto store = backend_->open(backend_->new_folder());
    if (!store) return fail(store.error());
    store_ = std::move(*store);
  }
  Status written = (*store_)->write(changes_);
  changes_.clear();
  return written;
}

Result<std::span<const KeyRef>> GroupDeadlines::take(std::int64_t until, std::size_t most) {
  due_.clear();
  due_keys_.clear();
  if (Status flushed = flush(); !flushed) return fail(flushed.error());
  if (store_ == nullptr) return std::span<const KeyRef>{};
  const auto scan = (*store_)->scan(from_, {});
  for (; scan->valid() && due_.size() < most && get_ordered_signed(scan->key()) <= until; scan->next()) {
    due_keys_.push_back(std::make_unique<std::string>(scan->key().substr(sizeof until)));
    due_.push_back(form_->keys.read_stored(*due_keys_.back()));
    changes_.erase(scan->key());
  }
  if (Status walked = scan->status(); !walked) return fail(walked.error());
  if (scan->valid()) {
    from_ = scan->key();
    first_ = get_ordered_signed(scan->key());
  } else {
    from_.assign(sizeof until + 1, '\xff');
    first_.reset();
  }
  return std::span<const KeyRef>{due_};
}

}  // namespace dataflow::windows

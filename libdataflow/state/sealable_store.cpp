#include "libdataflow/state/sealable_store.hpp"

#include <algorithm>

namespace dataflow {

namespace {

namespace fs = std::filesystem;

/// Of the write-back cache, what may wait in front of a store.
constexpr std::uint64_t share_of_overlay = 4;
constexpr std::uint64_t least_overlay_bytes = 1U << 20;
/// What an entry takes beside its key and value.
constexpr std::size_t overlay_entry_bytes = 128;
constexpr std::size_t overlay_write_bytes = 1U << 20;

/// A walk over a store with what was written since in front of it.
class OverlaidScan final : public StoreScan {
 public:
  using Overlay = SealableStore::Overlay;

  OverlaidScan(std::unique_ptr<StoreScan> scan, std::shared_ptr<const Overlay> overlay, std::string_view from,
               std::string_view end)
      : scan_{std::move(scan)},
        overlay_{std::move(overlay)},
        at_{overlay_->lower_bound(from)},
        end_{end.empty() ? overlay_->end() : overlay_->lower_bound(std::max(from, end))} {
    find();
  }

  [[nodiscard]] bool valid() const override { return source_ != Source::none; }
  void next() override {
    if (source_ == Source::overlay) {
      pass_overlay();
    } else {
      scan_->next();
    }
    find();
  }
  [[nodiscard]] std::string_view key() const override {
    return source_ == Source::overlay ? std::string_view{at_->first} : scan_->key();
  }
  [[nodiscard]] std::string_view value() const override {
    return source_ == Source::overlay ? std::string_view{*at_->second} : scan_->value();
  }
  [[nodiscard]] Status status() const override { return scan_->status(); }

 private:
  enum class Source : std::uint8_t { none, store, overlay };

  /// Which of the two has the next entry that is not erased.
  void find() {
    while (true) {
      if (!scan_->valid() && !scan_->status()) {
        source_ = Source::none;
        return;
      }
      if (at_ == end_ || (scan_->valid() && scan_->key() < at_->first)) {
        source_ = scan_->valid() ? Source::store : Source::none;
        return;
      }
      if (at_->second) {
        source_ = Source::overlay;
        return;
      }
      pass_overlay();
    }
  }
  /// With what the store has of the same key.
  void pass_overlay() {
    if (scan_->valid() && scan_->key() == at_->first) scan_->next();
    ++at_;
  }

  std::unique_ptr<StoreScan> scan_;
  std::shared_ptr<const Overlay> overlay_;
  Overlay::const_iterator at_;
  Overlay::const_iterator end_;
  Source source_ = Source::none;
};

}  // namespace

SealedStore::~SealedStore() {
  drop_files();
}

void SealedStore::drop_files() {
  const std::lock_guard lock{mutex_};
  std::error_code ignored;  // what cannot be removed goes with the process's folder
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
  folder_.clear();
}

bool SealedStore::is_under_way() {
  const std::unique_lock lock{mutex_, std::try_to_lock};
  return !lock.owns_lock() || (wanted_ && !done_);
}

Status SealedStore::run() {
  const std::lock_guard lock{mutex_};
  if (done_) return {};
  if (!complete_) {
    if (Status completed = complete(); !completed) return completed;
    complete_ = true;
  }
  if (wanted_) {
    const fs::path folder = store_->checkpoint_folder();
    auto files = store().checkpoint(folder);
    if (!files) return fail(files.error());
    folder_ = folder;
    files_ = std::move(*files);
  }
  done_ = true;
  return {};
}

Status SealedStore::make() {
  if (Status made = run(); !made) return made;
  return files_.empty() ? fail(ErrorCode::cancelled, "the checkpoint was given up") : Status{};
}

Status SealedStore::write_files(StateWriter& writer, const StateDescription& state) {
  if (Status made = make(); !made) return made;
  return writer.add_store(state, folder_, files_);
}

/// The store itself may have been written since: its checkpoint is opened beside it.
Status SealedStore::write_rows(StateWriter& writer, const StoredTableForm& form, std::uint32_t max_parallelism) {
  if (Status made = make(); !made) return made;
  const StateBackendPtr& backend = store_->backend();
  const fs::path folder = backend->new_folder();
  if (Status copied = restore_files(folder_, files_, folder); !copied) return copied;
  const auto copy = backend->open(folder);
  if (!copy) return fail(copy.error());
  return scan_stored_table(***copy, form, {0, max_parallelism},
                           [&](std::uint32_t group, const BatchPtr& rows) { return writer.add(group, rows); });
}

std::size_t SealableStore::most_overlay_bytes() const {
  return std::max(least_overlay_bytes, store_->backend()->cache_bytes() / share_of_overlay);
}

/// Makes what was sealed, and takes what has waited for it into the store.
Status SealableStore::settle() {
  if (sealed_ != nullptr) {
    if (Status made = sealed_->run(); !made) return made;
    sealed_.reset();
  }
  if (overlay_ == nullptr) return {};
  StoreBatch changes;
  for (const auto& [key, value] : *overlay_) {
    value ? changes.put(key, *value) : changes.erase(key);
    if (changes.byte_size() < overlay_write_bytes) continue;
    if (Status written = (*store_)->write(changes); !written) return written;
    changes.clear();
  }
  if (Status written = changes.empty() ? Status{} : (*store_)->write(changes); !written) return written;
  overlay_.reset();
  overlay_bytes_ = 0;
  return {};
}

Status SealableStore::write(const StoreBatch& changes) {
  const std::size_t more = changes.byte_size() + changes.size() * overlay_entry_bytes;
  if (sealed_ != nullptr && overlay_bytes_ + more <= most_overlay_bytes() && sealed_->is_under_way()) {
    keep(changes);
    return {};
  }
  if (Status settled = settle(); !settled) return settled;
  return (*store_)->write(changes);
}

void SealableStore::keep(const StoreBatch& changes) {
  if (overlay_ == nullptr) {
    overlay_ = std::make_shared<Overlay>();
  } else if (overlay_.use_count() > 1) {
    overlay_ = std::make_shared<Overlay>(*overlay_);
  }
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto [key, value] = changes[i];
    const auto [at, is_new] = overlay_->try_emplace(std::string{key});
    if (is_new) {
      overlay_bytes_ += key.size() + overlay_entry_bytes;
    } else if (at->second) {
      overlay_bytes_ -= at->second->size();
    }
    at->second.reset();
    if (!value) continue;
    at->second.emplace(*value);
    overlay_bytes_ += value->size();
  }
}

Status SealableStore::multi_get(std::span<const std::string_view> keys, StoreValues& values) {
  if (overlay_ == nullptr) return (*store_)->multi_get(keys, values);
  in_store_.clear();
  for (const std::string_view key : keys) {
    if (!overlay_->contains(key)) in_store_.push_back(key);
  }
  from_store_.clear();
  if (Status got = in_store_.empty() ? Status{} : (*store_)->multi_get(in_store_, from_store_); !got) return got;
  values.clear();
  const auto add = [&values](std::optional<std::string_view> value) {
    value ? values.add(*value) : values.add_missing();
  };
  std::size_t next = 0;  // in from_store_
  for (const std::string_view key : keys) {
    const auto at = overlay_->find(key);
    at == overlay_->end() ? add(from_store_[next++]) : add(at->second);
  }
  return {};
}

std::unique_ptr<StoreScan> SealableStore::scan(std::string_view from, std::string_view end) {
  auto stored = (*store_)->scan(from, end);
  if (overlay_ == nullptr) return stored;
  return std::make_unique<OverlaidScan>(std::move(stored), overlay_, from, end);
}

Result<SealedStorePtr> SealableStore::seal() {
  if (sealed_ != nullptr) sealed_->give_up();
  if (Status settled = settle(); !settled) return fail(settled.error());
  sealed_ = std::make_shared<SealedStore>(store_);
  return sealed_;
}

}  // namespace dataflow

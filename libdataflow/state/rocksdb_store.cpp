#include "libdataflow/state/rocksdb_store.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/universal_compaction.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <cassert>
#include <limits>
#include <map>
#include <utility>

#include "libdataflow/state/store_origin.hpp"

namespace dataflow {

struct RocksMemory::Parts {
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
};

namespace {

namespace fs = std::filesystem;
using rocksdb::Slice;

/// Of a sorted run's filter: 1 % of lookups of missing keys read a block.
constexpr double filter_bits_per_key = 10;
constexpr std::size_t block_bytes = 4096;
/// Sorted runs before they are joined. More of them mean less rewriting and more filters to ask.
constexpr int runs_before_compaction = 12;
/// Obsolete versions and tombstones may take this much of the content before everything is rewritten.
constexpr unsigned most_garbage_percent = 200;
constexpr std::size_t most_memtable_bytes = 64U << 20;
/// Of a memtable, for a filter of the keys in it: about ten bits for each of small entries. Most lookups are of keys
/// that it has not, and without filter each walks through it.
constexpr double memtable_filter_share = 0.02;

Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view view(const Slice& text) {
  return {text.data(), text.size()};
}

/// RocksDB's status as an error that says where, what and what to do.
tl::unexpected<Error> refused(const fs::path& folder, std::string_view what, const rocksdb::Status& status) {
  std::string message = "state store " + folder.string() + ": cannot " + std::string{what} + ": " + status.ToString();
  if (status.IsCorruption()) {
    const std::string origin = origin_of(folder);
    message += origin.empty() ? "; its files are damaged: restore a checkpoint"
                              : "; the files that it began with are " + origin + "*: " + std::string{when_damaged};
    return fail(ErrorCode::malformed_data, std::move(message));
  }
  const std::string text = status.ToString();
  if (status.IsNoSpace() || text.find("No space") != std::string::npos) {
    message += "; the disk is full: make room, or give the state a folder on a larger one";
  } else if (text.find("lock") != std::string::npos) {
    message += "; another process has it open: wait for its end, or use another folder";
  } else {
    message += "; look at the disk and at the folder's permissions";
  }
  return fail(ErrorCode::io, std::move(message));
}

class RocksScan final : public StoreScan {
 public:
  RocksScan(fs::path folder, rocksdb::DB& db, std::string_view from, std::string_view end)
      : folder_{std::move(folder)}, end_{end}, end_slice_{end_} {
    rocksdb::ReadOptions options;
    options.total_order_seek = true;
    options.fill_cache = false;  // a scan would push out what lookups need
    options.readahead_size = 1U << 20;
    if (!end_.empty()) options.iterate_upper_bound = &end_slice_;
    at_.reset(db.NewIterator(options));
    at_->Seek(slice(from));
  }
  [[nodiscard]] bool valid() const override { return at_->Valid(); }
  void next() override { at_->Next(); }
  [[nodiscard]] std::string_view key() const override { return view(at_->key()); }
  [[nodiscard]] std::string_view value() const override { return view(at_->value()); }
  [[nodiscard]] Status status() const override {
    if (const auto status = at_->status(); !status.ok()) return refused(folder_, "read on", status);
    return {};
  }

 private:
  fs::path folder_;
  std::string end_;
  Slice end_slice_;
  std::unique_ptr<rocksdb::Iterator> at_;
};

/// RocksDB would look every few seconds whether a failed disk has room again, and refuse to be told that it has.
class NoRecoveryOfItsOwn final : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

rocksdb::Options options_for(const RocksMemory& memory) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_manager = memory.parts().write_buffers;
  options.write_buffer_size = std::clamp<std::size_t>(memory.budget_bytes() / 8, 1U << 20, most_memtable_bytes);
  options.max_write_buffer_number = 3;
  options.memtable_whole_key_filtering = true;
  options.memtable_prefix_bloom_size_ratio = memtable_filter_share;
  options.avoid_flush_during_shutdown = true;  // what no checkpoint has is computed again
  options.max_background_jobs = 2;
  options.max_bgerror_resume_count = 0;
  options.listeners.push_back(std::make_shared<NoRecoveryOfItsOwn>());
  options.bytes_per_sync = 1U << 20;

  options.compaction_style = rocksdb::kCompactionStyleUniversal;
  options.level0_file_num_compaction_trigger = runs_before_compaction;
  options.level0_slowdown_writes_trigger = runs_before_compaction * 3;
  options.level0_stop_writes_trigger = runs_before_compaction * 5;
  options.compaction_options_universal.max_size_amplification_percent = most_garbage_percent;
  options.compaction_options_universal.allow_trivial_move = true;
  options.target_file_size_base = 64U << 20;
  options.compression = rocksdb::kNoCompression;

  rocksdb::BlockBasedTableOptions table;
  table.block_cache = memory.parts().cache;
  table.block_size = block_bytes;
  table.cache_index_and_filter_blocks = true;  // otherwise they grow with the state, outside of the budget
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(filter_bits_per_key));
  table.partition_filters = true;
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.format_version = 5;
  table.optimize_filters_for_memory = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));

  // Opening must not look at every file, nor may the store write files that nobody reads.
  options.skip_stats_update_on_db_open = true;
  options.skip_checking_sst_file_sizes_on_db_open = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.keep_log_file_num = 1;
  options.max_log_file_size = 1U << 20;
  return options;
}

class RocksStore final : public StateStore {
 public:
  RocksStore(fs::path folder, std::shared_ptr<RocksMemory> memory, std::unique_ptr<rocksdb::DB> db)
      : folder_{std::move(folder)}, memory_{std::move(memory)}, db_{std::move(db)} {
    write_options_.disableWAL = true;
  }
  ~RocksStore() override { rocksdb::CancelAllBackgroundWork(db_.get(), false); }

  Status multi_get(std::span<const std::string_view> keys, StoreValues& values) override {
    values.clear();
    slices_.clear();
    for (const std::string_view key : keys) slices_.push_back(slice(key));
    pinned_.resize(std::max(pinned_.size(), keys.size()));
    statuses_.resize(std::max(statuses_.size(), keys.size()));
    const bool sorted = std::is_sorted(keys.begin(), keys.end());
    db_->MultiGet({}, db_->DefaultColumnFamily(), keys.size(), slices_.data(), pinned_.data(), statuses_.data(),
                  sorted);
    Status result;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (statuses_[i].ok()) {
        values.add(view(pinned_[i]));
      } else {
        values.add_missing();
        if (!statuses_[i].IsNotFound() && result) result = refused(folder_, "look up keys", statuses_[i]);
      }
      pinned_[i].Reset();
    }
    return result;
  }

  Status write(const StoreBatch& changes) override {
    batch_.Clear();
    // In the order of their keys: each goes into the memtable beside the one before, along nodes that are in the cache.
    order_.clear();
    for (std::uint32_t i = 0; i < changes.size(); ++i) order_.push_back({changes[i].key, i});
    std::sort(order_.begin(), order_.end());
    for (const auto& [_, i] : order_) {
      const auto [key, value] = changes[i];
      const auto added = value ? batch_.Put(slice(key), slice(*value)) : batch_.Delete(slice(key));
      assert(added.ok());
      static_cast<void>(added);
    }
    return commit("write");
  }

  Status erase_range(std::string_view from, std::string_view end) override {
    if (from >= end) return {};
    batch_.Clear();
    const auto added = batch_.DeleteRange(slice(from), slice(end));
    assert(added.ok());
    static_cast<void>(added);
    return commit("erase a range");
  }

  std::unique_ptr<StoreScan> scan(std::string_view from, std::string_view end) override {
    return std::make_unique<RocksScan>(folder_, *db_, from, end);
  }

  Result<std::vector<StoreFile>> checkpoint(const fs::path& folder) override;

  std::uint64_t memory_bytes() const override { return memory_->used_bytes(); }
  std::uint64_t disk_bytes() const override {
    std::uint64_t bytes = 0;
    db_->GetIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &bytes);
    return bytes;
  }

 private:
  Status flush(std::string_view what);
  Status commit(std::string_view what) {
    auto status = db_->Write(write_options_, &batch_);
    // After a flush that found the disk full, the store refuses writes until it is told that there is room again. After
    // other failures it wants to be opened anew: the attempt ends, and the next one restores a checkpoint.
    if (!status.ok() && db_->Resume().ok()) status = db_->Write(write_options_, &batch_);
    if (!status.ok()) return refused(folder_, what, status);
    return {};
  }

  const fs::path folder_;
  const std::shared_ptr<RocksMemory> memory_;
  const std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteOptions write_options_;
  rocksdb::WriteBatch batch_;  ///< of the thread that writes, like the next
  std::vector<std::pair<std::string_view, std::uint32_t>> order_;
  std::vector<Slice> slices_;  ///< of the thread that looks up
  std::vector<rocksdb::PinnableSlice> pinned_;
  std::vector<rocksdb::Status> statuses_;
  std::map<std::string, std::uint64_t> checksums_;  ///< of immutable files, each read once
};

/// Puts everything that was written into files, and looks whether it did: after a full disk RocksDB 7.8 now and then
/// says that it has flushed and has not, and the checkpoint would lack the newest writes.
Status RocksStore::flush(std::string_view what) {
  constexpr int most_tries = 5;
  rocksdb::Status status;
  for (int i = 0; i < most_tries; ++i) {
    status = db_->Flush({});
    if (!status.ok() && db_->Resume().ok()) status = db_->Flush({});
    if (!status.ok()) return refused(folder_, what, status);
    std::uint64_t unflushed = 0;
    std::uint64_t waiting = 0;
    db_->GetIntProperty(rocksdb::DB::Properties::kNumEntriesActiveMemTable, &unflushed);
    db_->GetIntProperty(rocksdb::DB::Properties::kNumImmutableMemTable, &waiting);
    if (unflushed == 0 && waiting == 0) return {};
  }
  return fail(ErrorCode::io,
              "state store " + folder_.string() + ": cannot " + std::string{what} +
                  ": what was written does not reach its files any more, as after a full disk; it has to "
                  "be opened anew, on a checkpoint");
}

Result<std::vector<StoreFile>> RocksStore::checkpoint(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder, error)) {
    return fail(ErrorCode::io, "cannot make a checkpoint in " + folder.string() + ": it is there already");
  }
  const std::string what = "make a checkpoint in " + folder.string();
  if (auto flushed = flush(what); !flushed) return fail(flushed.error());
  rocksdb::Checkpoint* made = nullptr;
  auto status = rocksdb::Checkpoint::Create(db_.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint{made};
  if (status.ok()) status = checkpoint->CreateCheckpoint(folder.string(), std::numeric_limits<std::uint64_t>::max());
  if (!status.ok()) return refused(folder_, what, status);

  std::vector<StoreFile> files;
  std::map<std::string, std::uint64_t> checksums;
  for (const auto& entry : fs::directory_iterator{folder, error}) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("OPTIONS")) {  // ours are in the code
      fs::remove(entry.path(), error);
      continue;
    }
    const bool shared = name.ends_with(".sst");
    const auto known = shared ? checksums_.find(name) : checksums_.end();
    auto checksum = known != checksums_.end() ? Result<std::uint64_t>{known->second} : checksum_of_file(entry.path());
    if (!checksum) return fail(checksum.error());
    if (shared) checksums.emplace(name, *checksum);
    files.push_back({name, entry.file_size(error), *checksum, shared});
  }
  if (error) return fail(ErrorCode::io, "cannot read the checkpoint in " + folder.string() + ": " + error.message());
  checksums_ = std::move(checksums);
  std::sort(files.begin(), files.end(), [](const StoreFile& a, const StoreFile& b) { return a.name < b.name; });
  return files;
}

}  // namespace

RocksMemory::RocksMemory(std::uint64_t budget_bytes)
    : budget_{std::max(budget_bytes, least_rocks_memory_bytes)}, parts_{std::make_unique<Parts>()} {
  rocksdb::LRUCacheOptions cache;
  cache.capacity = budget_;
  cache.high_pri_pool_ratio = 0.3;
  // A shard of less than a few memtable chunks would throw out what it has just taken in.
  cache.num_shard_bits = budget_ < (256U << 20) ? 2 : 4;
  parts_->cache = rocksdb::NewLRUCache(cache);
  parts_->write_buffers = std::make_shared<rocksdb::WriteBufferManager>(budget_ / 2, parts_->cache);
}

RocksMemory::~RocksMemory() = default;

std::uint64_t RocksMemory::used_bytes() const {
  return parts_->cache->GetUsage();
}

Result<StateStorePtr> open_rocksdb_store(const fs::path& folder, std::shared_ptr<RocksMemory> memory) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return fail(ErrorCode::io, "cannot make the folder " + folder.string() + ": " + error.message());
  rocksdb::DB* opened = nullptr;
  const auto status = rocksdb::DB::Open(options_for(*memory), folder.string(), &opened);
  std::unique_ptr<rocksdb::DB> db{opened};
  if (!status.ok()) return refused(folder, "open it", status);
  return std::make_unique<RocksStore>(folder, std::move(memory), std::move(db));
}

}  // namespace dataflow

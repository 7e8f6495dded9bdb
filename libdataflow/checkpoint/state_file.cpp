#include "libdataflow/checkpoint/state_file.hpp"

#include "serialization/envelope.hpp"

namespace dataflow {

namespace {

/// Blocks one behind the other, in a file that is only made when there are many bytes.
class BlockFile {
 public:
  /// `storage` null: never a file.
  BlockFile(CheckpointStorage* storage, std::string key) : storage_{storage}, key_{std::move(key)} {}

  Status add(std::uint32_t key_group, const BatchPtr& rows, std::vector<StateBlock>& blocks) {
    if (rows->rows() == 0) return {};
    const Buffer words = to_flat_words(*encode(rows));
    const std::string_view bytes{words.as<char>(), words.size()};
    blocks.push_back({key_group, rows->rows(), size_, words.size(), block_hash(bytes)});
    size_ += words.size();
    pending_ += bytes;
    return pending_.size() > largest_inline_state && storage_ != nullptr ? flush() : Status{};
  }

  /// It is called `name` in the checkpoint's folder.
  Result<StateFile> finish(const std::string& name) {
    if (!file_) return StateFile{{}, size_, std::move(pending_)};
    if (Status flushed = flush(); !flushed) return fail(flushed.error());
    auto outcome = file_->finish();
    if (!outcome) return fail(outcome.error());
    if (*outcome == PutOutcome::exists) {
      return fail(ErrorCode::internal, storage_->describe(key_) + " has been written by somebody else");
    }
    return StateFile{name, size_, {}};
  }

 private:
  Status flush() {
    if (!file_) {
      auto made = storage_->create(key_);
      if (!made) return fail(made.error());
      file_ = std::move(*made);
    }
    Status appended = file_->append(pending_);
    pending_.clear();
    return appended;
  }

  CheckpointStorage* storage_;
  std::string key_;
  std::unique_ptr<StoredFile> file_;
  std::string pending_;
  std::uint64_t size_ = 0;
};

class SegmentWriter final : public StateWriter {
 public:
  SegmentWriter(CheckpointStorage* storage, std::string key) : file_{storage, std::move(key)} {}

  Status begin(const StateDescription& state) override {
    return fail(ErrorCode::internal, "the table \"" + state.name + "\" is begun in a segment of another one");
  }
  Status add(std::uint32_t key_group, const BatchPtr& rows) override { return file_.add(key_group, rows, blocks_); }

  Result<StateSegment> finish(const std::string& name) {
    auto file = file_.finish(name);
    if (!file) return fail(file.error());
    return StateSegment{std::move(*file), std::move(blocks_)};
  }

 private:
  BlockFile file_;
  std::vector<StateBlock> blocks_;
};

class BlockWriter final : public StateWriter {
 public:
  BlockWriter(CheckpointStorage* storage, std::string folder, std::string name, UploadedFiles* uploaded)
      : storage_{storage},
        folder_{std::move(folder)},
        name_{std::move(name)},
        uploaded_{uploaded},
        file_{storage, folder_ + name_} {}

  void begin_operator(std::string uid) { state_.operators.push_back({std::move(uid), {}}); }

  Status begin(const StateDescription& state) override {
    state_.operators.back().tables.push_back({state, {}});
    return {};
  }

  Status add(std::uint32_t key_group, const BatchPtr& rows) override {
    return file_.add(key_group, rows, state_.operators.back().tables.back().blocks);
  }

  [[nodiscard]] bool takes_segment(std::uint64_t bytes) const override {
    return uploaded_ != nullptr && bytes >= uploaded_->smallest_segment();
  }

  Status add_segment(const SegmentId& id, const std::function<Status(StateWriter&)>& write) override {
    if (uploaded_ == nullptr) return StateWriter::add_segment(id, write);
    const std::string name = name_ + ".s" + std::to_string(++segments_);
    auto uploaded = uploaded_->find(id);
    if (uploaded) {
      const auto linked = link(*uploaded, folder_ + name);
      if (!linked) return fail(linked.error());
      if (!*linked) uploaded.reset();
    }
    if (!uploaded) {
      SegmentWriter writer{storage_, folder_ + name};
      if (Status written = write(writer); !written) return written;
      auto segment = writer.finish(name);
      if (!segment) return fail(segment.error());
      uploaded = UploadedSegment{std::move(*segment), {}};
      if (!uploaded->segment.file.key.empty()) state_.new_bytes += uploaded->segment.file.size;
    }
    StateSegment& segment = uploaded->segment;
    if (segment.file.key.empty()) {
      state_.new_bytes += segment.file.size;  // into the metadata, each time
    } else {
      segment.file.key = name;
      uploaded->keys.push_back(folder_ + name);
    }
    if (!segment.blocks.empty()) state_.operators.back().tables.back().segments.push_back(segment);
    uploaded_->add(id, std::move(*uploaded));
    return {};
  }

  [[nodiscard]] bool takes_stores() const override { return uploaded_ != nullptr; }

  Status add_store(const StateDescription& state, const std::filesystem::path& folder,
                   std::span<const StoreFile> files) override {
    StateTable table{state, {}};
    table.store_prefix = name_ + "." + std::to_string(state_.operators.size()) + "-";
    const std::string to = folder_ + table.store_prefix;
    for (const StoreFile& file : files) {
      std::string known = file.shared ? uploaded_->find(file) : std::string{};
      auto written = storage_->put_file(to + file.name, file, folder / file.name, known);
      if (!written) return fail(written.error());
      // New is what no checkpoint before has, also where it only gets a second name.
      state_.new_bytes += known.empty() ? file.bytes : *written;
      if (file.shared) uploaded_->add(file, to + file.name);
      table.store.push_back({file.name, file.bytes, file.checksum, file.shared});
    }
    state_.operators.back().tables.push_back(std::move(table));
    return {};
  }

  Result<TaskState> finish() {
    auto file = file_.finish(name_);
    if (!file) return fail(file.error());
    state_.file = std::move(*file);
    state_.new_bytes += state_.file.size;
    return std::move(state_);
  }

 private:
  /// Whether what is in the segment's file is in the storage under `key`, too, or there is none.
  Result<bool> link(UploadedSegment& uploaded, const std::string& key) {
    if (uploaded.segment.file.key.empty()) return true;
    for (const std::string& known : uploaded.keys) {
      const auto linked = storage_->link(key, known);
      if (!linked) return fail(linked.error());
      if (!*linked) continue;
      uploaded.keys = {known};
      return true;
    }
    return false;
  }

  CheckpointStorage* storage_;
  std::string folder_;  ///< with a slash
  std::string name_;
  UploadedFiles* uploaded_;
  BlockFile file_;
  std::size_t segments_ = 0;
  TaskState state_;
};

Result<TaskState> write_all(CapturedStates&& states, BlockWriter& writer) {
  for (auto& [uid, captured] : states) {
    writer.begin_operator(uid);
    if (captured == nullptr) continue;
    if (Status written = captured->write(writer); !written) return fail(written.error().within("\"" + uid + "\""));
    captured.reset();
  }
  return writer.finish();
}

}  // namespace

std::string UploadedFiles::find(const StoreFile& file) const {
  const std::lock_guard lock{mutex_};
  const auto at = keys_.find(file.shared_name());
  return at == keys_.end() ? std::string{} : at->second;
}

void UploadedFiles::add(const StoreFile& file, std::string key) {
  const std::lock_guard lock{mutex_};
  keys_.insert_or_assign(file.shared_name(), std::move(key));
}

std::optional<UploadedSegment> UploadedFiles::find(const SegmentId& id) const {
  const std::lock_guard lock{mutex_};
  const auto at = segments_.find({id.content, id.part});
  return at == segments_.end() ? std::nullopt : std::optional{at->second};
}

void UploadedFiles::add(const SegmentId& id, UploadedSegment segment) {
  const std::lock_guard lock{mutex_};
  const auto [at, is_new] = segments_.insert_or_assign({id.content, id.part}, std::move(segment));
  if (is_new) std::erase_if(segments_, [](const auto& one) { return one.first.first.expired(); });
}

Result<TaskState> write_task_state(CapturedStates states, CheckpointStorage& storage, const std::string& folder,
                                   const std::string& name, UploadedFiles* uploaded) {
  BlockWriter writer{&storage, folder + "/", name, uploaded};
  return write_all(std::move(states), writer);
}

std::string task_state_name(std::uint32_t vertex, std::uint32_t subtask, std::uint32_t attempt) {
  return std::to_string(vertex) + "-" + std::to_string(subtask) + ".a" + std::to_string(attempt);
}

Result<TaskState> collect_task_state(CapturedStates states) {
  BlockWriter writer{nullptr, {}, {}, nullptr};
  return write_all(std::move(states), writer);
}

}  // namespace dataflow

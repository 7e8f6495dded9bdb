#include "libdataflow/checkpoint/state_file.hpp"

#include "serialization/envelope.hpp"

namespace dataflow {

namespace {

/// Appends blocks to a file that is only made when there are many bytes.
class BlockWriter final : public StateWriter {
 public:
  /// `storage` null: never a file.
  BlockWriter(CheckpointStorage* storage, std::string key, UploadedFiles* uploaded)
      : storage_{storage}, key_{std::move(key)}, uploaded_{uploaded} {}

  void begin_operator(std::string uid) { state_.operators.push_back({std::move(uid), {}}); }

  Status begin(const StateDescription& state) override {
    state_.operators.back().tables.push_back({state, {}});
    return {};
  }

  Status add(std::uint32_t key_group, const BatchPtr& rows) override {
    if (rows->rows() == 0) return {};
    const Buffer words = to_flat_words(*encode(rows));
    const std::string_view bytes{words.as<char>(), words.size()};
    state_.operators.back().tables.back().blocks.push_back(
        {key_group, rows->rows(), state_.file.size, words.size(), block_hash(bytes)});
    state_.file.size += words.size();
    state_.new_bytes += words.size();
    pending_ += bytes;
    return pending_.size() > largest_inline_state && storage_ != nullptr ? flush() : Status{};
  }

  [[nodiscard]] bool takes_stores() const override { return uploaded_ != nullptr; }

  Status add_store(const StateDescription& state, const std::filesystem::path& folder,
                   std::span<const StoreFile> files) override {
    StateTable table{state, {}};
    table.store_prefix = std::string{std::string_view{key_}.substr(key_.rfind('/') + 1)} + "." +
                         std::to_string(state_.operators.size()) + "-";
    const std::string to = key_.substr(0, key_.rfind('/') + 1) + table.store_prefix;
    for (const StoreFile& file : files) {
      std::string known = file.shared ? uploaded_->find(file) : std::string{};
      auto written = storage_->put_file(to + file.name, folder / file.name, known);
      if (!written) return fail(written.error());
      // New is what no checkpoint before has, also where it only gets a second name.
      state_.new_bytes += known.empty() ? file.bytes : *written;
      if (file.shared) uploaded_->add(file, to + file.name);
      table.store.push_back({file.name, file.bytes, file.checksum, file.shared});
    }
    state_.operators.back().tables.push_back(std::move(table));
    return {};
  }

  Result<TaskState> finish(const std::string& name) {
    if (!file_) {
      state_.file.content = std::move(pending_);
      return std::move(state_);
    }
    if (Status flushed = flush(); !flushed) return fail(flushed.error());
    auto outcome = file_->finish();
    if (!outcome) return fail(outcome.error());
    if (*outcome == PutOutcome::exists) {
      return fail(ErrorCode::internal, storage_->describe(key_) + " has been written by somebody else");
    }
    state_.file.key = name;
    return std::move(state_);
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
  UploadedFiles* uploaded_;
  std::unique_ptr<StoredFile> file_;
  std::string pending_;
  TaskState state_;
};

Result<TaskState> write_all(CapturedStates&& states, BlockWriter& writer, const std::string& name) {
  for (auto& [uid, captured] : states) {
    writer.begin_operator(uid);
    if (captured == nullptr) continue;
    if (Status written = captured->write(writer); !written) return fail(written.error().within("\"" + uid + "\""));
    captured.reset();
  }
  return writer.finish(name);
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

Result<TaskState> write_task_state(CapturedStates states, CheckpointStorage& storage, const std::string& folder,
                                   const std::string& name, UploadedFiles* uploaded) {
  BlockWriter writer{&storage, folder + "/" + name, uploaded};
  return write_all(std::move(states), writer, name);
}

std::string task_state_name(std::uint32_t vertex, std::uint32_t subtask, std::uint32_t attempt) {
  return std::to_string(vertex) + "-" + std::to_string(subtask) + ".a" + std::to_string(attempt);
}

Result<TaskState> collect_task_state(CapturedStates states) {
  BlockWriter writer{nullptr, {}, nullptr};
  return write_all(std::move(states), writer, {});
}

}  // namespace dataflow

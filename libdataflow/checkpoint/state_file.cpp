#include "libdataflow/checkpoint/state_file.hpp"

#include "serialization/envelope.hpp"

namespace dataflow {

namespace {

/// Appends blocks to a file that is only made when there are many bytes.
class BlockWriter final : public StateWriter {
 public:
  /// `storage` null: never a file.
  BlockWriter(CheckpointStorage* storage, std::string key) : storage_{storage}, key_{std::move(key)} {}

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
    pending_ += bytes;
    return pending_.size() > largest_inline_state && storage_ != nullptr ? flush() : Status{};
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
  std::unique_ptr<StoredFile> file_;
  std::string pending_;
  TaskState state_;
};

Result<TaskState> write_all(CapturedStates states, BlockWriter& writer, const std::string& name) {
  for (auto& [uid, captured] : states) {
    writer.begin_operator(uid);
    if (captured == nullptr) continue;
    if (Status written = captured->write(writer); !written) return fail(written.error().within("\"" + uid + "\""));
    captured.reset();
  }
  return writer.finish(name);
}

}  // namespace

Result<TaskState> write_task_state(CapturedStates states, CheckpointStorage& storage, const std::string& folder,
                                   const std::string& name) {
  BlockWriter writer{&storage, folder + "/" + name};
  return write_all(std::move(states), writer, name);
}

Result<TaskState> collect_task_state(CapturedStates states) {
  BlockWriter writer{nullptr, {}};
  return write_all(std::move(states), writer, {});
}

}  // namespace dataflow

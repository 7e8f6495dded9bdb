#include "libdataflow/simulation/defects.hpp"

#include <string>
#include <utility>
#include <vector>

#include "libdataflow/checkpoint/lineage.hpp"
#include "libdataflow/checkpoint/storage.hpp"
#include "serialization/builder.hpp"

namespace dataflow::simulation {

namespace {

/// Writes on, but how far time has passed as it is at the start of a job: in the engine's own tables, and in that of
/// window operators.
class WatermarkLoser final : public StateWriter {
 public:
  explicit WatermarkLoser(StateWriter& to) : to_{to} {}
  Status begin(const StateDescription& state) override {
    keeps_time_ = state.name.starts_with('$') || state.name == "clock";
    return to_.begin(state);
  }
  Status add(std::uint32_t key_group, const BatchPtr& rows) override {
    if (!keeps_time_) return to_.add(key_group, rows);
    std::vector<ColumnPtr> columns = rows->columns();
    for (ColumnPtr& column : columns) {
      if (column->type.kind() == TypeKind::timestamp && !column->has_nulls()) column = at_the_start(rows->rows());
    }
    return to_.add(key_group, rows->with_columns(rows->schema(), std::move(columns)));
  }

 private:
  static ColumnPtr at_the_start(std::uint32_t rows) {
    BatchBuilder times{make_schema({{"time", TypeKind::timestamp}})};
    for (std::uint32_t row = 0; row < rows; ++row) {
      times.column(0).append_int64(Timestamp::min().micros);
      times.end_row();
    }
    return times.finish()->columns()[0];
  }

  StateWriter& to_;
  bool keeps_time_ = false;
};

class WithoutWatermark final : public CapturedState {
 public:
  explicit WithoutWatermark(CapturedStatePtr state) : state_{std::move(state)} {}
  Status write(StateWriter& writer) override {
    WatermarkLoser loser{writer};
    return state_->write(loser);
  }

 private:
  CapturedStatePtr state_;
};

class WithoutLaterEpochs final : public CheckpointStorage {
 public:
  explicit WithoutLaterEpochs(CheckpointStoragePtr storage) : storage_{std::move(storage)} {}
  Result<std::unique_ptr<StoredFile>> create(const std::string& key) override {
    if (is_epoch(key)) own_ = key;
    return storage_->create(key);
  }
  Result<std::string> get(const std::string& key) override { return storage_->get(key); }
  Result<Buffer> get_range(const std::string& key, std::uint64_t offset, std::uint64_t length) override {
    return storage_->get_range(key, offset, length);
  }
  Result<std::vector<std::string>> list(const std::string& prefix) override {
    auto keys = storage_->list(prefix);
    if (keys && !own_.empty()) {
      std::erase_if(*keys, [this](const std::string& key) { return is_epoch(key) && key > own_; });
    }
    return keys;
  }
  Status remove(const std::string& key) override { return storage_->remove(key); }
  [[nodiscard]] std::string describe(const std::string& key) const override { return storage_->describe(key); }

 private:
  static bool is_epoch(const std::string& key) { return key.find("/epoch-") != std::string::npos; }

  CheckpointStoragePtr storage_;
  std::string own_;
};

}  // namespace

void plant_in_snapshot(World& world, CapturedStates& states) {
  for (auto& [uid, state] : states) {
    if (world.defect == Defect::forgotten_state && world.random.chance(0.1)) state = nullptr;
    if (world.defect == Defect::lost_watermark && state) state = std::make_unique<WithoutWatermark>(std::move(state));
  }
}

CheckpointStoragePtr without_later_epochs(CheckpointStoragePtr storage) {
  return std::make_shared<WithoutLaterEpochs>(std::move(storage));
}

void plant_older_checkpoint(RestorePoint& point, const CheckpointStoragePtr& storage, const std::string& lineage) {
  const auto completed = list_completed(*storage, lineage);
  if (!completed || completed->size() < 2) return;
  const std::string& folder = (*completed)[completed->size() - 2].folder;
  auto older = RestoredCheckpoint::load(storage, folder);
  if (older) point = RestorePoint{std::move(*older), {}, folder};
}

}  // namespace dataflow::simulation

#pragma once
// A world outside of the job that understands transactions, and a sink into it: what survives every crash, as files do.

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "libdataflow/operators/operator.hpp"
#include "serialization/builder.hpp"

namespace dataflow::testing_support {

/// To be read when nobody writes to it any more.
struct OutsideWorld {
  std::mutex mutex;                                          ///< of subtasks that write to it at once
  std::map<std::string, std::vector<std::string>> prepared;  ///< by transaction; invisible
  std::multiset<std::string> visible;
};

class TransactionalSink final : public Operator {
 public:
  explicit TransactionalSink(std::shared_ptr<OutsideWorld> world) : world_{std::move(world)} {}

  Status open(OperatorContext& context) override {
    name_ = prefix(context.operator_name()) + std::to_string(context.subtask()) + "." +
            std::to_string(context.attempt()) + ".";
    return {};
  }
  Result<Step> process(std::size_t, const BatchPtr& batch, OperatorOutput&) override {
    for (std::uint32_t row = 0; row < batch->rows(); ++row) {
      std::string json = name_.substr(0, name_.find('/') + 1);
      append_row_json(*batch, row, json);
      rows_.push_back(std::move(json));
    }
    return Step::done;
  }
  Status pre_commit(std::uint64_t epoch) override {
    if (rows_.empty()) return {};
    const std::string transaction = name_ + std::to_string(epoch);
    const std::lock_guard lock{world_->mutex};
    world_->prepared[transaction] = std::exchange(rows_, {});
    pending_.emplace(epoch, transaction);
    return {};
  }
  Status commit(std::uint64_t epoch) override {
    while (!pending_.empty() && pending_.begin()->first <= epoch) {
      commit_one(pending_.begin()->second);
      pending_.erase(pending_.begin());
    }
    return {};
  }
  Result<CapturedStatePtr> snapshot() override {
    auto state = std::make_unique<CopiedState>();
    state->begin({"pending", StateKind::list, 1, schema()});
    BatchBuilder rows{schema()};
    for (const auto& [epoch, transaction] : pending_) {
      rows.column(0).append_text(transaction);
      rows.end_row();
    }
    if (!rows.empty()) state->add(rows.finish());
    return state;
  }
  Status restore(StateReader& state) override {
    return for_each_pending(state, [this](const std::string& transaction) { commit_one(transaction); });
  }

  static std::string prefix(const std::string& sink) { return sink + "/"; }
  static SchemaPtr schema() { return make_schema({{"transaction", TypeKind::string}}); }
  template <class Visit>
  static Status for_each_pending(StateReader& state, Visit&& visit) {
    return state.read("pending", schema(), [&](std::uint32_t, const BatchPtr& rows) -> Status {
      for (std::uint32_t row = 0; row < rows->rows(); ++row) visit(std::string{rows->column(0).text(row)});
      return {};
    });
  }

 private:
  void commit_one(const std::string& transaction) {
    const std::lock_guard lock{world_->mutex};
    const auto at = world_->prepared.find(transaction);
    if (at == world_->prepared.end()) return;  // has been committed before
    world_->visible.insert(at->second.begin(), at->second.end());
    world_->prepared.erase(at);
  }

  std::shared_ptr<OutsideWorld> world_;
  std::string name_;
  std::vector<std::string> rows_;
  std::multimap<std::uint64_t, std::string> pending_;
};

class TransactionalSinkFactory final : public OperatorFactory {
 public:
  TransactionalSinkFactory(std::shared_ptr<OutsideWorld> world, std::string name)
      : world_{std::move(world)}, name_{std::move(name)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<TransactionalSink>(world_);
  }
  /// What no checkpoint lists is undone, as the file sink removes hidden parts.
  [[nodiscard]] Status before_attempt(const std::string&, std::uint32_t, StateReader* restored) const override {
    std::set<std::string> listed;
    if (restored != nullptr) {
      const Status read =
          TransactionalSink::for_each_pending(*restored, [&](std::string name) { listed.insert(std::move(name)); });
      if (!read) return read;
    }
    const std::lock_guard lock{world_->mutex};
    std::erase_if(world_->prepared, [&](const auto& entry) {
      return entry.first.starts_with(TransactionalSink::prefix(name_)) && !listed.contains(entry.first);
    });
    return {};
  }

 private:
  std::shared_ptr<OutsideWorld> world_;
  std::string name_;
};

}  // namespace dataflow::testing_support

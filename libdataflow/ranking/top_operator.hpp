#pragma once
// Private to this folder.
//
// What both kinds of `top` share: keys and their first rows, in memory or in a store, the way of a row into its place,
// results, checkpoints.

#include <memory>
#include <optional>
#include <string>

#include "dataflow/keyed_runtime.hpp"
#include "libdataflow/ranking/ranked_rows.hpp"
#include "libdataflow/ranking/top.hpp"

namespace dataflow {

std::unique_ptr<Operator> make_running_top(const TopSpec& spec, SchemaPtr input);
std::unique_ptr<Operator> make_windowed_top(const TopSpec& spec, SchemaPtr input);

[[nodiscard]] inline RowLimit limit_of(const TopSpec& spec) {
  return {spec.limit, spec.ties};
}

class Top : public Operator {
 public:
  Top(const TopSpec& spec, SchemaPtr input);

  Status open(OperatorContext& context) override;
  Result<CapturedStatePtr> snapshot() final;
  Status restore(StateReader& state) final;

 protected:
  struct Placed {
    const RankedRows* rows = nullptr;  ///< null: the row is behind the limit
    std::size_t rank = 0;
    std::optional<RankedRow> dropped;  ///< the last that fell out at the end, if anything did
  };
  /// Puts a row into its place among those of its key, which is selected.
  Placed place(const Batch& batch, std::uint32_t row);
  void add_result(const RankedRow& row, std::size_t rank, RowKind kind);
  /// Of a row that was in its place before, to be removed; has a time if the rows of the batch have.
  void add_removed(const RankedRow& row);
  [[nodiscard]] std::uint32_t results() const { return results_.rows(); }
  [[nodiscard]] bool results_full() const { return results_.full(); }
  [[nodiscard]] BatchPtr take_results() { return results_.finish(); }
  void flush(OperatorOutput& out) {
    if (!results_.empty()) out.emit(results_.finish());
  }

  /// Brings back what the runtime's tables have.
  virtual Status restore_groups(StateReader& state) = 0;
  /// Rows of the runtime's table, taken in one by one.
  Status take_back(StateReader& state) { return read_rows(state, &Top::take_in); }
  /// Calls `entering` for them.
  Status announce(StateReader& state) { return read_rows(state, &Top::entering); }
  /// A row is about to be taken in, or is there already, of the key that is selected.
  virtual void entering(const Batch& /*batch*/, std::uint32_t /*row*/) {}

  [[nodiscard]] const TopSpec& spec() const { return spec_; }
  [[nodiscard]] OperatorContext& context() const { return *context_; }
  [[nodiscard]] KeyedRuntime& runtime() { return runtime_; }
  [[nodiscard]] const KeyedRuntime& runtime() const { return runtime_; }
  [[nodiscard]] RankedState& kept() { return kept_.rows; }
  [[nodiscard]] bool in_store() const { return in_store_; }
  void set_has_time(bool has_time) { has_time_ = has_time; }

 private:
  struct Kept : StateOwner {
    Kept(std::string name, const RankedForm& form, const TopSpec& spec)
        : rows{this, std::move(name), form, limit_of(spec), Ttl{spec.ttl.value_or(Duration{0})}} {}
    RankedState rows;
  };
  [[nodiscard]] std::vector<DataType> key_types() const;
  using Use = void (Top::*)(const Batch& rows, std::uint32_t row);
  Status read_rows(StateReader& state, Use use);
  Status read_rows(StateReader& state, const char* table, const SchemaPtr& schema, Use use);
  void take_in(const Batch& rows, std::uint32_t row);
  /// Of the row that stands in `results_` but for its time.
  void end_result(Timestamp time, bool has_time, RowKind kind);

  const TopSpec spec_;
  SchemaPtr input_;
  RankedForm form_;
  Kept kept_;
  KeyedRuntime runtime_;
  OperatorContext* context_ = nullptr;
  bool in_store_ = false;
  BatchBuilder results_;
  bool has_time_ = false;
  std::string order_;  // scratch
  std::string fields_;
};

}  // namespace dataflow

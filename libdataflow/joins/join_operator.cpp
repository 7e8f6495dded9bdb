#include "libdataflow/joins/join_operator.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace dataflow::joins {

JoinOperator::JoinOperator(const JoinSpec& spec, const std::vector<std::string>& numbers)
    : spec_{spec},
      layouts_{std::make_shared<const PackedLayout>(layout_of(spec, left_input)),
               std::make_shared<const PackedLayout>(layout_of(spec, right_input))},
      evaluator_{spec, *layouts_[left_input], *layouts_[right_input]},
      row_errors_{spec.on_error, errors_output} {
  for (const std::size_t side : {left_input, right_input}) {
    tables_.emplace_back(side, layouts_[side], numbers);
    input_keys_.emplace_back(*spec.sides[side].schema, spec.sides[side].keys);
    table_keys_.emplace_back(*tables_[side].schema(), tables_[side].key_fields());
  }
}

Status JoinOperator::open(OperatorContext& context) {
  context_ = &context;
  row_errors_.open(context);
  return {};
}

const EntryFormPtr& JoinOperator::entries() {
  if (entries_ == nullptr) {
    entries_ =
        std::make_shared<const EntryForm>(tables_[left_input], tables_[right_input], context_->max_parallelism());
  }
  return entries_;
}

Status JoinOperator::select(const Pairs& candidates, OperatorOutput& out) {
  errors_.clear();
  evaluator_.select(candidates, context_->now(), selected_, errors_);
  return errors_.empty() ? Status{} : refuse_or_drop(candidates, out);
}

Status JoinOperator::emit(Pairs& results, OperatorOutput& out) {
  if (results.count == 0) return {};
  errors_.clear();
  BatchPtr batch = evaluator_.results(results, context_->now(), errors_);
  if (!errors_.empty()) {
    if (Status dropped = refuse_or_drop(results, out); !dropped) return dropped;
    batch = batch->select_rows(rows_without_errors(batch->rows(), errors_));
  }
  results.clear();
  out.emit(std::move(batch));
  return {};
}

Status JoinOperator::refuse_or_drop(const Pairs& pairs, OperatorOutput& out) {
  const BatchPtr shown = evaluator_.shown(pairs);
  if (spec_.on_error != ErrorPolicy::fail) return row_errors_.handle(*shown, errors_, out);
  std::string json;
  append_row_json(*shown, errors_.front().row, json);
  return fail(ErrorCode::arithmetic, errors_.front().message + " in the pair of records " + json);
}

BatchPtr BatchPieces::next(std::size_t most) {
  if (next_ == 0 && batch_->rows() <= most) return std::exchange(batch_, nullptr);
  std::vector<std::uint32_t> rows(std::min<std::size_t>(most, batch_->rows() - next_));
  std::iota(rows.begin(), rows.end(), next_);
  BatchPtr piece = batch_->select_rows(rows);
  next_ += static_cast<std::uint32_t>(rows.size());
  if (next_ == batch_->rows()) batch_.reset();
  return piece;
}

}  // namespace dataflow::joins

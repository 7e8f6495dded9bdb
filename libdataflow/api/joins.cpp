// join(...).apply(...): two streams with a key become a join of the engine's, whose pairs go through the user's
// function.

#include <algorithm>
#include <array>

#include "dataflow/joined_streams.hpp"
#include "libdataflow/api/adapted_operator.hpp"
#include "libdataflow/joins/join_node.hpp"
#include "libdataflow/joins/join_plan.hpp"
#include "libdataflow/windows/window_type.hpp"

namespace dataflow {

Status bind_pair_side(const Batch& pairs, const RecordInfo& record, const PairSideFields& side, ColumnView* views) {
  std::vector<std::uint16_t> positions;
  for (std::size_t i = 0; i < record.fields.size(); ++i) {
    positions.push_back(static_cast<std::uint16_t>(side.first + i));
  }
  if (!side.marker) return bind_columns(pairs, record.fields, record.name, positions, views);
  std::vector<MemberUse> all_optional = record.fields;
  for (MemberUse& field : all_optional) field.optional = true;
  if (auto status = bind_columns(pairs, all_optional, record.name, positions, views); !status) return status;
  const Column& marker = pairs.column(*side.marker);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (record.fields[i].optional || !pairs.column(positions[i]).has_nulls()) continue;
    for (std::uint32_t row = 0; row < pairs.rows(); ++row) {
      if (marker.is_null(row) || !pairs.column(positions[i]).is_null(row)) continue;
      const BatchPtr one = pairs.select_rows({&row, 1});
      return bind_columns(*one, {&record.fields[i], 1}, record.name, {&positions[i], 1}, views);
    }
  }
  return {};
}

Error pair_of_nothing(const Batch& pairs, std::uint32_t row) {
  std::string message = "a record's key is NULL, but the member that it is keyed by is not optional, at record ";
  append_row_json(pairs, row, message);
  return {ErrorCode::malformed_data, std::move(message)};
}

namespace {

using joins::left_input;
using joins::right_input;

constexpr std::size_t late_left_output = 1;
constexpr std::size_t late_right_output = 2;

class PairsThroughFunction final : public BatchAdapter {
 public:
  explicit PairsThroughFunction(std::unique_ptr<RowMap> function) : function_{std::move(function)} {}
  Result<BatchPtr> adapt(const BatchPtr& batch) override {
    return function_->apply(*batch, {.all = true, .count = batch->rows(), .rows = {}});
  }

 private:
  std::unique_ptr<RowMap> function_;
};

class AppliedJoinFactory final : public OperatorFactory {
 public:
  AppliedJoinFactory(OperatorFactoryPtr join, std::shared_ptr<const RowMapFactory> pairs)
      : join_{std::move(join)}, pairs_{std::move(pairs)} {}
  [[nodiscard]] std::unique_ptr<Operator> create() const override {
    return std::make_unique<AdaptedOperator>(join_->create(), std::make_unique<PairsThroughFunction>(pairs_->create()));
  }
  [[nodiscard]] std::optional<FieldUse> field_use_of(std::size_t input) const override {
    return join_->field_use_of(input);
  }

 private:
  OperatorFactoryPtr join_;
  std::shared_ptr<const RowMapFactory> pairs_;
};

joins::JoinKind kind_of(Outer outer) {
  switch (outer) {
    case Outer::none: return joins::JoinKind::inner;
    case Outer::left: return joins::JoinKind::left;
    case Outer::right: return joins::JoinKind::right;
    case Outer::both: return joins::JoinKind::full;
  }
  return joins::JoinKind::inner;
}

const char* mode_name(JoinDraft::Mode mode) {
  switch (mode) {
    case JoinDraft::Mode::window: return "a window join";
    case JoinDraft::Mode::interval: return "a join between two times";
    case JoinDraft::Mode::as_of: return "a join as of a time";
  }
  return "";
}

std::string quoted_field(std::size_t side, const std::string& name) {
  std::string text = side == left_input ? "left.\"" : "right.\"";
  for (const char c : name) text += c == '"' ? std::string{"\"\""} : std::string{c};
  return text + "\"";
}

/// Checks a draft and translates it; collects the mistakes.
class JoinTranslation {
 public:
  JoinTranslation(Plan& plan, std::array<const StreamInfo*, 2> streams, std::array<const RecordInfo*, 2> records,
                  const JoinDraft& draft, const Plan::Place& where)
      : plan_{plan}, streams_{streams}, records_{records}, draft_{draft}, where_{where} {}

  /// Null when there is a mistake.
  OperatorFactoryPtr translate() {
    for (const std::size_t side : {left_input, right_input}) check_stream(side);
    if (draft_.mode == JoinDraft::Mode::window) check_join_window();
    if (draft_.mode == JoinDraft::Mode::interval && draft_.low > draft_.high) {
      mistake("the first bound of between(...) is after the last one: no record could be between them");
    }
    auto fields = result_fields();
    if (!good_) return nullptr;
    std::vector<joins::JoinMistake> mistakes;
    const joins::JoinNames names{{"left", "left", streams_[left_input]->schema},
                                 {"right", "right", streams_[right_input]->schema},
                                 draft_.mode == JoinDraft::Mode::window};
    joins::JoinPlan plan = joins::plan_join(names, kind_of(draft_.outer), {equal_keys(), std::move(fields)}, mistakes);
    for (const joins::JoinMistake& wrong : mistakes) mistake(wrong.error.message);
    if (!good_) return nullptr;
    for (const std::size_t side : {left_input, right_input}) plan.spec.sides[side].event_time = true;
    plan.spec.event_time = true;
    if (draft_.mode == JoinDraft::Mode::window) plan.spec.late_outputs = {late_left_output, late_right_output};
    switch (draft_.mode) {
      case JoinDraft::Mode::window: return joins::make_window_join({std::move(plan.spec), draft_.window});
      case JoinDraft::Mode::interval: return joins::make_interval_join({std::move(plan.spec), draft_.low, draft_.high});
      case JoinDraft::Mode::as_of: return joins::make_as_of_join({std::move(plan.spec)});
    }
    return nullptr;
  }

 private:
  void mistake(std::string message) {
    good_ = false;
    plan_.mistake(where_, std::move(message));
  }

  void check_stream(std::size_t side) {
    const std::string name = side == left_input ? "left" : "right";
    if (!streams_[side]->event_time) {
      mistake(std::string{mode_name(draft_.mode)} + " goes by event time, which the " + name +
              " stream has not: call event_time(&Record::member, ...) after its source");
    }
    if (streams_[side]->changelog != ChangelogMode::append_only) {
      mistake(std::string{mode_name(draft_.mode)} + " takes only records that are never taken back, and the " + name +
              " stream is a changelog");
    }
  }

  void check_join_window() {
    const WindowSpec& window = draft_.window;
    if (auto status = check_window(window); !status) return mistake(status.error().message());
    switch (window.kind) {
      case WindowKind::tumbling:
      case WindowKind::sliding:
      case WindowKind::cumulate:
      case WindowKind::session: break;
      default: return mistake("records are joined in tumbling, sliding, cumulating and session windows");
    }
    if (window.time != TimeDomain::event) {
      mistake("a window join goes by event time: by the clock nothing says which records meet");
    }
  }

  [[nodiscard]] std::string equal_keys() const {
    std::string on;
    for (std::size_t i = 0; i < streams_[left_input]->key_fields.size(); ++i) {
      on += (i == 0 ? "" : " AND ") + key_text(left_input, i) + " = " + key_text(right_input, i);
    }
    return on;
  }
  [[nodiscard]] std::string key_text(std::size_t side, std::size_t i) const {
    return quoted_field(side, (*streams_[side]->schema)[streams_[side]->key_fields[i]].name);
  }

  /// What LambdaPairs reads.
  std::vector<std::pair<std::string, std::string>> result_fields() {
    std::vector<std::pair<std::string, std::string>> fields;
    for (const std::size_t side : {left_input, right_input}) {
      const auto& positions = side == left_input ? draft_.left_positions : draft_.right_positions;
      const std::string prefix = side == left_input ? "left." : "right.";
      for (std::size_t i = 0; i < positions.size(); ++i) {
        const std::string& name = (*streams_[side]->schema)[positions[i]].name;
        fields.emplace_back(prefix + (*records_[side]->schema)[i].name, quoted_field(side, name));
      }
    }
    if (left_may_be_missing(draft_.outer)) add_marker(left_input, fields);
    if (right_may_be_missing(draft_.outer)) add_marker(right_input, fields);
    return fields;
  }

  /// A field that has a value in each of the side's rows.
  void add_marker(std::size_t side, std::vector<std::pair<std::string, std::string>>& fields) {
    const std::string name = side == left_input ? "left" : "right";
    if (!draft_.optional_key) {
      fields.emplace_back(name + " is there", key_text(side, 0));
      return;
    }
    const auto& members = records_[side]->fields;
    const auto at = std::find_if(members.begin(), members.end(), [](const MemberUse& m) { return !m.optional; });
    if (at == members.end()) {
      return mistake("every member of " + std::string{records_[side]->name} +
                     " is optional, also its key: nothing tells a record without values from none. Key the stream by "
                     "a member that is not optional, or add one");
    }
    const auto& positions = side == left_input ? draft_.left_positions : draft_.right_positions;
    const std::size_t position = positions[static_cast<std::size_t>(at - members.begin())];
    fields.emplace_back(name + " is there", quoted_field(side, (*streams_[side]->schema)[position].name));
  }

  Plan& plan_;
  std::array<const StreamInfo*, 2> streams_;
  std::array<const RecordInfo*, 2> records_;
  const JoinDraft& draft_;
  const Plan::Place& where_;
  bool good_ = true;
};

std::string describe_join(const RecordInfo& left, const RecordInfo& right, const JoinDraft& draft) {
  std::string text = std::string{joins::to_string(kind_of(draft.outer))} + " of " + std::string{left.name} + " and " +
                     std::string{right.name};
  switch (draft.mode) {
    case JoinDraft::Mode::window: return text + ", " + describe(draft.window);
    case JoinDraft::Mode::interval: return text + ", between " + to_string(draft.low) + " and " + to_string(draft.high);
    case JoinDraft::Mode::as_of: return text + ", as of the left's time";
  }
  return text;
}

}  // namespace

NodeId add_join(Plan& plan, const StreamInfo& left, const RecordInfo& left_record, const StreamInfo& right,
                const RecordInfo& right_record, JoinDraft draft, const Plan::Place& where) {
  OperatorFactoryPtr join =
      JoinTranslation{plan, {&left, &right}, {&left_record, &right_record}, draft, where}.translate();
  NodeDraft node{.type = "join", .stateful = true, .keyed = true};
  node.details = describe_join(left_record, right_record, draft);
  node.outputs = {{.name = {}, .schema = draft.results, .event_time = true}};
  if (draft.mode == JoinDraft::Mode::window) {
    node.outputs.push_back({.name = late_of_left(draft.late_output), .schema = left.schema, .event_time = true});
    node.outputs.push_back({.name = late_of_right(draft.late_output), .schema = right.schema, .event_time = true});
  }
  if (join) node.factory = std::make_shared<AppliedJoinFactory>(std::move(join), std::move(draft.pairs));
  return plan.add(std::move(node), {&left, &right}, where);
}

}  // namespace dataflow

// How the records of a batch that are known by group come into the states of their groups.

#include <algorithm>
#include <array>

#include "libdataflow/windows/aggregation.hpp"

namespace dataflow::windows {

/// What the call takes of the loaded batch.
Accumulator::Takes Aggregation::takes(const Call& call) const {
  using Takes = Accumulator::Takes;
  const auto has_nulls = [&](const std::optional<std::size_t>& input) { return input && loaded(*input).has_nulls(); };
  if (has_nulls(call.argument) || has_nulls(call.filter)) return Takes::records;
  const Takes takes = call.accumulator->takes();
  return call.filter && takes != Takes::counts ? Takes::records : takes;
}

Status Aggregation::add_totals(const Call& call, const GroupRows& records, const Totals* totals) const {
  if (call.accumulator->add_totals(records.states, totals, records.sizes.size())) return {};
  return overflow(call);
}

Status Aggregation::update(const GroupRows& records) {
  totals_.begin(records);
  by_record_.clear();
  for (const Call& call : calls_) {
    if (takes(call) == Accumulator::Takes::records) by_record_.push_back(&call);
  }
  if (Status counted = update_counts(records); !counted) return counted;
  if (Status added = update_numbers(records); !added) return added;
  return by_record_.empty() ? Status{} : update_by_record(records);
}

Status Aggregation::update_counts(const GroupRows& records) {
  std::array<const Call*, GroupTotals::conditions_in_a_pass> conditional{};
  std::array<const std::uint8_t*, GroupTotals::conditions_in_a_pass> conditions{};
  std::size_t waiting = 0;
  const auto count = [&]() -> Status {
    totals_.count({conditions.data(), waiting});
    for (std::size_t i = 0; i < waiting; ++i) {
      if (Status added = add_totals(*conditional[i], records, totals_.counted(i)); !added) return added;
    }
    waiting = 0;
    return {};
  };
  for (const Call& call : calls_) {
    if (takes(call) != Accumulator::Takes::counts) continue;
    if (!call.filter) {
      if (Status added = add_totals(call, records, totals_.all()); !added) return added;
      continue;
    }
    conditional[waiting] = &call;
    conditions[waiting++] = loaded(*call.filter).as<std::uint8_t>().data();
    if (waiting < conditions.size()) continue;
    if (Status counted = count(); !counted) return counted;
  }
  return count();
}

/// Of each argument once.
Status Aggregation::update_numbers(const GroupRows& records) {
  using Takes = Accumulator::Takes;
  for (std::size_t input = 0; input < inputs_.size(); ++input) {
    const Totals* totals = nullptr;
    for (const Call& call : calls_) {
      const Takes taken = takes(call);
      if (call.argument != input || (taken != Takes::extremes && taken != Takes::sums)) continue;
      if (totals == nullptr) totals = totals_.of(loaded(input).as<std::int64_t>().data());
      if (taken == Takes::sums && !totals_.sums_fit()) {
        by_record_.push_back(&call);
        continue;
      }
      if (Status added = add_totals(call, records, totals); !added) return added;
    }
  }
  return {};
}

Status Aggregation::update_by_record(const GroupRows& records) {
  const std::size_t count = totals_.records();
  record_states_.resize(std::max(record_states_.size(), count));
  for (std::size_t row = 0; row < count; ++row) record_states_[row] = records.states[records.groups[row]];
  for (const Call* call : by_record_) {
    Status folded =
        fold_call(*call, {record_states_.data(), nullptr, count, records.first_sequence}, &Accumulator::update);
    if (!folded) return folded;
  }
  return {};
}

}  // namespace dataflow::windows

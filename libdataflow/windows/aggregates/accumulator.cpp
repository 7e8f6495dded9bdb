#include "libdataflow/windows/aggregates/accumulator.hpp"

#include <cassert>

namespace dataflow::windows {

AccumulatorPtr make_accumulator(const AggregateCall& call) {
  const std::string& f = call.function;
  if (f == "count") {
    if (!call.argument || !call.distinct) return make_count();
    return make_count_distinct(call.argument->type());
  }
  assert(call.argument);
  const DataType& type = call.argument->type();
  if (f == "sum") return make_sum(type);
  if (f == "avg") return make_average(type, call.result_type);
  if (f == "min") return make_min(type);
  if (f == "max") return make_max(type);
  if (f == "first") return make_first(type);
  if (f == "last") return make_last(type);
  if (f == "variance") return make_variance();
  if (f == "stddev") return make_standard_deviation();
  if (f == "approx_count_distinct") return make_approx_count_distinct(type);
  assert(f == "approx_percentile");
  return make_approx_percentile(std::get<double>(call.parameters.at(0)));
}

}  // namespace dataflow::windows

#pragma once
// One row of each key: the first that came, which goes out at once and is never taken back, or the last, as a changelog
// in which each row takes the place of the one before (-U, +U). "First" and "last" go by the order of arrival; for an
// order by a field see `top` with limit = 1.

#include <optional>
#include <vector>

#include "libdataflow/operators/operator.hpp"
#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

struct DistinctSpec {
  enum class Keep : std::uint8_t { first, last };

  std::vector<std::size_t> key_fields;
  Keep keep = Keep::first;
  /// A key that no row came of for so long, by the clock, is forgotten: its next row is a first one again.
  std::optional<Duration> ttl;
};

OperatorFactoryPtr make_distinct(DistinctSpec spec, SchemaPtr input);
NodeType distinct_type();

}  // namespace dataflow

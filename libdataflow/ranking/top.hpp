#pragma once
// The first rows of each key in an order: SQL's ROW_NUMBER() OVER (PARTITION BY .. ORDER BY ..) <= limit. Two ways:
//
// - Of a window's results (the key has their window_end): once, when time has passed the window's end, and never taken
//   back.
// - Of anything else: at once, as a changelog. Without a rank column a row that enters takes the place of the one that
//   drops out (-D, +I); with it every row behind the new one changes its rank (-U, +U). Flink calls it
//   AppendOnlyTopNFunction: since no input row is ever taken back, rows beyond the limit need not be kept.
//
// Rows that are equal in the order keep the order in which they came. With ties (SQL's FETCH FIRST .. ROWS WITH TIES)
// none of them is left out for that, and they share their rank.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/operators/operator.hpp"
#include "libdataflow/ranking/sort_key.hpp"
#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

struct TopSpec {
  std::vector<std::size_t> key_fields;  ///< empty: one group
  std::vector<SortField> order;
  std::uint64_t limit = 1;
  /// Rows that are equal in the order to the last within the limit are kept as well: RANK() <= limit instead. Only with
  /// window_end or at_end: as a changelog one row could take back any number of them.
  bool ties = false;
  std::string rank;                       ///< the name of a last column with the rank, from 1; empty: there is none
  std::optional<std::size_t> window_end;  ///< one of the key fields: each group gives its rows when this has passed
  bool at_end = false;                    ///< without window_end: each group gives its rows when the input has ended
  /// Without window_end: a key that no row came of for so long, by the clock, is forgotten, and its next row is the
  /// first again. Nothing is taken back for it.
  std::optional<Duration> ttl;
};

SchemaPtr top_output_schema(const TopSpec& spec, const Schema& input);
OperatorFactoryPtr make_top(TopSpec spec, SchemaPtr input);
NodeType top_type();

}  // namespace dataflow

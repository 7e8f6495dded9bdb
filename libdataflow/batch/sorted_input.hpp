#pragma once
// Keyed operators in a batch that has more keys than memory has room for. Flink sorts the input of each by key, so that
// one key comes after the other and state is one key's (FLIP-140); here only what has no room is sorted: the operator
// keeps the keys that come first, and of every other key the rows are put aside. At the end of the input, when it has
// given what it has of its keys, it goes, and another takes its place for as many of the other keys as there is room
// for, whose rows it gets and then the end of all time, and so on (hybrid hashing: Shapiro, "Join processing in
// database systems with large main memories", TODS 11(3), 1986; the parts are made when they are read, as large as
// memory allows).
//
// This is for operators of which nothing but their keyed state is worth keeping: each of them is opened several times.
// One that has a user's function stays, and forgets its keys between the parts (forgets_keys.hpp).

#include <memory>
#include <vector>

#include "libdataflow/batch/key_growth.hpp"
#include "libdataflow/operators/operator.hpp"
#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

/// The factory of a node with one input whose keys are in `key_fields`. What its operators keep besides lies in memory
/// or in the stores of their state backend; one that has stores has room for all keys.
OperatorFactoryPtr with_sorted_input(OperatorFactoryPtr factory, SchemaPtr input, std::vector<std::size_t> key_fields,
                                     KeyGrowth growth);

/// The same for the node that is being built, where it is of a batch and has keys.
void sort_input_in_batch(NodeBuilder& builder, const SchemaPtr& input, const std::vector<std::size_t>& key_fields,
                         KeyGrowth growth);

}  // namespace dataflow

#pragma once
// Options that are lists of the input's fields, such as `key_by` and `partition_by`.

#include <optional>
#include <string_view>
#include <vector>

#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

/// The fields that the text_list `option` names, none without it. Nothing when a name is unknown or there twice, which
/// is reported.
std::optional<std::vector<std::size_t>> read_field_list(NodeBuilder& builder, std::string_view option);

}  // namespace dataflow

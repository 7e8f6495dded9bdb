#pragma once
// What the node types that keep state by key share: the `key_by` option, the way of records to their key's subtask, and
// that rows may not be taken back.

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

/// Whether the input is append-only; else reports that `what` ("a window") needs it.
bool check_append_only(NodeBuilder& builder, std::string_view what);

/// The fields of `key_by`, none without it. Nothing when a name is unknown or there twice, which
/// is reported.
std::optional<std::vector<std::size_t>> read_key_fields(NodeBuilder& builder);

/// Reads the node's `ttl`, else that of [state]; neither leaves `ttl` as it is. False when it is a mistake, which is
/// reported.
bool read_ttl(NodeBuilder& builder, std::optional<Duration>& ttl);

/// For a node's details in a plan: nothing, or ", forgotten after 1h".
std::string ttl_details(const std::optional<Duration>& ttl);

/// Records of one key meet in one subtask; without keys there is one.
void send_by_key(NodeBuilder& builder, const std::vector<std::size_t>& key_fields);

}  // namespace dataflow

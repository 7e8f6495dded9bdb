#pragma once
// What every source may say beside its type's own keys: its schema, where event time is, what happens to records that
// do not decode, and how fast it may read.

#include <vector>

#include "libdataflow/topology/declared_node.hpp"
#include "libdataflow/topology/file_node_builder.hpp"
#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

/// Reads `schema = { field = "type", ... }`. Mistakes are appended to `diagnostics`.
std::vector<SourceField> read_source_schema(const DeclaredNode& declared, std::vector<Diagnostic>& diagnostics);

/// Reads `event_time` for records of `schema`; nothing when the file gives none. Mistakes are appended to
/// `diagnostics`.
std::optional<EventTimeSpec> read_event_time(const DeclaredNode& declared, const Schema& schema,
                                             std::vector<Diagnostic>& diagnostics);

/// Completes a source that its type has built: event time, on_error, rate_limit, and the output `errors`.
void finish_source(const DeclaredNode& declared, const std::optional<EventTimeSpec>& event_time,
                   FileNodeBuilder& builder);

}  // namespace dataflow

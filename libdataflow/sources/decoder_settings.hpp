#pragma once
// The options that every source of text shares: format, delimiter, max_record_size.

#include <optional>
#include <vector>

#include "libdataflow/formats/record_decoder.hpp"
#include "libdataflow/topology/node_type.hpp"

namespace dataflow {

/// Declares `format`, `delimiter` and `max_record_size`.
std::vector<Option> decoder_options();

/// Reads them together with the source's schema; mistakes go to the builder, and nothing is given.
std::optional<DecoderOptions> read_decoder_options(NodeBuilder& builder);

/// Sets the node's main output and source.
void set_source(NodeBuilder& builder, SchemaPtr schema, SourceFactoryPtr factory);

}  // namespace dataflow

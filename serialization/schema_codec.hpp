#pragma once
// A schema as a message: what opens a channel and what lies beside state, so that names and types are told once.

#include "serialization/buffer.hpp"
#include "serialization/schema.hpp"

namespace dataflow {

/// The schema as one Cap'n Proto message (envelope.capnp's Schema) in a flat array, as decode_schema reads it.
Buffer encode_schema(const Schema& schema);

/// Reads what encode_schema writes. Errors: malformed_data saying what is wrong; never throws, never reads outside
/// of `words`.
Result<SchemaPtr> decode_schema(const Buffer& words);

}  // namespace dataflow

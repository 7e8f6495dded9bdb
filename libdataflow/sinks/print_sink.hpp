#pragma once
// The `print` sink: rows on standard output, at least once.

#include <cstdio>

#include "libdataflow/formats/row_encoder.hpp"
#include "libdataflow/operators/operator.hpp"
#include "serialization/schema.hpp"

namespace dataflow {

/// Where print sinks that are made from now on write: standard output, unless somebody has said otherwise. Not for
/// calls from several threads at once.
void set_print_stream(std::FILE* stream);
std::FILE* print_stream();

struct PrintSinkSpec {
  SchemaPtr schema;
  OutputFormat format = OutputFormat::json;
  bool changelog = false;              ///< the rows' kinds matter
  std::FILE* stream = print_stream();  ///< outlives the sink
};

/// A batch's rows are written in one piece, so that the rows of several subtasks never mix within a line. The
/// subtasks of a process share one heading. Errors: io when the stream cannot be written or its reader is gone.
OperatorFactoryPtr make_print_sink(const PrintSinkSpec& spec);

}  // namespace dataflow

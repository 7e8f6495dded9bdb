#pragma once
// The `stdin` source: records from standard input as they come, until it ends.
//
// The engine has no threads to block in, so the reader polls the descriptor and, when nothing is there, asks to be
// called again a few milliseconds later.

#include "libdataflow/formats/record_decoder.hpp"
#include "libdataflow/sources/record_reader.hpp"
#include "libdataflow/sources/source.hpp"

namespace dataflow {

struct StdinSourceSpec {
  DecoderOptions decoder;
  std::uint64_t max_record_size = default_max_record_size;
  int descriptor = 0;  ///< stays open
};

/// Bounded: it ends with its input. One reader.
SourceFactoryPtr make_stdin_source(StdinSourceSpec spec);

}  // namespace dataflow

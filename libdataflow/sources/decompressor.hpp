#pragma once
// Streaming decompression, a piece at a time.

#include <memory>

#include "libdataflow/sources/byte_stream.hpp"

namespace dataflow {

std::unique_ptr<ByteStream> gunzip(std::unique_ptr<ByteStream> compressed);
std::unique_ptr<ByteStream> unzstd(std::unique_ptr<ByteStream> compressed);

}  // namespace dataflow

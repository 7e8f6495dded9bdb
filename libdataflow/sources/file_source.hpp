#pragma once
// The `file` source: a file, a folder or a glob, whole or in splits, once or watched for new files.
//
// The enumerator finds the files in path order and hands out splits in that order. With several readers a large
// uncompressed file is cut into splits that begin and end at records, so that a reader knows nothing of its
// neighbours. For JSON and lines a cut is the next newline; for CSV it is the next newline outside of quotes, which
// needs the quoting of everything before it: the enumerator runs through the file one split ahead of what it hands
// out, jumping from quote to quote with memchr (csv_cut.hpp), about a twentieth of the work of decoding it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libdataflow/formats/record_decoder.hpp"
#include "libdataflow/sources/record_reader.hpp"
#include "libdataflow/sources/source.hpp"

namespace dataflow {

inline constexpr std::uint64_t default_split_size = 16ULL << 20;

struct FileSourceSpec {
  /// A file, a folder (with its subfolders; names that begin with a dot are left out) or a glob.
  std::string path;
  DecoderOptions decoder;
  std::optional<Duration> watch{};  ///< look for new files so often, for ever
  std::uint64_t split_size = default_split_size;
  std::uint64_t max_record_size = default_max_record_size;
};

/// Its enumerator's open gives: not_found for a missing file, an empty folder or a glob without match (unless
/// watched), io for what may not be read.
SourceFactoryPtr make_file_source(FileSourceSpec spec);

}  // namespace dataflow

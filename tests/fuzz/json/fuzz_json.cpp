// Whatever bytes a file of JSON lines holds, reading ends, and gives the same rows and errors in one window as in small
// batches.

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/fuzz/read_records.hpp"

using namespace dataflow;
using namespace dataflow::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text{reinterpret_cast<const char*>(data), size};
  if (text.empty() || text.back() != '\n') text += '\n';
  require(read_all(TextFormat::json, text, 4096) ==
          read_all(TextFormat::json, text, 1 + static_cast<std::uint32_t>(size % 5)));
  return 0;
}

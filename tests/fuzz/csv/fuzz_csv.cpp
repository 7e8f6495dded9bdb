// Whatever bytes a CSV file holds, reading ends, and gives the same rows and errors in one window as in small batches.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/fuzz/read_records.hpp"

using namespace dataflow;
using namespace dataflow::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text = "a,b,c,d,e,f\n";
  text.append(reinterpret_cast<const char*>(data), size);
  if (text.back() != '\n') text += '\n';
  require(read_all(TextFormat::csv, text, 4096) ==
          read_all(TextFormat::csv, text, 1 + static_cast<std::uint32_t>(size % 5)));
  // And the bytes as a whole file, header and all.
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  if (bytes.ends_with('\n')) read_all(TextFormat::csv, bytes, 4096);
  return 0;
}

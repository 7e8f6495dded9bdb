#include "libdataflow/state/store_origin.hpp"

#include <fstream>

namespace dataflow {

namespace {

constexpr const char* origin_name = "ORIGIN";

}  // namespace

void note_origin(const std::filesystem::path& folder, std::string_view origin) {
  std::ofstream{folder / origin_name} << origin;  // without it a message says less
}

std::string origin_of(const std::filesystem::path& folder) {
  std::ifstream file{folder / origin_name};
  std::string origin;
  std::getline(file, origin);
  return origin;
}

}  // namespace dataflow

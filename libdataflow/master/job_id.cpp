#include "libdataflow/master/job_id.hpp"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <random>

namespace dataflow {

std::string random_job_id() {
  std::random_device random;
  const std::uint64_t bits = (std::uint64_t{random()} << 32) | random();
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016" PRIx64, bits);
  return text.data();
}

}  // namespace dataflow

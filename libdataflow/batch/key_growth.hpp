#pragma once
// What an operator of a batch keeps of a key: see sorted_input.hpp.

#include <cstdint>

namespace dataflow {

enum class KeyGrowth : std::uint8_t {
  none,       ///< about as much for many rows as for one
  with_rows,  ///< more with each row
};

}  // namespace dataflow

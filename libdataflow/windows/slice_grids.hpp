#pragma once
// How sliding and cumulating windows lie over slices.

#include <memory>

#include "libdataflow/windows/slices.hpp"
#include "libdataflow/windows/window_spec.hpp"

namespace dataflow::windows {

/// Slices as wide as the greatest width of which both size and slide are multiples.
std::unique_ptr<SliceGrid> make_sliding_grid(const WindowSpec& spec);
/// A slice for each step.
std::unique_ptr<SliceGrid> make_cumulating_grid(const WindowSpec& spec);

}  // namespace dataflow::windows

#pragma once
// How tumbling, sliding and cumulating windows lie over slices.

#include <memory>

#include "libdataflow/windows/slices.hpp"
#include "libdataflow/windows/window_spec.hpp"

namespace dataflow::windows {

/// A window is a slice.
std::unique_ptr<SliceGrid> make_tumbling_grid(const WindowSpec& spec);
/// Slices as wide as the greatest width of which both size and slide are multiples.
std::unique_ptr<SliceGrid> make_sliding_grid(const WindowSpec& spec);
/// A slice for each step.
std::unique_ptr<SliceGrid> make_cumulating_grid(const WindowSpec& spec);

}  // namespace dataflow::windows

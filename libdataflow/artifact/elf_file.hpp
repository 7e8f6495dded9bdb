#pragma once
// Whether a shared library is all there. The dynamic loader maps a file that has been cut off (a copy that failed, a
// disk that was full) without looking, and the process then dies of SIGBUS at the first page that does not exist.

#include <string>

#include "serialization/result.hpp"

namespace dataflow {

/// Errors: invalid_argument when the file at `path` is no ELF shared library of this machine's word size, or shorter
/// than its program headers say; io when it cannot be read.
Status check_shared_library(const std::string& path);

}  // namespace dataflow

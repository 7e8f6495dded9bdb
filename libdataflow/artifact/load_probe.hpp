#pragma once
// Whether a shared library can be loaded without harm. Its static initialisers run inside of dlopen: an exception out
// of them ends the process, or passes through the loader and leaves it half way with its lock held; a crash ends the
// process without a word. A forked child therefore loads the library first and is looked at; it costs a few
// milliseconds, and the initialisers run once more.

#include <string>

#include "serialization/result.hpp"

namespace dataflow {

/// `path` is absolute. Fine also for a file that dlopen refuses, which then says why itself.
/// Errors: invalid_argument when an initialiser throws or crashes; io when it does not come to an end within ten
/// seconds, or no process can be made. Messages go on behind the library's name.
Status probe_library(const std::string& path);

}  // namespace dataflow

#pragma once
// Ctrl-C: the first asks for a clean end, the second ends the process at once.

namespace dataflow::cli {

/// From now on SIGINT and SIGTERM are counted instead of ending the process; the second ends it with exit_interrupted.
void catch_interrupts();
/// How often the process was asked to end.
[[nodiscard]] int interrupts();

}  // namespace dataflow::cli

#pragma once
// What a process of ours owes to its standard streams and to whoever reads them: rows must never end in a file that
// happens to have got descriptor 1, a reader that leaves (`| head -1`) must not kill sinks half way, and output that
// could not be written must not look like success.

namespace dataflow::cli {

/// Call first in main. Descriptors 0 to 2 that are closed get one that refuses to be used, so that no file or socket
/// takes their number. A broken pipe and a file that is too large become errors of the write instead of signals.
void prepare_standard_streams();

/// Call last in main: flushes standard output and returns the exit code, `code` unless it is exit_done and something
/// could not be written. Says why, except that a reader which has left is none to complain to.
[[nodiscard]] int finish_standard_output(int code);

}  // namespace dataflow::cli

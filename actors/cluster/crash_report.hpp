#pragma once
// What is left of a worker or job master that user code has brought down: its signal handler writes which signal it
// was, in which operator, and the stack, to standard error, which is the process's log file; its TaskManager or
// JobManager, who sees the process end, reads it there.
//
// The handler may do almost nothing (signal-safety(7)): it writes with write(2) and glibc's backtrace_symbols_fd, on a
// stack of its own, since endless recursion leaves none; if it hangs nevertheless, an alarm ends the process.
//
// A worker that is stuck in user code is asked where by SIGABRT: the thread that gets it passes it on to the others,
// and the one that is in an operator reports.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dataflow {

/// Call once, before the process's threads are made. SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT then leave a report,
/// and so do an exception that nobody catches and memory that runs out (`memory_limit` in bytes says how much there
/// was; 0: no limit is known), after which the process aborts.
void report_crashes(std::uint64_t memory_limit);
/// The same for a person before whose eyes the process runs: the report is an error message, without the frames of the
/// handler. Signals that the process handles already it goes on to handle so, and memory that runs out is an exception.
/// A user's function that ends the process with exit() is named too. Every call but the first has no effect.
void report_crashes_to_person();
/// Gives the calling thread the stack that a report of an overflow of its own needs.
void prepare_thread_for_crashes();

struct CrashReport {
  std::string what;                 ///< "SIGSEGV at 0x0 in \"enrich\" (subtask 2 of 4, attempt 0) after 4096 records"
  std::vector<std::string> frames;  ///< "Enrich::process(...) +0x12 (libmine.so)", innermost first
};

/// The report that process `pid` has left in its log, if it has.
std::optional<CrashReport> read_crash_report(const std::filesystem::path& log_file, pid_t pid);

/// A job's libraries are loaded from files that are called by their hashes: gives them back their `names`.
void name_artifacts(CrashReport& report, const std::map<std::string, std::string>& names);

/// In one text: `what`, and a line for each frame.
std::string to_text(const CrashReport& report);

}  // namespace dataflow

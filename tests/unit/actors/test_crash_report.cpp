// What is read of a crash out of a worker's log.
#include <doctest/doctest.h>

#include <fstream>

#include "actors/cluster/crash_report.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace dataflow;
using namespace dataflow::testing_support;

namespace {

std::filesystem::path log_of(const TemporaryFolder& folder, const std::string& text) {
  const auto file = folder.path() / "worker.log";
  std::ofstream{file} << text;
  return file;
}

constexpr const char* segfault =
    "2026-11-28T22:20:00.000+00:00 info worker[7] works for job j\n"
    "\n=== crash of process 7: SIGSEGV at 0x0 in \"bad\" (subtask 1 of 2, attempt 0) after 17 records\n"
    "/opt/dfnode(+0x12345)[0x55e0]\n"
    "/lib/x86_64-linux-gnu/libc.so.6(+0x3c050)[0x7f01]\n"
    "/tm/libmine.so(_ZN6Enrich7processEi+0x12)[0x7f02]\n"
    "a line of another thread\n"
    "/tm/libmine.so(+0x99)[0x7f03]\n"
    "=== end of crash\n";

}  // namespace

TEST_CASE("a crash is read from a log with its signal, its place and its stack without the handler's") {
  const TemporaryFolder folder;
  const auto report = read_crash_report(log_of(folder, segfault), 7);
  REQUIRE(report);
  CHECK(report->what == "SIGSEGV at 0x0 in \"bad\" (subtask 1 of 2, attempt 0) after 17 records");
  CHECK(report->frames == std::vector<std::string>{"Enrich::process(int) +0x12 (libmine.so)", "? +0x99 (libmine.so)"});
  CHECK(to_text(*report) == report->what + "\n  #0 Enrich::process(int) +0x12 (libmine.so)\n  #1 ? +0x99 (libmine.so)");
}

TEST_CASE("what abort does is no part of the stack") {
  const TemporaryFolder folder;
  const auto report =
      read_crash_report(log_of(folder,
                               "\n=== crash of process 7: SIGABRT\n"
                               "dfnode(+0x1)[0x1]\n/lib/libc.so.6(+0x2)[0x2]\n/lib/libc.so.6(+0x3)[0x3]\n"
                               "/lib/libc.so.6(gsignal+0x4)[0x4]\n/lib/libc.so.6(abort+0x5)[0x5]\n"
                               "/tm/libmine.so(_Z4workv+0x6)[0x6]\n"),
                        7);
  REQUIRE(report);
  CHECK(report->frames == std::vector<std::string>{"work() +0x6 (libmine.so)"});
}

TEST_CASE("a log without a crash, of another process, or that does not exist has no report") {
  const TemporaryFolder folder;
  CHECK_FALSE(read_crash_report(log_of(folder, "2026-11-28 all is well\n"), 7));
  CHECK_FALSE(read_crash_report(log_of(folder, segfault), 8));
  CHECK_FALSE(read_crash_report(folder.path() / "none", 7));
}

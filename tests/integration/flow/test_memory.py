"""Memory stays flat: over many records, and behind a sink that is slower than its source."""

import os
import pathlib
import subprocess
import unittest

from dfnode import DFNODE, DfnodeTest

# Two exchanges (1 -> 2 -> 1), so that batches wait in channels and not only on the stack of a chain.
JOB = """
name = "flow"
[sources.numbers]
type   = "generate"
count  = 50_000_000
fields = { id = "seq()", half = "seq() / 2" }
parallelism = 1
[operators.same]
type        = "filter"
input       = "numbers"
where       = "half >= 0"
parallelism = 2
[operators.few]
type        = "filter"
input       = "same"
where       = "id % 1000000 = 0"
parallelism = 1
"""
PEAK_KIB = 120 * 1024


def peak_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


class Memory(DfnodeTest):
    def test_fifty_million_records_pass_in_flat_memory(self):
        self.write("job.toml", JOB + '[sinks.out]\ntype = "print"\ninput = "few"\n')
        process = subprocess.Popen(
            [DFNODE, "run", "job.toml", "--quiet"], cwd=self.folder, env=self.environment(), stdout=subprocess.PIPE
        )
        rows = process.stdout.read().splitlines()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        self.assertEqual(process.returncode, 0)
        self.assertEqual(len(rows), 50)
        self.assertLess(usage.ru_maxrss, PEAK_KIB)

    def test_a_sink_that_stands_still_stops_the_source(self):
        self.write("job.toml", JOB + '[sinks.out]\ntype = "print"\ninput = "same"\nparallelism = 1\n')
        process = subprocess.Popen(
            [DFNODE, "run", "job.toml", "--quiet"], cwd=self.folder, env=self.environment(), stdout=subprocess.PIPE
        )
        # A little is read, then nothing: the pipe fills, and the job behind it. Each further read lets a little more
        # through; all the while the source could make gigabytes.
        for _ in range(64):
            self.assertEqual(len(process.stdout.read(1 << 20)), 1 << 20)
        self.assertLess(peak_kib(process.pid), PEAK_KIB)
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    unittest.main()

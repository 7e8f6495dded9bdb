"""Thousands of jobs come and go, and the cluster's processes do not grow. DATAFLOW_LONG_TESTS=1: ten thousand."""

import os
import pathlib
import subprocess
import sys
import time
import unittest

from dfnode import DFNODE, LONG, files_below
from numbers_job import NumbersTest
from small_jobs import numbers

CYCLES = int(os.environ.get("DATAFLOW_CYCLES", 10_000 if LONG else 60))
WARM_UP = 1000 if LONG else 20  # the history of ended jobs is full then, and so are the logs: not each job leaves one
STEPS = 10
PARALLEL = 3
GROWTH_BYTES = 4 << 20
CYCLES_PROGRAM = pathlib.Path(DFNODE).resolve().with_name("job_cycles")


def size_of(pid):
    """Resident bytes, open files, threads."""
    process = pathlib.Path(f"/proc/{pid}")
    resident = int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resident, len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))


class ManyJobs(NumbersTest):
    def cycle(self, count):
        """That many jobs are submitted and cancelled, some at a time; returns when their processes are gone."""
        done = subprocess.run([CYCLES_PROGRAM, self.address, self.file, str(count), str(PARALLEL)], timeout=3600,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, f"{done.stderr}\n{self.logs()}")
        node = next(iter(self.nodes.values()))
        # Only the spare worker is left.
        self.until("their processes are gone",
                   lambda: not self.masters() and self.spares(node) == self.worker_processes(node))

    def sizes(self):
        return {"JobManager": size_of(self.manager.pid), "TaskManager": size_of(next(iter(self.nodes.values())).pid)}

    def files(self):
        return sum(len(files_below(self.folder / folder)) for folder in ("jm", "tm0"))

    def tell_sizes(self, cycles, began):
        if not LONG:
            return
        sizes = ", ".join(f"{who} {resident >> 10} KiB {files} files {threads} threads"
                          for who, (resident, files, threads) in self.sizes().items())
        print(f"{cycles} cycles, {time.monotonic() - began:.0f} s: {sizes}; {self.files()} files kept",
              file=sys.stderr, flush=True)

    def test_jobs_that_are_submitted_and_cancelled_leave_nothing(self):
        began = time.monotonic()
        self.cluster(nodes=1, slots=PARALLEL)
        self.file = str(self.write("short.toml", numbers("short", parallelism=1, rate=100)))
        self.cycle(WARM_UP)
        before, files_before = self.sizes(), self.files()
        self.tell_sizes(WARM_UP, began)
        step = (CYCLES - WARM_UP) // STEPS
        for number in range(STEPS):
            self.cycle(step)
            self.tell_sizes(WARM_UP + (number + 1) * step, began)

        def small_again():
            after = self.sizes()
            return all(after[who][1] <= before[who][1] + 3 and after[who][2] <= before[who][2] + 3
                       for who in after) and after
        after = self.until(f"no more files and threads than {before}", small_again)
        for who in after:
            self.assertLess(after[who][0] - before[who][0], GROWTH_BYTES, f"{who}: {before} -> {after}")
        # A job that has ended keeps its record and its logs, until there are many.
        kept = 0 if LONG else 3 * (CYCLES - WARM_UP)
        self.assertLessEqual(self.files() - files_before, kept + 3)


if __name__ == "__main__":
    unittest.main()

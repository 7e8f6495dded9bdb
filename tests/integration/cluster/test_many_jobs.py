"""Thousands of jobs come and go, and the cluster's processes do not grow. DATAFLOW_LONG_TESTS=1: ten thousand."""

import os
import pathlib
import unittest

from numbers_job import NumbersTest

CYCLES = 10_000 if os.environ.get("DATAFLOW_LONG_TESTS") == "1" else 30
WARM_UP = 10 if CYCLES < 100 else 300  # the history of ended jobs is full then, and so are the logs
GROWTH_BYTES = 16 << 20

JOB = """name = "short"
parallelism = 1

[sources.numbers]
type   = "generate"
fields = { id = "seq()" }
rate_limit = 100

[sinks.out]
type  = "discard"
input = "numbers"
"""


def size_of(pid):
    """Resident bytes, open files, threads."""
    process = pathlib.Path(f"/proc/{pid}")
    resident = int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resident, len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))


class ManyJobs(NumbersTest):
    def cycle(self, file):
        job = self.detach(file)
        self.tell("cancel", job)
        self.until_state(job, "CANCELED")
        self.until("its processes are gone", lambda: not self.masters() and not self.workers(job))

    def sizes(self):
        node = next(iter(self.nodes.values()))
        self.until("the spare worker is up", lambda: self.spares(node))
        return {"JobManager": size_of(self.manager.pid), "TaskManager": size_of(node.pid)}

    def files(self):
        return sum(1 for folder in ("jm", "tm0") for path in (self.folder / folder).rglob("*") if path.is_file())

    def test_jobs_that_are_submitted_and_cancelled_leave_nothing(self):
        self.cluster(nodes=1, slots=2)
        file = self.write("short.toml", JOB)
        for _ in range(WARM_UP):
            self.cycle(file)
        before, files_before = self.sizes(), self.files()
        for _ in range(CYCLES - WARM_UP):
            self.cycle(file)
        def small_again():
            after = self.sizes()
            return all(after[who][1] <= before[who][1] + 3 and after[who][2] <= before[who][2] + 3 for who in after) and after
        after = self.until(f"no more files and threads than {before}", small_again)
        for who in after:
            self.assertLess(after[who][0] - before[who][0], GROWTH_BYTES, f"{who}: {before} -> {after}")
        # A job that has ended keeps its record and its logs, until there are many.
        kept = 0 if CYCLES > 100 else 3 * (CYCLES - WARM_UP)
        self.assertLessEqual(self.files() - files_before, kept + 3)


if __name__ == "__main__":
    unittest.main()

"""Jobs with checkpoints whose processes are killed at random moments write each row once. DATAFLOW_LONG_TESTS=1: 100.

DATAFLOW_SEED is that of the first run, default 0.
"""

import os
import random
import time
import unittest

from dfnode import LONG
from numbers_job import NumbersTest
from small_jobs import counts, file_sink

RUNS = 100 if LONG else 3
FIRST_SEED = int(os.environ.get("DATAFLOW_SEED", 0))
ROWS = 6000


def counts_of(out, storage, interval="200ms"):
    more = f"""[checkpoint]
interval = "{interval}"
storage  = "file://{storage}"

[restart]
max_delay = "1s"
"""
    return counts(count=ROWS, sink=file_sink(out, "csv"), more=more,
                  aggregate='n = "count()", first = "min(id)", last = "max(id)"')


class UnderWay(NumbersTest):
    def test_a_checkpoint_that_is_under_way_is_given_up_with_the_only_worker(self):
        self.cluster(nodes=1, slots=2)
        text = counts_of("out", self.folder / "chk", interval="10ms")
        job = self.detach(self.write("counts.toml", text))
        self.until_running(job)
        worker = self.workers(job)[0]
        self.stop(worker)
        # By the time of the second answer a checkpoint has begun that nobody acknowledges.
        self.until("it is asked twice", lambda: self.state(job) and self.state(job))
        self.kill(worker)
        self.until_running(job, attempt=1)
        self.until_state(job, "FINISHED")
        self.assertEqual(sum(int(line.split(",")[1]) for line in self.lines_out("out")), ROWS)


class RandomKills(NumbersTest):
    def kill_something(self, choice, job):
        """Returns what it was, or nothing when there was none of that kind at the moment."""
        kind = choice.choice(("job_manager", "master", "task_manager", "worker", "worker"))
        if kind == "job_manager":
            self.kill(self.manager.pid)
            self.manager.wait()
            self.job_manager()
            return kind
        if kind == "task_manager":
            name = choice.choice(list(self.nodes))
            process = self.nodes.pop(name)
            self.kill(process.pid)
            process.wait()
            folder = self.folders.pop(name)
            self.task_manager(2, folder)
            self.folders[list(self.nodes)[-1]] = folder
            return kind
        pids = self.masters() if kind == "master" else self.workers(job)
        if not pids:
            return None
        try:
            self.kill(choice.choice(pids))
        except ProcessLookupError:
            return None
        return kind

    def one_run(self, seed):
        choice = random.Random(seed)
        out = f"out-{seed}"
        job = self.detach(self.write("counts.toml", counts_of(out, self.folder / f"chk-{seed}")))
        killed = []
        for _ in range(choice.randint(1, 3)):
            time.sleep(choice.uniform(0, 1.5))  # any moment will do: there is nothing to wait for
            killed.append(self.kill_something(choice, job))
        shown = self.until_state(job, "FINISHED", "FAILED", "CANCELED")
        if shown["state"] != "FINISHED":
            self.fail(f"seed {seed}, killed {killed}: {shown}\n{self.logs()}")
        rows = self.lines_out(out)
        self.assertEqual(len(rows), len(set(rows)), f"seed {seed}, killed {killed}: a row came twice")
        counts = [int(row.split(",")[1]) for row in rows]
        self.assertEqual((len(rows), sum(counts)), (ROWS // 10, ROWS), f"seed {seed}, killed {killed}")

    def test_every_row_is_written_once_whatever_is_killed(self):
        self.job_manager()
        self.folders = {}
        for name in ("tm0", "tm1", "tm2"):
            self.task_manager(2, name)
            self.folders[list(self.nodes)[-1]] = name
        for seed in range(FIRST_SEED, FIRST_SEED + RUNS):
            with self.subTest(seed=seed):
                self.one_run(seed)


if __name__ == "__main__":
    unittest.main()

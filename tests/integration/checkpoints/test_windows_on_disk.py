"""A job whose `aggregate`, session and count windows have outgrown memory is killed and goes on, with other parallelisms
and on the heap: each row is out once, as from the heap without a fault, and of the changelog, which only `print` takes,
no other one than there. Its checkpoints write what has changed.
"""

import json
import signal
import threading
import time
import unittest

from checkpointing import JOB, lines_in
from dfnode import DfnodeTest, files_below

# No key comes twice in a batch, and all rows come in their order, so that the changelog and the windows of a count are
# the same whatever the batches are.
NODES = """
[operators.sums]
type      = "aggregate"
input     = "numbers"
key_by    = ["k4"]
aggregate = {{ records = "count()", sum = "sum(n)" }}

[operators.visits]
type      = "window"
input     = "numbers"
key_by    = ["k3"]
window    = {{ session = "35s" }}
aggregate = {{ records = "count()", sum = "sum(n)" }}

[operators.lots]
type      = "window"
input     = "numbers"
key_by    = ["k4", "at_noon"]
window    = {{ count = 3 }}
aggregate = {{ records = "count()", sum = "sum(n)", values = "count(distinct n)" }}

[operators.some_sums]
type  = "filter"
input = "sums"
where = "records = 7"

[sinks.sums_out]
type  = "print"
input = "some_sums"

[sinks.visits_out]
type  = "file"
input = "visits"
path  = "{folder}/visits"

[sinks.lots_out]
type  = "file"
input = "lots"
path  = "{folder}/lots"
"""
STATE = """
[state]
backend = "{backend}"
"""
OUTPUTS = ("rows", "totals", "visits", "lots")


class WindowsOnDisk(DfnodeTest):
    def job(self, folder, rate, more):
        job = JOB.replace("[sinks.rows]", NODES.lstrip() + "\n[sinks.rows]", 1)
        job = job.replace('k = "seq() % 2003"',
                          'k = "seq() % 2003", k3 = "seq() % 30011", k4 = "seq() % 40009", at_noon = "seq() % 2 = 0"', 1)
        rate = "parallelism = 1\n" + (f"rate_limit = {rate}" if rate else "")
        text = job.format(rate=rate, folder=folder, checkpoint=more)
        return str(self.write(f"{folder}-{len(more)}.toml", text))

    def with_checkpoints(self, backend):
        state = STATE.format(backend=backend) + ('memory = "16MiB"\n' if backend == "rocksdb" else "")
        return self.job("out", 60000,
                        f'[checkpoint]\ninterval = "100ms"\nstorage = "file://{self.folder}/checkpoints"\n' + state)

    def completed(self):
        return sorted(path.name for path in files_below(self.folder / "checkpoints", "latest-*"))

    def run_job(self, *arguments, checkpoints=None):
        """Kills it after so many, if it gets there. Keeps what it has printed."""
        before = self.newest()
        process = self.start("run", *arguments, "--json")
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout))
        reader.start()
        deadline = time.monotonic() + 240
        while process.poll() is None and (checkpoints is None or self.newest() < before + checkpoints):
            self.assertLess(time.monotonic(), deadline, "neither its end nor so many checkpoints")
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        reader.join()
        self.printed |= {line for line in lines if line.endswith("\n")}
        return process.wait(), process.stderr.read()

    def newest(self):
        return max((int(name.rpartition("-")[2]) for name in self.completed()), default=0)

    def test_a_job_that_is_killed_again_and_again_gives_what_the_heap_gives(self):
        self.printed = set()
        code, errors = self.run_job(self.job("expected", None, ""))
        self.assertEqual(code, 0, errors)
        expected_sums = self.printed
        self.printed = set()
        on_disk = self.with_checkpoints("rocksdb")
        on_heap = self.with_checkpoints("heap")
        self.assertEqual(self.run_job(on_disk, "--parallelism", "2", checkpoints=3)[0], -signal.SIGKILL)
        self.assertTrue(files_below(self.folder / "checkpoints", "*.sst"), "state is not in stores")
        for job, parallelism in ((on_disk, "2"), (on_disk, "3"), (on_heap, "1"), (on_disk, "2")):
            self.run_job(job, "--resume", "--parallelism", parallelism, checkpoints=3)
        code, summary = self.run_job(on_disk, "--resume", "--parallelism", "1")
        self.assertEqual(code, 0, summary)
        checkpoints = json.loads(summary)["checkpoints"]
        self.assertGreater(checkpoints["resumed_from"], 0)
        self.assertTrue(any(one["incremental_bytes"] < one["bytes"] / 2 for one in checkpoints["newest"]), checkpoints)
        self.assertTrue(expected_sums)
        self.assertEqual(self.printed, expected_sums)
        for name in OUTPUTS:
            with self.subTest(name):
                expected, _ = lines_in(self.folder / "expected" / name)
                actual, hidden = lines_in(self.folder / "out" / name)
                self.assertTrue(expected)
                self.assertEqual(actual, expected)
                self.assertEqual(hidden, [])


if __name__ == "__main__":
    unittest.main()

"""A job whose `top` and `pattern` keep their state in RocksDB is killed and goes on, with other parallelisms: each row is
out once, as from the heap without a fault.
"""

import json
import signal
import time
import unittest

from checkpointing import JOB, lines_in
from dfnode import DfnodeTest, files_below

NODES = """
[operators.largest]
type     = "top"
input    = "totals"
key_by   = ["k", "window_end"]
order_by = "sum DESC"
limit    = 2

[operators.busiest]
type     = "top"
input    = "totals"
key_by   = ["window_start", "window_end"]
order_by = "records DESC"
limit    = 1
ties     = true

[operators.greatest]
type     = "top"
input    = "numbers"
window   = {{ tumbling = "10s" }}
order_by = "k DESC"
limit    = 3
ties     = true
rank     = "place"

[operators.steps]
type     = "pattern"
input    = "numbers"
key_by   = ["k"]
pattern  = "a b c"
within   = "10m"
define   = {{ a = "floor(n / 2003) % 3 = 0", b = "n > a.n", c = "k % 5 > 0" }}
measures = {{ since = "first(at)", until = "last(at)", n = "sum(n)" }}

[sinks.largest_out]
type  = "file"
input = "largest"
path  = "{folder}/largest"

[sinks.busiest_out]
type  = "file"
input = "busiest"
path  = "{folder}/busiest"

[sinks.greatest_out]
type  = "file"
input = "greatest"
path  = "{folder}/greatest"

[sinks.steps_out]
type  = "file"
input = "steps"
path  = "{folder}/steps"

[sinks.late_out]
type  = "file"
input = "steps.timeout"
path  = "{folder}/timeouts"
"""
ROCKSDB = """
[state]
backend = "rocksdb"
memory  = "16MiB"
"""
OUTPUTS = ("rows", "totals", "largest", "busiest", "greatest", "steps", "timeouts")


class TopAndPattern(DfnodeTest):
    def job(self, folder, rate, more):
        job = JOB.replace("[sinks.rows]", NODES.lstrip() + "\n[sinks.rows]", 1)
        text = job.format(rate=f"rate_limit = {rate}" if rate else "", folder=folder, checkpoint=more)
        return str(self.write(f"{folder}.toml", text))

    def completed(self):
        return sorted(path.name for path in files_below(self.folder / "checkpoints", "latest-*"))

    def kill_after_a_checkpoint(self, *arguments):
        before = self.completed()
        process = self.start("run", *arguments, "--quiet")
        deadline = time.monotonic() + 60
        while process.poll() is None and self.completed() in (before, []):
            self.assertLess(time.monotonic(), deadline, "no checkpoint was completed")
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return process.returncode

    def test_a_job_that_is_killed_again_and_again_gives_what_the_heap_gives(self):
        run = self.dfnode("run", self.job("expected", None, ""), "--quiet")
        self.assertEqual(run.returncode, 0, run.stderr)
        checkpoint = f'[checkpoint]\ninterval = "100ms"\nstorage = "file://{self.folder}/checkpoints"\n'
        job = self.job("out", 150000, checkpoint + ROCKSDB)
        self.assertEqual(self.kill_after_a_checkpoint(job, "--parallelism", "2"), -signal.SIGKILL)
        for parallelism in ("2", "3", "1"):
            self.kill_after_a_checkpoint(job, "--resume", "--parallelism", parallelism)
        self.assertTrue(files_below(self.folder / "checkpoints", "*.sst"), "state is not in stores")
        last = self.dfnode("run", job, "--resume", "--json", "--parallelism", "2")
        self.assertEqual(last.returncode, 0, last.stderr)
        self.assertGreater(json.loads(last.stderr)["checkpoints"]["resumed_from"], 0)
        for name in OUTPUTS:
            with self.subTest(name):
                expected, _ = lines_in(self.folder / "expected" / name)
                actual, hidden = lines_in(self.folder / "out" / name)
                self.assertTrue(expected)
                self.assertEqual(actual, expected)
                self.assertEqual(hidden, [])


if __name__ == "__main__":
    unittest.main()

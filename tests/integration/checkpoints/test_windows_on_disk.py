"""Windows and a window join that are larger than memory, as real processes: their checkpoints have segments, from which a
killed process goes on; a savepoint needs none of them, and goes on with another parallelism. The output is that of the
same job on the heap, undisturbed.
"""

import json
import shutil
import signal
import unittest

from checkpointed_cluster import CHECKPOINT, CheckpointedCluster
from checkpointing import lines_in
from dfnode import files_below

JOB = """name        = "totals"
parallelism = {parallelism}

[sources.numbers]
type       = "generate"
count      = 300000
interval   = "1ms"
fields     = {{ n = "seq()", k = "seq() * 7919 % 60013", at = "time()" }}
event_time = {{ field = "at" }}
{rate}

[operators.some]
type  = "filter"
input = "numbers"
where = "n % 3 = 0"

[operators.windows]
type      = "window"
input     = "numbers"
key_by    = ["k"]
window    = {{ sliding = "200s", every = "100s" }}
aggregate = {{ records = "count()", sum = "sum(n)", largest = "max(n)" }}

[operators.pairs]
type   = "join"
left   = "numbers"
right  = "some"
on     = "numbers.k = some.k"
kind   = "left"
window = {{ tumbling = "100s" }}
fields = {{ k = "numbers.k", n = "numbers.n", m = "some.n" }}

[sinks.windows_out]
type  = "file"
input = "windows"
path  = "{folder}/windows"

[sinks.pairs_out]
type  = "file"
input = "pairs"
path  = "{folder}/pairs"
{checkpoint}
{state}
"""
ON_DISK = '[state]\nbackend = "rocksdb"\nmemory  = "16MiB"\n'


class WindowsOnDisk(CheckpointedCluster):
    def write_job(self, name, folder, rate=None, checkpoint="", parallelism=2, state=ON_DISK):
        return str(self.write(name, JOB.format(parallelism=parallelism, folder=folder, checkpoint=checkpoint, state=state,
                                               rate=f"rate_limit = {rate}" if rate else "")))

    def reference(self):
        job = self.write_job("reference.toml", "expected", state="")
        self.assert_exit(self.dfnode("run", job, "--quiet", timeout=120), 0)

    def checkpoint(self):
        return CHECKPOINT.format(folder=self.folder)

    def segments(self):
        return {path.name.split("-")[0] for path in files_below(self.folder / "checkpoints", "*.s[0-9]*")}

    def assert_output(self):
        for name in ("windows", "pairs"):
            expected, _ = lines_in(self.folder / "expected" / name)
            actual, hidden = lines_in(self.folder / "out" / name)
            self.assertTrue(expected)
            self.assertEqual(actual, expected)
            self.assertEqual(hidden, [])

    def until_segments(self, process, since):
        """Of the windows and of the join."""
        self.until("checkpoints have segments", lambda: process.poll() is not None or
                   (self.latest() >= since + 2 and len(self.segments()) >= 2))
        self.assertIsNone(process.poll(), process.stderr.read() if process.poll() is not None else "")

    def test_a_killed_process_goes_on_from_segments(self):
        self.reference()
        job = self.write_job("job.toml", "out", 40000, self.checkpoint())
        for resume in ((), ("--resume",), ("--resume",)):
            process = self.start("run", job, *resume, "--quiet")
            self.until_segments(process, self.latest())
            process.send_signal(signal.SIGKILL)
            process.communicate()
        self.assert_exit(self.dfnode("run", job, "--resume", "--quiet", timeout=120), 0)
        self.assert_output()

    def test_a_savepoint_needs_no_segments_and_goes_on_with_another_parallelism(self):
        self.reference()
        savepoint = ()
        for parallelism in (2, 3, 1):
            job = self.write_job(f"{parallelism}.toml", "out", 60000, self.checkpoint(), parallelism)
            process = self.start("run", job, *savepoint, "--quiet")
            self.until_segments(process, 0)
            stopped = self.dfnode("stop", "totals", "--savepoint", "savepoints", "--json", timeout=60)
            self.assert_exit(stopped, 0)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0)
            savepoint = ("--from", json.loads(stopped.stdout)["path"])
            shutil.rmtree(self.folder / "checkpoints")
        job = self.write_job("heap.toml", "out", None, self.checkpoint(), 2, "")
        self.assert_exit(self.dfnode("run", job, *savepoint, "--quiet", timeout=120), 0)
        self.assert_output()


if __name__ == "__main__":
    unittest.main()

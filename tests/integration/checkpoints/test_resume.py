"""A job is killed, run again with --resume, and has written each row once."""

import json
import signal
import time
import unittest

from checkpointing import JOB, lines_in
from dfnode import DfnodeTest, files_below

class Resume(DfnodeTest):
    def job(self, folder, rate, checkpoint):
        table = (
            f'[checkpoint]\ninterval = "50ms"\nstorage = "file://{self.folder}/checkpoints"\n' if checkpoint else ""
        )
        limit = f"rate_limit = {rate}" if rate else ""
        return str(self.write(f"{folder}.toml", JOB.format(rate=limit, folder=folder, checkpoint=table)))

    def completed(self):
        return sorted(path.name for path in files_below(self.folder / "checkpoints", "latest-*"))

    def reference(self):
        run = self.dfnode("run", self.job("expected", None, False), "--quiet")
        self.assertEqual(run.returncode, 0, run.stderr)
        return [lines_in(self.folder / "expected" / name)[0] for name in ("rows", "totals")]

    def kill_after_a_checkpoint(self, *arguments):
        before = self.completed()
        process = self.start("run", *arguments, "--quiet")
        deadline = time.monotonic() + 30
        while process.poll() is None and self.completed() in (before, []):
            self.assertLess(time.monotonic(), deadline, "no checkpoint was completed")
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return process.returncode

    def test_a_job_that_is_killed_again_and_again_writes_each_row_once(self):
        expected = self.reference()
        job = self.job("out", 150000, True)
        self.assertEqual(self.kill_after_a_checkpoint(job, "--parallelism", "2"), -signal.SIGKILL)
        for parallelism in ("2", "3", "1", "2"):
            self.kill_after_a_checkpoint(job, "--resume", "--parallelism", parallelism)
        last = self.dfnode("run", job, "--resume", "--json")
        self.assertEqual(last.returncode, 0, last.stderr)
        checkpoints = json.loads(last.stderr)["checkpoints"]
        self.assertGreater(checkpoints["resumed_from"], 0)
        self.assertGreater(checkpoints["completed"], 0)
        for name, rows in zip(("rows", "totals"), expected):
            actual, hidden = lines_in(self.folder / "out" / name)
            self.assertEqual(actual, rows)
            self.assertEqual(hidden, [])
        # It is over: once more does nothing.
        again = self.dfnode("run", job, "--resume", "--quiet")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(lines_in(self.folder / "out" / "rows")[0], expected[0])

    def test_a_job_that_is_interrupted_keeps_its_windows_open(self):
        expected = self.reference()
        job = self.job("out", 150000, True)
        process = self.start("run", job, "--quiet")
        deadline = time.monotonic() + 30
        while not self.completed():
            self.assertLess(time.monotonic(), deadline, "no checkpoint was completed")
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130)
        last = self.dfnode("run", job, "--resume", "--quiet")
        self.assertEqual(last.returncode, 0, last.stderr)
        for name, rows in zip(("rows", "totals"), expected):
            self.assertEqual(lines_in(self.folder / "out" / name)[0], rows)

    def test_resume_without_a_checkpoint_begins_anew(self):
        job = self.job("out", None, True)
        run = self.dfnode("run", job, "--resume", "--quiet")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(lines_in(self.folder / "out" / "rows")[0], self.reference()[0])

    def test_resume_of_a_job_without_checkpoints_is_refused(self):
        run = self.dfnode("run", self.job("out", None, False), "--resume")
        self.assertEqual(run.returncode, 2)
        self.assertIn("the job takes no checkpoints", run.stderr)

    def test_a_damaged_checkpoint_is_named_and_not_passed_over(self):
        job = self.job("out", 150000, True)
        self.kill_after_a_checkpoint(job)
        newest = self.completed()[-1]
        lineage = files_below(self.folder / "checkpoints", newest)[0].parent
        _, number, epoch = (lineage / newest).read_text().split()[:3]
        metadata = lineage / f"chk-{int(number):010d}.e{int(epoch):06d}" / "_metadata"
        damaged = bytearray(metadata.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        metadata.write_bytes(damaged)
        run = self.dfnode("run", job, "--resume")
        self.assertEqual(run.returncode, 1)
        self.assertIn(str(metadata), run.stderr)
        self.assertIn("checksum", run.stderr)


if __name__ == "__main__":
    unittest.main()

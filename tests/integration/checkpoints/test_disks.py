"""The disk of the checkpoints is full, slow, or gone for a while: the job goes on, its checkpoints fail and say why, and
they succeed again when the disk is well. What the sinks show in the end is exact.
"""

import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from checkpointing import JOB, lines_in
from dfnode import SOURCE, DfnodeTest, files_below


def can_mount():
    return os.geteuid() == 0 and shutil.which("mount") is not None


class Disks(DfnodeTest):
    def setUp(self):
        super().setUp()
        self.mounted = []
        self.addCleanup(self.unmount_all)

    def mount(self, *arguments):
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"cannot mount: {done.stderr}")
        self.mounted.append(arguments[-1])

    def unmount(self, where):
        subprocess.run(["umount", "-l", where], check=True)
        self.mounted.remove(where)

    def unmount_all(self):
        for where in list(self.mounted):
            self.unmount(where)

    def job(self, storage, rate=30000, more=""):
        text = JOB.format(rate=f"rate_limit = {rate}", folder="out",
                          checkpoint=f'[checkpoint]\ninterval = "100ms"\nstorage = "file://{storage}"\n{more}')
        return str(self.write("job.toml", text))

    def reference(self):
        run = self.dfnode("run", str(self.write("reference.toml", JOB.format(rate="", folder="expected",
                                                                             checkpoint=""))), "--quiet")
        self.assert_exit(run, 0)

    def until(self, what, condition):
        deadline = time.monotonic() + 30
        while True:
            value = condition()
            if value:
                return value
            self.assertLess(time.monotonic(), deadline, f"not in time: {what}")
            time.sleep(0.02)

    def checkpoints(self):
        shown = self.dfnode("checkpoints", "totals", "--json")
        return json.loads(shown.stdout) if shown.returncode == 0 else None

    def until_completed(self, more):
        before = (self.until("the job answers", self.checkpoints))["completed"]
        self.until("checkpoints are complete", lambda: self.checkpoints()["completed"] >= before + more)

    def until_failed_with(self, reason):
        def found():
            return [one for one in self.checkpoints()["newest"] if reason in one.get("error", "")]
        return self.until(f"a checkpoint fails with {reason}", found)[-1]

    def assert_exact(self, process):
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, errors)
        for name in ("rows", "totals"):
            expected, _ = lines_in(self.folder / "expected" / name)
            actual, hidden = lines_in(self.folder / "out" / name)
            self.assertEqual(len(actual), len(expected))
            self.assertEqual(actual, expected)
            self.assertEqual(hidden, [])

    @unittest.skipUnless(can_mount(), "needs to mount a small disk")
    def test_a_full_disk(self):
        self.reference()
        disk = self.folder / "disk"
        disk.mkdir()
        self.mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk))
        process = self.start("run", self.job(disk / "checkpoints"), "--quiet")
        self.until_completed(2)
        with open(disk / "ballast", "wb", buffering=0) as ballast:  # closing must not write again
            try:
                while True:
                    ballast.write(b"x" * 4096)
            except OSError:
                pass
        failed = self.until_failed_with("No space left on device")
        self.assertIn(str(disk), failed["error"])
        self.assertIn("free some space", failed["error"])
        self.assertIsNone(process.poll())
        (disk / "ballast").unlink()
        self.until_completed(2)
        self.assert_exact(process)

    def test_a_slow_disk(self):
        self.reference()
        library = self.folder / "slow_disk.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library),
                        str(SOURCE / "tests" / "support" / "slow_disk.c"), "-ldl"], check=True)
        control = self.write("slow", "0")
        job = self.job(self.folder / "checkpoints", more='timeout = "1s"\n')
        os.environ.update(LD_PRELOAD=str(library), SLOW_DISK=str(control))
        try:
            process = self.start("run", job, "--quiet")
        finally:
            del os.environ["LD_PRELOAD"], os.environ["SLOW_DISK"]
        self.until_completed(2)
        control.write_text("1500")
        failed = self.until_failed_with("timed out after 1s")
        self.assertIn("missing", failed["error"])
        self.assertIn(" of ", failed["slowest"])
        self.assertIsNone(process.poll())
        control.write_text("0")
        self.until_completed(2)
        self.assert_exact(process)

    @unittest.skipUnless(can_mount(), "needs to mount a folder")
    def test_a_disk_that_vanishes_and_comes_back(self):
        self.reference()
        disk, place = self.folder / "disk", self.folder / "place"
        disk.mkdir()
        place.mkdir()
        self.mount("--bind", str(disk), str(place))
        process = self.start("run", self.job(place / "checkpoints"), "--quiet")
        self.until_completed(2)
        self.unmount(str(place))
        failed = self.until_failed_with("has a disk vanished")
        self.assertIn(str(place), failed["error"])
        self.assertIsNone(process.poll())
        self.mount("--bind", str(disk), str(place))
        self.until_completed(2)
        self.assert_exact(process)

    @unittest.skipUnless(can_mount(), "needs to mount a folder")
    def test_a_job_does_not_begin_again_from_nothing_because_its_disk_is_away(self):
        disk, place = self.folder / "disk", self.folder / "place"
        disk.mkdir()
        place.mkdir()
        self.mount("--bind", str(disk), str(place))
        job = self.job(place / "checkpoints")
        process = self.start("run", job, "--quiet")
        self.until_completed(2)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.unmount(str(place))
        before = lines_in(self.folder / "out" / "rows")[0]
        run = self.dfnode("run", job, "--resume", "--quiet")
        self.assertNotEqual(run.returncode, 0)  # the folder has rows of a job that is not known here
        self.assertEqual(lines_in(self.folder / "out" / "rows")[0], before)


class Damage(DfnodeTest):
    """What is stored is cut off or has a bit turned: the job that goes on from it fails and names the file."""

    def killed_job(self):
        text = JOB.format(rate="rate_limit = 60000", folder="out",
                          checkpoint=f'[checkpoint]\ninterval = "50ms"\nstorage = "file://{self.folder}/checkpoints"\n')
        job = str(self.write("job.toml", text))
        process = self.start("run", job, "--quiet")
        deadline = time.monotonic() + 30
        while len(files_below(self.folder / "checkpoints", "latest-*")) < 2:
            self.assertLess(time.monotonic(), deadline, "no checkpoint was completed")
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        newest = max(files_below(self.folder / "checkpoints", "latest-*"))
        _, number, epoch = newest.read_text().split()[:3]
        return job, newest.parent / f"chk-{int(number):010d}.e{int(epoch):06d}"

    def assert_named(self, job, file):
        run = self.dfnode("run", job, "--resume", "--quiet")
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn(str(file), run.stderr)
        self.assertNotIn("--resume, the job", run.stderr)

    def test_metadata_and_state_with_a_turned_bit_or_cut_off(self):
        job, checkpoint = self.killed_job()
        states = [path for path in checkpoint.iterdir() if path.name != "_metadata"]
        self.assertTrue(states, "the job's state was so little that it lies in the metadata")
        for file in (checkpoint / "_metadata", states[0]):
            whole = file.read_bytes()
            for damaged in (bytes([*whole[:-40], whole[-40] ^ 16, *whole[-39:]]), whole[:-8], whole[:4], b""):
                file.write_bytes(damaged)
                self.assert_named(job, file)
            file.unlink()
            self.assert_named(job, file)
            file.write_bytes(whole)
        self.assert_exit(self.dfnode("run", job, "--resume", "--quiet"), 0)


if __name__ == "__main__":
    unittest.main()

"""What brings a job's master process down is told in the job's history, as the crash of a worker is."""

import json
import os
import pathlib
import signal
import unittest

from dfnode import DFNODE
from numbers_job import NumbersTest
from small_jobs import counts

LIBRARY = pathlib.Path(DFNODE).resolve().with_name("master_crash.so")


class MasterCrashes(NumbersTest):
    """Beside each job whose master crashes, one that does not notice."""

    def setUp(self):
        super().setUp()
        self.cluster(nodes=1, slots=4)
        self.other = self.detach(self.write("counts.toml", counts()))
        self.until_running(self.other)
        self.other_master = self.masters()[0]

    def tearDown(self):
        shown = self.ask("show", self.other)
        self.assertEqual((shown["state"], shown["restarts"], shown["failures"]), ("RUNNING", 0, []))
        super().tearDown()

    def crashing(self, *arguments):
        return self.submit(LIBRARY, "--detach", "--parallelism", "1", "--", *arguments)

    def assert_told(self, failure, function):
        self.assertIn("the job's master ended: killed by SIGSEGV at 0x0", failure["reason"])
        self.assertTrue([frame for frame in failure["backtrace"]
                         if function in frame and frame.endswith("(master_crash.so)")], failure)

    def test_a_crash_while_the_graph_is_built_fails_the_job(self):
        result = self.crashing("--when=build")
        self.assert_exit(result, 1)
        self.assertIn("killed by SIGSEGV at 0x0 while it built the job's graph", result.stderr)
        failed = next(job for job in self.ask("list") if job["state"] == "FAILED")
        shown = self.ask("show", failed["id"])
        self.assertIn("killed by SIGSEGV at 0x0 while it built the job's graph", shown["error"])
        self.assertEqual(len(shown["failures"]), 1)
        self.assert_told(shown["failures"][0], "crash_while_building")
        self.assertIn("crash_while_building", self.dfnode("show", failed["id"], "--to", self.address).stdout)

    def test_a_crash_of_a_running_jobs_master_is_in_the_history_of_the_job_that_goes_on(self):
        gate = self.folder / "gate"
        job = self.crashing("--when=splits", "--once", f"--gate={gate}").stdout.strip()
        gate.touch()
        self.until("it has crashed", lambda: not gate.exists())
        shown = self.until_running(job)
        self.assertEqual(len(shown["failures"]), 1)
        self.assert_told(shown["failures"][0], "crash_while_listing_splits")
        text = self.dfnode("show", job, "--to", self.address).stdout
        self.assertIn("master 0: the job's master ended: killed by SIGSEGV", text)
        self.assertIn("crash_while_listing_splits", text)
        # What is kept of a job that has ended has it, too.
        self.tell("cancel", job)
        self.assert_told(self.until_state(job, "CANCELED")["failures"][0], "crash_while_listing_splits")

    def test_a_master_that_crashes_again_and_again_fails_the_job(self):
        gate = self.folder / "gate"
        job = self.crashing("--when=splits", f"--gate={gate}").stdout.strip()
        gate.touch()
        shown = self.until_state(job, "FAILED")
        self.assertIn("the job's master process ended: killed by SIGSEGV at 0x0; ", shown["error"])
        self.assertEqual([failure["master"] for failure in shown["failures"]], [0, 1, 2, 3])
        for failure in shown["failures"]:
            self.assert_told(failure, "crash_while_listing_splits")

    def test_who_asks_a_master_that_is_killed_is_answered_at_once(self):
        job = self.crashing("--when=never").stdout.strip()
        self.until_running(job)
        master = next(pid for pid in self.masters() if pid != self.other_master)
        self.stop(master)
        before = self.connections()
        asking = self.start("show", job, "--to", self.address, "--timeout", "60", "--json")
        self.until("it is connected", lambda: self.connections() > before)
        self.kill(master)
        output, errors = asking.communicate(timeout=8)  # one that lives, and is silent, has 12 seconds
        self.assertEqual((asking.returncode, json.loads(output)["id"]), (0, job), errors)

    def connections(self):
        return len(os.listdir(f"/proc/{self.manager.pid}/fd"))

    def test_an_abort_is_told_and_so_is_who_was_killed(self):
        job = self.crashing("--when=never").stdout.strip()
        self.until_running(job)
        for number, told in ((signal.SIGABRT, "killed by SIGABRT"), (signal.SIGKILL, "killed by SIGKILL")):
            master = next(pid for pid in self.masters() if pid != self.other_master)
            self.kill(master, number)
            self.until("it is told", lambda: told in str(self.ask("show", job)["failures"]))
            self.until_running(job)
        first, second = self.ask("show", job)["failures"]
        self.assertTrue(first["backtrace"])
        self.assertNotIn("backtrace", second)


class MasterCrashesAndTheJobManager(NumbersTest):
    def test_a_job_managers_restart_does_not_forget_how_masters_ended(self):
        self.cluster(nodes=1, slots=1)
        job = self.detach(LIBRARY, "--parallelism", "1", "--", "--when=never")
        self.until_running(job)
        self.kill(self.masters()[0])
        self.until("it is told", lambda: self.ask("show", job)["failures"])
        self.until_running(job)
        before = self.ask("show", job)["failures"]
        self.kill(self.manager.pid)
        self.job_manager(listen=self.address)
        self.until_running(job)
        self.assertEqual(self.ask("show", job)["failures"][:len(before)], before)


if __name__ == "__main__":
    unittest.main()

"""The files that jobs are made of: fetched by nodes, tried again when that fails, and gone when nobody needs them."""

import pathlib
import shutil
import unittest

from cluster_test import ClusterTest
from dfnode import DFNODE
from numbers_job import NumbersTest
from small_jobs import numbers

LIBRARY = pathlib.Path(DFNODE).resolve().with_name("master_crash.so")
CACHE_KIB = 100


class Cache(ClusterTest):
    def padded(self, name):
        """A job whose file has 40 KiB."""
        text = numbers(name, parallelism=1)
        return self.write(f"{name}.toml", text + "# " + "x" * (40 * 1024 - len(text)) + "\n")

    def run_and_cancel(self, name):
        job = self.detach(self.padded(name))
        self.until_running(job)
        self.tell("cancel", job)
        self.until_state(job, "CANCELED")

    def artifacts(self, folder="tm0"):
        return list((self.folder / folder / "artifacts").iterdir())

    def test_a_node_keeps_what_live_jobs_need_and_not_much_more(self):
        self.job_manager()
        self.task_manager(2, options=("--artifact-cache", f"{CACHE_KIB}KiB"))
        live = self.detach(self.padded("live"))
        self.until_running(live)
        for number in range(5):
            self.run_and_cancel(f"short-{number}")
        self.until("the others are gone",
                   lambda: sum(path.stat().st_size for path in self.artifacts()) <= CACHE_KIB * 1024)
        # The oldest of all is there still: its job's next worker finds it.
        worker = self.until("its worker", lambda: self.worker_of(list(self.nodes.values())[0], live))
        self.kill(worker)
        self.until_running(live, attempt=1)
        self.assertEqual(len(self.artifacts()), 2)
        # A job that ended long ago is fetched again.
        self.run_and_cancel("short-0")

    def test_what_is_half_there_is_gone_when_a_process_starts_again(self):
        self.cluster(nodes=0)
        half = "0" * 64 + ".partial"
        (self.folder / "jm" / "uploads").mkdir()
        self.write(f"jm/uploads/{half}", "x")
        self.kill(self.manager.pid)
        self.manager.wait()
        (self.folder / "tm0" / "artifacts").mkdir(parents=True)
        self.write(f"tm0/artifacts/{half}", "x")
        self.job_manager()
        self.task_manager(1)
        self.assertEqual(self.artifacts(), [])
        self.assertEqual(list((self.folder / "jm/uploads").iterdir()), [])


class Fetch(NumbersTest):
    silence_seconds = "20"

    def test_a_piece_that_does_not_come_in_time_is_asked_for_again(self):
        """The JobManager stands still for longer than a piece may take, in the middle of an artifact."""
        self.cluster(nodes=1, slots=1)
        large = self.folder / "large.so"
        shutil.copy(LIBRARY, large)
        with open(large, "ab") as file:
            file.truncate(128 << 20)
        job = self.detach(large, "--parallelism", "1", "--", "--when=never")
        partial = self.until("it is being fetched", lambda: next(self.folder.glob("tm0/artifacts/*.partial"), None))
        self.stop(self.manager.pid)
        self.assertTrue(partial.exists(), "it was quicker")
        self.until("it is asked for again", lambda: "it is asked for again" in self.logs())
        self.go_on()
        shown = self.until_running(job)
        self.assertEqual((shown["restarts"], shown["failures"]), (0, []))

    def test_an_artifact_that_a_disk_refuses_is_fetched_again_by_the_next_attempt(self):
        self.cluster(nodes=1, slots=1)
        folder = self.folder / "tm0" / "artifacts"
        folder.rmdir()
        folder.write_text("no folder")
        job = self.detach(self.write("numbers.toml", numbers(parallelism=1)))
        failed = self.until("it fails", lambda: self.ask("show", job)["failures"])
        self.assertIn("its artifact could not be fetched: cannot write", failed[0]["reason"])
        folder.unlink()
        self.until_running(job, attempt=1)


if __name__ == "__main__":
    unittest.main()

"""A cluster with a checkpointed job whose output is compared with that of the same job undisturbed, and the moments of a
checkpoint at which something may be done to it.

The moments are seen in the checkpoint storage: a folder without metadata is a checkpoint that is being taken, one with
metadata and without an entry that names it is being completed, and a new entry is being told of.
"""

import json
import time

from checkpointing import JOB, lines_in
from cluster_test import ClusterTest, children_of

CHECKPOINT = """[checkpoint]
interval = "100ms"
timeout  = "20s"
storage  = "file://{folder}/checkpoints"

[restart]
strategy = "fixed"
attempts = 1000
delay    = "20ms"
"""


class CheckpointedCluster(ClusterTest):
    silence_seconds = "3"

    def write_job(self, name, folder, rate, settings, parallelism=2):
        text = JOB.format(rate=f"rate_limit = {rate}" if rate else "", folder=folder, checkpoint=settings)
        return self.write(name, f"parallelism = {parallelism}\n" + text)

    def begin(self, rate=40000, **options):
        run = self.dfnode("run", str(self.write_job("reference.toml", "expected", None, "")), "--quiet")
        self.assert_exit(run, 0)
        job = self.write_job("job.toml", "out", rate, CHECKPOINT.format(folder=self.folder), **options)
        self.job = self.detach(job)
        self.until("checkpoints are taken", lambda: self.latest() >= 2)

    def rescale_with_kills(self, *parallelisms):
        """For each: a worker is killed, the job is stopped with a savepoint, and goes on from it with that parallelism."""
        for parallelism in parallelisms:
            workers = [pid for process in self.nodes.values() if (pid := self.worker_of(process, self.job))]
            self.in_the_middle()
            self.kill(workers[0])
            self.until_more()
            stopped = self.dfnode("stop", self.job, "--to", self.address, "--savepoint", "savepoints", "--json",
                                  timeout=60)
            self.assert_exit(stopped, 0)
            savepoint = json.loads(stopped.stdout)["path"]
            self.until_state(self.job, "FINISHED")
            again = self.write_job(f"again{parallelism}.toml", "out", 30000, CHECKPOINT.format(folder=self.folder),
                                   parallelism=parallelism)
            plan = self.dfnode("plan", str(again), "--from", savepoint)
            self.assert_exit(plan, 0)
            self.job = self.detach(again, "--from", savepoint)
            runs = sorted((self.folder / "checkpoints" / "totals").glob("run-*"))
            self.run_folder = lambda last=runs[-1]: last
            self.until("it takes checkpoints", lambda: self.latest() >= 1 or self.state_of_job() == "FINISHED")

    def run_folder(self):
        return self.folder / "checkpoints" / "totals" / "run-000001"

    def latest(self):
        return max((int(path.name.split("-")[1]) for path in self.run_folder().glob("latest-*")), default=0)

    def newest_checkpoint(self):
        return max(self.run_folder().glob("chk-*"), default=None)

    def spin_until(self, what, condition):
        """With hardly a pause: a moment is waited for that does not last."""
        deadline = time.monotonic() + 30
        while True:
            value = condition()
            if value:
                return value
            self.assertLess(time.monotonic(), deadline, f"not in time: {what}\n{self.logs()}")
            time.sleep(0.0003)

    def in_the_middle(self):
        before = self.newest_checkpoint()
        self.spin_until("a checkpoint begins",
                        lambda: (new := self.newest_checkpoint()) != before and not (new / "_metadata").exists())

    def when_completing(self):
        before = self.newest_checkpoint()
        self.spin_until("metadata is written",
                        lambda: (new := self.newest_checkpoint()) != before and (new / "_metadata").exists())

    def when_notifying(self):
        before = self.latest()
        self.spin_until("a checkpoint is complete", lambda: self.latest() != before)

    def moments(self):
        for moment in (self.in_the_middle, self.when_completing, self.when_notifying, self.in_the_middle):
            if self.state_of_job() != "FINISHED":
                yield moment

    def state_of_job(self):
        result = self.dfnode("show", self.job, "--to", self.address, "--json")
        return "" if result.returncode else json.loads(result.stdout)["state"]

    def until_more(self, count=2):
        before = self.latest()
        self.until("more checkpoints are complete",
                   lambda: self.latest() >= before + count or self.state_of_job() == "FINISHED")

    def assert_exact(self):
        self.until("the job is at its end", lambda: self.state_of_job() in ("FINISHED", "FAILED", "CANCELED"))
        shown = self.ask("show", self.job)
        self.assertEqual(shown["state"], "FINISHED", f"{shown.get('error')}\n{self.logs()}")
        for name in ("rows", "totals"):
            expected, _ = lines_in(self.folder / "expected" / name)
            actual, hidden = lines_in(self.folder / "out" / name)
            self.assertEqual(len(actual), len(expected))
            self.assertEqual(actual, expected)
            self.assertEqual(hidden, [])

    def masters(self):
        return [pid for pid, command in children_of(self.manager.pid) if "job-master" in command]

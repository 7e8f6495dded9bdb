"""Processes that were stopped for long and wake up disturb nothing, and a JobManager that is started again knows each
job in the state that it was in."""

import signal
import unittest

from cluster_test import children_of, is_alive
from numbers_job import ROWS, NumbersTest
from small_jobs import numbers

class Woken(NumbersTest):
    silence_seconds = "2"

    def start_numbers(self, seconds):
        self.cluster(nodes=2, slots=2)
        job = self.detach(self.write_numbers(ROWS // seconds))
        self.until_running(job)
        return job

    def until_exact(self, job):
        self.until_state(job, "FINISHED", "FAILED")
        self.assertEqual(self.state(job), "FINISHED", self.ask("show", job))
        self.assertEqual(self.rows_out(), list(range(ROWS)))

    def test_a_worker_that_wakes_up_disturbs_nothing(self):
        job = self.start_numbers(seconds=3)
        worker = self.workers(job)[0]
        self.stop(worker)
        shown = self.until_running(job, attempt=1)
        self.assertIn("silent", shown["failures"][0]["reason"])
        if is_alive(worker):
            self.kill(worker, signal.SIGCONT)
        self.until_exact(job)
        self.until("it is gone", lambda: not is_alive(worker))

    def test_a_task_manager_that_wakes_up_disturbs_nothing(self):
        job = self.start_numbers(seconds=3)
        name, process = next(iter(self.nodes.items()))
        self.stop(process.pid)
        self.until_running(job, attempt=1)
        self.kill(process.pid, signal.SIGCONT)
        self.until("it is back", lambda: name in [node["node"] for node in self.ask("nodes")])
        self.until_exact(job)

    def test_a_whole_node_that_wakes_up_disturbs_nothing(self):
        job = self.start_numbers(seconds=3)
        _, process = next(iter(self.nodes.items()))
        everything = [process.pid, *(pid for pid, _ in children_of(process.pid))]
        for pid in everything:
            self.stop(pid)
        self.until_running(job, attempt=1)
        for pid in everything:
            if is_alive(pid):
                self.kill(pid, signal.SIGCONT)
        self.until_exact(job)

    def test_a_job_manager_that_wakes_up_goes_on(self):
        job = self.start_numbers(seconds=3)
        workers = self.workers(job)
        self.stop(self.manager.pid)
        self.until("its nodes have given it up", lambda: not any(is_alive(pid) for pid in workers))
        self.kill(self.manager.pid, signal.SIGCONT)
        self.until("both nodes are back", lambda: len(self.ask("nodes")) == 2)
        self.until_exact(job)

    def test_a_job_manager_that_wakes_up_beside_a_later_one_leaves(self):
        self.cluster(nodes=1, slots=2)
        job = self.detach(self.write("endless.toml", numbers("endless", parallelism=1)))
        self.until_running(job)
        first = self.manager
        self.stop(first.pid)
        self.job_manager(listen="127.0.0.1:0")
        self.kill(first.pid, signal.SIGCONT)
        first.wait(timeout=20)
        self.assertEqual(first.returncode, 1)
        self.assertIn("another JobManager leads", self.logs())
        self.task_manager(1, "late")
        self.until_running(job)


    def test_who_follows_a_job_finds_the_job_manager_that_is_started_again(self):
        self.cluster(nodes=1, slots=1)
        following = self.start("submit", self.write("endless.toml", numbers("endless", parallelism=1)), "--to", self.address)
        job = self.until("it is there", lambda: self.ask("list"))[0]["id"]
        self.until_running(job)
        self.kill(self.manager.pid)
        self.manager.wait()
        self.job_manager()
        self.until_running(job)
        self.tell("cancel", job)
        _, errors = following.communicate(timeout=20)  # it used to be lost for three minutes
        self.assertIn("CANCELED", errors)

    def test_a_second_job_manager_does_not_disturb_the_first(self):
        self.cluster(nodes=1, slots=2)
        job = self.detach(self.write("endless.toml", numbers("endless", parallelism=1)))
        self.until_running(job)
        for listen in (self.address, "127.0.0.1:0"):
            second = self.dfnode("jobmanager", "--listen", listen, "--storage", "jm")
            self.assert_exit(second, 2)
            self.assertIn(f"the JobManager at {self.address} works with ", second.stderr)
        other = self.dfnode("jobmanager", "--listen", self.address, "--storage", "other")
        self.assert_exit(other, 1)
        self.assertIn("Address already in use", other.stderr)
        self.assertEqual(self.ask("show", job)["restarts"], 0)
        self.assertIsNone(self.manager.poll())


class JobStates(NumbersTest):
    silence_seconds = "8"

    def endless(self, name, parallelism=1, more=""):
        return self.detach(self.write(f"{name}.toml", numbers(name, parallelism, more=more)))

    def test_a_job_manager_that_is_started_again_knows_each_job_in_its_state(self):
        self.cluster(nodes=1, slots=4)
        finished = self.endless("finished")
        self.until_running(finished)
        self.tell("stop", finished)
        self.until_state(finished, "FINISHED")
        failed = self.endless("failed", more='[restart]\nstrategy = "none"')
        self.until_running(failed)
        self.kill(self.workers(failed)[0])
        self.until_state(failed, "FAILED")
        running = self.endless("running")
        restarting = self.endless("restarting", more='[restart]\nstrategy = "fixed"\ndelay = "1h"')
        cancelling = self.endless("cancelling")
        for job in (running, restarting, cancelling):
            self.until_running(job)
        queued = self.endless("queued", parallelism=5)
        self.until("it waits", lambda: "needs 5 slots" in self.ask("show", queued).get("waits_for", ""))
        self.kill(self.workers(restarting)[0])
        self.until_state(restarting, "RESTARTING")
        self.stop(self.workers(cancelling)[0])
        self.tell("cancel", cancelling)
        self.until_state(cancelling, "CANCELLING")
        self.kill(self.manager.pid)
        self.manager.wait()
        self.job_manager()
        for job, state in ((finished, "FINISHED"), (failed, "FAILED"), (cancelling, "CANCELED"),
                           (running, "RUNNING"), (restarting, "RUNNING")):
            self.until_state(job, state)
        self.until("it waits again", lambda: "needs 5 slots, 4 exist; start 1 more"
                   in self.ask("show", queued).get("waits_for", ""))
        self.assertIn("SIGKILL", self.ask("show", failed)["error"])
        self.task_manager(1, "late")
        self.tell("cancel", running)
        self.tell("cancel", restarting)
        self.until_running(queued)


class Masters(NumbersTest):
    def test_a_master_that_is_killed_again_and_again_is_started_again_and_again(self):
        self.cluster(nodes=1, slots=1)
        job = self.detach(self.write("endless.toml", numbers("endless", parallelism=1)))
        killed = set()
        for _ in range(5):
            self.until_running(job)
            master = self.until("a new master", lambda: [pid for pid in self.masters() if pid not in killed])[0]
            killed.add(master)
            self.kill(master)
            self.until("it is gone", lambda: not is_alive(master))
        self.until("a new master", lambda: [pid for pid in self.masters() if pid not in killed])
        self.until_running(job)

    def test_a_master_that_crashes_again_and_again_fails_its_job(self):
        self.cluster(nodes=1, slots=1)
        job = self.detach(self.write("endless.toml", numbers("endless", parallelism=1)))
        self.until_running(job)

        def crash():
            for pid in self.masters():
                self.kill(pid, signal.SIGSEGV)
            return self.state(job) == "FAILED"
        self.until("it fails", crash)
        self.assertIn("killed by SIGSEGV", self.ask("show", job)["error"])


class Silent(NumbersTest):
    silence_seconds = "12"

    def small_job(self, name):
        return self.detach(self.write(f"{name}.toml", numbers(name, parallelism=1)))

    def test_a_silent_node_gets_no_new_work_until_it_is_heard(self):
        self.job_manager()
        silent = self.task_manager(2)
        self.stop(silent.pid)
        self.task_manager(2)
        name, other = self.nodes
        self.until("it is silent", lambda: any(node["silent"] for node in self.ask("nodes")))
        for job in ("first", "second"):
            running = self.until_running(self.small_job(job))
            self.assertEqual({s["node"] for v in running["vertices"] for s in v["subtasks"]}, {other})
        third = self.small_job("third")
        waiting = self.until("it waits", lambda: next((j for j in self.ask("list") if j.get("waits_for")), None))
        self.assertEqual((waiting["id"], waiting["waits_for"]),
                         (third, "needs 1 slot, 4 exist, 2 are on nodes that are silent"))
        self.assertIn(f"{name:24}2      0     silent", self.dfnode("nodes", "--to", self.address).stdout)
        self.go_on()
        running = self.until_running(third)
        self.assertEqual({s["node"] for v in running["vertices"] for s in v["subtasks"]}, {name})


if __name__ == "__main__":
    unittest.main()

"""Processes of a cluster are killed; jobs go on, and say what happened."""

import signal
import unittest

from cluster_test import ClusterTest, children_of, is_alive
from small_jobs import counts

class Losses(ClusterTest):
    silence_seconds = "2"

    def endless(self, name="endless", parallelism=2):
        return self.write(f"{name}.toml", counts(name, parallelism=parallelism))

    def worker(self, process, job):
        return self.until(f"a worker of {job}", lambda: self.worker_of(process, job))

    def test_sigterm_ends_a_task_manager_and_a_job_manager_in_order(self):
        self.cluster(nodes=1, slots=2)
        self.until_running(self.detach(self.endless()))
        for process in (*self.nodes.values(), self.manager):
            children = [pid for pid, _ in children_of(process.pid)]
            self.assertTrue(children)
            process.terminate()
            self.assertEqual(process.wait(timeout=10), 0)
            self.until("its children are gone", lambda: not any(is_alive(pid) for pid in children))

    def test_a_killed_worker_is_replaced_and_the_signal_is_told(self):
        self.cluster(nodes=2, slots=1)
        job = self.detach(self.endless())
        self.until_running(job)
        other = self.worker(list(self.nodes.values())[1], job)
        self.kill(self.worker(list(self.nodes.values())[0], job))
        shown = self.until_running(job, attempt=1)
        self.assertIn("SIGKILL", shown["failures"][0]["reason"])
        self.assertTrue(is_alive(other))

    def test_a_killed_task_manager_takes_its_workers_along_and_the_job_moves(self):
        self.cluster(nodes=2, slots=2)
        job = self.detach(self.endless())
        self.until_running(job)
        (lost, process), (left, _) = self.nodes.items()
        workers = [pid for pid, _ in children_of(process.pid)]
        self.assertTrue(workers)
        self.kill(process.pid)
        shown = self.until_running(job, attempt=1)
        nodes = {s["node"] for vertex in shown["vertices"] for s in vertex["subtasks"]}
        self.assertEqual(nodes, {left})
        self.assertIn(lost, shown["failures"][0]["reason"])
        self.until("its workers are gone", lambda: not any(is_alive(pid) for pid in workers))
        self.assertEqual([node["node"] for node in self.ask("nodes")], [left])

    def test_a_stopped_task_manager_is_detected_and_joins_again_when_it_wakes(self):
        self.cluster(nodes=2, slots=2)
        job = self.detach(self.endless())
        self.until_running(job)
        name, process = list(self.nodes.items())[0]
        self.kill(process.pid, signal.SIGSTOP)
        self.addCleanup(self.kill, process.pid, signal.SIGCONT)
        self.until("it is missed", lambda: name not in [node["node"] for node in self.ask("nodes")])
        self.until_running(job, attempt=1)
        self.kill(process.pid, signal.SIGCONT)
        self.until("it is back", lambda: name in [node["node"] for node in self.ask("nodes")])
        self.until_running(job, attempt=1)

    def test_a_segmentation_fault_in_one_job_leaves_the_other_alone(self):
        self.cluster(nodes=1, slots=2)
        process = list(self.nodes.values())[0]
        crashing = self.detach(self.endless("crashing", 1))
        other = self.detach(self.endless("other", 1))
        self.until_running(crashing)
        self.until_running(other)
        untouched = self.worker(process, other)
        self.kill(self.worker(process, crashing), signal.SIGSEGV)
        shown = self.until_running(crashing, attempt=1)
        self.assertIn("SIGSEGV", shown["failures"][0]["reason"])
        self.assertTrue(is_alive(untouched))
        shown = self.ask("show", other)
        self.assertEqual((shown["state"], shown["failures"]), ("RUNNING", []))

    def test_a_killed_job_master_is_started_again(self):
        self.cluster(nodes=1, slots=2)
        job = self.detach(self.endless())
        self.until_running(job)
        masters = [pid for pid, command in children_of(self.manager.pid) if "job-master" in command]
        self.assertEqual(len(masters), 1)
        old_worker = self.worker(list(self.nodes.values())[0], job)
        self.kill(masters[0])
        self.until("the old worker is gone", lambda: not is_alive(old_worker))
        self.until_running(job)

    def test_a_job_manager_that_is_started_again_begins_its_jobs_again(self):
        self.cluster(nodes=2, slots=1)
        job = self.detach(self.endless())
        self.until_running(job)
        ended = self.detach(self.endless("other", 1))
        self.tell("cancel", ended)
        self.until_state(ended, "CANCELED")
        workers = [self.worker(process, job) for process in self.nodes.values()]
        self.kill(self.manager.pid)
        self.manager.wait()
        self.job_manager()
        self.until("both nodes are back", lambda: len(self.ask("nodes")) == 2)
        self.until_running(job)
        self.assertFalse(any(is_alive(pid) for pid in workers))
        self.assertEqual({j["id"]: j["state"] for j in self.ask("list")}, {job: "RUNNING", ended: "CANCELED"})

    def test_nothing_is_left_when_all_are_killed(self):
        self.cluster(nodes=1, slots=2)
        job = self.detach(self.endless())
        self.until_running(job)
        process = list(self.nodes.values())[0]
        below = [pid for parent in (self.manager, process) for pid, _ in children_of(parent.pid)]
        self.kill(process.pid)
        self.kill(self.manager.pid)
        self.until("all are gone", lambda: not any(is_alive(pid) for pid in below))


class Slots(ClusterTest):
    def test_a_job_waits_for_slots_and_uses_a_node_that_joins_late(self):
        self.cluster(nodes=1, slots=1)
        job = self.detach(self.write("wide.toml", counts("wide", parallelism=3)))
        shown = self.until("it says why it waits",
                           lambda: (s := self.ask("show", job)).get("waits_for") and s)
        self.assertEqual(shown["waits_for"], "needs 3 slots, 1 exists; start 2 more")
        self.task_manager(slots=2)
        self.until_running(job)

    def test_too_few_slots_fail_the_job_after_the_deadline(self):
        self.job_manager("--slot-timeout", "0.2")
        self.task_manager(slots=1)
        job = self.detach(self.write("wide.toml", counts("wide", parallelism=3)))
        shown = self.until_state(job, "FAILED")
        self.assertIn("needs 3 slots, 1 exists; start 2 more", shown["error"])
        self.assertEqual((shown["error_code"], shown["restarts"]), ("unavailable", 0))
        result = self.submit(self.folder / "wide.toml")
        self.assert_exit(result, 1)  # nothing is wrong with the file

    def test_a_submit_that_follows_says_once_what_the_job_waits_for(self):
        self.job_manager("--slot-timeout", "2")
        self.task_manager(slots=1)
        result = self.submit(self.write("wide.toml", counts("wide", parallelism=3)))
        self.assert_exit(result, 1)
        said = "the job waits for slots: it needs 3 slots, 1 exists; start 2 more\n"
        self.assertEqual(result.stderr.count(said), 1, result.stderr)
        self.assertIn("waits for slots: needs 3 slots", self.logs())

    def test_a_job_waits_for_another_one_and_follows_it(self):
        self.cluster(nodes=1, slots=1)
        first = self.detach(self.write("a.toml", counts("a", parallelism=1)))
        self.until_running(first)
        second = self.detach(self.write("b.toml", counts("b", parallelism=1)))
        self.until("it waits", lambda: "in use by job" in self.ask("show", second).get("waits_for", ""))
        self.tell("cancel", first)
        self.until_running(second)
        self.assertEqual(self.state(first), "CANCELED")

    def test_a_stopped_job_finishes(self):
        self.cluster(nodes=1, slots=2)
        job = self.detach(self.write("a.toml", counts("a", parallelism=2)))
        self.until_running(job)
        self.tell("stop", job)
        self.until_state(job, "FINISHED")


if __name__ == "__main__":
    unittest.main()

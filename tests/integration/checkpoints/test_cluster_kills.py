"""Processes of a cluster are killed in the middle of a checkpoint, of completing it, of telling of it: the output of the
file sinks is exact all the same.
"""

import unittest

from checkpointed_cluster import CheckpointedCluster


class Kills(CheckpointedCluster):
    def test_workers_are_killed(self):
        self.cluster(nodes=2, slots=1)
        self.begin()
        nodes = list(self.nodes.values())
        for number, moment in enumerate(self.moments()):
            worker = self.until("a worker", lambda: self.worker_of(nodes[number % 2], self.job))
            moment()
            self.kill(worker)
            self.until_more()
        self.assert_exact()
        self.assertGreaterEqual(self.ask("show", self.job)["restarts"], 2)

    def test_the_only_worker_is_killed(self):
        self.cluster(nodes=1, slots=2)
        self.begin()
        node = list(self.nodes.values())[0]
        for moment in self.moments():
            worker = self.until("a worker", lambda: self.worker_of(node, self.job))
            moment()
            self.kill(worker)
            self.until_more()
        self.assert_exact()

    def test_task_managers_are_killed(self):
        self.cluster(nodes=2, slots=2)
        self.begin()
        for moment in self.moments():
            name, process = next(iter(self.nodes.items()))
            moment()
            self.kill(process.pid)
            process.wait()
            del self.nodes[name]
            self.started_nodes = getattr(self, "started_nodes", 0) + 1
            self.task_manager(slots=2, name=f"again{self.started_nodes}")
            self.until_more()
        self.assert_exact()

    def test_the_job_master_is_killed(self):
        self.cluster(nodes=2, slots=1)
        self.begin()
        for moment in self.moments():
            master = self.until("a master", self.masters)[0]
            moment()
            self.kill(master)
            self.until("another master", lambda: self.masters() not in ([], [master]))
            self.until_more()
        self.assert_exact()

    def test_the_job_manager_is_killed(self):
        self.cluster(nodes=2, slots=1)
        self.begin()
        for moment in self.moments():
            moment()
            self.kill(self.manager.pid)
            self.manager.wait()
            self.job_manager()
            self.until_more()
        self.assert_exact()

    def test_everything_but_one_task_manager_is_killed_at_once(self):
        self.cluster(nodes=2, slots=2)
        self.begin()
        name, process = next(iter(self.nodes.items()))
        self.in_the_middle()
        self.kill(process.pid)
        self.kill(self.manager.pid)
        self.manager.wait()
        process.wait()
        self.job_manager()
        self.assert_exact()


class Rescaling(CheckpointedCluster):
    """The same job stopped with a savepoint, or dead, goes on with another parallelism."""

    def test_two_then_five_then_one_with_kills_between(self):
        self.cluster(nodes=3, slots=2)
        self.begin(rate=60000, parallelism=2)
        self.rescale_with_kills(5, 1)
        self.assert_exact()


if __name__ == "__main__":
    unittest.main()

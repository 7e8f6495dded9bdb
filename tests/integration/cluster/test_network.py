"""Links between the machines of a cluster are cut one way and both ways, and slowed down."""

import json
import unittest

from network_test import NetworkTest
from small_jobs import counts, file_sink


class Network(NetworkTest):
    hosts = 4
    silence_seconds = "1.5"

    def start(self):
        """A job on two of the three nodes; the third one is free. Returns the job and the hosts that it uses."""
        self.network_cluster()
        job = self.detach(self.write("counts.toml", counts()))
        return job, self.hosts_of(self.until_running(job))

    def hosts_of(self, shown):
        return sorted({self.host_of[s["node"]] for vertex in shown["vertices"] for s in vertex["subtasks"]})

    def known_hosts(self):
        return sorted(self.host_of[node["node"]] for node in self.ask("nodes"))

    def until_known(self, *hosts):
        self.until(f"hosts {hosts} are known", lambda: self.known_hosts() == sorted(hosts))

    def until_moved_from(self, job, host):
        def moved():
            shown = self.all_running(job, attempt=1)
            return shown and host not in self.hosts_of(shown) and shown
        shown = self.until(f"the job runs without host {host}", moved)
        self.assertTrue(shown["failures"])
        return shown

    def until_it_flows(self, job):
        read = lambda: sum(s.get("records_in", 0) for s in self.ask("show", job)["vertices"][0]["subtasks"])
        before = read()
        self.until("records flow", lambda: read() > before + 1000)

    def test_a_node_whose_cable_is_out_is_replaced_and_comes_back(self):
        job, (lost, _) = self.start()
        self.cut(lost)
        self.until_moved_from(job, lost)
        self.until_it_flows(job)
        self.assertNotIn(lost, self.known_hosts())
        self.mend(lost)
        self.until_known(1, 2, 3)
        self.assertEqual(self.state(job), "RUNNING")

    def test_a_node_that_is_not_heard_is_replaced_and_comes_back(self):
        job, (lost, _) = self.start()
        self.silence(lost, towards=0)
        self.until_moved_from(job, lost)
        self.until_it_flows(job)
        self.unsilence(lost, towards=0)
        self.until_known(1, 2, 3)
        self.assertEqual(self.state(job), "RUNNING")

    def test_a_node_that_does_not_hear_is_replaced_and_comes_back(self):
        job, (lost, _) = self.start()
        self.silence(0, towards=lost)
        self.until_moved_from(job, lost)
        self.until_it_flows(job)
        self.unsilence(0, towards=lost)
        self.until_known(1, 2, 3)
        self.assertEqual(self.state(job), "RUNNING")

    def check_cut_between_workers(self, cuts):
        """The JobManager hears both; `cuts(first, second)` are the directions that are lost between them."""
        job, (first, second) = self.start()
        for one, other in cuts(first, second):
            self.silence(one, towards=other)
        shown = self.until("it is noticed", lambda: (s := self.ask("show", job))["failures"] and s)
        self.assertIn("connect", json.dumps(shown["failures"]))
        for one, other in cuts(first, second):
            self.unsilence(one, towards=other)
        self.until_running(job, attempt=1)
        self.until_it_flows(job)

    def test_a_link_between_two_workers_that_is_cut_one_way_is_noticed(self):
        self.check_cut_between_workers(lambda first, second: [(first, second)])

    def test_a_link_between_two_workers_that_is_cut_both_ways_is_noticed(self):
        self.check_cut_between_workers(lambda first, second: [(first, second), (second, first)])

    def test_a_slow_link_slows_the_job_down_and_does_no_more(self):
        self.network_cluster()
        if not all(self.slow_down(host, megabits=4) for host in range(1, self.hosts)):
            self.skipTest("this kernel has no tbf queue")
        job = self.write("counts.toml", counts(count=300000, rate=10000000, aggregate='n = "count()", total = "sum(id)"',
                                               sink=file_sink("out", "json")))
        running = self.detach(job)
        shown = self.until_state(running, "FINISHED", "FAILED")
        self.assertEqual((shown["state"], shown["failures"]), ("FINISHED", []))
        parts = [part.read_text() for part in (self.folder / "out").glob("*")]
        rows = [json.loads(line) for part in parts for line in part.splitlines()]
        self.assertEqual(len(rows), 30000)
        self.assertEqual(sum(row["total"] for row in rows), sum(range(300000)))
        self.until_known(1, 2, 3)


if __name__ == "__main__":
    unittest.main()

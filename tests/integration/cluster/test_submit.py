"""Jobs submitted to a cluster give what `dfnode run` gives."""

import pathlib
import unittest

from cluster_test import ClusterTest
from dfnode import DFNODE, SOURCE
from small_jobs import counts, file_sink, numbers

SPIKES = SOURCE / "apps" / "temperature-spikes" / "topology.toml"

class Submit(ClusterTest):
    def test_the_output_of_an_attached_job_is_that_of_a_local_run(self):
        self.cluster(nodes=2, slots=2)
        here = self.dfnode("run", str(SPIKES), "--quiet")
        there = self.submit(SPIKES, "--quiet")
        self.assertEqual(there.returncode, 0, f"{there.stderr}\n{self.logs()}")
        self.assertEqual(there.stdout, here.stdout)
        self.assertIn("works for job", self.dfnode("logs", "temperature-spikes", "--to", self.address).stdout)
        jobs = self.ask("list")
        self.assertEqual([(job["name"], job["state"]) for job in jobs], [("temperature-spikes", "FINISHED")])

    def test_records_cross_from_node_to_node(self):
        self.cluster(nodes=2, slots=1)
        job = self.write("counts.toml", counts(count=100000, rate=1000000, sink=file_sink("out", "json")))
        result = self.submit(job, "--quiet")
        self.assertEqual(result.returncode, 0, f"{result.stderr}\n{self.logs()}")
        rows = [line for part in (self.folder / "out").glob("*") for line in part.read_text().splitlines()]
        self.assertEqual(len(rows), 10000)
        shown = self.ask("show", "counts")
        subtasks = [s for v in shown["vertices"] for s in v["subtasks"]]
        self.assertEqual(len({s["node"] for s in subtasks}), 2)
        self.assertEqual({s["slot"] for s in subtasks}, {0})  # each node has one
        inputs = [v["inputs"] for v in shown["vertices"]]
        self.assertEqual(inputs[0], [])
        self.assertEqual([(i["from"], i["partitioning"], i["keys"]) for i in inputs[1]], [("numbers", "hash", ["k"])])
        self.assertIn("hash by k", self.dfnode("show", "counts", "--to", self.address).stdout)

    def test_a_mistake_in_the_file_is_shown_before_anything_is_sent(self):
        self.cluster(nodes=0)
        job = self.write("wrong.toml", 'name = "wrong"\n[sources.a]\ntype = "nonsense"\n')
        result = self.submit(job)
        self.assert_exit(result, 2)
        self.assertIn("nonsense", result.stderr)
        self.assertEqual(self.ask("list"), [])

    def test_a_library_without_a_job_is_called_by_its_name(self):
        self.cluster(nodes=0)
        result = self.submit(pathlib.Path(DFNODE).resolve().with_name("misbehaving.so"))
        self.assert_exit(result, 2)
        self.assertIn("misbehaving.so has no job", result.stderr)
        self.assertNotIn("artifacts", result.stderr)

    def test_two_task_managers_do_not_share_a_folder(self):
        self.cluster(nodes=1)
        second = self.dfnode("taskmanager", "--join", self.address, "--work-dir", "tm0")
        self.assert_exit(second, 2)
        self.assertIn("another TaskManager works in tm0", second.stderr)
        self.nodes.popitem()[1].kill()
        self.task_manager(1, "tm0")  # the lock went with the one that held it

    def test_a_job_that_failed_says_why_in_the_list(self):
        self.cluster(nodes=1)
        job = self.write("failing.toml", numbers("failing", parallelism=1, count=10, sink=file_sink("out", "json")))
        self.assert_exit(self.submit(job), 0)
        self.assert_exit(self.submit(job), 2)  # its folder has the first one's output
        listed = self.dfnode("list", "--to", self.address).stdout.splitlines()
        self.assertEqual(listed[0].split(), ["JOB", "STATE", "SUBMITTED", "NAME"])
        self.assertRegex(listed[2], r'FAILED .* failing  \("out": the folder .* already has')
        self.assert_exit(self.dfnode("show", "nonsense", "--to", self.address), 2)
        # It was found, and has ended.
        again = self.dfnode("cancel", listed[2].split()[0], "--to", self.address)
        self.assert_exit(again, 1)
        self.assertIn("is FAILED already", again.stderr)
        ambiguous = self.dfnode("cancel", "failing", "--to", self.address)
        self.assert_exit(ambiguous, 2)
        self.assertIn("several jobs are called", ambiguous.stderr)

    def test_nobody_answers(self):
        self.assert_exit(self.dfnode("list", "--to", "127.0.0.1:1"), 3)

    def test_other_addresses_than_loopback_need_to_be_allowed(self):
        result = self.dfnode("jobmanager", "--listen", "0.0.0.0:0", "--storage", "jm")
        self.assert_exit(result, 2)
        self.assertIn("--insecure", result.stderr)

    def test_a_settings_file_says_what_the_command_line_does_not(self):
        self.write("dfnode.toml", '[jobmanager]\nlisten = "127.0.0.1:0"\nstorage = "elsewhere"\ncluster = "mine"\n'
                                  '[list]\ncluster = "mine"\n')
        manager = self.spawn("jobmanager", "--storage", "jm")
        address = self.ready_line(manager).split()[-1]
        self.assertTrue((self.folder / "jm" / "cluster").exists())
        self.assertFalse((self.folder / "elsewhere").exists())
        self.assert_exit(self.dfnode("list", "--to", address), 0)

    def test_another_cluster_is_refused(self):
        self.cluster(nodes=1)
        result = self.dfnode("list", "--to", self.address, "--cluster", "other")
        self.assert_exit(result, 2)
        self.assertIn('not of "other"', result.stderr)


if __name__ == "__main__":
    unittest.main()

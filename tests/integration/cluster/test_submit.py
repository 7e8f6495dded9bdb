"""Jobs submitted to a cluster give what `dfnode run` gives."""

import unittest

from cluster_test import ClusterTest
from dfnode import SOURCE

SPIKES = SOURCE / "apps" / "temperature-spikes" / "topology.toml"

# Endless, with an exchange by key between every pair of subtasks.
COUNTS = """name = "counts"
parallelism = {parallelism}

[sources.numbers]
type   = "generate"
{count}
fields = {{ id = "seq()", k = "seq() % 100" }}
rate_limit = {rate}

[operators.per_key]
type      = "window"
input     = "numbers"
key_by    = ["k"]
window    = {{ count = 10 }}
aggregate = {{ n = "count()", total = "sum(id)" }}

[sinks.out]
type  = "file"
input = "per_key"
path  = "out"
format = "json"
"""


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
        job = self.write("counts.toml", COUNTS.format(parallelism=2, count="count = 100000", rate=1000000))
        result = self.submit(job, "--quiet")
        self.assertEqual(result.returncode, 0, f"{result.stderr}\n{self.logs()}")
        rows = [line for part in (self.folder / "out").glob("*") for line in part.read_text().splitlines()]
        self.assertEqual(len(rows), 10000)
        shown = self.ask("show", "counts")
        self.assertEqual(len({s["node"] for v in shown["vertices"] for s in v["subtasks"]}), 2)

    def test_a_mistake_in_the_file_is_shown_before_anything_is_sent(self):
        self.cluster(nodes=0)
        job = self.write("wrong.toml", 'name = "wrong"\n[sources.a]\ntype = "nonsense"\n')
        result = self.submit(job)
        self.assert_exit(result, 2)
        self.assertIn("nonsense", result.stderr)
        self.assertEqual(self.ask("list"), [])

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

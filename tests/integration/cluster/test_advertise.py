"""Nodes that listen at all of their addresses, or behind another name, and what others are told to connect to."""

import socket
import unittest

from cluster_test import ClusterTest
from small_jobs import counts


class Advertise(ClusterTest):
    def node(self, advertise, *options, listen="0.0.0.0:0"):
        return self.task_manager(1, options=("--listen", listen, "--advertise", advertise, *options))

    def join_by(self, host):
        """The JobManager listens everywhere, too: a name for it is what its nodes and clients use."""
        self.address = f"{host}:{self.address.rsplit(':', 1)[1]}"

    def run_over(self, *nodes):
        """A job with an exchange between the two nodes, which are called so."""
        job = self.detach(self.write("counts.toml", counts()))
        shown = self.until_running(job)
        self.assertEqual({s["node"] for v in shown["vertices"] for s in v["subtasks"]}, set(nodes))
        self.until("records cross", lambda: all(s["records_in"] > 0 for s in self.ask("show", job)["vertices"][-1]["subtasks"]))
        for told in (self.ask("nodes"), self.ask("show", job), self.ask("list")):
            self.assertNotIn("0.0.0.0", str(told))
        self.assertNotIn("0.0.0.0", self.dfnode("logs", job, "--to", self.address).stdout)

    def refusal(self, *options):
        result = self.dfnode("taskmanager", "--join", self.address or "127.0.0.1:1", "--work-dir", "refused", *options)
        self.assert_exit(result, 2)
        return result.stderr

    def test_nodes_that_listen_everywhere_are_reached_at_what_they_advertise(self):
        self.job_manager("--insecure", listen="0.0.0.0:0")
        self.join_by("127.0.0.1")
        self.node("127.0.0.2", "--insecure")
        self.node("127.0.0.3:7777", "--insecure")
        first, second = sorted(self.nodes)
        self.assertRegex(first, r"^127\.0\.0\.2:\d+$")
        self.assertNotEqual(first, "127.0.0.2:0")
        self.assertEqual(second, "127.0.0.3:7777")
        self.run_over(first, second)

    def test_a_node_that_listens_everywhere_says_where_it_is_reached(self):
        for host in ("0.0.0.0", "[::]", "0"):
            said = self.refusal("--insecure", "--listen", f"{host}:0")
            self.assertIn("--advertise HOST", said)
        self.assertIn("no address under which others reach", self.refusal("--insecure", "--listen", "0.0.0.0:0",
                                                                          "--advertise", "0.0.0.0:7000"))
        self.assertIn("--advertise", self.refusal("--advertise", "node2:port"))

    def test_a_node_of_another_name_than_where_it_listens(self):
        self.job_manager()
        name = socket.gethostname()
        self.node(f"{name}:7001", listen="127.0.0.1:0")
        self.assertEqual(list(self.nodes), [f"{name}:7001"])
        self.assertEqual([node["node"] for node in self.ask("nodes")], [f"{name}:7001"])


class AdvertiseWithCertificates(Advertise):
    def setUp(self):
        super().setUp()
        self.assert_exit(self.dfnode("certs", "certs", "node", "--host", "127.0.0.2", "--host", "127.0.0.3",
                                     "--host", socket.gethostname()), 0)

    def environment(self, **variables):
        certs = f"{self.folder}/certs"
        if not (self.folder / "certs").exists():
            return super().environment(**variables)
        return super().environment(DATAFLOW_TLS_CA=f"{certs}/ca.pem", DATAFLOW_TLS_CERT=f"{certs}/node.pem",
                                   DATAFLOW_TLS_KEY=f"{certs}/node-key.pem", **variables)

    def test_a_name_that_the_certificate_is_not_for_is_refused_at_the_start(self):
        said = self.refusal("--listen", "0.0.0.0:0", "--advertise", "127.0.0.4")
        self.assertIn("node.pem is not for 127.0.0.4", said)
        self.assertIn("--host 127.0.0.4", said)
        said = self.refusal("--listen", "127.0.0.4:0", "--advertise", "127.0.0.2")  # its own workers want it, too
        self.assertIn("node.pem is not for 127.0.0.4", said)
        said = self.dfnode("jobmanager", "--listen", "127.0.0.4:0", "--storage", "refused")
        self.assert_exit(said, 2)
        self.assertIn("node.pem is not for 127.0.0.4", said.stderr)


if __name__ == "__main__":
    unittest.main()
